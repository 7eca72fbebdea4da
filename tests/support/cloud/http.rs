//! An HTTP server whose answers are one function, with or without TLS. What it was asked stays readable.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

type Handler = Arc<dyn Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync>;

/// A running server on a free port of 127.0.0.1. Dropping it ends it; open connections end with their clients.
pub struct HttpServer {
    origin: String,
    asked: Arc<Mutex<Vec<Request<Bytes>>>>,
    accepting: JoinHandle<()>,
}

impl HttpServer {
    /// Starts a server that answers so.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start(answer: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static) -> Self {
        Self::start_with(None, Arc::new(answer)).await
    }

    /// Starts a server that speaks TLS with these settings.
    ///
    /// # Panics
    /// When no port is free.
    pub async fn start_tls(
        tls: Arc<rustls::ServerConfig>,
        answer: impl Fn(&Request<Bytes>) -> Response<Bytes> + Send + Sync + 'static,
    ) -> Self {
        Self::start_with(Some(tls.into()), Arc::new(answer)).await
    }

    async fn start_with(tls: Option<TlsAcceptor>, answer: Handler) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it listens");
        let asked: Arc<Mutex<Vec<Request<Bytes>>>> = Arc::default();
        let scheme = if tls.is_some() { "https" } else { "http" };
        let accepting = tokio::spawn(accept(listener, tls, answer, asked.clone()));
        Self { origin: format!("{scheme}://{address}"), asked, accepting }
    }

    /// `http://127.0.0.1:<port>`
    pub fn origin(&self) -> &str {
        &self.origin
    }

    /// `127.0.0.1:<port>`
    pub fn authority(&self) -> &str {
        self.origin.split_once("://").expect("it has a scheme").1
    }

    /// What it was asked so far.
    pub fn asked(&self) -> Vec<Request<Bytes>> {
        self.asked.lock().expect("nothing panics while it is locked").clone()
    }
}

impl Drop for HttpServer {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(
    listener: TcpListener,
    tls: Option<TlsAcceptor>,
    answer: Handler,
    asked: Arc<Mutex<Vec<Request<Bytes>>>>,
) {
    while let Ok((stream, _)) = listener.accept().await {
        let (tls, answer, asked) = (tls.clone(), answer.clone(), asked.clone());
        tokio::spawn(async move {
            match tls {
                None => serve(stream, answer, asked).await,
                // A handshake that fails is the client's to report.
                Some(tls) => {
                    if let Ok(stream) = tls.accept(stream).await {
                        serve(stream, answer, asked).await;
                    }
                }
            }
        });
    }
}

async fn serve<S>(stream: S, answer: Handler, asked: Arc<Mutex<Vec<Request<Bytes>>>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(|request: Request<Incoming>| {
        let (answer, asked) = (answer.clone(), asked.clone());
        async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await else { return Ok(plain(StatusCode::BAD_REQUEST, "").map(Full::new)) };
            let request = Request::from_parts(parts, body.to_bytes());
            let response = answer(&request);
            asked.lock().expect("nothing panics while it is locked").push(request);
            Ok::<_, Infallible>(response.map(Full::new))
        }
    });
    let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
}

/// An answer of text.
pub fn plain(status: StatusCode, body: impl Into<String>) -> Response<Bytes> {
    let response = Response::builder().status(status).body(Bytes::from(body.into()));
    response.expect("it is complete")
}

/// An answer of JSON.
pub fn json(status: StatusCode, body: &serde_json::Value) -> Response<Bytes> {
    let mut response = plain(status, body.to_string());
    response.headers_mut().insert("content-type", http::HeaderValue::from_static("application/json; charset=utf-8"));
    response
}

/// A header's text, or nothing.
pub fn header<'a, T>(request: &'a Request<T>, name: &str) -> &'a str {
    request.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// The names and values of a query, or of a form's body.
pub fn pairs(text: &str) -> BTreeMap<String, String> {
    let decoded = |part: &str| {
        let (mut bytes, mut rest) = (Vec::new(), part.bytes());
        while let Some(byte) = rest.next() {
            match byte {
                b'+' => bytes.push(b' '),
                b'%' => {
                    let digits = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                    let digits = std::str::from_utf8(&digits).expect("digits are ASCII");
                    bytes.push(u8::from_str_radix(digits, 16).expect("two digits follow a percent sign"));
                }
                byte => bytes.push(byte),
            }
        }
        String::from_utf8(bytes).expect("names and values are text")
    };
    let split = |pair: &str| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    };
    text.split('&').filter(|pair| !pair.is_empty()).map(split).collect()
}

/// The names and values of a form, if the request has one.
pub fn form(request: &Request<Bytes>) -> Option<BTreeMap<String, String>> {
    let is_form = request.method() == http::Method::POST
        && header(request, "content-type") == "application/x-www-form-urlencoded";
    is_form.then(|| pairs(std::str::from_utf8(request.body()).unwrap_or_default()))
}

/// Decodes a path's percent signs.
pub fn path(request: &Request<Bytes>) -> String {
    let path = request.uri().path().replace('+', "%2B");
    pairs(&path.replace('=', "%3D").replace('&', "%26")).into_keys().next().unwrap_or_default()
}

/// Escapes a text for XML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
