//! Whether each version of Kong that the control plane's nodes have is kept. The control plane's Admin API tells which.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::StorageError;
use reqwest::Url;

use super::check::{Check, within};
use crate::admin::{Admin, AdminError, DataPlane};
use crate::archive::{Backing, Stores};

const NODES: &str = "backup: nodes";
const LIMIT: Duration = Duration::from_secs(60);
/// Control planes list nodes for two weeks after they have gone; one that is there is seen every 30 s.
const THERE: Duration = Duration::from_secs(3_600);

#[derive(Debug, thiserror::Error)]
enum Unknown {
    #[error(transparent)]
    Admin(#[from] AdminError),
    #[error(transparent)]
    Storage(#[from] StorageError),
}

/// Whether nodes are there of whose version there is no backup.
pub(super) async fn check(admin: Option<Url>, sources: &Stores, clock: Clock) -> Check {
    match admin {
        None => Check::pass(
            NODES,
            "not looked at: LIFEBOAT_ADMIN_URL is not set, and only the Admin API tells which versions data planes have",
        ),
        Some(url) => within(NODES, LIMIT, kept(url, sources, clock)).await,
    }
}

async fn kept(url: Url, sources: &Stores, clock: Clock) -> Check {
    match looked_for(url, sources, clock).await {
        Ok(found) => told(&found),
        Err(Unknown::Admin(error)) => Check::warn(NODES, format!("not known: {error}"), "correct LIFEBOAT_ADMIN_URL"),
        Err(Unknown::Storage(error)) => {
            Check::warn(NODES, format!("not known: {error}"), "see what is said of the store")
        }
    }
}

/// Of each version how many nodes there are, and whether they have a backup.
async fn looked_for(
    url: Url,
    sources: &Stores,
    clock: Clock,
) -> Result<BTreeMap<KongVersion, (usize, Backing)>, Unknown> {
    let nodes = Admin::new(url)?.data_planes().await?;
    let now = clock.wall();
    // Backup nodes restore nothing: a version is kept for others.
    let there = nodes.iter().filter(|node| !node.is_backup && now.since(node.last_seen) < THERE);
    let mut found = BTreeMap::new();

    for DataPlane { version, .. } in there {
        match found.get_mut(version) {
            Some((count, _)) => *count += 1,
            None => {
                let backing = sources.backing(*version).await?;
                found.insert(*version, (1, backing));
            }
        }
    }
    Ok(found)
}

fn told(found: &BTreeMap<KongVersion, (usize, Backing)>) -> Check {
    let listed = |absent: bool| {
        let wanted = found.iter().filter(|(_, (_, backing))| (*backing == Backing::Absent) == absent);
        let named = wanted.map(|(version, (count, _))| format!("{count} of Kong {version}"));
        named.collect::<Vec<_>>().join(", ")
    };
    let without = listed(true);

    if found.is_empty() {
        return Check::pass(NODES, "the control plane has seen no data plane in the last hour");
    }
    if without.is_empty() {
        return Check::pass(NODES, format!("data planes, each with a backup: {}", listed(false)));
    }
    Check::warn(
        NODES,
        format!("data planes without a backup: {without}"),
        "let an exporter keep these versions too (LIFEBOAT_KONG_VERSIONS names several); until then new nodes of them stay \
         empty in an outage",
    )
}

#[cfg(test)]
mod tests {
    use super::super::check::Verdict;
    use super::*;

    #[test]
    fn versions_without_a_backup_are_named_and_only_those() {
        let version = |text: &str| text.parse::<KongVersion>().unwrap();
        let (kept, other) = (version("3.9.1"), version("3.5.0"));
        let has = Backing::Found { of: kept, sizes: None };
        assert_eq!(told(&BTreeMap::new()).verdict, Verdict::Pass);
        let all = told(&BTreeMap::from([(kept, (3, has))]));
        assert_eq!(
            (all.verdict, all.seen.as_str()),
            (Verdict::Pass, "data planes, each with a backup: 3 of Kong 3.9.1")
        );
        let some = told(&BTreeMap::from([(kept, (3, has)), (other, (2, Backing::Absent))]));
        assert_eq!(
            (some.verdict, some.seen.as_str()),
            (Verdict::Warn, "data planes without a backup: 2 of Kong 3.5.0")
        );
    }
}
