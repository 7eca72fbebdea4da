//! What a new node is to be given tonight: which snapshot of which store, and what of it must arrive. The relay of the
//! drill finds it once more by itself.

use std::time::Duration;

use lifeboat_core::digest::{ConfigHash, Sha256Digest};
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::room::NodeLimits;
use lifeboat_core::verify::{Provenance, Rejected};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;
use tokio::time::timeout;

use super::outcome::{DrillFailure, DrilledSnapshot, Rehearsed, Step};
use super::scratch_node::Proof;
use crate::archive::{Chosen, RestoreError, Stores};
use crate::evidence::{Conditions, Evidence, Measure, Schemas};

/// A large snapshot on a slow line; each request has time-outs of its own.
const READ_LIMIT: Duration = Duration::from_secs(120);

/// What a node is expected to get.
#[derive(Debug)]
pub(super) struct Expected {
    version: KongVersion,
    config_sha256: Sha256Digest,
    snapshot: DrilledSnapshot,
}

impl Expected {
    /// Reads and verifies the newest snapshot of all stores, and keeps what there is to say of it.
    pub(super) async fn find(
        sources: &Stores,
        version: KongVersion,
        limits: NodeLimits,
        clock: Clock,
    ) -> Result<Self, DrillFailure> {
        let begun = clock.now();
        let chosen = match timeout(READ_LIMIT, sources.restore(version, clock.wall())).await {
            Ok(Ok(chosen)) => chosen,
            Ok(Err(error)) => return Err(DrillFailure::no_snapshot(&error)),
            Err(_) => {
                let reason = format!("no snapshot could be read from {} within {READ_LIMIT:?}", sources.places());
                let cure =
                    "no new node would be restored as slowly as that: look at the network on the way to the store";
                return Err(DrillFailure::new(Step::Snapshot, reason, cure).inconclusive());
            }
        };

        let read_in = clock.now() - begun;
        let mut remarks = remarks(&chosen, version);
        remarks.extend(behind(sources, &chosen).await);
        let (config_hash, config_bytes) = (chosen.verified.config_hash(), chosen.verified.config_bytes());
        let (of, store) = (chosen.version, chosen.place.clone());

        let (sequence, state, published, last_seen) = match chosen.verified.provenance() {
            Provenance::Manifest(manifest) => {
                let times = &manifest.times;
                (
                    Some(manifest.sequence),
                    Some(manifest.state),
                    Some(times.exported),
                    manifest.last_seen_at_the_control_plane(),
                )
            }
            Provenance::BareConfigJson => (None, None, None, None),
        };

        let schemas = schemas(sources, &chosen).await;
        let measure = Measure { schemas, conditions: Conditions { limits, now: clock.wall() } };
        let (config_sha256, evidence) = weighed(chosen, measure).await?;
        let snapshot = DrilledSnapshot {
            sequence,
            state,
            of,
            store,
            config_hash,
            config_bytes,
            published,
            last_seen,
            read_in,
            evidence,
            remarks,
        };
        Ok(Self { version, config_sha256, snapshot })
    }

    pub(super) fn config_hash(&self) -> ConfigHash {
        self.snapshot.config_hash
    }

    /// The size of the configuration's JSON in bytes.
    pub(super) fn config_bytes(&self) -> u64 {
        self.snapshot.config_bytes
    }

    /// The digest that the node's bytes must have.
    pub(super) fn config_sha256(&self) -> Sha256Digest {
        self.config_sha256
    }

    /// What there is to report, now that a node runs it.
    pub(super) fn rehearsed(self, proof: Proof) -> Rehearsed {
        let (mut snapshot, Proof { running_in, confirmed_in, computed_hash }) = (self.snapshot, proof);
        // Kong 2 hashes in another way.
        if let Some(computed) = computed_hash
            && computed != snapshot.config_hash
            && self.version.major_minor().0 >= 3
        {
            snapshot.remarks.push(format!(
                "its bytes are the published ones; Kong's hash of them is {computed}, and they are named {}: as it should be \
                 only where the control plane has another version than these nodes, which it adapts what it sends to",
                snapshot.config_hash
            ));
        }
        Rehearsed { snapshot, running_in, confirmed_in, by_sync: None }
    }
}

/// What is matched against Kong's schemas at most, in bytes of JSON: that takes some times as many of memory, which the
/// exporter in whose process the rehearsal runs was not given (docs/sizing.md).
const MATCHED_UP_TO: u64 = 16 << 20;

/// By which schemas it is judged: the control plane's own where they lie beside it, as `lifeboat verify` does.
async fn schemas(sources: &Stores, chosen: &Chosen) -> Schemas {
    if chosen.verified.config_bytes() > MATCHED_UP_TO {
        return Schemas::Missing(format!(
            "it has more than the {} MiB that a rehearsal takes the memory for; lifeboat verify matches it against Kong's \
             schemas",
            MATCHED_UP_TO >> 20
        ));
    }
    match sources.at(&chosen.place) {
        // Own ones are of more use than the wait for them costs, and a store that hangs has just answered.
        Some(archive) => timeout(READ_LIMIT, Schemas::of(archive, chosen.version))
            .await
            .unwrap_or_else(|_| Schemas::recorded(chosen.version)),
        None => Schemas::recorded(chosen.version),
    }
}

// What must arrive, and how it is known that nodes load it.
async fn weighed(chosen: Chosen, measure: Measure) -> Result<(Sha256Digest, Evidence), DrillFailure> {
    let version = chosen.version;
    let weighed = computed(move || {
        let json = chosen.verified.config_json()?;
        let manifest = match chosen.verified.provenance() {
            Provenance::Manifest(manifest) => Some(Manifest::clone(manifest)),
            Provenance::BareConfigJson => None,
        };
        // A manifest has the digest; where there is none, the bytes are all that there is.
        let digest = manifest.as_ref().map_or_else(|| Sha256Digest::of(&json), |manifest| manifest.config.sha256);
        let configuration = Configuration::from_json(json.into())?;
        Ok::<_, Rejected>((digest, Evidence::of(&configuration, version, manifest.as_ref(), &measure)))
    });

    weighed.await.map_err(|rejected| {
        DrillFailure::new(Step::Snapshot, format!("the configuration: {rejected}"), "let an exporter write it anew")
    })
}

fn remarks(chosen: &Chosen, version: KongVersion) -> Vec<String> {
    let skipped = chosen
        .skipped
        .iter()
        .map(|(place, skipped)| format!("{} in {place} is newer and is not used: {}", skipped.key, skipped.reason));

    // Where another version's backup is taken, that there is none of this one is said below.
    let is_new = |error: &&RestoreError| chosen.version == version || matches!(error, RestoreError::Storage(_));
    let failed = chosen.failed.iter().filter(is_new).map(ToString::to_string);
    let mut remarks: Vec<String> = skipped.chain(failed).collect();

    if chosen.version != version {
        remarks.push(format!(
            "there is no backup of Kong {version} itself: that of {} is given (LIFEBOAT_VERSION_MATCH=exact forbids that)",
            chosen.version
        ));
    }
    if let Provenance::BareConfigJson = chosen.verified.provenance() {
        remarks.push(
            "it is a bare config.json: without a manifest nothing tells how old or how complete it is".to_owned(),
        );
    }

    remarks
}

// Further stores that would be of little help if the one were lost that this came from.
async fn behind(sources: &Stores, chosen: &Chosen) -> Vec<String> {
    let Provenance::Manifest(manifest) = chosen.verified.provenance() else { return Vec::new() };

    let others = sources.published_in_each(chosen.version).await;
    if others.len() < 2 {
        return Vec::new();
    }

    let said = others.into_iter().filter(|(place, _)| *place != chosen.place).filter_map(|(place, published)| {
        let what = match published {
            Ok(Some(published)) if published.manifest.id() == manifest.id() => return None,
            Ok(Some(published)) => format!("snapshot {}", published.manifest.sequence),
            // Restoring has said so.
            Ok(None) | Err(_) => return None,
        };
        Some(format!("{place} has {what} published, and {} snapshot {}", chosen.place, manifest.sequence))
    });
    said.collect()
}
