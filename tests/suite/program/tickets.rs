//! A ticket restores one snapshot, on a node that has no cloud credentials, for as long as it says.

use std::time::Duration;

use lifeboat_core::ticket::Ticket;
use lifeboat_fakes::recorded;
use lifeboat_tests::program::{Finished, Invocation};
use serde_json::Value;
use tokio::time::timeout;

use super::{Cluster, Store, configuration, relay_address};

/// A cluster that has kept two configurations and whose control plane is gone.
async fn outage(store: &Store) -> Cluster {
    let cluster = Cluster::start().await;
    for message in [recorded::first(), recorded::after_change()] {
        cluster.control_plane.push(message);
        let kept = store.given_to(cluster.lifeboat(["export"])).finish().await;
        assert_eq!(kept.code, Some(0), "{kept}");
    }
    cluster.control_plane.stop().await;
    cluster
}

async fn presign(cluster: &Cluster, store: &Store, arguments: &[&str]) -> Finished {
    let presigned = store.given_to(cluster.lifeboat(["presign"])).and(arguments).finish().await;
    assert_eq!(presigned.code, Some(0), "{presigned}");
    presigned
}

/// Restores an empty node by a relay that is started so, and gives the relay's log.
async fn restores(cluster: &Cluster, relay: Invocation, message: &[u8]) -> String {
    let relay = relay.start();
    let expected = configuration(message);
    let node = cluster.node(relay_address(&relay).await);
    let fed = timeout(Duration::from_secs(60), node.wait_for(|state| state.hash() == expected.hash)).await;
    assert!(fed.is_ok(), "the node was not restored:\n{}", relay.log());
    assert!(node.configuration().as_ref() == Some(&expected.table), "the node's bytes are not the control plane's");
    relay.kill().await.stderr
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_without_credentials_is_restored_by_a_ticket() {
    let store = Store::s3().await;
    let cluster = outage(&store).await;
    let presigned = presign(&cluster, &store, &[]).await;
    assert_eq!(presigned.stdout.lines().count(), 1, "{presigned}");
    for said in ["snapshot 2 of Kong 3.9.1", &configuration(&recorded::after_change()).hash, "until 20", "a secret"] {
        assert!(presigned.stderr.contains(said), "{said:?}: {presigned}");
    }
    let with_ticket = cluster.lifeboat(["run", "--import", "on"]).with("LIFEBOAT_TICKET", presigned.stdout.trim());
    let log = restores(&cluster, with_ticket.with("LIFEBOAT_LOG", "trace"), &recorded::after_change()).await;
    assert!(log.contains("snapshot 2 from the ticket"), "{log}");
    let link = Ticket::decode(&presigned.stdout).unwrap().payload_url;
    for secret in [presigned.stdout.trim(), link.split("X-Amz-Signature=").nth(1).unwrap()] {
        assert!(!log.contains(secret), "a ticket is a secret, and the log has it:\n{log}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_may_be_for_an_older_snapshot_and_stand_in_a_file() {
    let store = Store::s3().await;
    let cluster = outage(&store).await;
    let presigned = presign(&cluster, &store, &["1", "--expires-in", "2h", "--output", "json"]).await;
    let issued: Value = serde_json::from_str(&presigned.stdout).unwrap();
    assert_eq!((issued["sequence"].as_u64(), issued["may_end_sooner"].as_bool()), (Some(1), Some(false)));
    assert_eq!(issued["config_hash"], *configuration(&recorded::first()).hash);
    let file = cluster.path("ticket");
    std::fs::write(&file, format!("{}\n", issued["ticket"].as_str().unwrap())).unwrap();
    let with_ticket = cluster.lifeboat(["run", "--import", "on"]).with("LIFEBOAT_TICKET_FILE", &file);
    restores(&cluster, with_ticket, &recorded::first()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_ticket_says_when_it_ended_and_what_to_do() {
    let store = Store::s3().await;
    let cluster = outage(&store).await;
    let presigned = presign(&cluster, &store, &["--expires-in", "1s"]).await;
    let ticket = Ticket::decode(&presigned.stdout).unwrap();
    tokio::time::sleep(Duration::from_millis(2_100)).await;
    let relay = cluster.lifeboat(["run", "--import", "on"]).with("LIFEBOAT_TICKET", presigned.stdout.trim()).start();
    let node = cluster.node(relay_address(&relay).await);
    let said = relay.says("is not accepted").await;
    assert!(said.contains(&ticket.expires.to_string()) && said.contains("lifeboat presign"), "{said}");
    assert!(node.configuration().is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ticket_that_was_cut_off_or_cannot_be_used_is_refused_at_the_start() {
    let store = Store::s3().await;
    let cluster = outage(&store).await;
    let presigned = presign(&cluster, &store, &[]).await;
    let half = &presigned.stdout[..presigned.stdout.len() / 2];
    let run = || cluster.lifeboat(["run", "--import", "on"]);
    for (ticket, said) in [(half, "cut off"), ("s3://kong/backups", "it is not a ticket")] {
        let refused = run().with("LIFEBOAT_TICKET", ticket).finish().await;
        assert_eq!(refused.code, Some(2), "{refused}");
        assert!(refused.stderr.contains("LIFEBOAT_TICKET: ") && refused.stderr.contains(said), "{refused}");
        assert!(!refused.stderr.contains(ticket), "{refused}");
    }
    let export = store.given_to(run().and(["--export", "on"])).with("LIFEBOAT_TICKET", presigned.stdout.trim());
    let refused = export.finish().await;
    assert_eq!(refused.code, Some(2), "{refused}");
    assert!(refused.stderr.contains("a ticket can only be restored from"), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_that_no_node_could_use_gets_no_ticket() {
    let store = Store::s3().await;
    let cluster = outage(&store).await;
    let manifest: Value = serde_json::from_slice(&std::fs::read(store.manifest_json()).unwrap()).unwrap();
    let payload = store.objects.join(manifest["snapshot"]["key"].as_str().unwrap());
    std::fs::write(&payload, b"half").unwrap();
    let refused = store.given_to(cluster.lifeboat(["presign"])).finish().await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused}");
    assert!(refused.stderr.contains("is not accepted") && refused.stderr.contains("incomplete"), "{refused}");
    let older = presign(&cluster, &store, &["1"]).await;
    assert!(older.stderr.contains("snapshot 1"), "{older}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_gives_no_tickets_and_says_which_stores_do() {
    let store = Store::folder();
    let cluster = outage(&store).await;
    let refused = store.given_to(cluster.lifeboat(["presign"])).finish().await;
    assert_eq!((refused.code, refused.stdout.as_str()), (Some(1), ""), "{refused}");
    assert!(refused.stderr.contains("S3, Google Cloud Storage or Azure"), "{refused}");
}

/// What a Kong 2.8 would find in its cache.
fn cached(prefix: &std::path::Path) -> Vec<u8> {
    let mut json = Vec::new();
    let file = std::fs::File::open(prefix.join("config.cache.json.gz")).unwrap();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(file), &mut json).unwrap();
    json
}

#[tokio::test(flavor = "multi_thread")]
async fn import_fills_an_empty_cache_by_a_ticket_and_leaves_a_filled_one_alone() {
    let (cluster, store) = (Cluster::of("2.8.5").await, Store::s3().await);
    let of_2_8 = |invocation: Invocation| invocation.with("KONG_VERSION", "2.8.5");
    cluster.control_plane.push(recorded::first());
    let kept = of_2_8(store.given_to(cluster.lifeboat(["export"]))).finish().await;
    assert_eq!(kept.code, Some(0), "{kept}");
    let presigned = of_2_8(store.given_to(cluster.lifeboat(["presign"]))).finish().await;
    assert_eq!(presigned.code, Some(0), "{presigned}");
    let ticket = cluster.path("ticket");
    std::fs::write(&ticket, &presigned.stdout).unwrap();
    let prefix = cluster.path("prefix");
    std::fs::create_dir(&prefix).unwrap();
    let import = || of_2_8(cluster.lifeboat(["import", "--ticket"])).and([&ticket]).with("KONG_PREFIX", &prefix);

    let answered = import().finish().await;
    assert_eq!(answered.code, Some(3), "{answered}");
    assert!(answered.stderr.contains("nothing to do: the control plane gives configuration"), "{answered}");
    assert!(!prefix.join("config.cache.json.gz").exists());

    cluster.control_plane.stop().await;
    let filled = import().finish().await;
    assert_eq!(filled.code, Some(0), "{filled}");
    assert_eq!(cached(&prefix), configuration(&recorded::first()).table);

    let again = import().and(["--always"]).finish().await;
    assert_eq!(again.code, Some(3), "{again}");
    assert!(again.stderr.contains("nothing to do: the node has a configuration already"), "{again}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_without_an_image_says_what_a_node_of_kong_3_is_restored_with() {
    let store = Store::s3().await;
    let cluster = outage(&store).await;
    let presigned = presign(&cluster, &store, &[]).await;
    let prefix = cluster.path("prefix");
    std::fs::create_dir(&prefix).unwrap();
    let import = cluster.lifeboat(["import", "--always"]).with("LIFEBOAT_TICKET", presigned.stdout.trim());
    let refused = import.with("KONG_PREFIX", &prefix).finish().await;
    assert_eq!(refused.code, Some(1), "{refused}");
    assert!(refused.stderr.contains("no image") && refused.stderr.contains("--import on"), "{refused}");
}
