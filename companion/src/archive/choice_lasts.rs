//! Checks whether an operator's choice has lasted in a store without compare-and-swap. An exporter that had read the
//! manifest just before may have overwritten the choice. So it is read again after the time in which that exporter must
//! have written or given up.

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Manifest, Pin};
use lifeboat_runtime::progress::step;
use lifeboat_storage::StorageError;

use super::{CurrentManifest, Operator, Published};

/// Why an operator's choice has not lasted, or is not known to.
#[derive(Debug, thiserror::Error)]
pub enum NotLasting {
    /// It was written, but could not be read again.
    #[error(
        "snapshot {sequence} was published, but whether it stayed so is not known: this store has no compare-and-swap, and \
         it could not be looked at again: {error}. See `lifeboat list`"
    )]
    Unknown {
        /// The snapshot.
        sequence: u64,
        /// Why.
        error: StorageError,
    },
    /// Something else is there by now.
    #[error(
        "snapshot {sequence} was published, but was replaced at once: {now}. {why}. See `lifeboat list`, and repeat \
         the command if you still want it"
    )]
    Replaced {
        /// The snapshot.
        sequence: u64,
        /// What is there.
        now: String,
        /// How that may have happened.
        why: &'static str,
    },
}

impl Operator {
    /// Makes sure that what an operator has just written is still published. With compare-and-swap, that is known at
    /// once; without, it is checked after the time in which an exporter that had read the manifest before must have
    /// written.
    ///
    /// # Errors
    /// [`NotLasting`] when something else is there by then.
    pub async fn look_again(&self, version: KongVersion, word: &Published) -> Result<(), NotLasting> {
        let wait = self.storage.settled_after();
        if wait.is_zero() {
            return Ok(());
        }

        let seconds = wait.as_secs();
        let _progress = step(format_args!("waiting {seconds} s: does it stay, in a store without compare-and-swap?"));
        tokio::time::sleep(wait).await;

        let sequence = word.manifest.sequence;
        let current = self.current_manifest(version).await.map_err(|error| NotLasting::Unknown { sequence, error })?;
        let now = match current {
            CurrentManifest::Published(now) if lasts(&word.manifest, &now.manifest) => return Ok(()),
            CurrentManifest::Published(now) => described(&now.manifest),
            CurrentManifest::Absent => "the manifest is gone".to_owned(),
            CurrentManifest::Unaccepted(other) => {
                format!("a manifest is there that is not accepted ({})", other.reason)
            }
        };
        Err(NotLasting::Replaced { sequence, now, why: why(&word.manifest) })
    }
}

/// Whether `now` says what `word` said, or more.
fn lasts(word: &Manifest, now: &Manifest) -> bool {
    if word.id() == now.id() {
        // A choice ends by itself once the control plane has the chosen configuration.
        let has_come_true = matches!(word.pin, Some(Pin::Change { .. })) && now.pin.is_none();
        return word.pin == now.pin || has_come_true;
    }
    // An operator who unpins wants the control plane's configuration to be published.
    word.pin.is_none() && now.pin.is_none() && now.sequence > word.sequence
}

fn why(word: &Manifest) -> &'static str {
    match word.pin {
        Some(Pin::Change { .. }) => {
            "Either the control plane's configuration has changed since, or an exporter that wrote at the same moment has \
             overwritten it, which a store without compare-and-swap does not prevent"
        }
        Some(Pin::Unpin) | None => {
            "An exporter or another operator that wrote at the same moment has overwritten it, which a store without \
             compare-and-swap does not prevent"
        }
    }
}

fn described(now: &Manifest) -> String {
    let pin = match now.pin {
        Some(_) => ", pinned",
        None => "",
    };
    let Manifest { sequence, config_hash, .. } = now;
    format!("snapshot {sequence} is published{pin}, configuration {config_hash}, by {}", now.exporter.hostname)
}

#[cfg(test)]
mod tests {
    use lifeboat_core::digest::ConfigHash;

    use super::super::Stay;
    use super::super::tests::{CHANGED, FIRST, author, in_memory, now, publish, version};
    use super::*;

    const UNTIL_IT_CHANGES: Option<Pin> = Some(Pin::Change { instead_of: ConfigHash::EMPTY });

    #[tokio::test]
    async fn what_was_said_lasts_while_the_same_or_more_is_said() {
        let manifest = (*publish(&in_memory(), FIRST).await.manifest).clone();
        let said = |sequence, pin| Manifest { sequence, pin, ..manifest.clone() };
        for (word, now, expected) in [
            (said(4, UNTIL_IT_CHANGES), said(4, UNTIL_IT_CHANGES), true),
            (said(4, UNTIL_IT_CHANGES), said(4, None), true),
            (said(4, UNTIL_IT_CHANGES), said(5, None), false),
            (said(4, UNTIL_IT_CHANGES), said(3, None), false),
            (said(4, Some(Pin::Unpin)), said(4, Some(Pin::Unpin)), true),
            (said(4, Some(Pin::Unpin)), said(4, None), false),
            (said(4, Some(Pin::Unpin)), said(5, Some(Pin::Unpin)), false),
            (said(4, None), said(4, None), true),
            (said(4, None), said(4, Some(Pin::Unpin)), false),
            (said(4, None), said(5, None), true),
            (said(4, None), said(3, None), false),
        ] {
            assert_eq!(
                lasts(&word, &now),
                expected,
                "{:?} {} then {:?} {}",
                word.pin,
                word.sequence,
                now.pin,
                now.sequence
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_word_that_was_overwritten_is_reported_and_where_the_store_compares_nobody_waits() {
        let archive = Operator::new(in_memory());
        publish(&archive, FIRST).await;
        let before = publish(&archive, CHANGED).await;
        let word = archive.roll_back(&author(), 1, Stay::UntilUnpinned, now()).await.unwrap();
        archive.look_again(version(), &word).await.unwrap();
        archive.put_back(&before).await;
        let error = archive.look_again(version(), &word).await.unwrap_err().to_string();
        assert!(
            error.contains("snapshot 3 was published, but was replaced at once: snapshot 2 is published"),
            "{error}"
        );

        archive.put_back(&word).await;
        archive.prepare_to_write(&author()).await.unwrap();
        let begun = tokio::time::Instant::now();
        archive.look_again(version(), &word).await.unwrap();
        assert_eq!(begun.elapsed(), std::time::Duration::ZERO);
    }
}
