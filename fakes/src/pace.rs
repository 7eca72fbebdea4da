//! Watches the bytes that come in over a WebSocket link, and breaks it off where Kong would: when a frame stalls half
//! way, when nothing at all comes for too long, and when the wrong side masks. Reads no content.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use fastwebsockets::Role;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// How long a link may be quiet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Patience {
    /// Within a frame.
    pub(super) stall: Duration,
    /// Between two frames.
    pub(super) silence: Duration,
    /// Which frames it takes.
    pub(super) masking: Masking,
}

/// What is asked of the masks of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Masking {
    /// That a client masks and a server doesn't (RFC 6455 section 5.1).
    ByRole,
    /// Nothing.
    Any,
}

/// A byte stream of WebSocket frames, which fails with [`io::ErrorKind::TimedOut`] when patience is at an end, and with
/// [`io::ErrorKind::InvalidData`] when a client doesn't mask or a server does.
pub(super) struct Paced<R> {
    inner: R,
    frames: FrameCounter,
    patience: Patience,
    deadline: Pin<Box<Sleep>>,
}

impl<R> Paced<R> {
    /// What comes in to a side that has the given role.
    pub(super) fn new(inner: R, role: Role, patience: Patience) -> Self {
        let deadline = Box::pin(sleep(patience.silence));
        Self { inner, frames: FrameCounter::new(role), patience, deadline }
    }

    fn limit(&self) -> Duration {
        if self.frames.between_two() { self.patience.silence } else { self.patience.stall }
    }
}

impl<R: AsyncRead + Unpin> AsyncRead for Paced<R> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        if let Poll::Ready(result) = Pin::new(&mut self.inner).poll_read(cx, buf) {
            self.frames.take(&buf.filled()[before..]);
            let deadline = Instant::now() + self.limit();
            self.deadline.as_mut().reset(deadline);
            let masking = "a client must mask its frames, a server must not (RFC 6455 section 5.1)";
            let wrong = (self.frames.wrongly_masked && self.patience.masking == Masking::ByRole)
                .then(|| io::Error::new(io::ErrorKind::InvalidData, masking));
            return Poll::Ready(wrong.map_or(result, Err));
        }
        ready!(self.deadline.as_mut().poll(cx));
        let what = if self.frames.between_two() { "silence on the link" } else { "a frame stalled half way" };
        Poll::Ready(Err(io::Error::new(io::ErrorKind::TimedOut, what)))
    }
}

/// Knows from the bytes so far whether the last frame is complete (RFC 6455 section 5.2).
struct FrameCounter {
    role: Role,
    header: Vec<u8>,
    payload_left: u64,
    wrongly_masked: bool,
}

impl FrameCounter {
    fn new(role: Role) -> Self {
        Self { role, header: Vec::new(), payload_left: 0, wrongly_masked: false }
    }

    fn between_two(&self) -> bool {
        self.header.is_empty() && self.payload_left == 0
    }

    fn take(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.payload_left > 0 {
                let taken = bytes.len().min(usize::try_from(self.payload_left).unwrap_or(usize::MAX));
                self.payload_left -= taken as u64;
                bytes = &bytes[taken..];
            } else {
                self.header.push(bytes[0]);
                bytes = &bytes[1..];
                self.finish_header();
            }
        }
    }

    fn finish_header(&mut self) {
        let [_, second, rest @ ..] = &self.header[..] else { return };
        let mask = if second & 0x80 == 0 { 0 } else { 4 };
        self.wrongly_masked |= (mask > 0) != (self.role == Role::Server);
        let digits = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        if rest.len() < digits + mask {
            return;
        }
        let long = rest[..digits].iter().fold(0, |length, byte| length << 8 | u64::from(*byte));
        self.payload_left = if digits == 0 { u64::from(second & 0x7f) } else { long };
        self.header.clear();
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[test]
    fn the_end_of_a_frame_is_known_for_every_form_of_its_length() {
        let frames: [(Vec<u8>, usize); 4] = [
            (vec![0x89, 0x80, 1, 2, 3, 4], 0),
            (vec![0x8a, 0x83, 1, 2, 3, 4], 3),
            (vec![0x82, 0xfe, 0x01, 0x00, 1, 2, 3, 4], 256),
            (vec![0x82, 0xff, 0, 0, 0, 0, 0, 1, 0, 0, 1, 2, 3, 4], 65_536),
        ];
        let mut counter = FrameCounter::new(Role::Server);
        for (header, payload) in frames {
            let frame = [header, vec![0; payload]].concat();
            for byte in &frame[..frame.len() - 1] {
                counter.take(&[*byte]);
                assert!(!counter.between_two());
            }
            counter.take(&frame[frame.len() - 1..]);
            assert!(counter.between_two());
        }
        assert!(!counter.wrongly_masked);
    }

    #[tokio::test]
    async fn a_client_that_does_not_mask_and_a_server_that_does_are_refused() {
        let patience =
            Patience { stall: Duration::from_secs(5), silence: Duration::from_secs(45), masking: Masking::ByRole };
        for (role, frame) in [(Role::Server, &[0x89, 0x00][..]), (Role::Client, &[0x89, 0x80, 1, 2, 3, 4])] {
            let error = Paced::new(frame, role, patience).read(&mut [0; 64]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    const NEVER: Duration = Duration::from_secs(60 * 60);
    const SOON: Duration = Duration::from_millis(10);

    #[tokio::test]
    async fn silence_between_two_frames_ends_the_link() {
        let (_far, near) = tokio::io::duplex(64);
        let mut paced =
            Paced::new(near, Role::Client, Patience { stall: NEVER, silence: SOON, masking: Masking::ByRole });
        let error = paced.read(&mut [0; 64]).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::TimedOut, "silence on the link"));
    }

    #[tokio::test]
    async fn a_frame_that_stalls_half_way_ends_the_link() {
        let (mut far, near) = tokio::io::duplex(64);
        let mut paced =
            Paced::new(near, Role::Client, Patience { stall: SOON, silence: NEVER, masking: Masking::ByRole });
        let mut buffer = [0; 64];
        far.write_all(&[0x82, 0x02, 0x00]).await.unwrap();
        assert_eq!(paced.read(&mut buffer).await.unwrap(), 3);
        let error = paced.read(&mut buffer).await.unwrap_err();
        assert_eq!((error.kind(), error.to_string().as_str()), (io::ErrorKind::TimedOut, "a frame stalled half way"));
    }
}
