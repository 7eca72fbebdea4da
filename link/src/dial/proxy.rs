//! The way through a forward proxy (`cluster_use_proxy`, `proxy_server`): HTTP CONNECT, RFC 9110 section 9.3.6. What
//! goes through it afterwards is TLS with the control plane, of which the proxy sees nothing.

use bytes::Bytes;
use http::{Method, Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use crate::{Address, Proxy};

/// Why a proxy gave no way through.
#[derive(Debug, thiserror::Error)]
pub(super) enum ProxyError {
    #[error("the proxy {0} can't be reached ({1}): is KONG_PROXY_SERVER right, and is it up")]
    Unreachable(Address, std::io::Error),
    #[error("the proxy {0} did not answer as an HTTP proxy: {1}")]
    Http(Address, hyper::Error),
    #[error(
        "the proxy {0} wants other credentials (HTTP 407): put them into KONG_PROXY_SERVER \
         (http://user:password@proxy.example.com:3128)"
    )]
    Credentials(Address),
    #[error("the proxy {0} answered HTTP {1} when it was asked for {2}: may it connect there, and is that up")]
    Status(Address, StatusCode, Address),
    #[error("the proxy {0} sent something before TLS began: it is no proxy for this")]
    Talks(Address),
}

/// A connection to `to` by way of `proxy`.
pub(super) async fn connect(proxy: &Proxy, to: &Address) -> Result<TcpStream, ProxyError> {
    let at = || proxy.address.clone();
    let stream = TcpStream::connect((proxy.address.host.as_str(), proxy.address.port)).await;
    let stream = stream.map_err(|error| ProxyError::Unreachable(at(), error))?;

    let http = |error| ProxyError::Http(at(), error);
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(http)?;
    // Ends by itself: with the upgrade, or when `sender` is dropped.
    tokio::spawn(connection.with_upgrades());

    let target = to.to_string();
    let mut request = Request::builder().method(Method::CONNECT).uri(&target).header(header::HOST, &target);
    if let Some(authorization) = &proxy.authorization {
        request = request.header(header::PROXY_AUTHORIZATION, authorization);
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a host and a port are an authority");

    let response = sender.send_request(request).await.map_err(http)?;
    match response.status() {
        status if status.is_success() => {}
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => return Err(ProxyError::Credentials(at())),
        status => return Err(ProxyError::Status(at(), status, to.clone())),
    }

    let upgraded = hyper::upgrade::on(response).await.map_err(http)?;
    let parts = upgraded.downcast::<TokioIo<TcpStream>>().expect("what comes back is the stream that went in");
    if parts.read_buf.is_empty() { Ok(parts.io.into_inner()) } else { Err(ProxyError::Talks(at())) }
}
