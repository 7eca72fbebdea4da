//! Where the program listens for those who look at it: a port that is taken, none at all, and one that says where it is.

use std::net::TcpListener;

use lifeboat_tests::page::{http_address, page};
use rustix::process::Signal;

use super::{Cluster, Store};

#[tokio::test(flavor = "multi_thread")]
async fn a_port_that_was_chosen_and_is_taken_ends_the_start_and_names_the_setting() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let run = store.given_to(cluster.lifeboat(["run", "--import", "on", "--http-listen", &address]));
    let ended = run.with("LIFEBOAT_LOG", "off").finish().await;
    assert_eq!(ended.code, Some(1), "{ended}");
    assert!(ended.stderr.contains(&format!("LIFEBOAT_HTTP_LISTEN: {address} can't be listened on")), "{ended}");
    assert!(ended.stderr.contains("choose another port"), "{ended}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_program_answers_until_it_has_ended_and_can_be_told_not_to() {
    let (cluster, store) = (Cluster::start().await, Store::folder());
    let running = store.given_to(cluster.lifeboat(["run", "--import", "on"])).start();
    let address = http_address(&running).await;
    assert_eq!(page(address, "/healthz").await.body, "ok\n");
    assert_eq!(page(address, "/readyz").await.body, "ready\n");
    running.signal(Signal::TERM);
    assert_eq!(running.ends().await.code, Some(0));

    let silent = store.given_to(cluster.lifeboat(["run", "--import", "on", "--http-listen", "off"])).start();
    silent.says("the relay listens on ").await;
    silent.signal(Signal::TERM);
    let ended = silent.ends().await;
    assert_eq!(ended.code, Some(0), "{ended}");
    assert!(!ended.stderr.contains("http://"), "{ended}");
}
