//! A forward proxy that knows CONNECT only (RFC 9110 section 9.3.6). It may want credentials, and it remembers what it was
//! asked for.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// A running proxy. Dropping it ends it; what it has connected stays.
pub struct ForwardProxy {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<watch::Sender<Vec<String>>>,
    task: JoinHandle<()>,
}

impl ForwardProxy {
    /// Starts one. With `authorization`, that is what `Proxy-Authorization` must say.
    pub async fn start(authorization: Option<&'static str>) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("there is a free port");
        let address = listener.local_addr().expect("it is bound");
        let asked = Arc::new(watch::Sender::new(Vec::new()));
        let task = tokio::spawn(accept(listener, authorization, asked.clone()));
        Self { address, asked, task }
    }

    /// What it was asked to connect to, each as often as it was.
    pub fn asked(&self) -> Vec<String> {
        self.asked.borrow().clone()
    }
}

impl Drop for ForwardProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, authorization: Option<&'static str>, asked: Arc<watch::Sender<Vec<String>>>) {
    while let Ok((stream, _)) = listener.accept().await {
        let asked = asked.clone();
        // A peer that leaves is no error here.
        tokio::spawn(async move {
            let _ = serve(stream, authorization, &asked).await;
        });
    }
}

async fn serve(
    stream: TcpStream,
    authorization: Option<&'static str>,
    asked: &watch::Sender<Vec<String>>,
) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    let (mut request, mut allowed) = (String::new(), authorization.is_none());
    stream.read_line(&mut request).await?;
    loop {
        let mut line = String::new();
        stream.read_line(&mut line).await?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        let is_it = name.eq_ignore_ascii_case("proxy-authorization") && Some(value) == authorization;
        allowed |= is_it;
    }
    let mut stream = stream.into_inner();
    let Some(target) = request.strip_prefix("CONNECT ").and_then(|rest| rest.split(' ').next()) else {
        return stream.write_all(b"HTTP/1.1 405 Method Not Allowed\r\ncontent-length: 0\r\n\r\n").await;
    };
    asked.send_modify(|asked| asked.push(target.to_owned()));
    if !allowed {
        let refusal =
            "HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n";
        return stream.write_all(refusal.as_bytes()).await;
    }
    let Ok(mut there) = TcpStream::connect(target).await else {
        return stream.write_all(b"HTTP/1.1 502 Bad Gateway\r\ncontent-length: 0\r\n\r\n").await;
    };
    stream.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await?;
    copy_bidirectional(&mut stream, &mut there).await?;
    Ok(())
}
