//! The node in the process: restored, or not, and why.

use lifeboat_fakes::certificate::Authority;
use lifeboat_tests::keys::{encryption, signing};
use lifeboat_tests::page::{http_address, page_until};
use lifeboat_tests::stage::play;
use lifeboat_tests::world::World;

use super::super::relay_address;
use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn with_the_control_plane_gone_it_passes_and_the_store_is_as_it_was() {
    let site = Site::with(Store::s3().await, &[]).await;
    let (before, server) = (site.objects(), site.store.server.as_ref().unwrap());
    let requests = server.counts();
    let passed = json(&ends(site.drill(["--no-kong", "--output", "json"]), 0).await);
    let expected = configuration(&recorded::after_change());
    assert_eq!((&passed["format"], &passed["verdict"]), (&1.into(), &"pass".into()), "{passed}");
    let version = &passed["versions"][0];
    assert_eq!(version["kong_version"], VERSION);
    let snapshot = &version["snapshot"];
    assert_eq!((&snapshot["sequence"], &snapshot["config_hash"]), (&2.into(), &expected.hash.into()), "{passed}");
    assert_eq!(snapshot["bytes"], expected.table.len());
    assert!(snapshot["age_s"].as_f64().is_some_and(|age| (0.0..600.0).contains(&age)), "{passed}");
    assert!(snapshot["store"].as_str().is_some_and(|store| store.contains("kong/backups")), "{passed}");
    let times: Vec<f64> =
        ["read_s", "running_s", "confirmed_s"].map(|name| version["times"][name].as_f64().unwrap()).into();
    assert!(times[1] > 0.0 && times[2] >= times[1] && passed["took_s"].as_f64().unwrap() >= times[2], "{passed}");
    assert!(version["failure"].is_null() && version["kong"].is_null() && version["remarks"] == serde_json::json!([]));
    let by_sync = &version["incremental_sync"];
    assert!(by_sync["restored"] == true && by_sync["running_s"].as_f64().unwrap() > 0.0, "{passed}");
    assert_eq!(site.objects(), before, "a drill writes nothing");
    let now = server.counts();
    assert_eq!((now.put, now.delete), (requests.put, requests.delete), "and does not try to");
    assert!(now.get > requests.get, "but it reads");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_told_in_a_table_what_an_outage_would_bring() {
    let site = Site::in_a_folder().await;
    let passed = ends(site.drill(["--no-kong"]), 0).await;
    let text = flat(&passed.stdout);
    assert!(text.contains("KONG RESULT SNAPSHOT CONFIGURATION AGE READ RUNNING REAL KONG 3.9.1 pass 2 "), "{passed}");
    assert!(text.contains("if the control plane went now, new data planes would be served"), "{passed}");
    assert_eq!(passed.stderr, "", "what its relay does is not what a live one does");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_live_relay_and_exporter_do_not_notice_and_keep_their_ports() {
    let site = Site::in_a_folder().await;
    let live = site.cluster.lifeboat(["run", "--import", "on", "--export", "on"]);
    let live = site.store.given_to(live).start();
    let (http, relay) = (http_address(&live).await, relay_address(&live).await);
    let node = site.cluster.node(relay);
    node.wait_for(|state| state.applied == 1).await;
    let said = live.log();
    // The same settings, the addresses included, as an operator has them in one file.
    let drill = site.drill(["--no-kong"]).with("LIFEBOAT_RELAY_LISTEN", relay.to_string());
    let drill = drill.with("LIFEBOAT_HTTP_LISTEN", http.to_string()).with("KONG_CLUSTER_FALLBACK_CONFIG_IMPORT", "on");
    let drill = drill.with("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "on");
    ends(drill.with("KONG_CLUSTER_CONTROL_PLANE", site.cluster.control_plane.address().to_string()), 0).await;
    let metrics = page_until(http, "/metrics", |found| found.number("lifeboat_relay_nodes_restored_total") > 0.0).await;
    assert_eq!(metrics.number("lifeboat_relay_nodes_connected"), 1.0);
    assert_eq!(metrics.number("lifeboat_relay_nodes_restored_total"), 1.0, "the drill's node was not its own");
    assert_eq!(node.state().connections, 1);
    let since = live.log()[said.len()..].to_owned();
    assert!(!since.contains("lifeboat-drill"), "{since}");
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_backup_it_fails_and_says_what_to_do() {
    let cluster = Cluster::start().await;
    let site = Site { cluster, store: Store::s3().await };
    let failed = ends(site.drill(["--no-kong", "--output", "json"]), 1).await;
    let failure = &json(&failed)["versions"][0]["failure"];
    assert_eq!(failure["step"], "snapshot", "{failed}");
    assert!(failure["reason"].as_str().unwrap().contains("there is no backup for Kong 3.9.1"), "{failed}");
    assert!(failure["cure"].as_str().unwrap().contains("/readyz/export"), "{failed}");
    assert!(failed.stderr.contains("1 of 1 versions of Kong could not be restored"), "{failed}");
    let failed = ends(site.drill(["--no-kong"]), 1).await;
    assert!(failed.stdout.contains("What to do: ") && failed.stdout.contains("would stay empty"), "{failed}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_key_and_a_dead_store_are_told_apart() {
    let (ours, others) = (encryption("ours"), encryption("others"));
    let site = Site::with(Store::s3().await, &[("LIFEBOAT_ENCRYPTION_KEYS", &ours)]).await;
    ends(site.drill(["--no-kong"]).with("LIFEBOAT_ENCRYPTION_KEYS", &ours), 0).await;
    let wrong = site.drill(["--no-kong", "--output", "json"]).with("LIFEBOAT_ENCRYPTION_KEYS", &others);
    let wrong = json(&ends(wrong, 1).await);
    let failure = &wrong["versions"][0]["failure"];
    assert!(failure["reason"].as_str().unwrap().contains("ours"), "which key it takes is not said: {wrong}");
    let untrusted = site.drill(["--no-kong"]).with("LIFEBOAT_TRUSTED_KEYS", signing("prod").1);
    ends(untrusted.with("LIFEBOAT_ENCRYPTION_KEYS", &ours), 1).await;
    site.store.server.as_ref().unwrap().stop().await;
    let dead = site.drill(["--no-kong", "--output", "json"]).with("LIFEBOAT_ENCRYPTION_KEYS", &ours);
    let dead = json(&ends(dead, 1).await);
    let reason = dead["versions"][0]["failure"]["reason"].as_str().unwrap();
    assert!(reason.contains("refused") || reason.contains("can't be reached"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_snapshot_or_another_versions_passes_and_is_said() {
    let site = Site::in_a_folder().await;
    let kin = site.drill(["--no-kong", "--output", "json"]).with("KONG_VERSION", "3.9.0");
    let kin = json(&ends(kin, 0).await);
    assert_eq!((&kin["verdict"], &kin["versions"][0]["snapshot"]["kong_version"]), (&"warn".into(), &"3.9.1".into()));
    assert!(kin["versions"][0]["remarks"][0].as_str().unwrap().contains("LIFEBOAT_VERSION_MATCH"), "{kin}");
    let exactly = site.drill(["--no-kong"]).with("KONG_VERSION", "3.9.0").with("LIFEBOAT_VERSION_MATCH", "exact");
    ends(exactly, 1).await;
    site.damage_the_newest();
    let older = json(&ends(site.drill(["--no-kong", "--output", "json"]), 0).await);
    assert_eq!(
        (&older["verdict"], &older["versions"][0]["snapshot"]["sequence"]),
        (&"warn".into(), &1.into()),
        "{older}"
    );
    assert!(older["versions"][0]["remarks"][0].as_str().unwrap().contains("SHA-256"), "{older}");
    let too_old = site.drill(["--no-kong"]).with("LIFEBOAT_MAX_AGE", "1s");
    tokio::time::sleep(std::time::Duration::from_millis(1100)).await;
    ends(too_old, 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_version_is_rehearsed_by_itself_and_one_that_fails_fails_the_whole() {
    let site = Site::in_a_folder().await;
    let both = site.drill(["--no-kong", "--output", "json"]).with("LIFEBOAT_KONG_VERSIONS", "3.9.1,3.8.1");
    let both = json(&ends(both, 1).await);
    let verdicts: Vec<&str> =
        both["versions"].as_array().unwrap().iter().map(|v| v["verdict"].as_str().unwrap()).collect();
    assert_eq!(verdicts, ["pass", "fail"]);
    let all = json(&ends(site.drill(["--no-kong", "--output", "json"]).with("KONG_VERSION", ""), 0).await);
    assert_eq!(all["versions"].as_array().unwrap().len(), 1, "all that there are: {all}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_configuration_that_is_too_long_for_data_planes_fails_before_they_do() {
    let site = Site::in_a_folder().await;
    let too_long = site.drill(["--no-kong", "--output", "json"]).with("KONG_CLUSTER_MAX_PAYLOAD", "1024");
    let failed = json(&ends(too_long, 1).await);
    let failure = &failed["versions"][0]["failure"];
    assert_eq!(failure["step"], "node", "{failed}");
    assert!(failure["reason"].as_str().unwrap().contains("cluster_max_payload"), "{failed}");
    assert!(failure["cure"].as_str().unwrap().contains("KONG_CLUSTER_MAX_PAYLOAD"), "{failed}");
}

#[test]
fn with_an_authority_the_nodes_of_a_drill_are_let_in_whatever_name_they_have() {
    play(async {
        let world = World::with_authority(&Authority::new("drill")).await;
        world.keep(&recorded::first()).await;
        let passed = ends(world.program(["drill", "--no-kong", "--output", "json"]), 0).await;
        assert_eq!(json(&passed)["verdict"], "pass", "{passed}");
    });
}
