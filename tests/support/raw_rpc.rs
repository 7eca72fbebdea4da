//! A node's side of `/v2/outlet` (KONG.md section 1), and of any other path: a WebSocket whose opening handshake is
//! written by hand, subprotocol and all.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use lifeboat_core::frame::Frame;
use lifeboat_link::websocket::header::Mask;
use lifeboat_link::websocket::{Incoming, Link};
use rustls::ClientConfig;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::client::TlsStream;

use super::raw_node::connect_tls;

/// What came of asking for a path.
pub enum Asked {
    /// A WebSocket was opened. With the whole head of the answer.
    Opened(RawRpc, String),
    /// It was refused with this status.
    Refused(u16),
}

/// An open link.
pub struct RawRpc(Box<Link<TlsStream<TcpStream>>>);

/// Asks for a WebSocket at `path` with the subprotocol of Kong's RPC.
///
/// # Errors
/// When there is no answer.
pub async fn ask(to: SocketAddr, tls: Arc<ClientConfig>, path: &str) -> io::Result<Asked> {
    let mut stream = connect_tls(to, tls).await?;
    let request = format!(
        "GET {path} HTTP/1.1\r\nHost: relay\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: kong.meta.v1\r\nX-Of-The-Node: 7\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    let mut received = BytesMut::new();
    let end = loop {
        if let Some(end) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
        if stream.read_buf(&mut received).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    };
    let head = String::from_utf8_lossy(&received.split_to(end)).into_owned();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).ok_or(io::ErrorKind::InvalidData)?;
    Ok(match status {
        101 => Asked::Opened(RawRpc(Box::new(Link::new(stream, received.freeze(), Mask::Ours, 1 << 24))), head),
        status => Asked::Refused(status),
    })
}

/// The first message of a node that takes its configuration this way.
pub fn hello(node_id: &str) -> Bytes {
    hello_of(node_id, "3.9.1")
}

/// The same, of a node of another version.
pub fn hello_of(node_id: &str, version: &str) -> Bytes {
    let message = serde_json::json!({
        "jsonrpc": "2.0", "id": 1, "method": "kong.meta.v1.hello",
        "params": [{
            "rpc_capabilities": ["kong.sync.v2"],
            "rpc_frame_encodings": ["x-snappy-framed"],
            "kong_version": version, "kong_hostname": "dp-of-rpc", "kong_node_id": node_id,
            // As long as a real node's: its settings are in it.
            "kong_conf": { "filler": "x".repeat(40_000) },
        }],
    });
    message.to_string().into()
}

impl RawRpc {
    /// Says hello and waits for the answer.
    ///
    /// # Panics
    /// When the link ends.
    pub async fn hello(&mut self, node_id: &str) -> Value {
        let answer = self.exchange(hello(node_id)).await;
        serde_json::from_slice(&answer).expect("a hello is answered in plain JSON")
    }

    /// Sends a message as it is.
    ///
    /// # Panics
    /// When the link ends.
    pub async fn call_plain(&mut self, message: &Bytes) {
        self.0.send(&Frame::binary(message.clone())).await.expect("the link stands");
    }

    /// Makes a call, in one block of raw Snappy.
    ///
    /// # Panics
    /// When the link ends.
    pub async fn call(&mut self, call: &Value) {
        let block = snap::raw::Encoder::new().compress_vec(call.to_string().as_bytes()).expect("it is short");
        self.0.send(&Frame::binary(block)).await.expect("the link stands");
    }

    /// Asks for what is newer than this version, and gives the answer.
    ///
    /// # Panics
    /// When the link ends.
    pub async fn get_delta(&mut self, id: u64, version: i64) -> Value {
        let params = serde_json::json!([{ "default": { "version": version } }]);
        let method = "kong.sync.v2.get_delta";
        self.call(&serde_json::json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params })).await;
        loop {
            let heard = self.heard().await.expect("the link stands");
            if heard["method"].is_null() {
                return heard;
            }
            // A notification may come between the two.
            let answer = serde_json::json!({ "jsonrpc": "2.0", "id": heard["id"], "result": true });
            self.call(&answer).await;
        }
    }

    /// What is said next; none when the link has ended.
    ///
    /// # Panics
    /// When it is no JSON in one block of raw Snappy.
    pub async fn heard(&mut self) -> Option<Value> {
        let block = self.next().await?;
        let json = snap::raw::Decoder::new().decompress_vec(&block).expect("it is raw Snappy");
        Some(serde_json::from_slice(&json).expect("it is JSON"))
    }

    /// Sends one message and waits for one.
    ///
    /// # Panics
    /// When the link ends.
    pub async fn exchange(&mut self, message: impl Into<Bytes>) -> Bytes {
        self.0.send(&Frame::binary(message.into())).await.expect("the link stands");
        self.next().await.expect("the link stands")
    }

    /// The next message; none when the link has ended.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.0.recv().await {
                Ok(Incoming::Frame(frame)) => return Some(frame.payload),
                Ok(Incoming::Part) => {}
                Err(_) => return None,
            }
        }
    }
}
