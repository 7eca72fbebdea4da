//! The client's half of the opening handshake.

use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper::upgrade::Parts;
use hyper_util::rt::TokioIo;
use lifeboat_core::session::answer::{AnswerBody, HttpAnswer};
use lifeboat_runtime::http_time;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::timeout;
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

use super::Link;
use super::header::Mask;

/// Names the relays that a link passes through, comma separated, so that each knows itself when it meets itself.
pub const RELAY_HEADER: &str = "lifeboat-relay";

/// How much of a refusing answer's body is read, in bytes, and for how long.
const BODY_LIMIT: usize = 4 * 1024;
const BODY_TIME: Duration = Duration::from_secs(1);

/// Why the peer did not become a WebSocket.
#[derive(Debug, thiserror::Error)]
pub enum UpgradeError {
    /// It answered with another status than 101.
    #[error("{0}")]
    Answered(HttpAnswer),
    /// It doesn't speak HTTP, or hung up.
    #[error("it did not answer as an HTTP server, so it is no control plane of Kong: {0}")]
    Http(hyper::Error),
    /// It said yes to something else.
    #[error(
        "it opened something that is not this WebSocket, so it is no control plane of Kong (wrong Sec-WebSocket-Accept)"
    )]
    Accept,
}

impl From<hyper::Error> for UpgradeError {
    fn from(error: hyper::Error) -> Self {
        Self::Http(error)
    }
}

/// Opens a WebSocket at `target` (a path with its query) over a stream that is ready for HTTP. `via` names the
/// relays that the link passes through, if it does.
pub async fn open<S>(
    stream: S,
    host: &str,
    target: &str,
    via: Option<&str>,
    limit: u64,
) -> Result<Link<S>, UpgradeError>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    // Ends by itself: with the upgrade, or when `sender` is dropped.
    let connection = tokio::spawn(connection.with_upgrades());

    let key = generate_key();
    let mut request = Request::get(target)
        .header(header::HOST, host)
        .header(header::CONNECTION, "Upgrade")
        .header(header::UPGRADE, "websocket")
        .header(header::SEC_WEBSOCKET_VERSION, "13")
        .header(header::SEC_WEBSOCKET_KEY, &key);
    if let Some(via) = via {
        request = request.header(RELAY_HEADER, via);
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a target that came in as one is a valid one");

    let response = match sender.send_request(request).await {
        Ok(response) => response,
        // The connection failed before it took the request: only the connection knows why.
        Err(error) if error.is_canceled() => {
            return Err(connection.await.ok().and_then(Result::err).unwrap_or(error).into());
        }
        Err(error) => return Err(error.into()),
    };

    if response.status() != StatusCode::SWITCHING_PROTOCOLS {
        return Err(UpgradeError::Answered(read_answer(response).await));
    }
    let accept = response.headers().get(header::SEC_WEBSOCKET_ACCEPT).map(|value| value.as_bytes().to_vec());
    if accept.as_deref() != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(UpgradeError::Accept);
    }

    let upgraded = hyper::upgrade::on(response).await?;
    let Parts { io, read_buf, .. } =
        upgraded.downcast::<TokioIo<S>>().expect("what comes back is the stream that went in");
    Ok(Link::new(io.into_inner(), read_buf, Mask::Ours, limit))
}

// A body that does not come, or breaks off, tells nothing; the status does.
pub(crate) async fn read_answer(response: Response<Incoming>) -> HttpAnswer {
    let (status, retry_after) = (response.status().as_u16(), http_time::retry_after(response.headers()));
    let (mut body, mut begin) = (response.into_body(), Vec::new());
    let reading = async {
        while begin.len() < BODY_LIMIT
            && let Some(Ok(frame)) = body.frame().await
        {
            begin.extend_from_slice(frame.data_ref().map_or(&[][..], |data| data));
        }
    };
    let _ = timeout(BODY_TIME, reading).await;
    HttpAnswer { status, body: AnswerBody::of(&begin), retry_after }
}
