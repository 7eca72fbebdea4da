//! The data planes that the control plane's Admin API lists, by version of Kong, and whether each version has a backup: for
//! `doctor` and `verify` once, and for an exporter now and then. A relay looks after those that are connected to it by itself.

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::outage::{OutageLog, Outages};
use lifeboat_runtime::clock::Clock;
use lifeboat_storage::StorageError;
use tokio::time::{sleep, timeout};
use tracing::{debug, info, warn};

use crate::admin::{Admin, AdminError, DataPlane};
use crate::archive::{Backing, Stores};
use crate::observation::Observation;
use crate::settings::AdminApi;

/// How long the Admin API and the stores may take together.
const LIMIT: Duration = Duration::from_secs(60);
/// Control planes list nodes for two weeks after they have gone; one that is there is seen every 30 s.
const THERE: Duration = Duration::from_secs(3_600);
/// How many versions of Kong are looked for. A node may claim any, and each costs requests to the stores.
const MOST_VERSIONS: usize = 20;

/// How long an exporter that has just been started has to publish its first configuration.
const FIRST_WAIT: Duration = Duration::from_secs(5);
/// Somebody is about to mend what is missing, or the Admin API.
const WHILE_MISSING: Duration = Duration::from_secs(60);
/// A backup that is there stays there, and data planes are upgraded seldom.
const WHILE_THERE: Duration = Duration::from_secs(600);

/// The data planes of one version of Kong.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OfVersion {
    /// How many there are.
    pub count: u64,
    /// Whether they have a backup.
    pub backing: Backing,
}

/// Data planes by their version.
pub type ByVersion = BTreeMap<KongVersion, OfVersion>;

/// Why it is not known whether all have a backup.
#[derive(Debug, thiserror::Error)]
pub enum Unknown {
    /// The Admin API.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// A store.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// Either takes too long.
    #[error("the Admin API and the store took more than {} s", LIMIT.as_secs())]
    Slow,
}

/// Looks for data planes without a backup while an exporter runs.
#[derive(Debug)]
pub struct DataPlaneWatch {
    admin: Admin,
    stores: Stores,
    observation: Observation,
    clock: Clock,
    outage: OutageLog,
}

/// Looks whether each version of the data planes that were there in the last hour has a backup.
///
/// # Errors
/// When the Admin API or a store does not tell.
pub async fn by_version(api: &AdminApi, stores: &Stores, clock: Clock) -> Result<ByVersion, Unknown> {
    listed(&Admin::new(api)?, stores, clock).await
}

async fn listed(admin: &Admin, stores: &Stores, clock: Clock) -> Result<ByVersion, Unknown> {
    timeout(LIMIT, look(admin, stores, clock)).await.map_err(|_| Unknown::Slow)?
}

async fn look(admin: &Admin, stores: &Stores, clock: Clock) -> Result<ByVersion, Unknown> {
    let nodes = admin.data_planes().await?;
    let now = clock.wall();
    // Backup nodes restore nothing: a version is kept for others.
    let there = nodes.iter().filter(|node| !node.is_backup && now.since(node.last_seen) < THERE);
    let mut counts = BTreeMap::<KongVersion, u64>::new();
    for DataPlane { version, .. } in there {
        *counts.entry(*version).or_default() += 1;
    }

    let mut found = ByVersion::new();
    for (version, count) in counts.into_iter().take(MOST_VERSIONS) {
        found.insert(version, OfVersion { count, backing: stores.backing(version, now).await? });
    }
    Ok(found)
}

/// Of each version how many have no backup; 0 where there is one.
fn without_backup(found: &ByVersion) -> BTreeMap<KongVersion, u64> {
    let without = |nodes: &OfVersion| if nodes.backing == Backing::Absent { nodes.count } else { 0 };
    found.iter().map(|(version, nodes)| (*version, without(nodes))).collect()
}

impl DataPlaneWatch {
    /// Asks this Admin API, and tells `observation` what it finds.
    pub fn new(admin: Admin, stores: Stores, observation: Observation, clock: Clock) -> Self {
        Self { admin, stores, observation, clock, outage: Outages::default().another() }
    }

    /// Never ends; dropping it stops it.
    pub async fn run(self) {
        let mut known = BTreeMap::new();
        sleep(FIRST_WAIT).await;
        loop {
            let is_complete = self.look_again(&mut known).await;
            sleep(if is_complete { WHILE_THERE } else { WHILE_MISSING }).await;
        }
    }

    /// Whether each version has a backup for certain.
    async fn look_again(&self, known: &mut BTreeMap<KongVersion, u64>) -> bool {
        let found = match listed(&self.admin, &self.stores, self.clock).await {
            Ok(found) => without_backup(&found),
            // What was found before still holds: an outage brings no nodes of other versions.
            Err(error) => {
                self.say_why_not(&error);
                return false;
            }
        };

        if let Some(lasted) = self.outage.works(self.clock.now()) {
            info!("whether each version of the data planes has a backup can be checked again, after {lasted}");
        }
        for (version, nodes) in &found {
            match (known.get(version).copied().unwrap_or_default(), *nodes) {
                (0, nodes @ 1..) => warn!(
                    kong = %version,
                    nodes,
                    "there is no backup for nodes of Kong {version}, which the control plane's Admin API lists: new ones stay \
                     empty in an outage. Let an exporter keep it (LIFEBOAT_KONG_VERSIONS names several), and see that LIFEBOAT_MAX_AGE, if \
                     set, allows its age"
                ),
                (1.., 0) => info!(kong = %version, "there is a backup for nodes of Kong {version} now"),
                _ => {}
            }
        }

        let is_complete = found.values().all(|without| *without == 0);
        self.observation.lists_without_backup(found.clone());
        *known = found;
        is_complete
    }

    fn say_why_not(&self, error: &Unknown) {
        let cause = match error {
            Unknown::Admin(_) => "admin",
            Unknown::Storage(error) => error.class(),
            Unknown::Slow => "slow",
        };
        match self.outage.failed(cause, self.clock.now()) {
            Some(lasted) => warn!(
                "could not check whether each version of the data planes has a backup{lasted}: {error}. Lifeboat tries again; \
                 backups are not affected"
            ),
            None => debug!("could not check whether each version of the data planes has a backup: {error}"),
        }
    }
}
