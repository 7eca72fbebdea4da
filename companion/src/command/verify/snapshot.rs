//! The checks of one snapshot: its manifest, payload and configuration, and for the published one what lies beside it.

use bytes::Bytes;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::history::Past;
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Manifest, State};
use lifeboat_core::object_key::{HistoryState, ObjectKeys};
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{AgeLimit, Provenance, Rejected, Verified, Writer};
use lifeboat_runtime::background::computed;
use lifeboat_storage::StorageError;

use super::super::check::Check;
use crate::archive::snapshot_state::{REFUSED, RELEASED, is_released, state_word};
use crate::archive::{ArchiveReader, ConfigJson, Pick, PickError, Picked, Published};
use crate::evidence::{Conditions, Evidence, EvidenceKind, Measure, Verdict};
use crate::settings::RestoreRules;

pub(super) const MANIFEST: &str = "manifest";
const OWN_MANIFEST: &str = "own manifest";
const AGE: &str = "age";
const PAYLOAD: &str = "payload";
const CONFIGURATION: &str = "configuration";
pub(super) const EVIDENCE: &str = "nodes";
const CONFIG_JSON: &str = "config.json";
const CACHE_IMAGE: &str = "cache image";

/// What to do about an object that may be as good as it ever was.
pub(super) const UNREAD: &str =
    "nothing is known of it until it can be read: lifeboat doctor with the same settings tries each step by itself";

/// The cure for what a later lifeboat has written, which is never to delete it.
pub(super) const LATER: &str = "update lifeboat here, and leave the object as it is";

/// A snapshot, and what was found.
#[derive(Debug)]
pub(super) struct Examined {
    pub(super) version: KongVersion,
    /// Its number; none, if there is no manifest to tell.
    pub(super) sequence: Option<u64>,
    pub(super) config_hash: Option<ConfigHash>,
    /// What its manifest says that it is.
    pub(super) state: String,
    pub(super) is_published: bool,
    pub(super) checks: Vec<Check>,
    /// How it is known that nodes load it; none where it can't be read.
    pub(super) evidence: Option<EvidenceKind>,
    /// What a new node would be given instead of a published one that is bad.
    pub(super) instead: Option<String>,
}

/// Whether there is something that could be verified: of what a crash left there is the payload only.
pub(super) fn has_a_manifest(past: &Past) -> bool {
    past.state != HistoryState::Leftover
}

/// Reads a snapshot and all that belongs to it.
pub(super) async fn examine(
    archive: &ArchiveReader,
    version: KongVersion,
    pick: Pick,
    published: Option<&Published>,
    age: AgeLimit,
    conditions: Conditions,
) -> Result<Examined, PickError> {
    let picked = match archive.pick(version, pick).await {
        Ok(picked) => picked,
        // The others may be readable.
        Err(PickError::Storage(error)) if error.is_refusal() => {
            let cure = "let it be read, and verify again: nothing is known of it";
            let checks = vec![Check::fail(MANIFEST, error.to_string(), cure)];
            let (sequence, is_published) = (pick.sequence(), pick == Pick::Published);
            let (state, config_hash) = ("unreadable".to_owned(), None);
            return Ok(Examined {
                version,
                sequence,
                config_hash,
                state,
                is_published,
                checks,
                evidence: None,
                instead: None,
            });
        }
        Err(error @ (PickError::Storage(_) | PickError::NoBackup { .. })) => return Err(error),
        Err(refused @ PickError::Refused { .. }) => {
            let cure = if is_later(&refused) {
                LATER
            } else {
                "no node is restored from it. If its keys are right, it was damaged or changed: nothing repairs it, and \
                 other snapshots don't need it"
            };
            let sequence = pick.sequence();
            let (state, checks) = (REFUSED.to_owned(), vec![Check::fail(MANIFEST, refused.to_string(), cure)]);
            let (config_hash, is_published) = (None, pick == Pick::Published);
            let (evidence, instead) = (None, None);
            return Ok(Examined { version, sequence, config_hash, state, is_published, checks, evidence, instead });
        }
    };
    let manifest: &Manifest = &picked.manifest;
    let published = published.filter(|published| published.manifest.id() == manifest.id());
    let mut checks = vec![Check::pass(MANIFEST, written_by(&picked))];

    if let Some(published) = published {
        checks.push(own_manifest(archive, published).await);
        checks.extend(too_old(age.check(&published.manifest, conditions.now)));
    }
    let (of_payload, evidence) = payload(archive, &picked, published.is_some(), conditions).await;
    checks.extend(of_payload);
    if let Some(published) = published {
        checks.push(config_json(archive, published).await);
    }

    if manifest.cache_image.is_some() {
        checks.push(cache_image(archive, &picked).await);
    }
    let state = state(archive, manifest, published.is_some()).await?.to_owned();
    let (sequence, config_hash) = (Some(manifest.sequence), Some(manifest.config_hash));
    let (is_published, instead) = (published.is_some(), None);
    Ok(Examined { version, sequence, config_hash, state, is_published, checks, evidence, instead })
}

async fn state(archive: &ArchiveReader, manifest: &Manifest, is_published: bool) -> Result<&'static str, StorageError> {
    if manifest.state == State::Held {
        let past = archive.past(manifest.kong_version).await?;
        let state = past.iter().find(|past| past.id == manifest.id() && past.state.is_held()).map(|past| past.state);
        let mut others = past.iter().map(|past| (past.id, past.state));
        if state.is_some_and(|state| is_released(manifest.id(), state, &mut others)) {
            return Ok(RELEASED);
        }
    }
    Ok(state_word(manifest.state, is_published))
}

/// What Kong's own exporter has left, where there is nothing else.
pub(super) async fn bare(
    archive: &ArchiveReader,
    version: KongVersion,
    age: AgeLimit,
    conditions: Conditions,
) -> Result<Option<Examined>, PickError> {
    let (config_hash, checks, evidence) = match archive.bare(version).await {
        Ok(None) => return Ok(None),
        Ok(Some(verified)) => {
            let bytes = verified.config_bytes();
            let seen = format!("a whole configuration of {bytes} bytes, without a manifest that would tell more of it");
            let hash = verified.config_hash();
            let mut checks = vec![Check::pass(CONFIG_JSON, seen)];
            checks.extend(too_old(age.check_bare()));
            let measure = Measure::of(archive, version, conditions).await;
            let known = match expanded(verified).await {
                Ok(read) => Some(computed(move || Evidence::of(&read, version, None, &measure)).await),
                Err(_) => None,
            };
            checks.extend(known.as_ref().map(loads));
            (Some(hash), checks, known.map(|known| known.kind))
        }
        Err(error @ (PickError::Storage(_) | PickError::NoBackup { .. })) => return Err(error),
        Err(refused @ PickError::Refused { .. }) => {
            let cure = "no node can be restored from it: let an exporter write it anew";
            (None, vec![Check::fail(CONFIG_JSON, refused.to_string(), cure)], None)
        }
    };
    let (state, sequence, is_published, instead) = ("bare".to_owned(), None, true, None);

    Ok(Some(Examined { version, sequence, config_hash, state, is_published, checks, evidence, instead }))
}

/// What a node that is created now is given.
pub(super) async fn instead(
    archive: &ArchiveReader,
    version: KongVersion,
    rules: RestoreRules,
    now: WallTime,
) -> String {
    match archive.restore_by(version, rules, now).await {
        Ok(restored) => match restored.verified.provenance() {
            Provenance::Manifest(manifest) => {
                format!("new nodes of Kong {version} are restored from snapshot {}", manifest.sequence)
            }
            Provenance::BareConfigJson => format!("new nodes of Kong {version} are restored from config.json"),
        },
        Err(error) => format!("no new node of Kong {version} can be restored: {error}"),
    }
}

fn is_later(error: &PickError) -> bool {
    matches!(error, PickError::Refused { reason, .. } if reason.is_of_a_later_lifeboat())
}

fn written_by(picked: &Picked) -> String {
    match picked.manifest.writer() {
        Writer::Anybody => "it is valid; its author is not proven, since no keys are set".to_owned(),
        Writer::Signer(key) => format!("signed with {key:?}"),
        Writer::KeyHolder(key) => format!("authenticated with encryption key {key:?}"),
    }
}

fn too_old(checked: Result<(), Rejected>) -> Option<Check> {
    checked.err().map(|rejected| Check::fail(AGE, rejected.to_string(), "no node is restored from it"))
}

async fn own_manifest(archive: &ArchiveReader, published: &Published) -> Check {
    let manifest = &published.manifest;
    let key = ObjectKeys::new(manifest.kong_version).snapshot_manifest(manifest.id());

    match archive.own_manifest(published).await {
        Ok(Some(own)) if own.snapshot == manifest.snapshot && own.config == manifest.config => {
            Check::pass(OWN_MANIFEST, format!("{key} names the same payload"))
        }
        Ok(Some(_)) => Check::fail(
            OWN_MANIFEST,
            format!("{key} names another payload than manifest.json"),
            format!("delete {key}: the exporter writes it anew when it is restarted"),
        ),
        Ok(None) => Check::warn(
            OWN_MANIFEST,
            format!("there is no {key}: an exporter died before it was written"),
            "an exporter writes it before it publishes something else, and when it starts; until then nothing needs it",
        ),
        Err(later) if is_later(&later) => Check::fail(OWN_MANIFEST, later.to_string(), LATER),
        Err(error @ PickError::Refused { .. }) => Check::fail(
            OWN_MANIFEST,
            error.to_string(),
            format!("if its keys are right, delete {key}: the exporter writes it anew when it is restarted"),
        ),
        Err(error @ (PickError::Storage(_) | PickError::NoBackup { .. })) => {
            Check::fail(OWN_MANIFEST, error.to_string(), UNREAD)
        }
    }
}

async fn payload(
    archive: &ArchiveReader,
    picked: &Picked,
    is_published: bool,
    conditions: Conditions,
) -> (Vec<Check>, Option<EvidenceKind>) {
    let manifest: &Manifest = &picked.manifest;
    let cure = if is_published {
        "the exporter that leads puts it back within a minute, if anybody still has it, and says in its log if not. Then publish \
         a good one: lifeboat rollback, with a number for which lifeboat verify --all says pass"
    } else {
        "no node can be restored from this snapshot, and nothing repairs it; other snapshots don't need it"
    };
    let verified = match archive.verified(picked).await {
        Ok(verified) => verified,
        // What is missing, or was read and is bad, is told from what only could not be read.
        Err(error @ (PickError::Refused { .. } | PickError::Storage(StorageError::NotFound { .. }))) => {
            return (vec![Check::fail(PAYLOAD, error.to_string(), cure)], None);
        }
        Err(error @ (PickError::Storage(_) | PickError::NoBackup { .. })) => {
            return (vec![Check::fail(PAYLOAD, error.to_string(), UNREAD)], None);
        }
    };
    let (key, bytes) = (&manifest.snapshot.key, manifest.snapshot.bytes);
    let sealed =
        manifest.snapshot.sealed.as_ref().map_or_else(String::new, |seal| format!(", sealed under {:?}", seal.key));
    let payload = Check::pass(PAYLOAD, format!("{key}: {bytes} bytes{sealed}, as the manifest says"));
    let configuration_read = match expanded(verified).await {
        Ok(read) => read,
        Err(rejected) => {
            return (vec![payload, Check::fail(CONFIGURATION, format!("{key}: {rejected}"), cure)], None);
        }
    };
    let measure = Measure::of(archive, manifest.kong_version, conditions).await;
    let manifest = manifest.clone();

    computed(move || {
        let named = configuration(&manifest, configuration_read.hashes().config);
        let version = manifest.kong_version;
        let known = Evidence::of(&configuration_read, version, Some(&manifest), &measure);
        (vec![payload, named, loads(&known)], Some(known.kind))
    })
    .await
}

// Expands it, and reads it to its end.
async fn expanded(verified: Verified) -> Result<Configuration, Rejected> {
    computed(move || Ok(Configuration::from_json(Bytes::from(verified.config_json()?))?)).await
}

/// Whether nodes load it, as far as that is known.
fn loads(known: &Evidence) -> Check {
    match known.verdict {
        Verdict::Good => Check::pass(EVIDENCE, &known.said),
        Verdict::Doubtful => Check::warn(
            EVIDENCE,
            &known.said,
            "rehearse an outage with a real data plane (lifeboat drill, docs/drill.md), which shows whether nodes load it; or \
             publish one that they do: lifeboat rollback",
        ),
        Verdict::Bad => Check::fail(
            EVIDENCE,
            &known.said,
            "publish one that nodes load: lifeboat rollback, with a number for which lifeboat verify --all says pass",
        ),
    }
}

fn configuration(manifest: &Manifest, computed: ConfigHash) -> Check {
    let (named, bytes) = (manifest.config_hash, manifest.config.bytes);
    if named == computed {
        return Check::pass(CONFIGURATION, format!("{named}, computed anew from {bytes} bytes of JSON"));
    }
    // Kong 2 hashes in another way.
    if manifest.kong_version.major_minor().0 < 3 {
        return Check::pass(CONFIGURATION, format!("{named}, {bytes} bytes of JSON, as the manifest says"));
    }

    Check::warn(
        CONFIGURATION,
        format!(
            "its bytes are those that the manifest names; Kong's hash of them is {computed}, the manifest's is {named}"
        ),
        "if the control plane has another version than these nodes, this is as it should be: it adapts what it sends them \
         under the same hash. If not, compare it with what the control plane has: lifeboat export --from cp to another \
         prefix, then lifeboat diff",
    )
}

async fn config_json(archive: &ArchiveReader, published: &Published) -> Check {
    let manifest = &published.manifest;
    let key = ObjectKeys::new(manifest.kong_version).config_json();
    let is_sealed = manifest.snapshot.sealed.is_some();

    match archive.config_json_beside(published).await {
        Ok(ConfigJson::Absent) if is_sealed => Check::pass(CONFIG_JSON, "there is none, since snapshots are sealed"),
        Ok(_) if is_sealed => Check::fail(
            CONFIG_JSON,
            format!("{key} holds a configuration in plain text, and snapshots are sealed"),
            format!("delete {key}, and its older versions where the store keeps those: private keys are in it"),
        ),
        Ok(ConfigJson::AsPublished) => Check::pass(CONFIG_JSON, format!("{key} is what is published")),
        Ok(ConfigJson::Newer) => Check::fail(
            CONFIG_JSON,
            format!("{key} is not what is published, and was written after it, by someone else"),
            "look for another exporter (cluster_fallback_config_export=on at a node of Kong's own), and switch off one of \
             the two: they overwrite each other",
        ),
        Ok(ConfigJson::Older) => not_as_published(format!("{key} is not what is published")),
        Ok(ConfigJson::Absent) => not_as_published(format!("there is no {key}")),
        Err(error) => Check::fail(CONFIG_JSON, error.to_string(), "see that it can be read, and verify again"),
    }
}

fn not_as_published(seen: String) -> Check {
    let cure = "every new node would be restored all the same, from the payload; Kong's own import reads this object. \
                An exporter that was killed right after manifest.json leaves it so: the one that leads writes it anew \
                within a minute, or when it starts";
    Check::warn(CONFIG_JSON, seen, cure)
}

async fn cache_image(archive: &ArchiveReader, picked: &Picked) -> Check {
    match archive.cache_image(&picked.manifest).await {
        Ok(image) => {
            let bytes = image.map_or(0, |image| image.expands_to());
            Check::pass(CACHE_IMAGE, format!("as the manifest says; an LMDB of {bytes} bytes"))
        }
        Err(error) => Check::fail(
            CACHE_IMAGE,
            error.to_string(),
            "lifeboat import can't fill a node's LMDB cache from this snapshot, the relay can restore it all the same; the \
             next snapshot gets an image of its own",
        ),
    }
}
