//! A page of a running lifeboat, asked for over plain HTTP. What it means is for the commands that ask.

use std::fmt;

use anyhow::Context;
use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::{BodyExt, Empty, Limited};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// Where a page is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PageUrl {
    /// The host and the port, as they are written in a URL.
    pub(super) authority: String,
    /// The path, from its first slash on.
    pub(super) path: String,
}

impl fmt::Display for PageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "http://{}{}", self.authority, self.path)
    }
}

/// The page, of which at most so many bytes are read. `nobody` is said if nothing listens there.
///
/// # Errors
/// When there is no answer, or one that isn't HTTP.
pub(super) async fn get(
    url: &PageUrl,
    most: usize,
    nobody: &str,
) -> anyhow::Result<(StatusCode, Result<Bytes, Unread>)> {
    let PageUrl { authority, path } = url;
    let stream = TcpStream::connect(authority).await.with_context(|| nobody.to_owned())?;
    let strange = || format!("{url} is not answered as lifeboat does: something else may listen there");
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.with_context(strange)?;
    // Ends with the answer.
    let _connection = tokio::spawn(connection);

    let request = Request::get(path).header(header::HOST, authority).body(Empty::<Bytes>::new());
    let request = request.with_context(|| format!("{url} can't be asked for"))?;
    let answer = sender.send_request(request).await.with_context(strange)?;
    let status = answer.status();
    let body = Limited::new(answer.into_body(), most).collect().await;
    Ok((status, body.map(|body| body.to_bytes()).map_err(|_| Unread)))
}

/// The body ended too early, or is longer than what is read of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unread;
