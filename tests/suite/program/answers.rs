//! What `import` and `exec` do by what a control plane answers: the same table as for the relay and the exporter.

use std::fs;
use std::path::PathBuf;

use lifeboat_tests::program::Finished;

use super::importing::with_image;
use super::{Cluster, Store};
use crate::answers::{Means, TABLE};

const SHOW: &str = "test -z \"$KONG_DECLARATIVE_CONFIG\" || echo restored; echo started";

fn fresh_prefix(cluster: &Cluster, name: String) -> PathBuf {
    let prefix = cluster.path(&name);
    fs::create_dir(&prefix).unwrap();
    prefix
}

fn assert_says(finished: &Finished, words: &[&str]) {
    for word in words {
        assert!(finished.stderr.contains(word), "{word:?} is not said: {finished}");
    }
}

fn is_empty(prefix: &PathBuf) -> bool {
    fs::read_dir(prefix).unwrap().next().is_none()
}

#[tokio::test(flavor = "multi_thread")]
async fn import_and_exec_restore_in_an_outage_at_once_and_never_against_a_refusal() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    with_image(&cluster, &store).await;
    for (number, (behaviour, means, words)) in TABLE.into_iter().enumerate() {
        cluster.control_plane.behave(behaviour);
        let (for_import, for_exec) =
            (fresh_prefix(&cluster, format!("import-{number}")), fresh_prefix(&cluster, format!("exec-{number}")));
        let import = store.given_to(cluster.lifeboat(["import"])).with("KONG_PREFIX", &for_import);
        let exec = store.given_to(cluster.lifeboat(["exec", "--", "sh", "-c", SHOW])).with("KONG_PREFIX", &for_exec);
        let exec = exec.with("KONG_ROLE", "data_plane").with("KONG_DATABASE", "off");
        let (import, exec) = tokio::join!(import.finish(), exec.finish());

        // The gateway starts whatever the answer is.
        assert_eq!(exec.code, Some(0), "{behaviour:?}: {exec}");
        assert_says(&import, words);
        assert_says(&exec, words);
        let (code, started) = match means {
            Means::Outage => (0, "restored\nstarted\n"),
            Means::RefusesNode => (3, "started\n"),
            Means::RefusesCertificate => (1, "started\n"),
        };
        assert_eq!(import.code, Some(code), "{behaviour:?}: {import}");
        assert_eq!(exec.stdout, started, "{behaviour:?}: {exec}");
        assert_eq!(is_empty(&for_import), means != Means::Outage, "{behaviour:?}: {import}");
        assert_eq!(is_empty(&for_exec), means != Means::Outage, "{behaviour:?}: {exec}");
        match means {
            Means::Outage => assert!(!import.stderr.contains("KONG_VERSION"), "{import}"),
            Means::RefusesNode => {
                assert_says(&import, &["LIFEBOAT_FEED_ON_REFUSAL=on"]);
                assert_says(&exec, &["WITHOUT A CONFIGURATION", "LIFEBOAT_FEED_ON_REFUSAL=on"]);
            }
            Means::RefusesCertificate => assert_says(&exec, &["WITHOUT A CONFIGURATION", "SHA-256"]),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_node_is_restored_where_that_is_wanted_and_one_with_a_refused_certificate_never() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    with_image(&cluster, &store).await;
    for (number, (behaviour, means, _)) in TABLE.into_iter().enumerate() {
        if means == Means::Outage {
            continue;
        }
        cluster.control_plane.behave(behaviour);
        let prefix = fresh_prefix(&cluster, format!("kong-{number}"));
        let import = store.given_to(cluster.lifeboat(["import"])).with("LIFEBOAT_FEED_ON_REFUSAL", "on");
        let import = import.with("KONG_PREFIX", &prefix).finish().await;
        let code = if means == Means::RefusesNode { 0 } else { 1 };
        assert_eq!(import.code, Some(code), "{behaviour:?}: {import}");
        assert_eq!(is_empty(&prefix), means == Means::RefusesCertificate, "{import}");
    }
}
