//! Which configurations the control plane sends to nodes, by Kong's hashes. Thousands of nodes get the same bytes,
//! which are read once.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::frame::Frame;
use lifeboat_core::kong::stated_hash;
use lifeboat_runtime::background::computed;
use lifeboat_runtime::lock::Locked;
use tokio::sync::OnceCell;

/// How many messages are remembered: a control plane makes one for each kind of node, and another when it changes.
const REMEMBERED: usize = 16;
/// A shorter message is read on the spot, because that takes hardly any time.
const SHORT: usize = 64 * 1024;
/// The first two bytes of every gzip file (RFC 1952 section 2.3.1). Whatever else a control plane sends begins
/// differently.
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// Which configuration a message holds, where that has been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sent {
    /// This one.
    Configuration(ConfigHash),
    /// It doesn't say.
    Unnamed,
}

/// The messages that were read last.
#[derive(Debug, Default)]
pub(super) struct SentHashes(Mutex<VecDeque<(Key, Arc<OnceCell<Sent>>)>>);

/// A message's length, and the checksum and length at the end of its gzip data. Another message with the same ones
/// would have to be made on purpose, and could do no more than mislead a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Key {
    length: usize,
    trailer: [u8; 8],
}

impl SentHashes {
    /// Which configuration a frame from the control plane holds, of at most `limit` bytes when decompressed; `None` if
    /// it holds none.
    pub(super) async fn of(&self, frame: &Frame, limit: usize) -> Option<Sent> {
        let payload = &frame.payload;
        if !frame.is_whole_message() || !payload.starts_with(&GZIP) {
            return None;
        }
        let key = Key { length: payload.len(), trailer: *payload.last_chunk()? };
        let cell = self.remembered(key);
        Some(*cell.get_or_init(|| read(payload.clone(), limit)).await)
    }

    fn remembered(&self, key: Key) -> Arc<OnceCell<Sent>> {
        let mut messages = self.0.locked();
        if let Some((_, known)) = messages.iter().find(|(known, _)| *known == key) {
            return known.clone();
        }
        messages.truncate(REMEMBERED - 1);
        let cell = Arc::<OnceCell<Sent>>::default();
        messages.push_front((key, cell.clone()));
        cell
    }
}

async fn read(message: Bytes, limit: usize) -> Sent {
    let is_short = message.len() <= SHORT;
    let read = move || stated_hash(&message, limit);
    let hash = if is_short { read() } else { computed(read).await };
    hash.map_or(Sent::Unnamed, Sent::Configuration)
}

#[cfg(test)]
mod tests {
    use lifeboat_core::frame::Opcode;
    use lifeboat_fakes::recorded;

    use super::*;

    const LIMIT: usize = 1 << 20;

    fn frame(payload: Bytes) -> Frame {
        Frame { opcode: Opcode::Binary, is_final: true, payload }
    }

    async fn sent(hashes: &SentHashes, payload: Bytes) -> Option<Sent> {
        hashes.of(&frame(payload), LIMIT).await
    }

    #[tokio::test]
    async fn a_configuration_is_known_by_its_hash_and_nothing_else_is_one() {
        let hashes = SentHashes::default();
        let first = lifeboat_fakes::message::Configuration::from_message(&recorded::first()).unwrap().hash;
        let expected = Sent::Configuration(first.parse().unwrap());
        assert_eq!(sent(&hashes, recorded::first()).await, Some(expected));
        assert_eq!(sent(&hashes, Bytes::from_static(b"{}")).await, None);
        assert_eq!(sent(&hashes, Bytes::from_static(b"\x1f\x8b no gzip at all")).await, Some(Sent::Unnamed));
        let part = Frame { is_final: false, ..frame(recorded::first()) };
        assert_eq!(hashes.of(&part, LIMIT).await, None);
    }

    #[tokio::test]
    async fn equal_messages_are_read_once_and_a_bounded_number_is_remembered() {
        let hashes = SentHashes::default();
        sent(&hashes, recorded::first()).await;
        let key = Key { length: recorded::first().len(), trailer: *recorded::first().last_chunk().unwrap() };
        let cell = hashes.remembered(key);
        assert!(cell.initialized(), "it has been read");
        for number in 0..100_u32 {
            sent(&hashes, Bytes::from([&GZIP[..], &[0; 10], &number.to_be_bytes()].concat())).await;
        }
        assert_eq!(hashes.0.locked().len(), REMEMBERED);
    }
}
