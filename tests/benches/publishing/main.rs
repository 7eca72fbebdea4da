//! How long it takes from a control plane's push until `manifest.json` names the configuration, beside the least that it
//! could take: one bare PUT and one bare GET of the same compressed bytes at the same store, in the same run.
//!
//! Run by `cargo bench -p lifeboat-tests --no-default-features --bench publishing`. Everything is as in production, but for the network: the
//! program itself, a store in a process of its own, a control plane at the socket. Rounds are interleaved and medians
//! compared, since other programs disturb a run. Ends with an error if a size is not published within twice the bare
//! requests and 20 ms.

mod bare;
mod report;
mod steps;
mod store;

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use lifeboat_core::kong::reconfigure::{DEFAULT_MAX_CONFIG, decode};
use lifeboat_core::manifest::Manifest;
use lifeboat_tests::cluster::{Cluster, VERSION};
use lifeboat_tests::generator;
use lifeboat_tests::program::Running;

use self::bare::Bare;
use self::report::{Measured, Size};
use self::steps::Steps;
use self::store::{ACCESS_KEY, BUCKET, SECRET_KEY, StoreProcess};

/// Services (and as many routes) that make about 10 KB, 1 MB and 6.6 MB, compressed.
const SIZES: [usize; 3] = [70, 7_900, 50_000];
const ROUNDS: usize = 15;
const PREFIX: &str = "backups";
/// Whoever is looked at so often hardly notices.
const LOOK_EVERY: Duration = Duration::from_micros(250);
/// Nothing that is measured takes nearly as long.
const HUNG: Duration = Duration::from_secs(60);

fn main() -> ExitCode {
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().as_deref() == Some(OsStr::new(store::ARGUMENT)) {
        let folder = arguments.next().expect("the folder follows");
        return store::serve(Path::new(&folder));
    }
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    runtime.block_on(measure())
}

async fn measure() -> ExitCode {
    let folder = tempfile::tempdir().expect("a temporary folder can be made");
    let store = StoreProcess::start(folder.path());
    let bare = Bare::new(store.endpoint());
    let cluster = Cluster::start().await;
    let program = cluster
        .lifeboat(["run"])
        .with("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "on")
        .with("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT_DELAY", "0")
        .with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", format!("s3://{BUCKET}/{PREFIX}"))
        .with("AWS_CONFIG_STORAGE_ENDPOINT", store.endpoint())
        .with("AWS_ACCESS_KEY_ID", ACCESS_KEY)
        .with("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
        .with("LIFEBOAT_MAX_SHRINK", "100")
        .with("LIFEBOAT_LOG", "debug")
        .with("LIFEBOAT_LOG_FORMAT", "json")
        .start();
    program.says("connected to control plane").await;
    let stage = Stage { cluster, program, bare, objects: folder.path().join(BUCKET).join(PREFIX).join(VERSION) };
    // Connections, buffers and caches are warm before anything counts.
    stage.round(&pushed(SIZES[0], ROUNDS)).await;
    let mut sizes = SIZES.map(|_| Size::default());
    for round in 0..ROUNDS {
        for (services, size) in SIZES.iter().zip(&mut sizes) {
            size.add(stage.round(&pushed(*services, round)).await);
        }
    }
    report::print(&sizes, ROUNDS)
}

/// What a control plane sends.
struct Push {
    message: Bytes,
    hash: String,
}

/// Each round's is another configuration.
fn pushed(services: usize, round: usize) -> Push {
    let message = Bytes::from(generator::reconfigure_message(&generator::configuration(services + round)));
    let hash = decode(&message, DEFAULT_MAX_CONFIG).expect("generated").config_hash.to_string();
    Push { message, hash }
}

struct Stage {
    cluster: Cluster,
    program: Running,
    bare: Bare,
    objects: PathBuf,
}

impl Stage {
    /// One push, and after it the bare requests with what was published.
    async fn round(&self, push: &Push) -> Measured {
        let (began, wall) = (Instant::now(), SystemTime::now());
        self.cluster.control_plane.push(push.message.clone());
        let (manifest, published) = self.published(&push.hash, began).await;
        // Until all that belongs to it is written, the program is busy.
        self.program.says(&format!("published configuration {}", push.hash)).await;
        let steps = Steps::read(&self.program.log(), wall);
        let payload = self
            .objects
            .join("lifeboat/snapshots")
            .join(manifest.snapshot.key.rsplit('/').next().expect("a key has a name"));
        let payload = Bytes::from(std::fs::read(payload).expect("who sees a manifest finds its payload"));
        let json = manifest.config.bytes;
        let (put, get) = self.bare.put_and_get(&payload).await;
        Measured { json, payload: payload.len() as u64, published, put, get, steps }
    }

    /// Waits until the manifest names this configuration, and says how long that has taken.
    async fn published(&self, hash: &str, began: Instant) -> (Manifest, Duration) {
        let path = self.objects.join("lifeboat/manifest.json");
        loop {
            let manifest = std::fs::read(&path).ok().and_then(|bytes| Manifest::decode(&bytes).ok());
            let elapsed = began.elapsed();
            if let Some(manifest) = manifest.filter(|manifest| manifest.config_hash.to_string() == hash) {
                return (manifest, elapsed);
            }
            assert!(elapsed < HUNG, "{hash} is not published; lifeboat said:\n{}", self.program.log());
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }
}
