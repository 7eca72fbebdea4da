//! The HTTP part of a link to `/v2/outlet`, written byte for byte as the recorded node does it.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tungstenite::handshake::derive_accept_key;

use crate::wire::PROTOCOL;

/// No head is longer.
const LONGEST_HEAD: usize = 16 << 10;

/// The head of the request.
pub(super) fn request(host: &str, key: &str) -> String {
    format!(
        "GET /v2/outlet HTTP/1.1\r\nUpgrade: websocket\r\nHost: {host}\r\nSec-WebSocket-Key: {key}\r\n\
         Sec-WebSocket-Protocol: {PROTOCOL}\r\nSec-WebSocket-Version: 13\r\nConnection: Upgrade\r\n\r\n"
    )
}

/// Asks for the upgrade, and returns the head of the answer.
///
/// # Errors
/// When there is no answer.
pub(super) async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, request: &str) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut head = Vec::new();
    // Byte by byte: what follows the head belongs to the frames.
    while !head.ends_with(b"\r\n\r\n") {
        if head.len() == LONGEST_HEAD {
            return Err(io::Error::other("the head of the answer is too long"));
        }
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// The subprotocol of an answer that opens a link.
///
/// # Errors
/// When it opens none.
pub(super) fn protocol(answer: &str, key: &str) -> io::Result<Option<String>> {
    let mut lines = answer.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap_or_default();
    if status != "101" {
        return Err(io::Error::other(format!("unexpected HTTP response code: {status}")));
    }
    let header = |name: &str| {
        let mut lines = answer.split("\r\n").filter_map(|line| line.split_once(':'));
        lines.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned())
    };
    if header("Sec-WebSocket-Accept") != Some(derive_accept_key(key.as_bytes())) {
        return Err(io::Error::other("the upgrade was answered with a wrong Sec-WebSocket-Accept"));
    }
    Ok(header("Sec-WebSocket-Protocol"))
}
