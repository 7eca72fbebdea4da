//! The HTTP part of a cluster link: `GET /v1/outlet` with its three parameters, both ways. Frames come after it.

use std::future::Future;
use std::io;
use std::pin::pin;

use bytes::Bytes;
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, HOST, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Method, Request, Response, StatusCode, Uri};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tungstenite::handshake::client::generate_key;
use tungstenite::handshake::derive_accept_key;

/// Where nodes connect.
pub(super) const PATH: &str = "/v1/outlet";
/// What a 3.0 node asks for first.
pub(super) const WRPC_PATH: &str = "/v1/wrpc";

/// How a node introduces itself in the address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Introduction {
    pub(super) node_id: String,
    pub(super) hostname: String,
    pub(super) version: String,
}

impl Introduction {
    /// `None` unless all three are there.
    pub(super) fn from_uri(uri: &Uri) -> Option<Self> {
        let pairs: Vec<(&str, &str)> = uri.query()?.split('&').filter_map(|pair| pair.split_once('=')).collect();
        let get = |name| pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
        Some(Self { node_id: get("node_id")?, hostname: get("node_hostname")?, version: get("node_version")? })
    }

    fn path_and_query(&self) -> String {
        let Self { node_id, hostname, version } = self;
        format!("{PATH}?node_id={node_id}&node_hostname={hostname}&node_version={version}")
    }
}

/// Opens the link as a node does.
///
/// # Errors
/// When the answer is anything but a correct `101 Switching Protocols`.
pub(super) async fn open<S>(stream: S, host: &str, introduction: &Introduction) -> io::Result<TokioIo<Upgraded>>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let key = generate_key();
    let request = Request::get(introduction.path_and_query())
        .header(HOST, host)
        .header(CONNECTION, "Upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_KEY, &key)
        .header(SEC_WEBSOCKET_VERSION, "13")
        .body(Empty::<Bytes>::new())
        .map_err(io::Error::other)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;

    let talk = async {
        let response = sender.send_request(request).await.map_err(io::Error::other)?;
        check(response.status(), response.headers().get(SEC_WEBSOCKET_ACCEPT), &key)?;
        hyper::upgrade::on(response).await.map_err(io::Error::other)
    };
    drive(connection.with_upgrades(), talk).await.map(TokioIo::new)
}

/// The answer that lets a node in, and the connection once it has been sent. `None` if no WebSocket is asked for.
pub(super) fn accept(request: &mut Request<Incoming>) -> Option<(Response<Empty<Bytes>>, OnUpgrade)> {
    let version = request.headers().get(SEC_WEBSOCKET_VERSION)?;
    let key = request.headers().get(SEC_WEBSOCKET_KEY).filter(|_| version == "13")?;
    let response = Response::builder()
        .status(StatusCode::SWITCHING_PROTOCOLS)
        .header(CONNECTION, "upgrade")
        .header(UPGRADE, "websocket")
        .header(SEC_WEBSOCKET_ACCEPT, derive_accept_key(key.as_bytes()))
        .body(Empty::new())
        .expect("all of it is valid in a response");
    Some((response, hyper::upgrade::on(request)))
}

/// Runs a connection for as long as the talk on it takes.
async fn drive<T>(connection: impl Future, talk: impl Future<Output = T>) -> T {
    let mut talk = pin!(talk);
    tokio::select! {
        result = &mut talk => result,
        _ = connection => talk.await,
    }
}

fn check(status: StatusCode, accept: Option<&HeaderValue>, key: &str) -> io::Result<()> {
    if status != StatusCode::SWITCHING_PROTOCOLS {
        return Err(io::Error::other(format!("the upgrade was answered with {status}")));
    }
    if accept.map(HeaderValue::as_bytes) != Some(derive_accept_key(key.as_bytes()).as_bytes()) {
        return Err(io::Error::other("the upgrade was answered with a wrong Sec-WebSocket-Accept"));
    }
    Ok(())
}

/// Asks for wRPC as a 3.0 node does, and returns the status.
pub(super) async fn ask_for_wrpc<S>(stream: S, host: &str) -> io::Result<StatusCode>
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    let request = Request::builder().method(Method::HEAD).uri(WRPC_PATH).header(HOST, host).header(CONNECTION, "close");
    let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.map_err(io::Error::other)?;
    let talk = async move { sender.send_request(request).await.map_err(io::Error::other) };
    Ok(drive(connection, talk).await?.status())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_introduction_is_read_as_it_was_written() {
        let introduction = Introduction {
            node_id: "0e7ebb5a-4a3b-4bd6-a2c6-1b0ba9e0c1d3".to_owned(),
            hostname: "dp-1".to_owned(),
            version: "3.9.1".to_owned(),
        };
        let uri: Uri = introduction.path_and_query().parse().unwrap();
        assert_eq!(uri.path(), PATH);
        assert_eq!(Introduction::from_uri(&uri), Some(introduction));
    }

    #[test]
    fn who_does_not_say_all_is_not_known() {
        assert_eq!(Introduction::from_uri(&"/v1/outlet?node_id=1&node_hostname=a".parse().unwrap()), None);
        assert_eq!(Introduction::from_uri(&"/v1/outlet".parse().unwrap()), None);
    }
}
