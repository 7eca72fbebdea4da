//! The check that a container makes with nothing but the program itself.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use lifeboat_fakes::recorded;
use lifeboat_tests::page::{http_address, page, page_until};
use lifeboat_tests::program::{Finished, lifeboat};
use rustix::process::Signal;

use super::commands::succeeds;
use super::{Cluster, Store, configuration, relay_address};

async fn checked<const N: usize>(listen: SocketAddr, arguments: [&str; N]) -> Finished {
    let check = lifeboat(["healthcheck"]).and(arguments).with("LIFEBOAT_HTTP_LISTEN", listen.to_string());
    check.finish().await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthcheck_says_how_a_running_lifeboat_is_and_nothing_else_of_its_settings_matters() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let running = store.given_to(cluster.lifeboat(["run", "--import", "on"])).start();
    let address = http_address(&running).await;
    let well = checked(address, []).await;
    assert_eq!((well.code, well.stdout.as_str(), well.stderr.as_str()), (Some(0), "ok\n", ""), "{well}");
    let relay = checked(address, ["--for", "relay"]).await;
    assert_eq!((relay.code, relay.stdout.as_str()), (Some(0), "ready\n"), "{relay}");
    let export = checked(address, ["--for", "export"]).await;
    assert_eq!(export.code, Some(1), "{export}");
    assert!(export.stderr.contains("/readyz/export answers 503: not ready: nothing is kept here"), "{export}");

    // As it may be in the container of a program that waits for somebody to mend its settings.
    let everywhere = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), address.port());
    let broken = lifeboat(["healthcheck"])
        .with("LIFEBOAT_HTTP_LISTEN", everywhere.to_string())
        .with("LIFEBOAT_LOG", "=;=")
        .with("LIFEBOAT_NO_SUCH_SETTING", "1")
        .with("KONG_CLUSTER_CERT", "/no/such/file")
        .with("http_proxy", "http://192.0.2.1:1")
        .finish();
    let broken = broken.await;
    assert_eq!((broken.code, broken.stdout.as_str()), (Some(0), "ok\n"), "{broken}");

    running.signal(Signal::TERM);
    assert_eq!(running.ends().await.code, Some(0));
    let gone = checked(address, []).await;
    assert_eq!(gone.code, Some(1), "{gone}");
    assert!(
        gone.stderr.contains(&format!("nothing listens on {address} (LIFEBOAT_HTTP_LISTEN, LIFEBOAT_HEALTH_LISTEN)")),
        "{gone}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_healthcheck_does_not_wait_for_who_says_nothing_and_is_not_fooled_by_another_program() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let hung = checked(silent.local_addr().unwrap(), ["--timeout", "100ms"]).await;
    assert_eq!(hung.code, Some(1), "{hung}");
    assert!(hung.stderr.contains("did not answer within 100ms"), "{hung}");

    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = other.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::Write;
        let (mut stream, _) = other.accept().unwrap();
        stream.write_all(b"SSH-2.0-OpenSSH_9.9\r\n").unwrap();
    });
    let fooled = checked(address, []).await;
    assert_eq!(fooled.code, Some(1), "{fooled}");
    assert!(fooled.stderr.contains("something else may listen there"), "{fooled}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_for_current_passes_once_each_node_runs_what_was_sent_or_what_is_published() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let running = store.given_to(cluster.lifeboat(["run", "--export", "on", "--import", "on", "--export-delay", "0"]));
    let running = running.with("LIFEBOAT_HEALTH_LISTEN", "127.0.0.1:0").start();
    let (address, relay) = (http_address(&running).await, relay_address(&running).await);
    let is_well = |page: &lifeboat_tests::page::Page| page.status == 200;

    let nobody = checked(address, ["--for", "current"]).await;
    assert_eq!(nobody.code, Some(1), "{nobody}");
    assert!(nobody.stderr.contains("/readyz/current answers 503: not ready: no node is connected"), "{nobody}");
    let node = cluster.node(relay);
    let empty = page_until(address, "/readyz/current", |page| page.body.contains("it has no configuration")).await;
    assert_eq!(empty.status, 503, "{empty:?}");

    cluster.control_plane.push(recorded::first());
    page_until(address, "/readyz/current", is_well).await;
    cluster.control_plane.push(recorded::after_change());
    let changed = configuration(&recorded::after_change());
    node.wait_for(|state| state.hash() == changed.hash).await;
    page_until(address, "/readyz/current", is_well).await;
    page_until(address, "/readyz/export", is_well).await;

    // In an outage, a node keeps what it was sent, and a new one is restored from what is published.
    cluster.control_plane.stop().await;
    let restored = cluster.node(relay);
    restored.wait_for(|state| state.hash() == changed.hash).await;
    page_until(address, "/readyz/current", |page| page.body.starts_with("ready: 2 nodes of this relay")).await;
    let check = checked(address, ["--for", "current"]).await;
    assert_eq!((check.code, check.stderr.as_str()), (Some(0), ""), "{check}");

    // A restored one has an older snapshot than the one that is published now; the other one has what it was sent.
    succeeds(store.given_to(cluster.lifeboat(["rollback", "1", "--yes"]))).await;
    let older = page_until(address, "/readyz/current", |page| page.status == 503).await;
    assert_eq!(older.body.lines().count(), 1, "{older:?}");
    assert!(older.body.contains("it runs another configuration than the published one"), "{older:?}");
    drop((node, restored));
    page_until(address, "/readyz/current", |page| page.body.contains("no node is connected")).await;

    let log = running.log();
    let health = log.split("health alone is on http://").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    assert_eq!(page(health.trim().parse().unwrap(), "/readyz/current").await.status, 503);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_check_for_current_fails_where_there_is_no_relay() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let running = store.given_to(cluster.lifeboat(["run", "--export", "on"])).start();
    let check = checked(http_address(&running).await, ["--for", "current"]).await;
    assert_eq!(check.code, Some(1), "{check}");
    assert!(check.stderr.contains("there is no relay here: KONG_CLUSTER_FALLBACK_CONFIG_IMPORT is off"), "{check}");
}
