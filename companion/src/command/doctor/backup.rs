//! Checks of what lies in the store for a version of Kong: the newest backup, whether it would be restored now, and
//! whether somebody else writes there.

use std::time::Duration;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::Configuration;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::Manifest;
use lifeboat_core::room::NodeLimits;
use lifeboat_core::verify::{Provenance, Verified};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;
use tokio::time::timeout;

use super::check::{Check, in_words, within};
use super::store::failed;
use crate::archive::{ArchiveReader, ConfigJson, Extent, History, RestoreError, Restored};
use crate::evidence::{Conditions, Evidence, Measure, Verdict};
use crate::settings::{RestoreRules, Role};

const NEWEST: &str = "backup: newest";
const CURRENT: &str = "backup: current";
const CONFIG_JSON: &str = "backup: config.json";
const PLAINTEXT: &str = "backup: plaintext";
const EXPORTERS: &str = "backup: exporters";
/// Enough to fetch the largest configuration over a slow line.
const FETCH_LIMIT: Duration = Duration::from_secs(300);
const LOOK_LIMIT: Duration = Duration::from_secs(30);
/// How many of the newest snapshots are looked at for their exporters.
const RECENT: usize = 10;

pub(super) async fn checks(
    archive: &ArchiveReader,
    version: KongVersion,
    role: Role,
    limits: NodeLimits,
    rules: RestoreRules,
    clock: Clock,
) -> Vec<Check> {
    let mut checks = vec![newest(archive, version, role, limits, rules, clock).await];

    let is_sealing = archive.policy(version).keys.sealing().is_some();
    let beside = async {
        if is_sealing { Some(plaintext(archive, version).await) } else { config_json(archive, version).await }
    };
    checks.extend(timeout(FETCH_LIMIT, beside).await.unwrap_or_default());
    checks.extend(timeout(LOOK_LIMIT, exporters(archive, version)).await.unwrap_or_default());
    checks
}

/// Whether the newest backup is what the control plane sends now.
pub(super) async fn current(archive: &ArchiveReader, version: KongVersion, sends: ConfigHash) -> Option<Check> {
    let published = timeout(LOOK_LIMIT, archive.published(version)).await.ok()?.ok()??;
    let kept = published.manifest.config_hash;
    Some(if kept == sends {
        Check::pass(CURRENT, format!("Kong {version}: {kept} is what the control plane sends now"))
    } else {
        Check::warn(
            CURRENT,
            format!("Kong {version}: the newest backup is {kept}, and the control plane sends {sends}"),
            "look whether the exporter runs and can write; right after a change its export delay explains it",
        )
    })
}

// Some of what can't be used was refused, or is of a later lifeboat: what is to be done differs from object to object.
const VERIFY: &str = "lifeboat verify says of each object what it is and what to do";

/// Whether the newest backup would be restored.
pub(super) async fn newest(
    archive: &ArchiveReader,
    version: KongVersion,
    role: Role,
    limits: NodeLimits,
    rules: RestoreRules,
    clock: Clock,
) -> Check {
    within(NEWEST, FETCH_LIMIT, restorable(archive, version, role, limits, rules, clock)).await
}

async fn restorable(
    archive: &ArchiveReader,
    version: KongVersion,
    role: Role,
    limits: NodeLimits,
    rules: RestoreRules,
    clock: Clock,
) -> Check {
    match archive.restore_by(version, rules, clock.wall()).await {
        Ok(restored) if restored.skipped.is_empty() => {
            let described = described(&restored, version, clock);
            let measure = Measure::of(archive, version, Conditions { limits, now: clock.wall() }).await;
            weighed(version, restored.verified, described, measure).await
        }
        Ok(restored) => {
            let reasons: Vec<String> =
                restored.skipped.iter().map(|skip| format!("{}: {}", skip.key, skip.reason)).collect();
            let seen = format!("{}; unusable: {}", described(&restored, version, clock), reasons.join("; "));
            Check::fail(NEWEST, seen, format!("nodes get the older one. {VERIFY}"))
        }
        Err(RestoreError::Storage(error)) => failed(NEWEST, &error),
        Err(error) => {
            let missing = error.missing().unwrap_or_default();

            if archive.has_manifest(version).await.unwrap_or_default() {
                return Check::fail(NEWEST, missing, format!("no new node of this version can be restored. {VERIFY}"));
            }
            if role == Role::Importer {
                let cure =
                    "let an exporter write here, and check that KONG_VERSION and the prefix are the same on both sides";
                return Check::fail(NEWEST, missing, cure);
            }

            Check::warn(NEWEST, missing, "lifeboat run with export on, or lifeboat export, writes the first one")
        }
    }
}

/// The verdict, by what is known of whether nodes load it ([`Evidence`]).
async fn weighed(version: KongVersion, verified: Verified, described: String, measure: Measure) -> Check {
    let known = computed(move || {
        let manifest = match verified.provenance() {
            Provenance::Manifest(manifest) => Some(Manifest::clone(manifest)),
            Provenance::BareConfigJson => None,
        };
        let configuration = Configuration::from_json(verified.config_json().ok()?.into()).ok()?;
        Some(Evidence::of(&configuration, version, manifest.as_ref(), &measure))
    });
    let Some(known) = known.await else { return Check::pass(NEWEST, described) };
    let seen = format!("{described}; {}", known.said);

    match known.verdict {
        Verdict::Good => Check::pass(NEWEST, seen),
        Verdict::Doubtful => Check::warn(
            NEWEST,
            seen,
            "rehearse an outage with a real data plane (lifeboat drill), which shows whether nodes load it",
        ),
        Verdict::Bad => Check::fail(
            NEWEST,
            seen,
            "publish one that nodes load: lifeboat rollback, or let an exporter write it anew",
        ),
    }
}

fn described(restored: &Restored, version: KongVersion, clock: Clock) -> String {
    let verified = &restored.verified;

    match verified.provenance() {
        Provenance::Manifest(manifest) => format!(
            "Kong {version}: snapshot {} of configuration {}, received {} ago, written by {} ({}, {}, {} \
             bytes); it verifies",
            manifest.sequence,
            manifest.config_hash,
            in_words(clock.wall().since(manifest.times.received)),
            manifest.exporter.hostname,
            manifest.counts.services(),
            manifest.counts.routes(),
            verified.config_bytes(),
        ),
        Provenance::BareConfigJson => format!(
            "Kong {version}: a config.json without a manifest, as Kong's own exporter writes it ({} bytes)",
            verified.config_bytes()
        ),
    }
}

async fn config_json(archive: &ArchiveReader, version: KongVersion) -> Option<Check> {
    let published = archive.published(version).await.ok()??;

    Some(match archive.config_json_beside(&published).await {
        Ok(ConfigJson::AsPublished) => Check::pass(CONFIG_JSON, format!("Kong {version}: as published")),
        Ok(ConfigJson::Newer) => Check::warn(
            CONFIG_JSON,
            format!("Kong {version}: written by someone else after the newest manifest"),
            "look for another exporter (cluster_fallback_config_export=on at a node of Kong's own), and switch off one of \
             the two: they overwrite each other",
        ),
        Ok(ConfigJson::Older | ConfigJson::Absent) => Check::warn(
            CONFIG_JSON,
            format!("Kong {version}: not what is published"),
            "the leading exporter repairs it within a minute; Kong's own import reads it",
        ),
        Err(error) => failed(CONFIG_JSON, &error),
    })
}

// With encryption there must be no config.json, and no snapshot from before encryption.
async fn plaintext(archive: &ArchiveReader, version: KongVersion) -> Check {
    let (left, history) =
        match (archive.plaintext(version).await, archive.history(version, RECENT, Extent::Newest).await) {
            (Err(error), _) => return failed(PLAINTEXT, &error),
            // Without the right to list, only this one object is known.
            (Ok(left), history) => (left, history.ok()),
        };
    let snapshots = history.into_iter().flat_map(|history| history.snapshots);
    let plain = snapshots.filter_map(|listed| listed.manifest).filter(|manifest| manifest.snapshot.sealed.is_none());
    let left: Vec<String> = left.into_iter().chain(plain.map(|manifest| manifest.snapshot.key)).collect();

    if left.is_empty() {
        return Check::pass(PLAINTEXT, format!("Kong {version}: none is left"));
    }
    let seen = format!("Kong {version}: in plain text, from before encryption: {}", left.join(", "));
    let cure =
        "delete them, and their older versions where the store keeps those: private keys and credentials are in them";
    Check::fail(PLAINTEXT, seen, cure)
}

async fn exporters(archive: &ArchiveReader, version: KongVersion) -> Option<Check> {
    let history = archive.history(version, RECENT, Extent::Newest).await.ok()?;
    let names = taking_turns(&history)?;
    Some(Check::warn(
        EXPORTERS,
        format!("Kong {version}: {} take turns in writing the newest snapshots", names.join(" and ")),
        "let one exporter alone write here: stop the others",
    ))
}

// An exporter gets a new id at each start: an id that comes back after another one belongs to an exporter that ran all
// the time.
fn taking_turns(history: &History) -> Option<Vec<String>> {
    let manifests = history.snapshots.iter().filter_map(|listed| listed.manifest.as_ref());
    let authors: Vec<(&str, &str)> =
        manifests.map(|manifest| (&*manifest.exporter.node_id, &*manifest.exporter.hostname)).collect();
    let comes_back = (0..authors.len()).find(|first| {
        let mut later = authors[*first..].iter().skip_while(|author| author.0 == authors[*first].0);
        later.any(|author| author.0 == authors[*first].0)
    })?;
    let back = authors[comes_back];
    let other = authors[comes_back..].iter().find(|author| author.0 != back.0)?;
    Some([back, *other].iter().map(|(id, host)| format!("{host} ({id})")).collect())
}

#[cfg(test)]
mod tests {
    use lifeboat_core::object_key::SnapshotId;

    use super::*;
    use crate::archive::Listed;

    const GOLDEN: &[u8] = include_bytes!("../../../../tests/data/manifest-format-1.json");

    /// Snapshots of these nodes, newest first.
    fn history(nodes: &[&str]) -> History {
        let snapshots = nodes.iter().map(|node| {
            let mut manifest = Manifest::decode(GOLDEN).unwrap();
            manifest.exporter.node_id = (*node).to_owned();
            let id = SnapshotId { sequence: manifest.sequence, config_hash: manifest.config_hash };
            Listed {
                id,
                state: lifeboat_core::object_key::HistoryState::Published,
                manifest: Some(manifest),
                refused: None,
            }
        });
        let version = KongVersion::new(3, 9, 1);
        History { version, published: None, problem: None, snapshots: snapshots.collect(), older: Some(0) }
    }

    #[test]
    fn restarts_are_told_from_exporters_that_take_turns() {
        for peaceful in [&[][..], &["a"], &["c", "b", "b", "a"], &["b", "a", "a"]] {
            assert_eq!(taking_turns(&history(peaceful)), None, "{peaceful:?}");
        }
        for crowded in [&["a", "b", "a"][..], &["c", "b", "b", "a", "b"]] {
            let names = taking_turns(&history(crowded)).unwrap();
            assert!(names.len() == 2 && names.iter().any(|name| name.contains("(b)")), "{crowded:?}: {names:?}");
        }
    }
}
