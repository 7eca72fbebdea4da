//! Other paths than `/v1/outlet`: `/v2/outlet` (Kong's RPC, since 3.9) and whatever comes later. Nothing of them is
//! understood here. What a node asks for is asked of the control plane in its name, headers and all, and then bytes pass,
//! for as long as the control plane is there.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, Request, Response, StatusCode, header};
use http_body_util::{Empty, Full};
use hyper::body::Incoming as Body;
use hyper::client::conn::http1;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use lifeboat_link::dial::dial_tls;
use lifeboat_link::websocket::connect::RELAY_HEADER;
use lifeboat_link::websocket::first_message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsStream;
use tracing::debug;

use super::admission::Place;
use super::incremental::Hello;
use super::{Shared, upgrade};

/// Where Kong's RPC is, over which incremental sync takes its configuration (KONG.md section 1).
pub(super) const RPC_PATH: &str = "/v2/outlet";
/// Both sides of Kong's RPC ping every 30 s and give up after 45; whatever is silent for longer is gone.
const SILENCE: Duration = Duration::from_secs(90);
/// How long a node may take for its first message on `/v2/outlet`: as long as Kong's own control plane waits for it.
const HELLO_LIMIT: Duration = Duration::from_secs(5);
/// It holds the node's settings: some tens of kilobytes.
const HELLO_SIZE: usize = 512 * 1024;
/// Read at once in either direction.
const CHUNK: usize = 16 * 1024;

type Stream = TlsStream<TcpStream>;

/// Answers the request as the control plane does; if that opens something, what follows passes in both directions.
pub(super) async fn open(
    shared: &Arc<Shared>,
    mut request: Request<Body>,
    peer: SocketAddr,
    place: Arc<Place>,
) -> Response<Full<Bytes>> {
    let path = request.uri().path().to_owned();
    match ask(shared, &request).await {
        Ok(mut response) => {
            debug!(%peer, path, "the control plane answered {}", response.status());
            let mut answer = Response::new(Full::default());
            *answer.status_mut() = response.status();
            if let Some(retry_after) = response.headers().get(header::RETRY_AFTER) {
                answer.headers_mut().insert(header::RETRY_AFTER, retry_after.clone());
            }

            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                *answer.headers_mut() = response.headers().clone();
                let both = [hyper::upgrade::on(&mut request), hyper::upgrade::on(&mut response)];
                shared.spawn(pass(shared.clone(), both, path, peer, place));
            }
            answer
        }
        Err(reason) => {
            debug!(%peer, path, "refused, since the control plane is away: {reason}");
            if path == RPC_PATH {
                shared.incremental.refused(peer.ip());
            }
            upgrade::text(
                StatusCode::SERVICE_UNAVAILABLE,
                "the control plane is away, and this relay serves /v1/outlet only\n",
            )
        }
    }
}

async fn ask(shared: &Shared, request: &Request<Body>) -> Result<Response<Body>, String> {
    let via = request.headers().get(RELAY_HEADER).and_then(|via| via.to_str().ok());
    let dialer = shared.dialer(via);
    let limit = shared.settings.rules.config_timeout;
    let tls = dial_tls(&shared.cluster.control_plane, Some(&dialer), limit).await.map_err(|error| error.to_string())?;

    let (mut sender, connection) = http1::handshake(TokioIo::new(tls)).await.map_err(|error| error.to_string())?;
    // Ends by itself: with the upgrade, or when `sender` is dropped.
    tokio::spawn(connection.with_upgrades());

    let mut asked = Request::builder().method(request.method()).uri(request.uri().clone());
    if let Some(headers) = asked.headers_mut() {
        *headers = forwarded(request.headers());
        let host = shared.cluster.control_plane.to_string();
        headers.insert(header::HOST, host.try_into().map_err(|_| "its name can't be sent")?);
        headers.insert(RELAY_HEADER, dialer.via.parse().map_err(|_| "its relays can't be named")?);
    }

    let asked = asked.body(Empty::<Bytes>::new()).map_err(|error| error.to_string())?;
    let answered = timeout(shared.settings.limits.handshake, sender.send_request(asked)).await;
    answered.map_err(|_| "it did not answer in time".to_owned())?.map_err(|error| error.to_string())
}

// Upgrade and Connection belong to this opening handshake and go on with it.
fn forwarded(headers: &HeaderMap) -> HeaderMap {
    let own: [HeaderName; 3] = [header::HOST, header::CONTENT_LENGTH, header::TRANSFER_ENCODING];
    let mut forwarded = headers.clone();
    own.iter().for_each(|name| while forwarded.remove(name).is_some() {});
    forwarded
}

async fn pass(shared: Arc<Shared>, both: [OnUpgrade; 2], path: String, peer: SocketAddr, place: Arc<Place>) {
    let _place = place;
    let [node, control_plane] = both;
    let (Ok(node), Ok(control_plane)) = (node.await, control_plane.await) else {
        debug!(%peer, path, "what the control plane agreed to did not open");
        return;
    };

    let (mut node, mut ahead_of_node) = parts(node);
    let (mut control_plane, ahead) = parts(control_plane);
    let passing = async {
        write(&mut node, &ahead).await?;
        let hello = hello(&mut node, &mut control_plane, &mut ahead_of_node, &path).await?;
        match hello.as_deref().and_then(Hello::decode) {
            Some(hello) => {
                tokio::select! {
                    passed = both_ways(&mut node, &mut control_plane) => passed,
                    () = watch(&shared, peer, hello) => unreachable!("it waits for ever"),
                }
            }
            None => both_ways(&mut node, &mut control_plane).await,
        }
    };

    let ended: std::io::Result<()> = passing.await;
    debug!(%peer, path, "what passed through has ended: {ended:?}");
    for mut stream in [node, control_plane] {
        let _ = timeout(Duration::from_secs(1), stream.shutdown()).await;
    }
}

async fn watch(shared: &Shared, peer: SocketAddr, hello: Hello) {
    shared.incremental.linked(peer.ip(), hello).await;
    std::future::pending::<()>().await;
}

// Passes the node's first message on as it comes, and looks at it. What was read is passed on whole, however late.
async fn hello(
    node: &mut Stream,
    control_plane: &mut Stream,
    seen: &mut BytesMut,
    path: &str,
) -> std::io::Result<Option<Bytes>> {
    let until = Instant::now() + HELLO_LIMIT;

    write(control_plane, seen).await?;
    while path == RPC_PATH && seen.len() < HELLO_SIZE {
        if let Some(message) = first_message(seen) {
            return Ok(message);
        }
        let known = seen.len();
        match timeout_at(until, node.read_buf(seen)).await {
            Ok(Ok(0)) => return Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(read) => read?,
            Err(_) => return Ok(None),
        };
        write(control_plane, &seen[known..]).await?;
    }
    Ok(None)
}

async fn write(stream: &mut Stream, bytes: &[u8]) -> std::io::Result<()> {
    let written = async {
        stream.write_all(bytes).await?;
        stream.flush().await
    };
    timeout(SILENCE, written).await.map_err(|_| std::io::ErrorKind::TimedOut)?
}

async fn both_ways(node: &mut Stream, control_plane: &mut Stream) -> std::io::Result<()> {
    let (mut from_node, mut to_node) = tokio::io::split(node);
    let (mut from_control_plane, mut to_control_plane) = tokio::io::split(control_plane);
    let (mut up, mut down) = (vec![0; CHUNK], vec![0; CHUNK]);

    loop {
        let passed = async {
            tokio::select! {
                read = from_node.read(&mut up) => {
                    let read = read?;
                    to_control_plane.write_all(&up[..read]).await?;
                    to_control_plane.flush().await?;
                    std::io::Result::Ok(read)
                }
                read = from_control_plane.read(&mut down) => {
                    let read = read?;
                    to_node.write_all(&down[..read]).await?;
                    to_node.flush().await?;
                    Ok(read)
                }
            }
        };

        match timeout(SILENCE, passed).await {
            Ok(Ok(0)) => return Ok(()),
            Ok(passed) => passed?,
            Err(_) => return Err(std::io::ErrorKind::TimedOut.into()),
        };
    }
}

fn parts(upgraded: hyper::upgrade::Upgraded) -> (Stream, BytesMut) {
    let Parts { io, read_buf, .. } =
        upgraded.downcast::<TokioIo<Stream>>().expect("what comes back is the stream that went in");
    (io.into_inner(), BytesMut::from(&read_buf[..]))
}
