//! Frame headers (RFC 6455 section 5.2): tungstenite's, with what this link allows.

use std::io::Cursor;

use bytes::{Buf, Bytes, BytesMut};
use lifeboat_core::frame::Opcode;
use tungstenite::protocol::frame::FrameHeader;
use tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// Which end of the link masks: always the client's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mask {
    /// This end is the client.
    Ours,
    /// This end is the server.
    Theirs,
}

/// A frame's header, read.
#[derive(Debug)]
pub(super) struct Header {
    pub(super) opcode: Opcode,
    pub(super) is_final: bool,
    pub(super) length: u64,
    pub(super) key: Option<[u8; 4]>,
}

/// Why a header is not acceptable.
#[derive(Debug, thiserror::Error)]
pub enum HeaderError {
    /// A bit of an extension that nobody asked for: usually the stream is out of step.
    #[error("a WebSocket frame has reserved bits set: the stream is out of step")]
    ReservedBits,
    /// A client that doesn't mask, or a server that does.
    #[error("a WebSocket frame is masked in the wrong direction")]
    Mask,
    /// An opcode that doesn't exist.
    #[error("a WebSocket frame has an unknown opcode: the stream is out of step")]
    Opcode,
    /// A ping, pong or close that is long or in pieces.
    #[error("a WebSocket control frame is longer than 125 bytes or not final")]
    Control,
    /// A length beyond what the protocol has.
    #[error("a WebSocket frame says that it is longer than any can be: the stream is out of step")]
    Length,
}

impl Header {
    /// Takes a header off the front of what was received, if it is complete.
    pub(super) fn take(unread: &mut BytesMut, mask: Mask) -> Result<Option<Self>, HeaderError> {
        let Some((header, size)) = Self::peek(unread, mask)? else { return Ok(None) };
        unread.advance(size);
        Ok(Some(header))
    }

    /// The header at the front of what was received, and how many bytes it has, if it is complete.
    pub(super) fn peek(unread: &[u8], mask: Mask) -> Result<Option<(Self, usize)>, HeaderError> {
        let mut cursor = Cursor::new(unread);
        let parsed = FrameHeader::parse(&mut cursor).map_err(|_| HeaderError::Opcode)?;
        let Some((header, length)) = parsed else { return Ok(None) };
        let size = cursor.position() as usize;
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(HeaderError::ReservedBits);
        }
        if header.mask.is_some() != (mask == Mask::Theirs) {
            return Err(HeaderError::Mask);
        }

        // RFC 6455 section 5.2: the most significant bit of 64 must be 0. So a length with its header is no overflow.
        if length >> 63 != 0 {
            return Err(HeaderError::Length);
        }

        let opcode = from_wire(header.opcode)?;
        let is_control = matches!(opcode, Opcode::Close | Opcode::Ping | Opcode::Pong);
        if is_control && (length > 125 || !header.is_final) {
            return Err(HeaderError::Control);
        }
        Ok(Some((Self { opcode, is_final: header.is_final, length, key: header.mask }, size)))
    }

    /// A header's bytes.
    pub(super) fn encode(opcode: Opcode, is_final: bool, length: u64, mask: Option<[u8; 4]>) -> Bytes {
        let header = FrameHeader { is_final, rsv1: false, rsv2: false, rsv3: false, opcode: to_wire(opcode), mask };
        let mut bytes = Vec::with_capacity(14);
        header.format(length, &mut bytes).expect("writing to memory cannot fail");
        bytes.into()
    }
}

fn from_wire(opcode: OpCode) -> Result<Opcode, HeaderError> {
    Ok(match opcode {
        OpCode::Data(Data::Continue) => Opcode::Continuation,
        OpCode::Data(Data::Text) => Opcode::Text,
        OpCode::Data(Data::Binary) => Opcode::Binary,
        OpCode::Control(Control::Close) => Opcode::Close,
        OpCode::Control(Control::Ping) => Opcode::Ping,
        OpCode::Control(Control::Pong) => Opcode::Pong,
        OpCode::Data(Data::Reserved(_)) | OpCode::Control(Control::Reserved(_)) => return Err(HeaderError::Opcode),
    })
}

fn to_wire(opcode: Opcode) -> OpCode {
    match opcode {
        Opcode::Continuation => OpCode::Data(Data::Continue),
        Opcode::Text => OpCode::Data(Data::Text),
        Opcode::Binary => OpCode::Data(Data::Binary),
        Opcode::Close => OpCode::Control(Control::Close),
        Opcode::Ping => OpCode::Control(Control::Ping),
        Opcode::Pong => OpCode::Control(Control::Pong),
    }
}
