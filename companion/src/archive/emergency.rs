//! An emergency change: publishing what an operator has written by hand, instead of what the control plane sends. How
//! an old snapshot is published again is in `rollback`.

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::Received;
use lifeboat_core::export::guard::GUARDED;
use lifeboat_core::manifest::{Pin, Shrunk, State};
use lifeboat_core::time::WallTime;
use lifeboat_storage::StorageError;

use super::rollback::{TRIES, instead_of};
use super::{Author, CurrentManifest, Operator, Published, Stay, Terms};

/// What was published, and what it has less of.
#[derive(Debug)]
pub struct Emergency {
    /// What is published now.
    pub published: Published,
    /// The kinds of entities of which it has fewer than what was published before; empty if there are none, or if
    /// nothing was published.
    pub losses: Shrunk,
}

impl Operator {
    /// Publishes a configuration that stays, always as a new snapshot, so that nodes that follow what is published get
    /// it. Lifeboat never holds it: an operator has asked for just this. If nothing was published before, it stays
    /// until the control plane sends a configuration for the first time.
    ///
    /// # Errors
    /// [`StorageError::Conflict`] when an exporter published meanwhile, again and again. Else as [`Archive::publish`](super::Archive::publish).
    pub async fn publish_pinned(
        &self,
        author: &Author,
        received: &Received,
        stay: Stay,
        now: WallTime,
    ) -> Result<Emergency, StorageError> {
        let mut tries = 0;
        loop {
            tries += 1;
            match self.try_to_publish_pinned(author, received, stay, now).await {
                Err(StorageError::Conflict { .. }) if tries < TRIES => {}
                done => return done,
            }
        }
    }

    async fn try_to_publish_pinned(
        &self,
        author: &Author,
        received: &Received,
        stay: Stay,
        now: WallTime,
    ) -> Result<Emergency, StorageError> {
        let over = self.current_manifest(author.version).await?;
        let (mut epoch, mut instead, mut losses) = (1, ConfigHash::EMPTY, Shrunk::default());
        if let CurrentManifest::Published(published) = &over {
            (epoch, instead) = (published.manifest.epoch, instead_of(published));
            losses = Shrunk::between(&published.manifest.counts, received.configuration.counts(), &GUARDED);
            // Completes the snapshot that is published until now. A crash may have prevented that, and once another one
            // is published, nobody can do it any more.
            self.complete(published).await?;
        }

        let pin = match stay {
            Stay::UntilUnpinned => Pin::Unpin,
            Stay::UntilItChanges => Pin::Change { instead_of: instead },
        };

        let terms = Terms { epoch, state: State::Pinned, pin: Some(pin), last_seen: None };
        let published = self.publish(author, received, &over, &terms, now).await?;
        Ok(Emergency { published, losses })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{CHANGED, FIRST, author, in_memory, publish, received, version};
    use super::*;

    #[tokio::test]
    async fn it_names_what_it_stands_in_for_also_the_second_time() {
        let archive = Operator::new(in_memory());
        let first = publish(&archive, FIRST).await;
        let now = first.manifest.times.exported;
        let change = received(CHANGED);
        let expected = Some(Pin::Change { instead_of: first.manifest.config_hash });
        for sequence in [2, 3] {
            let done = archive.publish_pinned(&author(), &change, Stay::UntilItChanges, now).await.unwrap();
            let manifest = &done.published.manifest;
            assert_eq!((manifest.sequence, manifest.state, manifest.pin), (sequence, State::Pinned, expected));
        }
        let hard = archive.publish_pinned(&author(), &change, Stay::UntilUnpinned, now).await.unwrap();
        assert_eq!(hard.published.manifest.pin, Some(Pin::Unpin));
        assert_eq!(archive.published(version()).await.unwrap().unwrap().manifest.sequence, 4);
    }

    #[tokio::test]
    async fn it_is_published_where_nothing_was_and_gives_way_to_whatever_the_control_plane_has() {
        let (archive, change) = (Operator::new(in_memory()), received(FIRST));
        let done = archive.publish_pinned(&author(), &change, Stay::UntilItChanges, change.at).await.unwrap();
        assert_eq!(done.published.manifest.pin, Some(Pin::Change { instead_of: ConfigHash::EMPTY }));
        assert!(done.losses.losses().is_empty());
    }
}
