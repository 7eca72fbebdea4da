//! `lifeboat verify`: snapshots, read as a node's restore would read them, and what of them is bad. Nothing is written.

mod report;
mod snapshot;

use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::verify::AgeLimit;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::progress::step;
use lifeboat_storage::StorageError;
use lifeboat_storage::access::Access;

use self::snapshot::Examined;
use super::check::{Check, Verdict, worst};
use super::configuration::version;
use super::{Failure, nodes, stdout};
use crate::archive::snapshot_state::REFUSED;
use crate::archive::{ArchiveReader, Pick, PickError, Published, Stores};
use crate::cli::{Output, Verify};
use crate::evidence::Conditions;
use crate::settings::{LookSettings, RestoreRules, Source};
use crate::terminal::terminal_width;

/// What is bad is looked at again after this: an exporter may be in the middle of publishing, or of deleting what is old.
const SETTLED: Duration = Duration::from_secs(1);

/// What is known of what `manifest.json` names.
enum Newest {
    Absent,
    Published(Box<Published>),
    Unusable(StorageError),
}

/// Examines what was asked for, and fails afterwards if something of it is bad.
pub async fn verify(source: &Source, asked: &Verify, clock: Clock) -> Result<(), Failure> {
    let settings = LookSettings::read(source)?;
    let conditions = Conditions { limits: settings.limits, now: clock.wall() };
    let rules = settings.store.restore;
    let archive = ArchiveReader::open_existing(&settings.store).map_err(anyhow::Error::from)?;
    let examined = if asked.all {
        all(&archive, settings.version, rules, conditions).await?
    } else {
        let version = version(&archive, settings.version).await?;
        let pick = asked.sequence.map_or(Pick::Published, Pick::Sequence);
        let _progress = step(format_args!("verifying a snapshot of Kong {version}"));
        vec![settled(&archive, version, pick, rules, conditions).await.map_err(anyhow::Error::from)?]
    };
    // A ticket is of one version and opens no other.
    let stores = match (&settings.admin, &settings.store.access) {
        (Some(api), access) if !matches!(access, Access::Ticket(_)) => {
            Some((api, Stores::open_existing(&settings.store)))
        }
        _ => None,
    };
    let nodes = match stores {
        Some((api, stores)) => Some(nodes::check(api, &stores, clock).await),
        None => None,
    };
    let text = match asked.output {
        Output::Json => report::as_json(&archive, &examined, nodes.as_ref()),
        Output::Table => report::as_table(&archive, &examined, nodes.as_ref(), terminal_width()),
    };

    stdout::line(&text).map_err(anyhow::Error::from)?;
    match examined.iter().filter(|examined| examined.verdict() == Verdict::Fail).count() {
        0 => Ok(()),
        bad => Err(anyhow::anyhow!("{bad} of {} snapshots did not pass", examined.len()).into()),
    }
}

// Of each version the published one first, then all others, newest first.
async fn all(
    archive: &ArchiveReader,
    given: Option<KongVersion>,
    rules: RestoreRules,
    conditions: Conditions,
) -> anyhow::Result<Vec<Examined>> {
    let versions = match given {
        Some(version) => vec![version],
        None => archive.versions().await?,
    };
    let mut examined = Vec::new();

    for version in versions {
        let published = settled(archive, version, Pick::Published, rules, conditions).await;
        let named = match published {
            Ok(published) => {
                let named = published.sequence;
                examined.push(published);
                named
            }
            // There may be held ones, or those whose manifest.json was lost.
            Err(PickError::NoBackup { .. }) => None,
            Err(error) => return Err(error.into()),
        };
        let past = archive.past(version).await?;
        let others = past.iter().rev().filter(|past| snapshot::has_a_manifest(past) && named != Some(past.id.sequence));
        let others: Vec<_> = others.collect();
        let progress = step(format_args!("verifying the snapshots of Kong {version}"));
        for (done, past) in others.iter().enumerate() {
            progress.reached(done as u64, others.len() as u64);
            match settled(archive, version, Pick::Sequence(past.id.sequence), rules, conditions).await {
                Ok(other) => examined.push(other),
                // It was too old, and an exporter has deleted it just now.
                Err(PickError::Storage(StorageError::NotFound { .. })) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    anyhow::ensure!(!examined.is_empty(), "there are no backups in {}", archive.place());
    Ok(examined)
}

async fn settled(
    archive: &ArchiveReader,
    version: KongVersion,
    pick: Pick,
    rules: RestoreRules,
    conditions: Conditions,
) -> Result<Examined, PickError> {
    let mut examined = one(archive, version, pick, rules.age, conditions).await?;
    if examined.verdict() == Verdict::Fail {
        tokio::time::sleep(SETTLED).await;
        examined = one(archive, version, pick, rules.age, conditions).await?;
    }
    if examined.is_published && examined.verdict() == Verdict::Fail {
        examined.instead = Some(snapshot::instead(archive, version, rules, conditions.now).await);
    }
    Ok(examined)
}

async fn one(
    archive: &ArchiveReader,
    version: KongVersion,
    pick: Pick,
    age: AgeLimit,
    conditions: Conditions,
) -> Result<Examined, PickError> {
    match (pick, newest(archive, version).await?) {
        (Pick::Published, Newest::Unusable(error)) => Ok(unusable(version, &error)),
        (Pick::Published, Newest::Absent) => match snapshot::bare(archive, version, age, conditions).await? {
            Some(bare) => Ok(bare),
            // Says what there is instead.
            None => snapshot::examine(archive, version, pick, None, age, conditions).await,
        },
        (_, Newest::Published(published)) => {
            snapshot::examine(archive, version, pick, Some(&published), age, conditions).await
        }
        (_, Newest::Absent | Newest::Unusable(_)) => {
            snapshot::examine(archive, version, pick, None, age, conditions).await
        }
    }
}

async fn newest(archive: &ArchiveReader, version: KongVersion) -> Result<Newest, StorageError> {
    match archive.published(version).await {
        Ok(Some(published)) => Ok(Newest::Published(Box::new(published))),
        Ok(None) => Ok(Newest::Absent),
        Err(error) if error.is_refusal() => Ok(Newest::Unusable(error)),
        Err(error) => Err(error),
    }
}

fn unusable(version: KongVersion, error: &StorageError) -> Examined {
    let key = ObjectKeys::new(version).manifest();
    let cure = match error {
        // Of what was not read, nobody knows whether it is bad.
        StorageError::Unusable { .. } => format!("if its keys are right, delete {key}: the exporter writes it anew"),
        StorageError::Later { .. } => snapshot::LATER.to_owned(),
        _ => snapshot::UNREAD.to_owned(),
    };
    let checks = vec![Check::fail(snapshot::MANIFEST, error.to_string(), cure)];
    let (sequence, config_hash, state, evidence, instead) = (None, None, REFUSED.to_owned(), None, None);
    Examined { version, sequence, config_hash, state, is_published: true, checks, evidence, instead }
}

impl Examined {
    fn verdict(&self) -> Verdict {
        worst(&self.checks)
    }
}
