//! `lifeboat drill`, as an operator runs it on a good day: it says what a bad one would bring, and nobody else notices. Real
//! data planes are played by a program (`tests/support/stand_in_kong.rs`).

mod alone;
mod by_itself;
mod documented;
mod real_kong;

use std::collections::BTreeMap;
use std::path::PathBuf;

use lifeboat_fakes::recorded;
use lifeboat_tests::program::{Finished, Invocation, lifeboat};
use serde_json::Value;

use super::{Cluster, Store, VERSION, configuration, stored};

/// A cluster with two snapshots in a store, whose control plane is gone.
struct Site {
    cluster: Cluster,
    store: Store,
}

impl Site {
    async fn with(store: Store, settings: &[(&str, &str)]) -> Self {
        let cluster = Cluster::start().await;
        for message in [recorded::first(), recorded::after_change()] {
            cluster.control_plane.push(message);
            let export = store.given_to(cluster.lifeboat(["export"]));
            let export = settings.iter().fold(export, |export, (name, value)| export.with(name, value));
            let kept = export.finish().await;
            assert_eq!(kept.code, Some(0), "{kept}");
        }
        cluster.control_plane.stop().await;
        Self { cluster, store }
    }

    async fn in_a_folder() -> Self {
        Self::with(Store::folder(), &[]).await
    }

    /// A drill with the settings of a relay or an exporter, and no others.
    fn drill<const N: usize>(&self, arguments: [&str; N]) -> Invocation {
        let drill = lifeboat(["drill"]).and(arguments).with("KONG_VERSION", VERSION);
        let drill = drill.with("KONG_CLUSTER_CERT", &self.cluster.certificate);
        self.store.given_to(drill.with("KONG_CLUSTER_CERT_KEY", &self.cluster.key))
    }

    /// All objects by their paths: bytes, and when they were written.
    fn objects(&self) -> BTreeMap<PathBuf, (Vec<u8>, std::time::SystemTime)> {
        let read = |path: PathBuf| {
            let written = std::fs::metadata(&path).unwrap().modified().unwrap();
            (path.clone(), (std::fs::read(path).unwrap(), written))
        };
        stored::files(&self.store.objects).into_iter().map(read).collect()
    }

    fn object(&self, part: &str) -> PathBuf {
        let mut files = stored::files(&self.store.objects).into_iter();
        files.find(|file| file.to_string_lossy().contains(part)).unwrap_or_else(|| panic!("no {part}"))
    }

    /// So that the newest snapshot's payload isn't what was published.
    fn damage_the_newest(&self) {
        let hash = configuration(&recorded::after_change()).hash;
        let payload = self.object(&format!("{hash}.json.gz"));
        let mut bytes = std::fs::read(&payload).unwrap();
        bytes[100] ^= 1;
        std::fs::write(payload, bytes).unwrap();
    }
}

async fn ends(invocation: Invocation, code: i32) -> Finished {
    let finished = invocation.finish().await;
    assert_eq!(finished.code, Some(code), "{finished}");
    finished
}

fn json(finished: &Finished) -> Value {
    serde_json::from_str(&finished.stdout).unwrap_or_else(|error| panic!("{error}: {finished}"))
}

/// A text whose lines a table may have broken.
fn flat(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
