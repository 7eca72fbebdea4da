//! The least of WebSocket that a crowd needs: headers are read and written by hand, payloads are thrown away as they come.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tungstenite::handshake::derive_accept_key;

pub(super) const BINARY: u8 = 2;
pub(super) const CLOSE: u8 = 8;
pub(super) const PING: u8 = 9;
pub(super) const PONG: u8 = 10;

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";
const HEAD_LIMIT: usize = 8 * 1024;

/// Asks for a WebSocket as a node does.
pub(super) async fn open<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, id: usize) -> io::Result<()> {
    ask(stream, &format!("/v1/outlet?node_id=crowd-{id:05}&node_hostname=crowd&node_version=3.9.1"), "").await
}

/// Asks for one as a node with incremental sync does.
pub(super) async fn open_rpc<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    ask(stream, "/v2/outlet", "Sec-WebSocket-Protocol: kong.meta.v1\r\n").await
}

async fn ask<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S, target: &str, more: &str) -> io::Result<()> {
    let request = format!(
        "GET {target} HTTP/1.1\r\nHost: crowd\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    );
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let head = head(stream).await?;
    if head.starts_with("HTTP/1.1 101") { Ok(()) } else { Err(io::Error::other(head)) }
}

/// Answers whoever asks for one.
pub(super) async fn accept<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    let head = head(stream).await?;
    let is_key = |line: &&str| line.to_ascii_lowercase().starts_with("sec-websocket-key:");
    let key = head.lines().find(is_key).and_then(|line| line.split(':').nth(1));
    let key = derive_accept_key(key.unwrap_or_default().trim().as_bytes());
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Accept: {key}\r\n\r\n"
    );
    stream.write_all(answer.as_bytes()).await?;
    stream.flush().await
}

// Nothing follows a head before it was answered, but a server may speak at once: no byte too many is read.
async fn head<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") && head.len() < HEAD_LIMIT {
        head.push(stream.read_u8().await?);
    }
    Ok(String::from_utf8_lossy(&head).into_owned())
}

/// A frame as a client sends it, with a mask that changes nothing.
pub(super) fn masked(opcode: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = header(opcode, payload.len());
    frame[1] |= 0x80;
    frame.extend([0; 4]);
    frame.extend(payload);
    frame
}

/// A frame's header as a server sends it.
pub(super) fn header(opcode: u8, length: usize) -> Vec<u8> {
    let mut header = vec![0x80 | opcode];
    match length {
        0..=125 => header.push(length as u8),
        126..=65_535 => {
            header.push(126);
            header.extend((length as u16).to_be_bytes());
        }
        _ => {
            header.push(127);
            header.extend((length as u64).to_be_bytes());
        }
    }
    header
}

/// Reads a frame's header: its opcode, and how many bytes follow, the mask's included.
pub(super) async fn next<S: AsyncRead + Unpin>(stream: &mut S) -> io::Result<(u8, u64)> {
    let (first, second) = (stream.read_u8().await?, stream.read_u8().await?);
    let length = match second & 0x7f {
        126 => u64::from(stream.read_u16().await?),
        127 => stream.read_u64().await?,
        short => u64::from(short),
    };
    Ok((first & 0x0f, length + if second & 0x80 == 0 { 0 } else { 4 }))
}

/// Throws as many bytes away.
pub(super) async fn skip<S: AsyncRead + Unpin>(stream: &mut S, length: u64) -> io::Result<()> {
    let skipped = tokio::io::copy(&mut stream.take(length), &mut tokio::io::sink()).await?;
    if skipped == length { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
}
