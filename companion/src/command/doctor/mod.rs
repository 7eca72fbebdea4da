//! `lifeboat doctor`: whether everything is as the settings need it, and what to do where it isn't. It asks as a node and
//! as an exporter would, keeps nothing, and writes nothing but the probe's own objects.

mod backup;
mod certificates;
mod control_plane;
mod host;
mod keys;
mod node;
mod report;
mod settings;
mod store;
mod ticket;

use std::sync::Arc;
use std::time::SystemTime;

use lifeboat_core::export::election::ElectionSetting;
use lifeboat_core::kong::reconfigure::DEFAULT_MAX_CONFIG;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::room::NodeLimits;
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::access::Access;

use super::check::{self, Check, Verdict, count};
use super::{Failure, nodes, stdout};
use crate::archive::{Operator, Stores};
use crate::cli::Output;
use crate::export::BackupNode;
use crate::terminal::terminal_width;

use crate::settings::{ReadableSettings, RestoreRules, Role, Source};

/// Versions in a store beyond these are not looked into: somebody keeps old ones.
const VERSIONS: usize = 5;

/// Checks everything that the settings switch on, and fails if something of it does.
pub async fn doctor(source: &Source, output: Output, clock: Clock) -> Result<(), Failure> {
    let checks = examine(ReadableSettings::read(source), clock).await;
    let text = match output {
        Output::Json => report::as_json(&checks),
        Output::Table => report::as_table(&checks, terminal_width(), report::Failures::on_standard_output()),
    };
    stdout::line(&text).map_err(anyhow::Error::from)?;
    match count(&checks, Verdict::Fail) {
        0 => Ok(()),
        failed => Err(anyhow::anyhow!("{failed} of {} checks failed", checks.len()).into()),
    }
}

async fn examine(settings: ReadableSettings, clock: Clock) -> Vec<Check> {
    let now = SystemTime::from(clock.wall());
    let mut checks = settings::checks(&settings);
    let ReadableSettings { role, store, cluster, keep, admin, limits, relay, prefix, .. } = settings;

    if let Some(cluster) = &cluster {
        checks.extend(certificates::checks(cluster, relay.as_ref(), now));
    }
    let max_config = store.as_ref().map(|store| store.max_config);
    let rules = store.as_ref().map(|store| store.restore).unwrap_or_default();
    let keep = keep.unwrap_or_default();
    let versions: Vec<String> = keep.iter().map(|keep| keep.version.to_string()).collect();
    if let [first, _, ..] = &versions[..] {
        checks.push(Check::pass(
            "versions",
            format!(
                "kept are {}; what follows is of {first} (--kong-versions with one of the others shows that one)",
                versions.join(", ")
            ),
        ));
    }

    let keep = keep.into_iter().next();
    let version = keep.as_ref().map(|keep| keep.version);
    let election = keep.as_ref().map(|keep| keep.election).unwrap_or_default();
    let asked = async {
        let cluster = Arc::new(cluster?);
        Some(control_plane::findings(cluster, keep, max_config.unwrap_or(DEFAULT_MAX_CONFIG), clock).await)
    };
    checks.extend(store.as_ref().map(keys::check));
    // A ticket is of one version, and whoever has one sees no other.
    let sources = store.as_ref().filter(|store| !matches!(store.access, Access::Ticket(_)));
    let sources = sources.map(Stores::open_existing);
    let looked = async {
        let store = store?;
        let new_folder = store::new_folder(&store);
        let archive = match store::open(&store, role) {
            Ok(archive) => archive,
            Err(check) => return Some((vec![check], None)),
        };
        let (found, archive) = match &store.access {
            Access::Ticket(ticket) => (ticket::checks(ticket, &archive, role, limits, rules, clock).await, None),
            _ => {
                let (mut checks, archive) = look(archive, role, version, election, limits, rules, clock).await;
                if let (Some(archive), Some(version)) = (&archive, version.filter(|_| role != Role::Importer)) {
                    let author = BackupNode::new(version).author();
                    checks.extend(store::election(&store, archive, &author, election).await);
                }
                (checks, archive)
            }
        };
        Some((new_folder.into_iter().chain(found).collect(), archive))
    };

    let (asked, looked) = tokio::join!(asked, looked);
    let sends = asked.as_ref().and_then(|findings| findings.sends);
    checks.extend(asked.into_iter().flat_map(|findings| findings.checks));
    let is_readable = matches!(&looked, Some((_, Some(_))));
    if let Some((found, archive)) = looked {
        checks.extend(found);
        if let (Some(archive), Some(version), Some(sends)) = (archive, version, sends) {
            checks.extend(backup::current(&archive, version, sends).await);
        }
    }

    if let (Some(sources), true) = (sources, is_readable) {
        checks.push(match admin {
            Some(api) => nodes::check(&api, &sources, clock).await,
            None => nodes::not_looked_at(),
        });
    }
    checks.extend(node::declarative_file(&prefix));
    checks.extend(host::checks(role, max_config));
    checks
}

// The archive is given back if it can be read.
async fn look(
    archive: Operator,
    role: Role,
    version: Option<KongVersion>,
    election: ElectionSetting,
    limits: NodeLimits,
    rules: RestoreRules,
    clock: Clock,
) -> (Vec<Check>, Option<Operator>) {
    let author = version.map(|version| BackupNode::new(version).author());
    let found = store::findings(&archive, role, author.as_ref(), election, clock).await;
    let mut checks = found.checks;

    if !found.is_readable {
        return (checks, None);
    }
    let versions = match version {
        Some(version) => vec![version],
        // A relay serves nodes of any version.
        None => found.versions.into_iter().rev().take(VERSIONS).collect(),
    };
    for version in versions {
        checks.extend(backup::checks(&archive, version, role, limits, rules, clock).await);
    }
    (checks, Some(archive))
}
