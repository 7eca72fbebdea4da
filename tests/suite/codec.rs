//! The relay's WebSocket codec against bytes that no node of Kong's would send. Whatever comes: an error or frames, and
//! neither a panic nor memory for what was only announced.

use bytes::Bytes;
use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_link::websocket::header::Mask;
use lifeboat_link::websocket::{Incoming, Link};
use proptest::prelude::*;
use tokio::io::{AsyncRead, AsyncWriteExt, ReadBuf, join, sink};

const LIMIT: u64 = 4096;

/// Bytes that arrive in pieces of these sizes, over and over.
struct InPieces<'a> {
    rest: Bytes,
    sizes: std::iter::Cycle<std::iter::Copied<std::slice::Iter<'a, usize>>>,
}

impl<'a> InPieces<'a> {
    fn new(bytes: &[u8], sizes: &'a [usize]) -> Self {
        Self { rest: Bytes::copy_from_slice(bytes), sizes: sizes.iter().copied().cycle() }
    }
}

impl AsyncRead for InPieces<'_> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        _: &mut std::task::Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        let size = self.sizes.next().unwrap_or(1).min(self.rest.len()).min(buffer.remaining());
        let piece = self.rest.split_to(size);
        buffer.put_slice(&piece);
        std::task::Poll::Ready(Ok(()))
    }
}

/// All frames until the end or the first error.
fn frames_of(bytes: &[u8], sizes: &[usize], mask: Mask) -> (Vec<Frame>, String) {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let mut link = Link::new(join(InPieces::new(bytes, sizes), sink()), Bytes::new(), mask, LIMIT);
        let mut frames = Vec::new();
        loop {
            match link.recv().await {
                Ok(Incoming::Frame(frame)) => frames.push(frame),
                Ok(Incoming::Part) => {}
                Err(error) => return (frames, error.to_string()),
            }
        }
    })
}

fn encoded(frames: &[Frame], mask: Mask) -> Vec<u8> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        let (mut near, far) = tokio::io::duplex(1 << 20);
        let mut link = Link::new(far, Bytes::new(), mask, LIMIT);
        for frame in frames {
            link.send(frame).await.unwrap();
        }
        link.close().await;
        near.shutdown().await.unwrap();
        let mut bytes = Vec::new();
        tokio::io::AsyncReadExt::read_to_end(&mut near, &mut bytes).await.unwrap();
        bytes
    })
}

fn frame() -> impl Strategy<Value = Frame> {
    let data = (
        prop_oneof![Just(Opcode::Continuation), Just(Opcode::Text), Just(Opcode::Binary)],
        any::<bool>(),
        prop::collection::vec(any::<u8>(), 0..LIMIT as usize),
    );
    let control = (
        prop_oneof![Just(Opcode::Close), Just(Opcode::Ping), Just(Opcode::Pong)],
        Just(true),
        prop::collection::vec(any::<u8>(), 0..=125),
    );
    let any = prop_oneof![data, control];
    any.prop_map(|(opcode, is_final, payload)| Frame { opcode, is_final, payload: payload.into() })
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(1usize..5000, 1..8)
}

fn mask() -> impl Strategy<Value = Mask> {
    prop_oneof![Just(Mask::Ours), Just(Mask::Theirs)]
}

fn other(mask: Mask) -> Mask {
    match mask {
        Mask::Ours => Mask::Theirs,
        Mask::Theirs => Mask::Ours,
    }
}

proptest! {
    #[test]
    fn random_bytes_end_in_an_error_and_never_in_a_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..2000), sizes in sizes(), mask in mask()
    ) {
        let (frames, error) = frames_of(&bytes, &sizes, mask);
        prop_assert!(frames.iter().map(|frame| frame.payload.len()).sum::<usize>() <= bytes.len());
        prop_assert!(!error.is_empty());
    }

    #[test]
    fn frames_are_the_same_in_whatever_pieces_they_arrive(
        frames in prop::collection::vec(frame(), 0..6), sizes in sizes(), mask in mask()
    ) {
        let (received, error) = frames_of(&encoded(&frames, mask), &sizes, other(mask));
        prop_assert!(received == frames, "{:?} became {:?}", frames, received);
        prop_assert_eq!(error, "the connection was closed");
    }

    #[test]
    fn a_changed_byte_never_panics_and_never_adds_a_frame_longer_than_allowed(
        frames in prop::collection::vec(frame(), 1..6), at: prop::sample::Index, change in 1u8..=255, sizes in sizes()
    ) {
        let mut bytes = encoded(&frames, Mask::Ours);
        let at = at.index(bytes.len());
        bytes[at] ^= change;
        let (received, _) = frames_of(&bytes, &sizes, Mask::Theirs);
        prop_assert!(received.iter().all(|frame| frame.payload.len() as u64 <= LIMIT));
    }
}

#[test]
fn a_length_that_is_only_announced_is_refused_before_a_byte_of_it_came() {
    let limit = "cluster_max_payload";
    // The last one is longer than any frame can be: no limit that is raised would help.
    for (length, why) in [
        (LIMIT + 1, limit),
        (u64::from(u32::MAX) + 1, limit),
        (u64::MAX >> 1, limit),
        (u64::MAX, "longer than any can be"),
    ] {
        let header = [&[0x82, 0xff][..], &length.to_be_bytes(), &[1, 2, 3, 4]].concat();
        let (frames, error) = frames_of(&header, &[3], Mask::Theirs);
        assert!(frames.is_empty());
        assert!(error.contains(why), "{length}: {error}");
    }
}
