//! What comes on a link that should be WebSocket frames: read whole by a node's link, in pieces by a control plane's,
//! and cut by whoever looks at frames that pass. What they find is compared with a reader of our own, as simple as RFC
//! 6455 allows.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_link::websocket::header::Mask;
use lifeboat_link::websocket::{Cut, FrameCutter, Incoming, Link, LinkError, frame_of_a_server};

use super::choices::Choices;
use super::wire::{Wire, done};

/// A link sets aside what a frame within its limit needs: no limit of ours is larger by far.
const MOST_SET_ASIDE: u64 = 1 << 20;
/// A control frame has no more (RFC 6455 section 5.5).
const LONGEST_CONTROL: u64 = 125;

/// What the stream holds, by our own reading.
struct Expected {
    frames: Vec<Frame>,
    /// How many bytes they have, with their headers.
    bytes: usize,
    end: End,
}

/// What comes after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Nothing, or a part of a frame.
    Cut,
    /// A frame of more than the limit.
    TooLong,
    /// What is no frame, or none that may come here.
    Wrong,
}

/// Plays what these bytes say.
///
/// # Panics
/// When something that must hold doesn't: frames that differ from what was sent, in whatever pieces it comes, or bytes that
/// are lost or changed on their way through.
pub fn play_frames(bytes: &[u8]) {
    let mut choices = Choices(bytes);
    let mask = if choices.byte().is_multiple_of(2) { Mask::Theirs } else { Mask::Ours };
    let limit = choices.number() >> (choices.byte() % 64);
    let at_once = 1 + choices.below(2_000);
    let stream = choices.rest();

    cutter_passes_all(stream, mask, limit, at_once);
    let limit = limit.min(MOST_SET_ASIDE);
    let expected = expected(stream, mask, limit);
    link_reads(stream, mask, limit, at_once, &expected);
    if mask == Mask::Ours {
        link_reads_in_pieces(stream, limit, at_once);
    }
    for frame in &expected.frames {
        is_written_as_it_is_read(frame);
    }
}

/// RFC 6455 section 5.2, for one stream of which all is there.
fn expected(stream: &[u8], mask: Mask, limit: u64) -> Expected {
    let mut expected = Expected { frames: Vec::new(), bytes: 0, end: End::Cut };
    loop {
        match next(&stream[expected.bytes..], mask) {
            Next::Incomplete => return expected,
            Next::Wrong => return Expected { end: End::Wrong, ..expected },
            Next::Header { length, .. } if length > limit => return Expected { end: End::TooLong, ..expected },
            Next::Header { opcode, is_final, size, length, key } => {
                let begin = expected.bytes + size;
                let Some(payload) = usize::try_from(length).ok().and_then(|length| stream[begin..].get(..length))
                else {
                    return expected;
                };
                let masked = payload.iter().enumerate().map(|(at, byte)| byte ^ key[at % 4]);
                expected.frames.push(Frame { opcode, is_final, payload: masked.collect() });
                expected.bytes = begin + payload.len();
            }
        }
    }
}

enum Next {
    Incomplete,
    Wrong,
    Header { opcode: Opcode, is_final: bool, size: usize, length: u64, key: [u8; 4] },
}

fn next(stream: &[u8], mask: Mask) -> Next {
    let [first, second, ..] = *stream else { return Next::Incomplete };
    let extra = match second & 0x7f {
        126 => 2,
        127 => 8,
        _ => 0,
    };
    let is_masked = second & 0x80 != 0;
    let size = 2 + extra + if is_masked { 4 } else { 0 };
    let Some(header) = stream.get(..size) else { return Next::Incomplete };
    let number = header[2..2 + extra].iter().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    let length = if extra == 0 { u64::from(second & 0x7f) } else { number };
    let key = if is_masked { [header[size - 4], header[size - 3], header[size - 2], header[size - 1]] } else { [0; 4] };

    let opcode = match first & 0x0f {
        0 => Opcode::Continuation,
        1 => Opcode::Text,
        2 => Opcode::Binary,
        8 => Opcode::Close,
        9 => Opcode::Ping,
        10 => Opcode::Pong,
        _ => return Next::Wrong,
    };
    let is_final = first & 0x80 != 0;
    let is_control = first & 0x08 != 0;
    let is_wrong = first & 0x70 != 0
        || is_masked != (mask == Mask::Theirs)
        || length >> 63 != 0
        || is_control && (!is_final || length > LONGEST_CONTROL);
    if is_wrong { Next::Wrong } else { Next::Header { opcode, is_final, size, length, key } }
}

fn link_reads(stream: &[u8], mask: Mask, limit: u64, at_once: usize, expected: &Expected) {
    // A part may have come with the opening handshake.
    let (before, after) = stream.split_at(stream.len().min(at_once / 3));
    let mut link = Link::new(Wire::saying(after, at_once), Bytes::copy_from_slice(before), mask, limit);
    let mut read = Vec::new();
    let end = done(async {
        loop {
            match link.recv().await {
                Ok(Incoming::Frame(frame)) => read.push(frame),
                Ok(Incoming::Part) => {}
                Err(error) => return error,
            }
        }
    });

    assert_eq!(read, expected.frames);
    let as_expected = match &end {
        LinkError::Closed => expected.end == End::Cut,
        LinkError::Protocol(_) => expected.end == End::Wrong,
        LinkError::TooLong { length, .. } => expected.end == End::TooLong && *length > limit,
        LinkError::Broken(_) | LinkError::Stuck => false,
    };
    assert!(as_expected, "{end:?} instead of {:?}", expected.end);
}

/// As the relay takes a control plane's long messages: each frame that has begun and isn't here whole is taken as it comes.
fn link_reads_in_pieces(stream: &[u8], limit: u64, at_once: usize) {
    let mut link = Link::new(Wire::saying(stream, at_once), Bytes::new(), Mask::Ours, limit);
    let (mut read, mut long) = (Vec::new(), Vec::new());
    done(async {
        loop {
            if link.begun().is_some() {
                long.extend_from_slice(link.piece());
                match link.drop_piece() {
                    Some((opcode, is_final)) => {
                        read.push(Frame { opcode, is_final, payload: std::mem::take(&mut long).into() });
                    }
                    None if link.wait_for_piece().await.is_err() => return,
                    None => {}
                }
                continue;
            }
            match link.recv().await {
                Ok(Incoming::Frame(frame)) => read.push(frame),
                Ok(Incoming::Part) => {}
                Err(_) => return,
            }
        }
    });
    assert_eq!(read, expected(stream, Mask::Ours, limit).frames);
}

fn cutter_passes_all(stream: &[u8], mask: Mask, limit: u64, at_once: usize) {
    let mut cutter = FrameCutter::new(mask, BytesMut::new(), limit);
    let (mut seen, mut passed, mut is_refused) = (Vec::new(), Vec::new(), false);
    'stream: for piece in stream.chunks(at_once) {
        cutter.buffer().put_slice(piece);
        loop {
            match cutter.cut() {
                Ok(None) => break,
                Ok(Some(Cut::Frame { bytes, frame })) => {
                    passed.extend_from_slice(&bytes);
                    seen.push(frame);
                }
                Ok(Some(Cut::Part(bytes))) => passed.extend_from_slice(&bytes),
                Err(_) => {
                    is_refused = true;
                    break 'stream;
                }
            }
        }
    }

    assert!(stream.starts_with(&passed), "what passes is what came");
    let (frames, rest, is_wrong) = short_frames(stream, mask, limit);
    assert_eq!((seen, is_refused), (frames, is_wrong));
    assert!(passed.len() == stream.len() - rest.len() || is_wrong && passed.len() <= stream.len());
}

/// The frames of a stream that have no more than the limit, what of it has no end yet, and whether it goes wrong there.
fn short_frames(mut stream: &[u8], mask: Mask, limit: u64) -> (Vec<Frame>, &[u8], bool) {
    let mut frames = Vec::new();
    loop {
        let expected = expected(stream, mask, limit);
        stream = &stream[expected.bytes..];
        frames.extend(expected.frames);
        let (Next::Header { size, length, .. }, End::TooLong) = (next(stream, mask), expected.end) else {
            return (frames, stream, expected.end == End::Wrong);
        };
        let whole = (size as u64).saturating_add(length).min(stream.len() as u64);
        stream = &stream[whole as usize..];
    }
}

fn is_written_as_it_is_read(frame: &Frame) {
    let server = frame_of_a_server(frame);
    assert_eq!(read_back(&server, Mask::Ours), *frame);
    let wire = Wire::saying(b"", 1);
    let written = wire.written();
    let mut client = Link::new(wire, Bytes::new(), Mask::Ours, u64::MAX);
    done(async { client.send(frame).await }).expect("it takes everything");
    assert_eq!(read_back(&written.bytes(), Mask::Theirs), *frame);
}

fn read_back(written: &[u8], mask: Mask) -> Frame {
    let mut cutter = FrameCutter::new(mask, BytesMut::from(written), u64::MAX);
    match cutter.cut() {
        Ok(Some(Cut::Frame { frame, .. })) if !cutter.buffer().has_remaining() => frame,
        _ => panic!("{written:?} is not one frame"),
    }
}
