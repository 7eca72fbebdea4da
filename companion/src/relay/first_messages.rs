//! The first messages of the connected nodes (`basic_info`), some 17 KB each. They are kept, because the relay sends
//! them again to a control plane that comes back. Nodes of one deployment send the same bytes, so equal messages are in
//! memory once.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, Weak};

use bytes::Bytes;
use lifeboat_core::digest::Sha256Digest;
use lifeboat_runtime::lock::Locked;

/// The messages of all connected nodes. Clones share them.
#[derive(Clone, Default)]
pub(super) struct FirstMessages(Arc<Table>);

type Table = Mutex<HashMap<Sha256Digest, Weak<Message>>>;

/// One of them. When the last node that has it is gone, it leaves the table.
struct Message {
    bytes: Bytes,
    digest: Sha256Digest,
    table: Weak<Table>,
}

/// One node's share of a message.
struct Holder(Arc<Message>);

impl FirstMessages {
    /// The same bytes, which a node has just sent, shared with every node that sent them, too.
    pub(super) fn share(&self, received: &Bytes) -> Bytes {
        let digest = Sha256Digest::of(received);
        let mut table = self.0.locked();
        let known = table.get(&digest).and_then(Weak::upgrade);

        let message = known.unwrap_or_else(|| {
            // Copied: what was received may be a small part of what was set aside for reading.
            let bytes = Bytes::copy_from_slice(received);
            let message = Arc::new(Message { bytes, digest, table: Arc::downgrade(&self.0) });
            table.insert(digest, Arc::downgrade(&message));
            message
        });
        Bytes::from_owner(Holder(message))
    }
}

impl Drop for Message {
    fn drop(&mut self) {
        let Some(table) = self.table.upgrade() else { return };
        let mut table = table.locked();
        // Another node may have sent the same bytes while the last node that had these left.
        if table.get(&self.digest).is_some_and(|message| message.strong_count() == 0) {
            table.remove(&self.digest);
        }
    }
}

impl AsRef<[u8]> for Holder {
    fn as_ref(&self) -> &[u8] {
        &self.0.bytes
    }
}

impl fmt::Debug for FirstMessages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FirstMessages").field("different", &self.0.locked().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(text: &'static str) -> Bytes {
        Bytes::from_static(text.as_bytes())
    }

    #[test]
    fn equal_ones_are_in_memory_once_and_no_longer_than_a_node_has_them() {
        let messages = FirstMessages::default();
        let first = messages.share(&received("of a node"));
        let equal = messages.share(&received("of a node"));
        let other = messages.share(&received("of another"));
        assert_eq!((&first[..], &other[..]), (&b"of a node"[..], &b"of another"[..]));
        assert_eq!(first.as_ptr(), equal.as_ptr());
        assert_eq!(messages.0.locked().len(), 2);

        drop((first, other));
        assert_eq!(messages.0.locked().len(), 1);
        assert_eq!(&equal[..], b"of a node");
        drop(equal);
        assert_eq!(messages.0.locked().len(), 0);
    }

    #[test]
    fn what_was_set_aside_for_reading_is_not_kept_for_it() {
        let messages = FirstMessages::default();
        let mut reading = bytes::BytesMut::zeroed(64 * 1024);
        let frame = reading.split_to(9).freeze();
        let kept = messages.share(&frame);
        assert_ne!(kept.as_ptr(), frame.as_ptr());
        assert_eq!(kept, frame);
    }
}
