//! Export: a headless data plane receives configurations, an exporter publishes them as the machine in `core` decides.
//! Between the two is a slot for one configuration, so the newest received wins and a slow store never builds a queue.

mod cache_images;
mod clearance;
mod decoder;
mod election_driver;
mod exporter;
mod headless;
pub mod inquiry;
mod log_lines;
mod mirror;
mod newest;
mod observations;
mod payload_messages;
mod probing;
mod pruner;
mod publication_log;
mod published_payload;
mod schemas;
mod snapshot_writer;
mod store_outage;

use futures::future::BoxFuture;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest;
use lifeboat_runtime::background::or_pending;
use lifeboat_runtime::rng;

use crate::archive::Author;

pub use cache_images::CacheImages;
pub use exporter::{ExportError, Exported, Exporter};
pub use headless::{Headless, News};
pub(crate) use log_lines::certificate_refused;
pub(crate) use mirror::mirror_once;
pub use newest::{Line, Newest};
pub use observations::{NodeObservations, ObservationReceiver, ObservationSender};
pub(crate) use pruner::prune_once;
pub use schemas::{NotKept, SchemaFetcher};

/// Who a backup node is to the control plane.
#[derive(Clone, Debug)]
pub struct BackupNode {
    /// A UUID, new with each start.
    pub id: String,
    /// The host's name.
    pub hostname: String,
    /// The version that it says it is.
    pub version: KongVersion,
}

impl BackupNode {
    /// A backup node of this host.
    pub fn new(version: KongVersion) -> Self {
        Self {
            id: uuid::Builder::from_random_bytes(rng::random()).into_uuid().to_string(),
            hostname: hostname(),
            version,
        }
    }

    /// Who the author of its backups is.
    pub fn author(&self) -> Author {
        let exporter = manifest::Exporter {
            node_id: self.id.clone(),
            hostname: self.hostname.clone(),
            lifeboat: env!("CARGO_PKG_VERSION").to_owned(),
        };
        Author { exporter, version: self.version }
    }

    /// The path and query with which it opens its link (KONG.md section 1).
    fn target(&self) -> String {
        let Self { id, hostname, version } = self;
        format!("/v1/outlet?node_id={id}&node_hostname={hostname}&node_version={}", version.announced())
    }
}

/// What the work under way comes to; never, if there is none. Loses nothing when it is dropped before it is ready.
async fn under_way<T>(work: &mut Option<BoxFuture<'static, T>>) -> T {
    let done = or_pending(work.as_mut()).await;
    *work = None;
    done
}

// Only the characters that need no encoding in a query.
pub(crate) fn hostname() -> String {
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let safe: String = name.chars().filter(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_')).collect();
    if safe.is_empty() { "lifeboat".to_owned() } else { safe }
}
