//! HTTP on a link's listener and from a control plane: heads of requests that anyone may send, and answers to the request
//! that opens a link.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use lifeboat_core::kong::outlet_query::OutletQuery;
use lifeboat_core::session::answer::{Refusal, early_end};
use lifeboat_link::websocket::accept::{MOST_RELAYS, accept_key, is_loop};
use lifeboat_link::websocket::connect::{RELAY_HEADER, UpgradeError, open};
use lifeboat_link::websocket::{Incoming as Read, LinkError};
use sha1::{Digest, Sha1};

use super::choices::Choices;
use super::wire::{Wire, done};

const US: &str = "this-relay";
/// In an answer it stands for the right answer to the key that was sent.
const RIGHT: &[u8] = b"RIGHT";
/// The longest frame that is taken on a link that was opened.
const LIMIT: u64 = 4_096;

/// What of a request's head we go by.
struct Head {
    method: Method,
    target: String,
    headers: HeaderMap,
}

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: a link is opened for a request that asks for none, or by an answer that opens none,
/// or a node's name could write lines into a log.
pub fn play_requests(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let (is_request, at_once) = (choices.byte().is_multiple_of(2), 1 + choices.below(1_000));
    if is_request {
        let heads = heads(choices.rest(), at_once);
        heads.iter().for_each(is_understood);
    } else {
        done(answered(choices.rest(), at_once));
    }
}

/// The requests in a stream, as the relay's server reads them.
fn heads(stream: &[u8], at_once: usize) -> Vec<Head> {
    let heads = Arc::new(Mutex::new(Vec::new()));
    let service = service_fn(|request: Request<Incoming>| {
        let head = Head {
            method: request.method().clone(),
            target: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            headers: request.headers().clone(),
        };
        let opens = accept_key(&head.method, &head.headers).is_some();
        heads.lock().expect("nothing panics while it is locked").push(head);
        async move {
            let mut answer = Response::new(Full::<Bytes>::default());
            *answer.status_mut() = if opens { StatusCode::SWITCHING_PROTOCOLS } else { StatusCode::NOT_FOUND };
            Ok::<_, Infallible>(answer)
        }
    });
    // It breaks off, at the latest where the stream ends.
    let _ = done(async {
        http1::Builder::new()
            .serve_connection(TokioIo::new(Wire::saying(stream, at_once)), service)
            .with_upgrades()
            .await
    });
    Arc::into_inner(heads).and_then(|heads| heads.into_inner().ok()).unwrap_or_default()
}

fn is_understood(head: &Head) {
    let Head { method, target, headers } = head;
    if let Some(accept) = accept_key(method, headers) {
        assert_eq!(method, Method::GET);
        for (name, wanted) in [(header::CONNECTION, "upgrade"), (header::UPGRADE, "websocket")] {
            assert!(headers.get_all(&name).iter().any(|value| lower(value.as_bytes()).contains(wanted)), "{headers:?}");
        }
        assert_eq!(accept, right_answer(headers[header::SEC_WEBSOCKET_KEY].as_bytes()));
    }

    if let Some(node) = OutletQuery::read(target) {
        for name in [&node.id, &node.hostname] {
            assert!(name.chars().count() <= 200 && !name.contains(char::is_control), "{name:?}");
        }
        assert!(["node_id=", "node_hostname=", "node_version="].iter().all(|name| target.contains(name)), "{target}");
        let has_version = |version| target.contains(&format!("node_version={version}"));
        assert!(node.version.is_none_or(has_version), "{target}");
    }
    passes_relays_but_none_twice(headers);
}

fn passes_relays_but_none_twice(headers: &HeaderMap) {
    let values = headers.get_all(RELAY_HEADER);
    let relays: Vec<String> = values
        .iter()
        .filter(|value| value.to_str().is_ok())
        .flat_map(|value| lower(value.as_bytes()).split(',').map(|relay| relay.trim().to_owned()).collect::<Vec<_>>())
        .collect();
    if relays.len() > MOST_RELAYS {
        assert!(is_loop(US, headers));
    }
    if is_loop(US, headers) {
        assert!(relays.len() > MOST_RELAYS || relays.iter().any(|relay| relay == US), "{relays:?}");
    }
    // Whatever else stands there: whoever has passed here is known again.
    let mut passed = headers.clone();
    passed.append(RELAY_HEADER, US.parse().expect("a name is valid in a header"));
    assert!(is_loop(US, &passed));
}

/// A control plane's answer to the request that opens a link, and what comes on that after it.
async fn answered(answer: &[u8], at_once: usize) {
    let wire = Wire::saying(answer, at_once).answering(with_right_answer);
    let opened = open(wire, "cp.example.com:8005", "/v1/outlet?node_id=x", Some(US), LIMIT).await;
    match opened {
        Ok(mut link) => {
            let text = lower(answer);
            assert!(text.starts_with("http/1.") && text.contains(" 101") && text.contains("right"), "{text}");
            loop {
                match link.recv().await {
                    Ok(Read::Frame(frame)) => {
                        assert!(frame.payload.len() as u64 <= LIMIT);
                        assert!(!matches!(early_end(Some(&frame)), Ok(Refusal::Status(_))));
                    }
                    Ok(Read::Part) => {}
                    Err(error) => {
                        assert!(!matches!(error, LinkError::Stuck | LinkError::Broken(_)), "{error}");
                        return;
                    }
                }
            }
        }
        Err(UpgradeError::Answered(answer)) => {
            assert_ne!(answer.status, 101);
            assert!(!answer.to_string().is_empty());
            if answer.is_about_the_certificate() {
                assert_eq!(answer.status, 400);
            }
        }
        Err(UpgradeError::Accept | UpgradeError::Http(_)) => {}
    }
}

/// An answer to a request, which has sent a key.
fn with_right_answer(request: &[u8], answer: Vec<u8>) -> Vec<u8> {
    let request = String::from_utf8_lossy(request).into_owned();
    let key = request.lines().find(|line| line.to_lowercase().starts_with("sec-websocket-key:"));
    let key = key.and_then(|line| line.split_once(": ")).expect("a key is sent").1;
    let (right, mut whole) = (right_answer(key.as_bytes()), Vec::new());
    let mut rest = &answer[..];
    while let Some(at) = rest.windows(RIGHT.len()).position(|part| part == RIGHT) {
        whole.extend_from_slice(&rest[..at]);
        whole.extend_from_slice(right.as_bytes());
        rest = &rest[at + RIGHT.len()..];
    }
    whole.extend_from_slice(rest);
    whole
}

/// RFC 6455 section 4.2.2.
fn right_answer(key: &[u8]) -> String {
    let digest = Sha1::new().chain_update(key).chain_update(b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").finalize();
    STANDARD.encode(digest)
}

fn lower(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).to_lowercase()
}
