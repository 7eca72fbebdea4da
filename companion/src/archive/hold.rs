//! Holding: a configuration is stored in the history, but not published. Its manifest has a different name, so that no
//! restore takes it for a published one.

use bytes::Bytes;
use lifeboat_core::export::Received;
use lifeboat_core::manifest::{Held, Manifest, State};
use lifeboat_core::object_key::{ObjectKeys, SnapshotId};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::Place;
use lifeboat_storage::{StorageError, Write};

use super::{Archive, Author, CurrentManifest, Terms};

impl Archive {
    /// Stores a configuration that isn't published, with a number after the published one's.
    ///
    /// # Errors
    /// As [`publish`](Self::publish).
    pub async fn hold(
        &self,
        author: &Author,
        received: &Received,
        over: &CurrentManifest,
        why: &Held,
        epoch: u64,
        now: WallTime,
    ) -> Result<SnapshotId, StorageError> {
        let policy = self.policy(author.version);
        self.refuse_to_lay_open(over, &policy)?;
        let packed = self.write_payload(author, received, &policy.keys, over.sequence()).await?;
        let terms = Terms { epoch, state: State::Held, pin: None, last_seen: None };
        let manifest = Manifest { held: Some(why.clone()), ..packed.manifest(received, author, &terms, now) };
        let encoded = Bytes::from(manifest.proven_with(&policy.keys).encode());

        self.accepted(&encoded, Place::Held(packed.id), &policy)?;
        let key = ObjectKeys::new(author.version).held_manifest(packed.id, why.history_state());
        self.write_manifest(&key, encoded, Write::Create).await?;
        Ok(packed.id)
    }
}
