//! A WebSocket frame (RFC 6455) as the state machines see it: already unmasked, never split or joined. Reading and
//! writing frames is the companion's.

use bytes::Bytes;

/// What kind of frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opcode {
    /// A further fragment of a message. Kong accepts none (KONG.md section 1).
    Continuation,
    /// UTF-8 text.
    Text,
    /// Bytes: what Kong sends its messages as.
    Binary,
    /// The link's end, with an optional code and reason.
    Close,
    /// A node's sign of life; the payload is the hash of what it runs.
    Ping,
    /// The answer to a ping; Kong's is empty.
    Pong,
}

/// One frame.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// What kind of frame.
    pub opcode: Opcode,
    /// Whether it ends its message.
    pub is_final: bool,
    /// What it carries.
    pub payload: Bytes,
}

/// What a close frame says about why the link ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CloseCode {
    /// Nothing: the frame is empty, as Kong's control plane sends it.
    Absent,
    /// A status code of RFC 6455 section 7.4.
    Given(u16),
    /// A single byte, which is no code.
    Malformed,
}

impl Frame {
    /// A whole message of bytes.
    pub fn binary(payload: impl Into<Bytes>) -> Self {
        Self::whole(Opcode::Binary, payload.into())
    }

    /// A ping.
    pub fn ping(payload: impl Into<Bytes>) -> Self {
        Self::whole(Opcode::Ping, payload.into())
    }

    /// A pong as Kong's control plane sends it: empty, not an echo.
    pub fn empty_pong() -> Self {
        Self::whole(Opcode::Pong, Bytes::new())
    }

    /// A close frame with a status code of RFC 6455 section 7.4.
    pub fn close(code: u16) -> Self {
        Self::whole(Opcode::Close, Bytes::copy_from_slice(&code.to_be_bytes()))
    }

    /// The code in a close frame's payload (RFC 6455 section 5.5.1).
    pub fn close_code(&self) -> CloseCode {
        match self.payload[..] {
            [] => CloseCode::Absent,
            [_] => CloseCode::Malformed,
            [high, low, ..] => CloseCode::Given(u16::from_be_bytes([high, low])),
        }
    }

    fn whole(opcode: Opcode, payload: Bytes) -> Self {
        Self { opcode, is_final: true, payload }
    }

    /// Whether this frame is a whole message of bytes.
    pub fn is_whole_message(&self) -> bool {
        self.opcode == Opcode::Binary && self.is_final
    }
}

// A payload may hold private keys.
impl std::fmt::Debug for Frame {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let end = if self.is_final { "" } else { ", not final" };
        write!(f, "{:?}({} bytes{end})", self.opcode, self.payload.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_close_frame_may_have_a_code_and_a_reason_after_it() {
        let close = |payload: &'static [u8]| Frame { payload: payload.into(), ..Frame::close(0) }.close_code();
        assert_eq!(close(b""), CloseCode::Absent);
        assert_eq!(close(b"\x03"), CloseCode::Malformed);
        assert_eq!(close(b"\x03\xf0not here"), CloseCode::Given(1008));
        assert_eq!(Frame::close(1012).close_code(), CloseCode::Given(1012));
    }

    #[test]
    fn a_frame_does_not_print_what_it_carries() {
        assert_eq!(format!("{:?}", Frame::binary("a private key")), "Binary(13 bytes)");
    }
}
