//! Snapshots for *Compare*, with a tag in the place of each secret. Masking takes memory, so it is done for one snapshot at a
//! time, and the last one is kept, compressed, for the next reader; whoever wants another one meanwhile is told to come back.

use std::fmt;
use std::io::{self, Write};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::masking::{TagKey, write_tagged};
use lifeboat_core::sensitive::Sensitive;
use lifeboat_core::verify::Verified;
use lifeboat_runtime::background::computed;
use lifeboat_runtime::lock::Locked;
use lifeboat_storage::StorageError;
use tokio::sync::watch;
use tokio::time::timeout;

use crate::archive::{ArchiveReader, Pick, PickError};

/// The largest configuration that is masked, in bytes. docs/sizing.md counts three times as much.
pub(in crate::http) const LARGEST: u64 = 64_000_000;
/// How long a request waits while its snapshot is masked. Then it is told to come back.
const MASKING_TIMEOUT: Duration = Duration::from_secs(15);

/// Which snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Wanted {
    pub(super) version: KongVersion,
    pub(super) sequence: u64,
}

/// A masked configuration.
#[derive(Clone, Debug)]
pub(super) struct Masked {
    /// gzip of it.
    pub(super) gzip: Sensitive<Bytes>,
    /// What that expands to, in bytes.
    pub(super) bytes: u64,
}

/// Why there is none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Problem {
    /// One is being masked, perhaps this one.
    Busy,
    /// It is larger than a browser should compare.
    TooLarge { bytes: u64 },
    /// There is no such snapshot.
    Missing(String),
    /// No store gives it, or no key accepts it.
    Unreadable(String),
}

/// The snapshots of these stores. Clones are one.
#[derive(Clone, Debug)]
pub(super) struct MaskedSnapshots(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    archives: Vec<ArchiveReader>,
    key: TagKey,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Idle(Option<(Wanted, Masked)>),
    /// This one is being masked; what comes of it is sent there.
    Masking(Wanted, watch::Receiver<Option<Outcome>>),
}

type Outcome = Result<Masked, Problem>;

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy => f.write_str("a snapshot is being masked: ask again in a moment"),
            Self::TooLarge { bytes } => {
                write!(f, "it has {bytes} bytes, more than a browser should compare ({LARGEST})")
            }
            Self::Missing(reason) | Self::Unreadable(reason) => f.write_str(reason),
        }
    }
}

impl MaskedSnapshots {
    /// Of these stores, in this order. Tags are made with a key of this process alone.
    pub(super) fn new(archives: Vec<ArchiveReader>) -> Self {
        let (key, state) = (TagKey::new(rand::random()), Mutex::new(State::Idle(None)));
        Self(Arc::new(Parts { archives, key, state }))
    }

    /// The snapshot, masked.
    pub(super) async fn get(&self, wanted: Wanted) -> Outcome {
        let mut receiver = match self.begin(wanted) {
            Ok(masked) => return Ok(masked),
            Err(None) => return Err(Problem::Busy),
            Err(Some(receiver)) => receiver,
        };
        match timeout(MASKING_TIMEOUT, receiver.wait_for(Option::is_some)).await {
            Ok(Ok(outcome)) => outcome.clone().unwrap_or(Err(Problem::Busy)),
            Ok(Err(_)) => Err(Problem::Unreadable("masking it ended without a result".to_owned())),
            Err(_) => Err(Problem::Busy),
        }
    }

    /// Begins to mask it, unless it is there already or is on its way. No receiver: another one is.
    fn begin(&self, wanted: Wanted) -> Result<Masked, Option<watch::Receiver<Option<Outcome>>>> {
        let mut state = self.0.state.locked();
        match &*state {
            State::Idle(Some((kept, masked))) if *kept == wanted => return Ok(masked.clone()),
            // Unless it ended without a result: nobody would send one any more.
            State::Masking(other, receiver) if receiver.has_changed().is_ok() => {
                return Err((*other == wanted).then(|| receiver.clone()));
            }
            State::Idle(_) | State::Masking(..) => {}
        }

        // What was kept is given up before the next one takes memory.
        let (sender, receiver) = watch::channel(None);
        *state = State::Masking(wanted, receiver.clone());
        drop(state);
        let parts = self.0.clone();
        // A reader who goes away does not end it: the next one has the use of it.
        tokio::spawn(async move {
            let outcome = parts.mask(wanted).await;
            let kept = outcome.as_ref().ok().map(|masked| (wanted, masked.clone()));
            *parts.state.locked() = State::Idle(kept);
            let _ = sender.send(Some(outcome));
        });
        Err(Some(receiver))
    }
}

impl Parts {
    async fn mask(&self, wanted: Wanted) -> Outcome {
        let mut problem = Problem::Missing("there is no store to read it from".to_owned());
        for archive in &self.archives {
            match verified(archive, wanted).await {
                Ok(verified) => {
                    let key = self.key.clone();
                    return computed(move || masked(verified, &key)).await;
                }
                Err(too_large @ Problem::TooLarge { .. }) => return Err(too_large),
                Err(other) => problem = other,
            }
        }
        Err(problem)
    }
}

async fn verified(archive: &ArchiveReader, wanted: Wanted) -> Result<Verified, Problem> {
    let picked = archive.pick(wanted.version, Pick::Sequence(wanted.sequence)).await.map_err(problem)?;
    let bytes = picked.manifest.config.bytes;
    if bytes > LARGEST || picked.manifest.snapshot.bytes > LARGEST {
        return Err(Problem::TooLarge { bytes });
    }
    archive.verified(&picked).await.map_err(problem)
}

fn problem(error: PickError) -> Problem {
    match error {
        PickError::Storage(missing @ StorageError::NotFound { .. }) => Problem::Missing(missing.to_string()),
        other => Problem::Unreadable(other.to_string()),
    }
}

fn masked(verified: Verified, key: &TagKey) -> Outcome {
    let unreadable = |error: &dyn fmt::Display| Problem::Unreadable(format!("it can't be masked: {error}"));
    let json = verified.config_json().map_err(|error| unreadable(&error))?;
    drop(verified);
    let configuration = Configuration::from_json(json.into()).map_err(|error| unreadable(&error))?;

    let mut out = Counted { out: GzEncoder::new(Bounded(Vec::new()), Compression::fast()), bytes: 0 };
    write_tagged(&configuration, key, &mut out).map_err(|error| unreadable(&error))?;
    let gzip = out.out.finish().map_err(|error| unreadable(&error))?;
    Ok(Masked { gzip: Bytes::from(gzip.0).into(), bytes: out.bytes })
}

/// Counts what is written.
struct Counted<W> {
    out: W,
    bytes: u64,
}

/// Takes so much and no more.
struct Bounded(Vec<u8>);

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.out.write(bytes)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > LARGEST {
            return Err(io::Error::other("it can't be compressed enough"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::kong::version::KongVersion;

    use super::*;

    fn wanted(sequence: u64) -> Wanted {
        Wanted { version: KongVersion::new(3, 9, 1), sequence }
    }

    fn one() -> Masked {
        Masked { gzip: Bytes::from_static(b"masked").into(), bytes: 6 }
    }

    #[tokio::test]
    async fn while_one_is_masked_another_is_refused_and_the_same_is_waited_for() {
        let snapshots = MaskedSnapshots::new(Vec::new());
        let (sender, receiver) = watch::channel(None);
        *snapshots.0.state.locked() = State::Masking(wanted(1), receiver);
        assert_eq!(snapshots.get(wanted(2)).await.unwrap_err(), Problem::Busy);

        let waiting = tokio::spawn({
            let snapshots = snapshots.clone();
            async move { snapshots.get(wanted(1)).await }
        });
        sender.send(Some(Ok(one()))).unwrap();
        assert_eq!(waiting.await.unwrap().unwrap().bytes, 6);
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_longer_than_a_connection_lasts() {
        let snapshots = MaskedSnapshots::new(Vec::new());
        let (_sender, receiver) = watch::channel(None);
        *snapshots.0.state.locked() = State::Masking(wanted(1), receiver);
        assert_eq!(snapshots.get(wanted(1)).await.unwrap_err(), Problem::Busy);
    }

    #[tokio::test]
    async fn one_that_ended_without_a_result_is_in_nobodys_way() {
        let snapshots = MaskedSnapshots::new(Vec::new());
        let (sender, receiver) = watch::channel(None);
        *snapshots.0.state.locked() = State::Masking(wanted(1), receiver);
        drop(sender);
        for number in [1, 2] {
            assert!(matches!(snapshots.get(wanted(number)).await.unwrap_err(), Problem::Missing(_)), "{number}");
        }
    }

    #[tokio::test]
    async fn the_last_one_is_kept_and_gives_way_to_the_next() {
        let snapshots = MaskedSnapshots::new(Vec::new());
        *snapshots.0.state.locked() = State::Idle(Some((wanted(1), one())));
        assert_eq!(snapshots.get(wanted(1)).await.unwrap().bytes, 6);
        assert!(matches!(snapshots.get(wanted(2)).await.unwrap_err(), Problem::Missing(_)));
        assert!(matches!(*snapshots.0.state.locked(), State::Idle(None)));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut bounded = Bounded(vec![0; LARGEST as usize]);
        assert!(bounded.write(b"x").is_err());
    }
}
