//! Raw WebSocket frames over an upgraded connection. Nothing is answered here: what a ping or a close is answered with
//! is the actors' business.

use std::io;

use bytes::Bytes;
use fastwebsockets::{Frame, OpCode, Payload, Role, WebSocket, WebSocketError};
use futures::{Stream, stream};
use tokio::io::{AsyncRead, AsyncWrite, Empty, Join, Sink, WriteHalf, empty, join, sink, split};

use super::pace::{Paced, Patience};

/// A frame that came in.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Binary(Bytes),
    Text,
    Ping(Bytes),
    Pong(Bytes),
    Close,
    /// A frame with more to follow, or one that follows such: Kong accepts neither.
    Fragment,
}

/// The writing half. Each method writes whole frames and flushes.
pub(super) struct Writer<S>(WebSocket<Join<Empty, WriteHalf<S>>>);

/// Both halves of a link of which this side has the given role. Frames of `max_payload` bytes are read, larger ones
/// end the link. The stream ends after its first error.
pub(super) fn halves<S>(
    stream: S,
    role: Role,
    max_payload: usize,
    patience: Patience,
) -> (impl Stream<Item = io::Result<Incoming>> + Send, Writer<S>)
where
    S: AsyncRead + AsyncWrite + Send + Unpin + 'static,
{
    // Two objects of which each uses one direction: reading a frame can't be interrupted and resumed, so it must not
    // share a `&mut` with writing. The stream below keeps a read that is under way when it isn't polled.
    let (read, write) = split(stream);
    let mut reader = plain(join(Paced::new(read, role, patience), sink()), role);
    reader.set_max_message_size(max_payload + 1);
    let frames = stream::unfold(Some(reader), |reader| async {
        let mut reader = reader?;
        match read_frame(&mut reader).await {
            Ok(frame) => Some((Ok(frame), Some(reader))),
            Err(error) => Some((Err(error), None)),
        }
    });
    (frames, Writer(plain(join(empty(), write), role)))
}

fn plain<S: AsyncRead + AsyncWrite + Unpin>(stream: S, role: Role) -> WebSocket<S> {
    let mut socket = WebSocket::after_handshake(stream, role);
    socket.set_auto_pong(false);
    socket.set_auto_close(false);
    socket
}

async fn read_frame<R: AsyncRead + Unpin>(reader: &mut WebSocket<Join<Paced<R>, Sink>>) -> io::Result<Incoming> {
    let frame = reader.read_frame().await.map_err(into_io)?;
    if !frame.fin {
        return Ok(Incoming::Fragment);
    }
    let payload = match frame.payload {
        Payload::Bytes(bytes) => bytes.freeze(),
        other => Bytes::from(Vec::from(other)),
    };

    Ok(match frame.opcode {
        OpCode::Continuation => Incoming::Fragment,
        OpCode::Text => Incoming::Text,
        OpCode::Binary => Incoming::Binary(payload),
        OpCode::Close => Incoming::Close,
        OpCode::Ping => Incoming::Ping(payload),
        OpCode::Pong => Incoming::Pong(payload),
    })
}

impl<S: AsyncRead + AsyncWrite + Unpin> Writer<S> {
    /// One unfragmented binary frame.
    pub(super) async fn binary(&mut self, payload: &[u8]) -> io::Result<()> {
        self.write(Frame::binary(Payload::Borrowed(payload))).await
    }

    /// One message in two frames, which RFC 6455 allows and Kong does not.
    pub(super) async fn fragmented(&mut self, payload: &[u8]) -> io::Result<()> {
        let (first, second) = payload.split_at(payload.len() / 2);
        self.write(Frame::new(false, OpCode::Binary, None, Payload::Borrowed(first))).await?;
        self.write(Frame::new(true, OpCode::Continuation, None, Payload::Borrowed(second))).await
    }

    pub(super) async fn ping(&mut self, payload: &[u8]) -> io::Result<()> {
        self.write(Frame::new(true, OpCode::Ping, None, Payload::Borrowed(payload))).await
    }

    /// Kong's answer to a ping is always empty.
    pub(super) async fn empty_pong(&mut self) -> io::Result<()> {
        self.write(Frame::pong(Payload::Borrowed(&[]))).await
    }

    /// Without a code, as Kong does it.
    pub(super) async fn close(&mut self) -> io::Result<()> {
        self.write(Frame::close_raw(Payload::Borrowed(&[]))).await
    }

    pub(super) async fn close_with(&mut self, code: u16) -> io::Result<()> {
        self.write(Frame::close_raw(Payload::Borrowed(&code.to_be_bytes()))).await
    }

    async fn write(&mut self, frame: Frame<'_>) -> io::Result<()> {
        self.0.write_frame(frame).await.map_err(into_io)?;
        self.0.flush().await.map_err(into_io)
    }
}

fn into_io(error: WebSocketError) -> io::Error {
    match error {
        WebSocketError::IoError(error) if error.kind() != io::ErrorKind::UnexpectedEof => error,
        WebSocketError::IoError(_) | WebSocketError::UnexpectedEOF => {
            io::Error::new(io::ErrorKind::UnexpectedEof, "the peer hung up")
        }
        other => io::Error::new(io::ErrorKind::InvalidData, other),
    }
}
