//! What each store answers to somebody whom it doesn't let in, and whether Lifeboat says what is really wrong.

use lifeboat_tests::cluster::Cluster;
use lifeboat_tests::program::{Finished, Invocation};

use super::server::{Kind, Store};
use crate::installed::installed;

/// What is wrong with the settings or the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mistake {
    AccessKey,
    Secret,
    Bucket,
    /// The key is good, and its user has no right to this bucket.
    NoRight,
    ClockBehind,
    ClockAhead,
}

use Mistake::{AccessKey, Bucket, ClockAhead, ClockBehind, NoRight, Secret};

/// What must be said of it, or that this store doesn't mind.
enum Expected {
    Says(&'static str),
    LetIn,
}

use Expected::{LetIn, Says};

const UNKNOWN_KEY: &str = "the store doesn't know AWS_ACCESS_KEY_ID";
const WRONG_SECRET: &str = "AWS_SECRET_ACCESS_KEY is not the secret of AWS_ACCESS_KEY_ID";
const NO_BUCKET: &str = "the bucket does not exist: check KONG_CLUSTER_FALLBACK_CONFIG_STORAGE";
const BEHIND: &str = "behind the store's: set it (NTP)";
const AHEAD: &str = "ahead of the store's: set it (NTP)";

/// What each store's answers must be understood as.
fn expected(kind: Kind) -> Vec<(Mistake, Expected)> {
    match kind {
        Kind::Azurite => vec![
            (Secret, Says("AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN is not of this account")),
            (Bucket, Says("the container does not exist: check KONG_CLUSTER_FALLBACK_CONFIG_STORAGE")),
            (ClockBehind, LetIn),
            (ClockAhead, LetIn),
        ],
        Kind::Ceph => vec![
            (AccessKey, Says(UNKNOWN_KEY)),
            (Secret, Says(WRONG_SECRET)),
            (Bucket, Says(NO_BUCKET)),
            (NoRight, Says("these credentials need s3:ListBucket")),
            (ClockBehind, Says(BEHIND)),
            (ClockAhead, Says(AHEAD)),
        ],
        Kind::JuiceFs | Kind::Rclone => vec![
            (AccessKey, Says(UNKNOWN_KEY)),
            (Secret, Says(WRONG_SECRET)),
            (Bucket, Says(NO_BUCKET)),
            (ClockBehind, Says(BEHIND)),
            (ClockAhead, Says(AHEAD)),
        ],
        // It checks no signatures of version 4.
        Kind::S3rver => vec![
            (AccessKey, Says(UNKNOWN_KEY)),
            (Secret, LetIn),
            (Bucket, Says(NO_BUCKET)),
            (ClockBehind, Says(BEHIND)),
            (ClockAhead, Says(AHEAD)),
        ],
        // It does not tell a wrong secret from an unknown key.
        Kind::Swift => vec![
            (AccessKey, Says(WRONG_SECRET)),
            (Secret, Says(WRONG_SECRET)),
            (Bucket, Says(NO_BUCKET)),
            (NoRight, Says("these credentials need s3:ListBucket")),
            (ClockBehind, Says(BEHIND)),
            (ClockAhead, Says(AHEAD)),
        ],
        // It lets everybody in.
        Kind::FakeGcs => vec![],
    }
}

/// Makes each mistake, and compares what is said.
///
/// # Panics
/// When something else is said: with all that was.
pub(super) async fn each_mistake_is_named(store: Store) {
    let cluster = Cluster::start().await;
    let fine = listed(&cluster, &store, None).await;
    assert!(is_let_in(&fine), "without a mistake: {fine}");

    let mut misunderstood = Vec::new();
    for (mistake, expected) in expected(store.kind()) {
        let found = listed(&cluster, &store, Some(mistake)).await;
        let is_understood = match expected {
            Says(words) => found.code == Some(1) && found.stderr.contains(words),
            LetIn => is_let_in(&found),
        };
        if !is_understood {
            misunderstood.push(format!("{mistake:?}: {found}"));
        }
    }
    assert!(misunderstood.is_empty(), "{}", misunderstood.join("\n"));
}

// An empty store has nothing to list, which is another failure.
fn is_let_in(found: &Finished) -> bool {
    found.stdout.contains("no backup") || found.stderr.contains("no backup")
}

async fn listed(cluster: &Cluster, store: &Store, mistake: Option<Mistake>) -> Finished {
    let invocation = store.given_to(cluster.lifeboat(["list"]));
    let invocation = match mistake {
        None => invocation,
        Some(mistake) => with_mistake(invocation, store.kind(), mistake),
    };
    invocation.finish().await
}

fn with_mistake(invocation: Invocation, kind: Kind, mistake: Mistake) -> Invocation {
    match mistake {
        AccessKey => invocation.with("AWS_ACCESS_KEY_ID", "nobody"),
        Secret if kind == Kind::Azurite => invocation.with("AZURE_STORAGE_KEY", "d3Jvbmcga2V5"),
        Secret => invocation.with("AWS_SECRET_ACCESS_KEY", "wrong-secret"),
        Bucket => {
            let elsewhere = match kind {
                Kind::Azurite => "azure://devstoreaccount1/no-such-container/backups",
                _ => "s3://no-such-bucket/backups",
            };
            invocation.with("KONG_CLUSTER_FALLBACK_CONFIG_STORAGE", elsewhere)
        }
        NoRight => {
            let (id, secret) = kind.stranger().expect("this store has users");
            invocation.with("AWS_ACCESS_KEY_ID", id).with("AWS_SECRET_ACCESS_KEY", secret)
        }
        ClockBehind | ClockAhead => {
            let offset = if mistake == ClockBehind { "-2h" } else { "+2h" };
            // It waits and measures as always: only the time of day is another one.
            let invocation = invocation.with("FAKETIME", offset).with("FAKETIME_DONT_FAKE_MONOTONIC", "1");
            invocation.with("LD_PRELOAD", installed("stores/faketime/libfaketime.so.1"))
        }
    }
}
