//! Checks of the store: each right that the role needs, and none that it doesn't; conditional writes; its clock. What
//! lies in it is looked at in `backup`.

use std::path::Path;
use std::time::{Duration, SystemTime};

use lifeboat_core::export::election::ElectionSetting;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::storage_url::StorageUrl;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::{Conditions, Skew, StorageError};
use tokio::time::timeout;

use super::check::{Check, Verdict};
use crate::archive::{Archive, Author, Operator};
use crate::settings::{Role, StoreSettings};

const STORE: &str = "store";
const LISTING: &str = "store: list";
const READING: &str = "store: read";
const WRITING: &str = "store: write";
const CONDITIONS: &str = "store: conditional writes";
const REPLACING: &str = "store: replace";
const ELECTION: &str = "store: election";
const CLOCK: &str = "clock";
/// A store that needs longer for a listing or a small object is of no use in an outage.
/// Longer than one request may take, so that it is known what holds it up.
const LIMIT: Duration = Duration::from_secs(35);
/// Clocks that are this far apart are not kept by anything.
const SKEW_WARNING: Duration = Duration::from_secs(30);
/// S3, Google and Azure refuse requests that are this far off.
const SKEW_LIMIT: Duration = Duration::from_secs(15 * 60);

/// A store's clock has whole seconds only.
const MEASURED: Duration = Duration::from_secs(2);

/// What was found out about a store.
#[derive(Debug)]
pub(super) struct Findings {
    pub(super) checks: Vec<Check>,
    /// For which versions of Kong there are backups in it, as far as it may be listed.
    pub(super) versions: Vec<KongVersion>,
    /// Whether there is any use in looking further.
    pub(super) is_readable: bool,
}

/// Opens the store as the role would.
pub(super) fn open(settings: &StoreSettings, role: Role) -> Result<Operator, Check> {
    if let StorageUrl::File { path } = &settings.url
        && role == Role::Importer
        && !Path::new(path).exists()
    {
        let cure = "let the exporter make it, or set KONG_CLUSTER_FALLBACK_CONFIG_STORAGE to where it writes";
        return Err(Check::fail(STORE, format!("the folder {path} is not there"), cure));
    }
    Archive::open(settings).map(Operator::new).map_err(|error| failed(STORE, &error))
}

/// That the folder was not there: opening makes it, as `lifeboat run` does, and a mistyped path looks the same.
pub(super) fn new_folder(settings: &StoreSettings) -> Option<Check> {
    let StorageUrl::File { path } = &settings.url else { return None };
    let seen = format!("the folder {path} was not there, and was made, as lifeboat run makes it");
    let cure = "if it should have been there, check KONG_CLUSTER_FALLBACK_CONFIG_STORAGE";
    (!Path::new(path).exists()).then(|| Check::warn(STORE, seen, cure))
}

pub(super) async fn findings(
    archive: &Operator,
    role: Role,
    author: Option<&Author>,
    election: ElectionSetting,
    clock: Clock,
) -> Findings {
    let (listed, read) = tokio::join!(timeout(LIMIT, archive.versions()), timeout(LIMIT, reading(archive, author)));
    let versions = listed.as_ref().ok().and_then(|listed| listed.as_ref().ok()).cloned().unwrap_or_default();
    // Of a bucket that does not exist some servers say that it has no such object, and make it for the first write.
    let is_there = !matches!(listed, Ok(Err(StorageError::Misconfigured { .. })));
    let listing = listed.map_or_else(|_| too_late(LISTING, archive), |listed| listing(listed, role));
    let read = read.unwrap_or_else(|_| Some(too_late(READING, archive)));
    let is_readable = is_there && read.as_ref().map_or(listing.verdict, |read| read.verdict) != Verdict::Fail;
    let mut checks: Vec<Check> = [listing].into_iter().chain(read).collect();

    match author {
        // What is dead would only be asked in vain.
        Some(_) if !is_readable => {
            let seen = "not tried: the store can't be read";
            checks.push(Check::fail(WRITING, seen, "see the rows above"));
        }
        Some(author) if role == Role::Importer => checks.push(no_writing(archive, author).await),
        Some(author) => checks.extend(writing(archive, author, election).await),
        None => {}
    }
    checks.extend(archive.skew(SystemTime::from(clock.wall())).map(skew));
    Findings { checks, versions, is_readable }
}

fn listing(listed: Result<Vec<KongVersion>, StorageError>, role: Role) -> Check {
    match listed {
        Ok(versions) if versions.is_empty() => Check::pass(LISTING, "allowed; nothing is there yet"),
        Ok(versions) => {
            let versions: Vec<String> = versions.iter().map(ToString::to_string).collect();
            Check::pass(LISTING, format!("allowed; there are objects for Kong {}", versions.join(", ")))
        }
        Err(StorageError::Denied { .. }) if role == Role::Importer => Check::pass(
            LISTING,
            "not allowed, and not needed while the newest snapshot is whole: older ones can't be fallen back to",
        ),
        Err(error) => failed(LISTING, &error),
    }
}

async fn reading(archive: &Operator, author: Option<&Author>) -> Option<Check> {
    let version = author?.version;
    Some(match archive.has_manifest(version).await {
        Ok(true) => Check::pass(READING, format!("allowed; there is a manifest for Kong {version}")),
        Ok(false) => Check::pass(READING, format!("allowed; there is no manifest for Kong {version} yet")),
        Err(error) => failed(READING, &error),
    })
}

async fn writing(archive: &Operator, author: &Author, election: ElectionSetting) -> Vec<Check> {
    if let Err(error) = archive.try_writing_and_reading(author).await {
        return vec![failed(WRITING, &error)];
    }
    let written = Check::pass(WRITING, "allowed; the bytes that were read back are those that were written");
    match archive.probe_as_visitor(author).await {
        Ok(conditions) => {
            vec![written, conditional(&conditions, election), replacing(archive, author, &conditions).await]
        }
        Err(error) => vec![written, failed(CONDITIONS, &error)],
    }
}

fn conditional(conditions: &Conditions, election: ElectionSetting) -> Check {
    let seen = conditions.to_string();
    if conditions.lease_possible() {
        return Check::pass(CONDITIONS, seen);
    }
    if election == ElectionSetting::Lease {
        let cure = "nothing will be published with LIFEBOAT_ELECTION=lease, which rests on conditional writes: set \
                    LIFEBOAT_ELECTION=auto, or use a store that honours If-Match and If-None-Match";
        return Check::fail(CONDITIONS, seen, cure);
    }

    let cure = if conditions.deceive() {
        "this store's answers can't be trusted: let one exporter alone write here, or use a store that honours If-Match and \
         If-None-Match"
    } else if conditions.are_unclear() {
        "let one exporter alone write here, and try again when the store answers every request"
    } else {
        "let one exporter alone write here; with a store that honours If-Match and If-None-Match several could"
    };
    Check::warn(CONDITIONS, seen, cure)
}

/// Where the election is held, if that is or should be another store: whether it can be held there, and whether that is where the
/// others hold it.
pub(super) async fn election(
    settings: &StoreSettings,
    archive: &Operator,
    author: &Author,
    setting: ElectionSetting,
) -> Option<Check> {
    let elsewhere = match Archive::open_election(settings) {
        Ok(elsewhere) => elsewhere,
        Err(error) => return Some(failed(ELECTION, &error)),
    };
    let own = elsewhere.as_ref().unwrap_or(archive).place();
    match archive.election_mark(author.version).await {
        Ok(Some(mark)) if mark.storage != own => {
            let seen =
                format!("it is held in {}, and the settings say {own}: this exporter would not lead", mark.storage);
            let cure = "set LIFEBOAT_ELECTION_STORAGE to the same for all exporters, or delete lifeboat/election.json if nobody \
                        elects there any more";
            return Some(Check::fail(ELECTION, seen, cure));
        }
        Ok(_) => {}
        Err(error) => return elsewhere.map(|_| failed(ELECTION, &error)),
    }

    let elsewhere = elsewhere?;
    Some(match elsewhere.probe_as_visitor(author).await {
        Ok(conditions) => Check { name: ELECTION, ..conditional(&conditions, setting) },
        Err(error) => failed(ELECTION, &error),
    })
}

// As an exporter replaces the manifest, and a command of an operator's.
async fn replacing(archive: &Operator, author: &Author, conditions: &Conditions) -> Check {
    match archive.try_replacing(author).await {
        Ok(()) if conditions.swap_is_compared() => Check::pass(REPLACING, "works; the store itself compares versions"),
        Ok(()) => Check::pass(REPLACING, "works; Lifeboat looks before it writes, since the store compares nothing"),
        Err(error) => Check {
            cure: Some(
                "nothing that is published here could be replaced, neither by an exporter nor by rollback, pin or release: \
                 use another store"
                    .to_owned(),
            ),
            ..failed(REPLACING, &error)
        },
    }
}

async fn no_writing(archive: &Operator, author: &Author) -> Check {
    match archive.try_writing(author).await {
        Err(StorageError::Denied { .. }) => Check::pass(WRITING, "not allowed, and not needed by an importer"),
        Ok(()) => Check::warn(
            WRITING,
            "allowed, and an importer needs no such right",
            "take it away: anyone who can write here decides what restored nodes run (deploy/iam has policies for \
             each role)",
        ),
        Err(error) => failed(WRITING, &error),
    }
}

fn skew(skew: Skew) -> Check {
    let cure = "let both hosts keep their time by NTP; requests to a store are refused at about 15 minutes";
    let size = skew.size();
    if size >= SKEW_LIMIT {
        Check::fail(CLOCK, skew.to_string(), cure)
    } else if size >= SKEW_WARNING {
        Check::warn(CLOCK, skew.to_string(), cure)
    } else if size < MEASURED {
        Check::pass(CLOCK, "the store's and ours agree")
    } else {
        Check::pass(CLOCK, skew.to_string())
    }
}

/// What a store's error is as a row.
pub(super) fn failed(name: &'static str, error: &StorageError) -> Check {
    let cure = match error {
        StorageError::Denied { cure, .. } => cure.clone(),
        StorageError::Unavailable { .. } => {
            "look whether the store is up and reachable from here, and whether its address is right".to_owned()
        }
        StorageError::NotFound { .. }
        | StorageError::Conflict { .. }
        | StorageError::NotLeading { .. }
        | StorageError::ReadBackDiffers { .. } => "look at who else writes to this place".to_owned(),
        StorageError::Misconfigured { .. } | StorageError::Unusable { .. } => {
            "correct the setting or the object that is named".to_owned()
        }
        StorageError::Later { .. } => "update lifeboat here, and leave the object as it is".to_owned(),
    };

    Check::fail(name, error.to_string(), cure)
}

fn too_late(name: &'static str, archive: &Operator) -> Check {
    let cure = "look whether the store is up and reachable from here, and whether its address is right";
    let seen = format!("not done within {} s", LIMIT.as_secs());
    match archive.newest_failure() {
        Some(failure) => Check::fail(name, format!("{seen}: {failure}"), cure),
        None => Check::fail(name, seen, cure),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lifeboat_storage::Ability;

    #[test]
    fn a_lease_that_is_demanded_and_impossible_fails() {
        let conditions = Conditions { create: Ability::Honoured, swap: Ability::Refused("501".to_owned()) };
        assert_eq!(conditional(&conditions, ElectionSetting::Auto).verdict, Verdict::Warn);
        let failed = conditional(&conditions, ElectionSetting::Lease);
        assert_eq!(failed.verdict, Verdict::Fail);
        assert!(failed.cure.unwrap().contains("LIFEBOAT_ELECTION=auto"));
    }

    #[test]
    fn clocks_that_are_far_apart_are_told_from_those_that_agree() {
        let own = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let apart = |seconds| skew(Skew::new(own + Duration::from_secs(seconds), own));
        assert_eq!(apart(1).seen, "the store's and ours agree");
        assert_eq!(apart(10).verdict, Verdict::Pass);
        assert_eq!(apart(60).verdict, Verdict::Warn);
        let far = apart(16 * 60);
        assert_eq!(far.verdict, Verdict::Fail);
        assert!(far.seen.contains("16m behind"), "{}", far.seen);
    }
}
