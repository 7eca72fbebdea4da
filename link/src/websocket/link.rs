//! One end of a link. Reading can be cancelled at any point and resumed; a frame is written whole.

use std::future::poll_fn;
use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_core::sensitive::Sensitive;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::time::timeout;

use super::header::{Header, HeaderError, Mask};

/// Whoever has not taken a frame within 45 s counts as gone; Kong gives up a link after as long a silence.
const WRITE_LIMIT: Duration = Duration::from_secs(45);
/// For each of so many bytes a frame has one second more: a node may be at the end of a slow line.
const WRITTEN_PER_SECOND: u64 = 64 * 1024;
/// The most bytes that are read before it is known how long the frame is. A frame that is longer than this gives its
/// memory back.
const READ_AT_ONCE: usize = 4 * 1024;
/// The most bytes that a TLS record holds.
const PIECE: usize = 16 * 1024;

/// A stream that carries WebSocket frames.
#[derive(Debug)]
pub struct Link<S> {
    stream: S,
    mask: Mask,
    unread: Sensitive<BytesMut>,
    frame: Option<Header>,
    /// How much of that frame was taken in pieces.
    taken: usize,
    limit: u64,
}

/// What a read brought.
#[derive(Debug)]
pub enum Incoming {
    /// A whole frame.
    Frame(Frame),
    /// A part of one: the peer lives, but there is nothing to act on yet.
    Part,
}

/// Why a link ended.
#[derive(Debug, thiserror::Error)]
pub enum LinkError {
    /// The peer closed the connection.
    #[error("the connection was closed")]
    Closed,
    /// The connection broke.
    #[error("the connection broke: {0}")]
    Broken(io::Error),
    /// The peer doesn't speak WebSocket as it must.
    #[error(transparent)]
    Protocol(#[from] HeaderError),
    /// A frame is longer than allowed.
    #[error("a frame of {length} bytes is longer than cluster_max_payload allows ({limit} bytes)")]
    TooLong {
        /// The frame's length in bytes.
        length: u64,
        /// The limit in bytes.
        limit: u64,
    },
    /// The peer takes nothing.
    #[error("the peer did not take a frame in time")]
    Stuck,
}

impl From<io::Error> for LinkError {
    fn from(error: io::Error) -> Self {
        Self::Broken(error)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Link<S> {
    /// A link over `stream` on which `unread` has been received already. `mask` says which end this is; frames longer
    /// than `limit` bytes are refused.
    pub fn new(stream: S, unread: Bytes, mask: Mask, limit: u64) -> Self {
        Self { stream, mask, unread: BytesMut::from(&unread[..]).into(), frame: None, taken: 0, limit }
    }

    /// Allows frames of up to `limit` bytes from now on, if that is more than until now.
    pub fn raise_limit(&mut self, limit: u64) {
        self.limit = self.limit.max(limit);
    }

    /// The length in bytes of a frame whose header was read and whose end was not taken yet. Asking changes nothing.
    pub fn begun(&self) -> Option<u64> {
        self.frame.as_ref().map(|header| header.length)
    }

    /// The next frame, or the news that a part of one came. Loses nothing when dropped before it is ready.
    pub async fn recv(&mut self) -> Result<Incoming, LinkError> {
        let had_begun = self.frame.is_some();
        if let Some(frame) = self.take_frame()? {
            return Ok(Incoming::Frame(frame));
        }
        // Returns before memory is reserved for a long frame, so that the caller may take it in pieces.
        if self.frame.is_some() && !had_begun {
            return Ok(Incoming::Part);
        }

        match &self.frame {
            // Reserves the missing length at once, instead of doubling.
            Some(header) => {
                let missing = header.length as usize - self.unread.len();
                self.unread.reserve(missing);
                self.read().await?;
            }
            None => self.read_ahead().await?,
        }
        Ok(self.take_frame()?.map_or(Incoming::Part, Incoming::Frame))
    }

    /// What has been received of the frame that has begun and was not dropped yet, for a caller that keeps long frames
    /// elsewhere. Only from control planes: a server's frames are not masked.
    pub fn piece(&self) -> &[u8] {
        debug_assert!(matches!(self.mask, Mask::Ours));
        let length = self.frame.as_ref().map_or(0, |header| header.length as usize - self.taken);
        &self.unread[..length.min(self.unread.len())]
    }

    /// Drops what [`piece`](Self::piece) showed. After the last piece returns the frame's opcode and whether it is
    /// final; then the next frame may come.
    pub fn drop_piece(&mut self) -> Option<(Opcode, bool)> {
        let length = self.piece().len();
        self.unread.advance(length);
        self.taken += length;
        let header = self.frame.take_if(|header| header.length as usize == self.taken)?;
        self.taken = 0;
        // Gives back the memory that the buffer had grown to.
        self.unread = BytesMut::from(&self.unread[..]).into();
        Some((header.opcode, header.is_final))
    }

    /// Waits for the next piece. Loses nothing when dropped before it is ready.
    pub async fn wait_for_piece(&mut self) -> Result<(), LinkError> {
        self.unread.reserve(PIECE);
        self.read().await
    }

    /// Sends a frame without a pause in it.
    pub async fn send(&mut self, frame: &Frame) -> Result<(), LinkError> {
        match self.mask {
            Mask::Ours => {
                let key: [u8; 4] = rand::random();
                let mut payload = BytesMut::from(&frame.payload[..]);
                apply_mask(&mut payload, key);

                let header = Header::encode(frame.opcode, frame.is_final, payload.len() as u64, Some(key));
                self.write(header.chain(payload)).await
            }
            Mask::Theirs => {
                let header = Header::encode(frame.opcode, frame.is_final, frame.payload.len() as u64, None);
                self.write(header.chain(frame.payload.clone())).await
            }
        }
    }

    /// Sends a message of three pieces as one unfragmented frame, without copying them. Only towards nodes: a server's
    /// frames are not masked.
    pub async fn send_message(&mut self, pieces: &[Bytes; 3]) -> Result<(), LinkError> {
        debug_assert!(matches!(self.mask, Mask::Theirs));
        let [first, middle, last] = pieces.clone();
        let length = (first.len() + middle.len() + last.len()) as u64;
        let header = Header::encode(Opcode::Binary, true, length, None);
        self.write(header.chain(first).chain(middle).chain(last)).await
    }

    /// Closes the connection as TLS does; a peer that is gone already is no error.
    pub async fn close(mut self) {
        let _ = timeout(Duration::from_secs(1), self.stream.shutdown()).await;
    }

    async fn read(&mut self) -> Result<(), LinkError> {
        checked_read(self.stream.read_buf(&mut *self.unread).await)
    }

    // A link waits most of the time, and there are thousands: no memory is reserved before there is something to read.
    async fn read_ahead(&mut self) -> Result<(), LinkError> {
        let read = poll_fn(|context| {
            let mut bytes = [const { MaybeUninit::uninit() }; READ_AT_ONCE];
            let mut read = ReadBuf::uninit(&mut bytes);
            ready!(Pin::new(&mut self.stream).poll_read(context, &mut read))?;
            self.unread.extend_from_slice(read.filled());
            Poll::Ready(Ok(read.filled().len()))
        });
        checked_read(read.await)
    }

    async fn write(&mut self, mut bytes: impl Buf) -> Result<(), LinkError> {
        let limit = WRITE_LIMIT + Duration::from_secs(bytes.remaining() as u64 / WRITTEN_PER_SECOND);
        let all = async {
            self.stream.write_all_buf(&mut bytes).await?;
            self.stream.flush().await
        };
        timeout(limit, all).await.map_err(|_| LinkError::Stuck)?.map_err(LinkError::from)
    }

    fn take_frame(&mut self) -> Result<Option<Frame>, LinkError> {
        if self.frame.is_none() {
            self.frame = Header::take(&mut self.unread, self.mask)?;
        }
        let Some(header) = &self.frame else { return Ok(None) };
        if header.length > self.limit {
            return Err(LinkError::TooLong { length: header.length, limit: self.limit });
        }

        let length = header.length as usize;
        if self.unread.len() < length {
            return Ok(None);
        }

        let mut payload = self.unread.split_to(length);
        // Gives back the memory that the buffer had grown to.
        if self.unread.is_empty() || length > READ_AT_ONCE {
            self.unread = BytesMut::from(&self.unread[..]).into();
        }
        if let Some(key) = header.key {
            apply_mask(&mut payload, key);
        }

        let frame = Frame { opcode: header.opcode, is_final: header.is_final, payload: payload.freeze() };
        self.frame = None;
        Ok(Some(frame))
    }
}

fn checked_read(read: io::Result<usize>) -> Result<(), LinkError> {
    match read {
        Ok(0) => Err(LinkError::Closed),
        // A peer that is killed sends no `close_notify`.
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Err(LinkError::Closed),
        read => read.map(drop).map_err(LinkError::from),
    }
}

// RFC 6455 section 5.3, eight bytes at a time.
pub(super) fn apply_mask(payload: &mut [u8], key: [u8; 4]) {
    let [a, b, c, d] = key;
    let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
    let (words, rest) = payload.as_chunks_mut::<8>();
    for word in words {
        *word = (u64::from_ne_bytes(*word) ^ wide).to_ne_bytes();
    }
    for (byte, key) in rest.iter_mut().zip(key.into_iter().cycle()) {
        *byte ^= key;
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::duplex;

    use super::*;

    fn pair(limit: u64) -> (Link<tokio::io::DuplexStream>, Link<tokio::io::DuplexStream>) {
        let (client, server) = duplex(100);
        (Link::new(client, Bytes::new(), Mask::Ours, limit), Link::new(server, Bytes::new(), Mask::Theirs, limit))
    }

    async fn frame(link: &mut Link<tokio::io::DuplexStream>) -> Frame {
        loop {
            if let Incoming::Frame(frame) = link.recv().await.unwrap() {
                return frame;
            }
        }
    }

    #[tokio::test]
    async fn a_frame_arrives_as_it_was_sent_in_both_directions() {
        let (mut client, mut server) = pair(1 << 20);
        for length in [0, 1, 7, 8, 125, 126, 127, 65_535, 65_536, 200_001] {
            let sent = Frame { is_final: length % 2 == 0, ..Frame::binary(vec![length as u8; length]) };
            let (_, received) = tokio::join!(async { client.send(&sent).await.unwrap() }, frame(&mut server));
            assert_eq!(received, sent);
            let (_, received) = tokio::join!(async { server.send(&sent).await.unwrap() }, frame(&mut client));
            assert_eq!(received, sent);
        }
    }

    #[tokio::test]
    async fn a_message_of_pieces_is_one_unfragmented_frame() {
        let (mut client, mut server) = pair(1 << 20);
        let pieces = [Bytes::from_static(b"one "), Bytes::from(vec![b'x'; 100_000]), Bytes::from_static(b" end")];
        let (_, received) = tokio::join!(async { server.send_message(&pieces).await.unwrap() }, frame(&mut client));
        assert!(received.is_whole_message());
        assert_eq!(received.payload, pieces.concat());
    }

    #[tokio::test]
    async fn reading_that_is_cancelled_loses_nothing() {
        let (mut client, mut server) = pair(1 << 20);
        let sent = Frame::binary(vec![5; 10_000]);
        let writer = tokio::spawn(async move {
            client.send(&sent).await.unwrap();
            client
        });
        let received = loop {
            // Every second read is dropped after one poll.
            let _ = tokio::time::timeout(Duration::ZERO, async { std::future::pending::<()>().await }).await;
            let dropped = futures::FutureExt::now_or_never(server.recv());
            match dropped {
                Some(Ok(Incoming::Frame(frame))) => break frame,
                Some(Ok(Incoming::Part)) => {}
                Some(Err(error)) => panic!("{error}"),
                None => tokio::task::yield_now().await,
            }
        };
        assert_eq!(received, Frame::binary(vec![5; 10_000]));
        drop(writer.await.unwrap());
    }

    #[tokio::test]
    async fn a_frame_above_the_limit_is_refused_before_it_is_read() {
        let (mut client, mut server) = pair(10);
        let sender = tokio::spawn(async move { client.send(&Frame::binary(vec![0; 1_000_000])).await });
        let error = loop {
            match server.recv().await {
                Ok(_) => {}
                Err(error) => break error,
            }
        };
        assert!(error.to_string().contains("cluster_max_payload"), "{error}");
        assert!(server.unread.capacity() < 100_000);
        drop(server);
        assert!(sender.await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_long_frame_can_be_taken_in_pieces_between_two_others() {
        let (mut client, mut server) = pair(1 << 20);
        let long = Frame::binary((0..100_000_usize).map(|at| (at % 251) as u8).collect::<Vec<_>>());
        let sent = long.clone();
        let sender = tokio::spawn(async move {
            for frame in [Frame::empty_pong(), sent, Frame::ping(&b"after"[..])] {
                server.send(&frame).await.unwrap();
            }
            server
        });
        assert_eq!(frame(&mut client).await, Frame::empty_pong());
        while client.begun().is_none() {
            assert!(matches!(client.recv().await.unwrap(), Incoming::Part));
        }
        assert_eq!(client.begun(), Some(100_000));
        let mut taken = Vec::new();
        let end = loop {
            taken.extend_from_slice(client.piece());
            match client.drop_piece() {
                Some(end) => break end,
                None => client.wait_for_piece().await.unwrap(),
            }
            assert!(client.unread.capacity() < 4 * PIECE, "{}", client.unread.capacity());
        };
        assert_eq!((end, taken.as_slice()), ((Opcode::Binary, true), &long.payload[..]));
        assert_eq!(frame(&mut client).await, Frame::ping(&b"after"[..]));
        drop(sender.await.unwrap());
    }

    #[tokio::test]
    async fn a_frame_reserves_its_length_at_once_and_little_more() {
        let (mut client, mut server) = pair(1 << 20);
        let sender = tokio::spawn(async move {
            client.send(&Frame::binary(vec![1; 300_000])).await.unwrap();
            client
        });
        let mut most = 0;
        while !matches!(server.recv().await.unwrap(), Incoming::Frame(_)) {
            most = most.max(server.unread.capacity());
        }
        assert!((300_000..310_000).contains(&most), "{most}");
        drop(sender.await.unwrap());
    }

    #[tokio::test]
    async fn a_link_that_waits_keeps_no_memory_for_what_it_reads() {
        let (mut client, mut server) = pair(1 << 20);
        // A node's first message, and a ping of it.
        for length in [17_000, 32] {
            let sent = Frame::binary(vec![1; length]);
            let (_, received) = tokio::join!(async { client.send(&sent).await.unwrap() }, frame(&mut server));
            assert_eq!(received, sent);
            assert!(futures::FutureExt::now_or_never(server.recv()).is_none());
            assert_eq!(server.unread.capacity(), 0, "after {length} bytes");
        }
    }

    #[tokio::test]
    async fn a_client_that_does_not_mask_is_not_understood() {
        let (client, server) = duplex(100);
        let mut wrong = Link::new(client, Bytes::new(), Mask::Theirs, 100);
        let mut server = Link::new(server, Bytes::new(), Mask::Theirs, 100);
        wrong.send(&Frame::empty_pong()).await.unwrap();
        assert!(matches!(server.recv().await, Err(LinkError::Protocol(HeaderError::Mask))));
    }
}
