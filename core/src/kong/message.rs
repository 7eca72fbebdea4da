//! The `reconfigure` message that a node is given, made around a stored payload: nothing is decoded, and of the
//! configuration not one byte is copied or compressed again.

use bytes::{BufMut, Bytes, BytesMut};
use serde::Serialize;

use super::SectionHashes;
use crate::digest::ConfigHash;
use crate::payload::{Blocks, Payload};
use crate::sensitive::Sensitive;
use crate::time::WallTime;

const GZIP_HEADER: &[u8] = b"\x1f\x8b\x08\0\0\0\0\0\0\xff";
const TAIL: &[u8] = b"}";

/// A whole message, compressed, as three pieces that are sent one after the other in one frame. Cloning shares them.
///
/// Outside of this crate only [`Verified::message`](crate::verify::Verified::message) makes one:
///
/// ```compile_fail,E0624
/// use lifeboat_core::digest::ConfigHash;
/// use lifeboat_core::kong::message::ReconfigureMessage;
/// use lifeboat_core::payload::Payload;
/// use lifeboat_core::time::WallTime;
///
/// let now = WallTime::from_system(std::time::SystemTime::UNIX_EPOCH);
/// ReconfigureMessage::around(&Payload::compress(b"{}"), ConfigHash::EMPTY, None, now);
/// ```
#[derive(Clone, Debug)]
pub struct ReconfigureMessage {
    pieces: Sensitive<[Bytes; 3]>,
    config_hash: ConfigHash,
}

#[derive(Serialize)]
struct Head<'a> {
    r#type: &'static str,
    timestamp: f64,
    config_hash: ConfigHash,
    #[serde(skip_serializing_if = "Option::is_none")]
    hashes: Option<&'a SectionHashes>,
}

impl ReconfigureMessage {
    /// The message that gives a node this configuration under this hash. `hashes` are those of the configuration's
    /// sections where they are known; `timestamp` is only for the node's log.
    pub(crate) fn around(
        payload: &Payload,
        config_hash: ConfigHash,
        hashes: Option<&SectionHashes>,
        timestamp: WallTime,
    ) -> Self {
        let head = Head { r#type: "reconfigure", timestamp: timestamp.unix_seconds(), config_hash, hashes };
        let mut head = serde_json::to_vec(&head).expect("strings and numbers always have a JSON form");
        head.pop(); // the closing brace, to go on inside
        head.extend_from_slice(b",\"config_table\":");
        let Blocks { deflate, crc, length } = payload.blocks();

        let mut first = BytesMut::with_capacity(GZIP_HEADER.len() + 5 + head.len());
        first.put_slice(GZIP_HEADER);
        put_stored_block(&mut first, &head, 0);
        let mut last = BytesMut::with_capacity(5 + TAIL.len() + 8);
        put_stored_block(&mut last, TAIL, 1);
        let crc = combine(combine(crc_of(&head), crc, u64::from(length)), crc_of(TAIL), TAIL.len() as u64);
        last.put_u32_le(crc);
        last.put_u32_le((head.len() as u32).wrapping_add(length).wrapping_add(TAIL.len() as u32));
        Self { pieces: [first.freeze(), deflate, last.freeze()].into(), config_hash }
    }

    /// The pieces, in order.
    pub fn pieces(&self) -> &[Bytes; 3] {
        &self.pieces
    }

    /// The message's length in bytes, compressed: what a node's `cluster_max_payload` limits.
    pub fn len(&self) -> u64 {
        self.pieces.iter().map(|piece| piece.len() as u64).sum()
    }

    /// Always false: a message has at least its type.
    pub fn is_empty(&self) -> bool {
        false
    }

    /// The hash that a node's ping carries once it runs this.
    pub fn config_hash(&self) -> ConfigHash {
        self.config_hash
    }
}

// RFC 1951 section 3.2.4. The block's three header bits fill a byte, since what is before it ends on a byte boundary.
fn put_stored_block(gzip: &mut BytesMut, content: &[u8], is_final: u8) {
    let length = u16::try_from(content.len()).expect("the envelope of a message is some hundred bytes");
    gzip.put_u8(is_final);
    gzip.put_u16_le(length);
    gzip.put_u16_le(!length);
    gzip.put_slice(content);
}

fn crc_of(bytes: &[u8]) -> u32 {
    zlib_rs::crc32::crc32(0, bytes)
}

fn combine(first: u32, second: u32, second_length: u64) -> u32 {
    zlib_rs::crc32::crc32_combine(first, second, second_length)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use proptest::prelude::*;

    use super::*;
    use crate::kong::reconfigure::decode;

    const LIMIT: usize = 1 << 20;

    fn message(json: &[u8], hash: ConfigHash) -> Vec<u8> {
        let now = WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_millis(1_795_169_515_922));
        let message = ReconfigureMessage::around(&Payload::compress(json), hash, None, now);
        let bytes = message.pieces().concat();
        assert_eq!(bytes.len() as u64, message.len());
        bytes
    }

    proptest! {
        #[test]
        fn what_a_node_is_given_is_what_was_kept(names in prop::collection::vec(".{0,40}", 0..200), hash: [u8; 16]) {
            let json = serde_json::to_vec(&serde_json::json!({ "services": names })).unwrap();
            let hash = ConfigHash::from_bytes(hash);
            let decoded = decode(&message(&json, hash), LIMIT).unwrap();
            prop_assert_eq!(&decoded.configuration.json()[..], &json[..]);
            prop_assert_eq!(decoded.config_hash, hash);
            prop_assert_eq!(decoded.timestamp, Some(1_795_169_515.922));
        }
    }
}
