//! The row of `doctor` and `verify` that says whether each version of Kong among the control plane's data planes has a backup.

use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::progress::step;

use super::check::Check;
use crate::archive::{Backing, Stores};
use crate::data_planes::{ByVersion, Unknown, by_version};
use crate::settings::AdminApi;

const NODES: &str = "backup: nodes";

/// What `doctor` says where nobody can be asked.
pub(super) fn not_looked_at() -> Check {
    Check::pass(
        NODES,
        "not looked at: LIFEBOAT_ADMIN_URL is not set, and only the Admin API tells which versions data planes have",
    )
}

/// Whether there are nodes of a version that has no backup.
pub(super) async fn check(api: &AdminApi, stores: &Stores, clock: Clock) -> Check {
    let _progress = step(format_args!("checking: {NODES}"));
    match by_version(api, stores, clock).await {
        Ok(found) => told(&found),
        Err(error) => {
            let cure = match error {
                Unknown::Admin(_) => "correct LIFEBOAT_ADMIN_URL",
                Unknown::Storage(_) => "see what is said of the store",
                Unknown::Slow => "look at the network on the way, and at the load of the other side",
            };
            Check::warn(NODES, format!("not known: {error}"), cure)
        }
    }
}

fn told(found: &ByVersion) -> Check {
    let listed = |absent: bool| {
        let wanted = found.iter().filter(|(_, nodes)| (nodes.backing == Backing::Absent) == absent);
        let named = wanted.map(|(version, nodes)| format!("{} of Kong {version}", nodes.count));
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
    use lifeboat_core::kong::version::KongVersion;

    use super::super::check::Verdict;
    use super::*;
    use crate::data_planes::OfVersion;

    #[test]
    fn versions_without_a_backup_are_named_and_only_those() {
        let version = |text: &str| text.parse::<KongVersion>().unwrap();
        let (kept, other) = (version("3.9.1"), version("3.5.0"));
        let has = Backing::Found { of: kept, sizes: None };
        let of = |count, backing| OfVersion { count, backing };
        assert_eq!(told(&ByVersion::new()).verdict, Verdict::Pass);
        let all = told(&ByVersion::from([(kept, of(3, has))]));
        assert_eq!(
            (all.verdict, all.seen.as_str()),
            (Verdict::Pass, "data planes, each with a backup: 3 of Kong 3.9.1")
        );
        let some = told(&ByVersion::from([(kept, of(3, has)), (other, of(2, Backing::Absent))]));
        assert_eq!(
            (some.verdict, some.seen.as_str()),
            (Verdict::Warn, "data planes without a backup: 2 of Kong 3.5.0")
        );
    }
}
