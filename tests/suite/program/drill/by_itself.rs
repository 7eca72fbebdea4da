//! Drills that nobody asks for: of `lifeboat run`, and from cron with a file for node_exporter.

use lifeboat_tests::page::{http_address, page, page_until};

use super::*;

const OF_VERSION: &str = "{kong_version=\"3.9.1\"}";

fn series(name: &str) -> String {
    format!("lifeboat_drill_{name}{OF_VERSION}")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exporter_that_leads_drills_and_tells_when_no_node_could_be_restored_any_more() {
    let site = Site::in_a_folder().await;
    let exporter = |name: &str| {
        let start = site.cluster.lifeboat(["run", "--export", "on", "--drill-every", "1s"]).with("HOSTNAME", name);
        site.store.given_to(start).start()
    };
    let leader = exporter("one");
    let at = http_address(&leader).await;
    let good = page_until(at, "/metrics", |found| found.body.contains(&series("success"))).await;
    assert_eq!(good.number(&series("success")), 1.0, "{}", leader.log());
    for positive in
        ["last_timestamp_seconds", "last_success_timestamp_seconds", "duration_seconds", "last_seen_timestamp_seconds"]
    {
        assert!(good.number(&series(positive)) > 0.0, "{positive}");
    }
    leader.says("the drill passed for Kong 3.9.1: an empty node ran configuration ").await;
    let follower = exporter("other");
    let other = http_address(&follower).await;
    page_until(other, "/metrics", |found| found.body.contains("lifeboat_keep_leader{")).await;

    // What nobody could be restored from.
    for file in stored::files(&site.store.objects) {
        if file.to_string_lossy().ends_with(".json.gz") {
            std::fs::write(file, b"damaged").unwrap();
        }
    }
    let bad = page_until(at, "/metrics", |found| found.number(&series("success")) == 0.0).await;
    let (last, success) = ("last_timestamp_seconds", "last_success_timestamp_seconds");
    assert!(bad.number(&series(last)) > bad.number(&series(success)), "when it passed last is not forgotten");
    let said = leader.says("the drill failed for Kong 3.9.1: ").await;
    assert!(said.contains("What to do: "), "{said}");
    let status: Value = serde_json::from_str(&page(at, "/status").await.body).unwrap();
    let drill = &status["export"][0]["drill"];
    assert!(drill["passed"] == false && drill["reason"].is_string() && drill["last_success"].is_string(), "{status}");
    let log = leader.log();
    assert!(!log.contains("the relay listens on") && !log.contains("lifeboat-drill"), "{log}");
    assert!(!page(other, "/metrics").await.body.contains("lifeboat_drill_"), "only who leads drills");
    let status: Value = serde_json::from_str(&page(other, "/status").await.body).unwrap();
    assert!(status["export"][0]["drill"].is_null(), "{status}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drill_from_cron_leaves_its_result_for_node_exporter() {
    let site = Site::in_a_folder().await;
    let file = site.cluster.path("lifeboat-drill.prom");
    let drill = || site.drill(["--no-kong", "--metrics-file", file.to_str().unwrap()]);
    ends(drill(), 0).await;
    let read = || std::fs::read_to_string(&file).unwrap();
    let line = |text: &str, name: &str| {
        let begin = format!("{} ", series(name));
        text.lines().find_map(|line| line.strip_prefix(&begin)).unwrap_or_else(|| panic!("{name}: {text}")).to_owned()
    };
    let good = read();
    assert_eq!(line(&good, "success"), "1");
    assert!(!good.contains("lifeboat_build_info") && !good.contains("# EOF"), "only what a drill tells: {good}");
    site.damage_the_newest();
    std::fs::remove_file(site.object(&format!("{}.json.gz", configuration(&recorded::first()).hash))).unwrap();
    ends(drill(), 1).await;
    let bad = read();
    assert_eq!(line(&bad, "success"), "0");
    let success = "last_success_timestamp_seconds";
    assert_eq!(line(&bad, success), line(&good, success));
    let beside = std::fs::read_dir(file.parent().unwrap()).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!beside.into_iter().any(|name| name.to_string_lossy().ends_with(".tmp")), "nothing else stays");
    // A store in which nothing is left, and no setting that says which versions there should be.
    std::fs::remove_dir_all(&site.store.objects).unwrap();
    std::fs::create_dir(&site.store.objects).unwrap();
    std::fs::write(&file, &good).unwrap();
    let lost = ends(drill().with("KONG_VERSION", ""), 1).await;
    assert!(lost.stderr.contains("there are no backups in ") && lost.stderr.contains("start an exporter"), "{lost}");
    assert_eq!((line(&read(), "success"), line(&read(), success)), ("0".to_owned(), line(&good, success)));
    let nowhere = site.drill(["--no-kong", "--metrics-file", "/no/such/folder/x.prom"]);
    let nowhere = ends(nowhere, 1).await;
    assert!(nowhere.stderr.contains("--metrics-file: /no/such/folder/x.prom can't be written"), "{nowhere}");
}

#[tokio::test]
async fn how_often_is_a_duration_or_off() {
    let wrong = lifeboat(["run", "--export", "on", "--drill-every", "daily"]).finish().await;
    assert_eq!(wrong.code, Some(2), "{wrong}");
    assert!(wrong.stderr.contains("--drill-every: \"daily\" is not a duration"), "{wrong}");
}
