//! What a drill came to: plain values, and in which words it failed. How they are printed is in `command/drill`.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::drill::DrillOutcome;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::State;
use lifeboat_core::time::WallTime;
use lifeboat_storage::StorageError;

use super::expected::Expected;
use crate::archive::NoneChosen;
use crate::evidence::{Evidence, Verdict};

/// A drill that is over.
#[derive(Clone, Debug)]
pub struct Drilled {
    /// When it was begun.
    pub started: WallTime,
    /// How long all of it took.
    pub took: Duration,
    /// The stores, for people.
    pub store: String,
    /// What became of each version.
    pub versions: Vec<VersionDrill>,
}

/// One version's part of a drill.
#[derive(Clone, Debug)]
pub struct VersionDrill {
    /// Which nodes were rehearsed.
    pub version: KongVersion,
    /// When it was begun.
    pub started: WallTime,
    /// How long it took.
    pub took: Duration,
    /// What the node in this process came to.
    pub restored: Result<Rehearsed, DrillFailure>,
    /// What a real Kong came to.
    pub kong: KongPart,
}

/// A node was restored.
#[derive(Clone, Debug)]
pub struct Rehearsed {
    /// What it was given.
    pub snapshot: DrilledSnapshot,
    /// From the start of an empty node until it ran the configuration.
    pub running_in: Duration,
    /// Until the relay had answered its ping with the configuration's hash.
    pub confirmed_in: Duration,
    /// How long a node with incremental sync took, or why it was not restored; none where the version has no such nodes.
    pub by_sync: Option<Result<Duration, String>>,
}

/// What a new node is given, and what there is to report of it.
#[derive(Clone, Debug)]
pub struct DrilledSnapshot {
    /// Its number; none for a bare `config.json`.
    pub sequence: Option<u64>,
    /// Why it is the published one; none, likewise.
    pub state: Option<State>,
    /// Of which version of Kong it is.
    pub of: KongVersion,
    /// The store that it came from.
    pub store: String,
    /// Kong's name for the configuration.
    pub config_hash: ConfigHash,
    /// Its size, decompressed.
    pub config_bytes: u64,
    /// When it was published, if that is known.
    pub published: Option<WallTime>,
    /// When the control plane was last known to have it, if that is known.
    pub last_seen: Option<WallTime>,
    /// How long reading and verifying it took.
    pub read_in: Duration,
    /// How it is known that nodes load it: the node in this process takes whatever it is given.
    pub evidence: Evidence,
    /// What somebody should look at.
    pub remarks: Vec<String>,
}

/// What became of the real Kong.
#[derive(Clone, Debug)]
pub enum KongPart {
    /// There is none, or none was wanted.
    Absent,
    /// There is one, and it was not started; why.
    Skipped(String),
    /// It ran the configuration.
    Ran(KongRun),
    /// It did not.
    Failed(DrillFailure),
}

/// A real data plane ran the configuration.
#[derive(Clone, Debug)]
pub struct KongRun {
    /// The program.
    pub program: PathBuf,
    /// What it says of its version.
    pub version: KongVersion,
    /// How long `kong start` took.
    pub started_in: Duration,
    /// From `kong start` until the data plane was ready with the configuration.
    pub ready_in: Duration,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct DrillFailure {
    /// Where.
    pub step: Step,
    /// What.
    pub reason: String,
    /// What to do.
    pub cure: String,
    /// Whether it says anything of an outage.
    pub finding: Finding,
}

/// What a failure of a drill says of an outage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// New nodes would stay empty.
    Failure,
    /// Nothing: the store was away, or there was no room or no time.
    Nothing,
}

/// Where a drill can fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Opening the stores, and finding what there is.
    Store,
    /// Reading and verifying the newest snapshot.
    Snapshot,
    /// Starting the private relay.
    Relay,
    /// Restoring the node in this process.
    Node,
    /// Starting a real data plane, and waiting until it runs the configuration.
    Kong,
}

const DOCTOR: &str = "lifeboat doctor with the same settings looks at each step by itself";

impl Drilled {
    /// Whether every node came to run its configuration.
    pub fn outcome(&self) -> DrillOutcome {
        let found =
            |finding| self.versions.iter().filter_map(VersionDrill::failure).any(|failure| failure.finding == finding);
        match (found(Finding::Failure), found(Finding::Nothing)) {
            _ if self.versions.is_empty() => DrillOutcome::Failed,
            (true, _) => DrillOutcome::Failed,
            (false, true) => DrillOutcome::Inconclusive,
            (false, false) => DrillOutcome::Passed,
        }
    }
}

impl VersionDrill {
    /// One that failed before anything was restored.
    pub(super) fn failed(version: KongVersion, started: WallTime, failure: DrillFailure) -> Self {
        Self { version, started, took: Duration::ZERO, restored: Err(failure), kong: KongPart::Absent }
    }

    /// How it ended.
    pub fn outcome(&self) -> DrillOutcome {
        match self.failure().map(|failure| failure.finding) {
            None => DrillOutcome::Passed,
            Some(Finding::Failure) => DrillOutcome::Failed,
            Some(Finding::Nothing) => DrillOutcome::Inconclusive,
        }
    }

    /// Whether its nodes came to run the configuration.
    pub fn passed(&self) -> bool {
        self.failure().is_none()
    }

    /// What went wrong, if something did.
    pub fn failure(&self) -> Option<&DrillFailure> {
        match (&self.restored, &self.kong) {
            (Err(failure), _) | (Ok(_), KongPart::Failed(failure)) => Some(failure),
            (Ok(_), KongPart::Absent | KongPart::Skipped(_) | KongPart::Ran(_)) => None,
        }
    }

    /// How it is known that nodes load the configuration; none where none was restored.
    pub fn evidence(&self) -> Option<Evidence> {
        let restored = self.restored.as_ref().ok()?;
        Some(match &self.kong {
            KongPart::Ran(ran) => restored.snapshot.evidence.but_loaded(&format!("a real Kong {}", ran.version)),
            KongPart::Absent | KongPart::Skipped(_) | KongPart::Failed(_) => restored.snapshot.evidence.clone(),
        })
    }

    /// What became of a node with incremental sync; none where there are no such nodes, and where no node was restored.
    pub fn by_sync(&self) -> Option<&Result<Duration, String>> {
        self.restored.as_ref().ok()?.by_sync.as_ref()
    }

    /// What somebody should look at though it passed.
    pub fn remarks(&self) -> Vec<Cow<'_, str>> {
        let restored = self.restored.iter().flat_map(|restored| restored.snapshot.remarks.iter().map(String::as_str));
        let skipped = match &self.kong {
            KongPart::Skipped(why) => Some(why.as_str()),
            KongPart::Absent | KongPart::Ran(_) | KongPart::Failed(_) => None,
        };
        let evidence = self.evidence().filter(|evidence| evidence.verdict != Verdict::Good);
        let evidence = evidence.map(|evidence| evidence.said.into());
        restored.chain(skipped).map(Cow::from).chain(evidence).collect()
    }
}

impl Step {
    /// One word, for programs.
    pub fn name(self) -> &'static str {
        match self {
            Self::Store => "store",
            Self::Snapshot => "snapshot",
            Self::Relay => "relay",
            Self::Node => "node",
            Self::Kong => "kong",
        }
    }
}

impl DrillFailure {
    pub(super) fn new(step: Step, reason: impl Into<String>, cure: impl Into<String>) -> Self {
        Self { step, reason: reason.into(), cure: cure.into(), finding: Finding::Failure }
    }

    /// The same of which nothing follows.
    pub(super) fn inconclusive(self) -> Self {
        Self { finding: Finding::Nothing, ..self }
    }

    // A store that is away may be back before the next outage; one that refuses us, or is none, won't be.
    fn of_store(self, class: &str) -> Self {
        if class == "unavailable" { self.inconclusive() } else { self }
    }

    pub(super) fn unlisted(error: &StorageError) -> Self {
        let cure =
            format!("name the versions of Kong (LIFEBOAT_KONG_VERSIONS), or see that the store can be read: {DOCTOR}");
        Self::new(Step::Store, error.to_string(), cure).of_store(error.class())
    }

    pub(super) fn nothing_there(places: &str) -> Self {
        let cure = "start an exporter (lifeboat run --export on), or look whether the storage setting names the prefix that \
                    it writes to";
        Self::new(Step::Store, format!("there are no backups in {places}"), cure)
    }

    /// No new node of this version can be restored from any store.
    pub(super) fn no_snapshot(error: &NoneChosen) -> Self {
        let what_to_do = match error.class() {
            "not_found" => {
                "look whether an exporter of this version of Kong runs and is ready (/readyz/export), and what lifeboat \
                 verify says of what is in the store"
            }
            "denied" => "give these credentials the right to read",
            _ => DOCTOR,
        };
        let meaning = match error.class() {
            "unavailable" => "whether new nodes would be restored in an outage is not known",
            _ => "no new node would be restored in an outage",
        };
        Self::new(Step::Snapshot, error.to_string(), format!("{meaning}: {what_to_do}")).of_store(error.class())
    }

    pub(super) fn no_scratch(error: &std::io::Error) -> Self {
        let cure = "see that there is room below TMPDIR, or leave Kong out (--no-kong)";
        Self::new(Step::Kong, format!("a folder for a scratch data plane can't be made: {error}"), cure).inconclusive()
    }

    pub(super) fn another(expected: &Expected, got: &str) -> Self {
        Self::new(
            Step::Node,
            format!(
                "the node was given configuration {got}, and {} is the newest in the store",
                expected.config_hash()
            ),
            "drill again: if it stays so, the stores differ, or something is published every second",
        )
    }
}
