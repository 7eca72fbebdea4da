//! What passes in one direction, cut where its frames end, and otherwise untouched: for whoever looks at frames that it does
//! not own.

use bytes::{Bytes, BytesMut};
use lifeboat_core::frame::Frame;
use lifeboat_core::sensitive::Sensitive;

use super::header::{Header, HeaderError, Mask};
use super::link::apply_mask;

/// Cuts a stream of bytes.
#[derive(Debug)]
pub struct FrameCutter {
    mask: Mask,
    received: Sensitive<BytesMut>,
    limit: u64,
    /// How much of a long frame is still to pass.
    passing: u64,
}

/// A part of the stream.
pub enum Cut {
    /// A whole frame.
    Frame {
        /// As it came.
        bytes: Bytes,
        /// What it says.
        frame: Frame,
    },
    /// A part of a frame that is longer than the limit.
    Part(Bytes),
}

impl FrameCutter {
    /// Cuts what comes from the end that `mask` tells. A frame of more than `limit` bytes passes in parts.
    pub fn new(mask: Mask, received: BytesMut, limit: u64) -> Self {
        Self { mask, received: received.into(), limit, passing: 0 }
    }

    /// Where to read into.
    pub fn buffer(&mut self) -> &mut BytesMut {
        &mut self.received
    }

    /// The next part, if it is here.
    ///
    /// # Errors
    /// What is no WebSocket.
    pub fn cut(&mut self) -> Result<Option<Cut>, HeaderError> {
        if self.passing == 0 {
            let Some((header, size)) = Header::peek(&self.received, self.mask)? else { return Ok(None) };
            let whole = size as u64 + header.length;
            if header.length <= self.limit {
                return Ok((self.received.len() as u64 >= whole).then(|| self.frame(&header, size)));
            }
            self.passing = whole;
        }

        let part = self.received.len().min(usize::try_from(self.passing).unwrap_or(usize::MAX));
        self.passing -= part as u64;
        Ok((part > 0).then(|| Cut::Part(self.received.split_to(part).freeze())))
    }

    fn frame(&mut self, header: &Header, size: usize) -> Cut {
        let bytes = self.received.split_to(size + header.length as usize).freeze();
        let mut payload = BytesMut::from(&bytes[size..]);
        if let Some(key) = header.key {
            apply_mask(&mut payload, key);
        }
        let frame = Frame { opcode: header.opcode, is_final: header.is_final, payload: payload.freeze() };
        Cut::Frame { bytes, frame }
    }
}

/// A frame as a server sends it, to be put between two of its own.
pub fn frame_of_a_server(frame: &Frame) -> Vec<u8> {
    let header = Header::encode(frame.opcode, frame.is_final, frame.payload.len() as u64, None);
    [&header[..], &frame.payload].concat()
}

#[cfg(test)]
mod tests {
    use bytes::BufMut;
    use lifeboat_core::frame::Opcode;

    use super::*;

    fn sent(frame: &Frame, key: Option<[u8; 4]>) -> Vec<u8> {
        let header = Header::encode(frame.opcode, frame.is_final, frame.payload.len() as u64, key);
        let mut payload = BytesMut::from(&frame.payload[..]);
        if let Some(key) = key {
            apply_mask(&mut payload, key);
        }
        [&header[..], &payload].concat()
    }

    #[test]
    fn frames_are_seen_and_not_one_byte_is_changed_however_they_come() {
        let frames = [
            Frame::binary(&b"hello"[..]),
            Frame::ping(&b""[..]),
            Frame::binary(vec![7; 100_000]),
            Frame { is_final: false, ..Frame::binary(&b"in pieces"[..]) },
            Frame::close(1001),
        ];
        for key in [Some([1, 2, 3, 4]), None] {
            let stream: Vec<u8> = frames.iter().flat_map(|frame| sent(frame, key)).collect();
            for at_once in [1, 3, 1000, 200_000] {
                let mask = if key.is_some() { Mask::Theirs } else { Mask::Ours };
                let mut cutter = FrameCutter::new(mask, BytesMut::new(), 1000);
                let (mut seen, mut passed) = (Vec::new(), Vec::new());
                for piece in stream.chunks(at_once) {
                    cutter.buffer().put_slice(piece);
                    while let Some(cut) = cutter.cut().unwrap() {
                        match cut {
                            Cut::Frame { bytes, frame } => {
                                passed.extend_from_slice(&bytes);
                                seen.push(frame);
                            }
                            Cut::Part(bytes) => passed.extend_from_slice(&bytes),
                        }
                    }
                }
                assert!(passed == stream, "{at_once} at once");
                let short = frames.iter().filter(|frame| frame.payload.len() <= 1000);
                assert_eq!(seen, short.cloned().collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn a_length_that_no_frame_can_have_is_refused_and_the_longest_passes() {
        let cut = |length: u64| {
            let header = Header::encode(Opcode::Binary, true, length, None);
            FrameCutter::new(Mask::Ours, BytesMut::from(&header[..]), 1000).cut()
        };
        assert!(matches!(cut(u64::MAX), Err(HeaderError::Length)));
        assert!(matches!(cut(u64::MAX >> 1), Ok(Some(Cut::Part(_)))));
    }

    #[test]
    fn what_is_no_websocket_is_refused() {
        let mut cutter = FrameCutter::new(Mask::Theirs, BytesMut::from(&b"GET / HTTP/1.1"[..]), 1000);
        assert!(cutter.cut().is_err());
        let unmasked = sent(&Frame { opcode: Opcode::Text, ..Frame::binary(&b"x"[..]) }, None);
        assert!(FrameCutter::new(Mask::Theirs, BytesMut::from(&unmasked[..]), 1000).cut().is_err());
    }
}
