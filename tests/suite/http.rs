//! What an operator and a Prometheus see: a backup that is good, one that is held, a store that is dead, nodes that live on
//! the backup. Read over HTTP while all of it happens.

use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use lifeboat::companion::Companion;
use lifeboat::metrics::names::{Kind, METRICS};
use lifeboat_fakes::certificate::{CLUSTER_VALIDITY, ClusterCertificate};
use lifeboat_fakes::message::Configuration;
use lifeboat_fakes::node::NodeOptions;
use lifeboat_fakes::recorded;
use lifeboat_tests::admin_api::AdminApi;
use lifeboat_tests::crowd::may_open;
use lifeboat_tests::page::{Page, accepting, page, page_until};
use lifeboat_tests::reporting::{REPORT_KEY, Worker};
use lifeboat_tests::stage::{Actor, play};
use lifeboat_tests::world::{STORE_SECRET, World, configuration, of_a_lost_database};
use serde_json::{Value, json};
use tokio::net::TcpStream;

/// How many connections a stranger holds open and says nothing on.
const IDLE: usize = 2000;
const VERSION: &str = "{kong_version=\"3.9.1\"}";

fn at(companion: &Companion) -> SocketAddr {
    companion.http_address().expect("it listens")
}

fn is_ready(found: &Page) -> bool {
    found.status == 200
}

/// The members of a JSON document, each by its path; what is null or empty has none below it.
fn paths(json: &Value, at: &str, found: &mut BTreeSet<String>) {
    match json {
        // These are named after what there is: kinds of entities, reasons, states.
        Value::Object(_) if ["counts", "refused", "reports/control_plane"].iter().any(|name| at.ends_with(name)) => {}
        Value::Object(members) => {
            for (name, value) in members {
                found.insert(format!("{at}/{name}"));
                paths(value, &format!("{at}/{name}"), found);
            }
        }
        Value::Array(elements) => elements.iter().for_each(|element| paths(element, at, found)),
        _ => {}
    }
}

fn paths_of(text: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    paths(&serde_json::from_str(text).unwrap(), "", &mut found);
    found
}

fn documented_status() -> BTreeSet<String> {
    let document = include_str!("../../docs/status.md");
    let (_, after) = document.split_once("<!-- status -->\n```json\n").expect("docs/status.md has an example");
    paths_of(after.split_once("```\n<!-- /status -->").expect("which ends").0)
}

/// The metric that a series belongs to.
fn metric_of(series: &str) -> &str {
    let name = series.split('{').next().unwrap_or(series);
    let of_histogram = ["_bucket", "_sum", "_count"].iter().find_map(|suffix| name.strip_suffix(suffix));
    let is_histogram =
        |name: &&str| METRICS.iter().any(|metric| metric.kind == Kind::Histogram && metric.name == *name);
    of_histogram.filter(is_histogram).unwrap_or(name)
}

/// Each series is of a metric that is documented, and each metric is described where it stands.
fn check_and_note(scrape: &Page, seen: &mut BTreeSet<String>) {
    assert_eq!(scrape.content_type, "text/plain; version=0.0.4; charset=utf-8");
    for (series, number) in scrape.series() {
        let name = metric_of(series);
        let known = METRICS.iter().find(|metric| metric.name == name);
        let known = known.unwrap_or_else(|| panic!("{series} is not in the table of metrics"));
        assert!(number.parse::<f64>().is_ok(), "{series} is {number:?}");
        let kind = match known.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        for line in [format!("# TYPE {name} {kind}\n"), format!("# HELP {name} {}.\n", known.help)] {
            assert!(scrape.body.contains(&line), "{line:?} is missing");
        }
        for label in known.labels {
            assert!(series.contains(&format!("{label}=\"")), "{series} lacks {label}");
        }
        seen.insert(name.to_owned());
    }
}

#[test]
fn a_good_backup_a_held_one_and_an_outage_are_told_as_they_are() {
    play(async {
        let mut world = World::begin().await;
        world.set("LIFEBOAT_REPORT_KEYS", REPORT_KEY);
        world.set("LIFEBOAT_DRILL_EVERY", "1s");
        // Its control plane knows a node of a version that nobody keeps.
        let admin = AdminApi::start().await;
        admin.sees("3.8.1");
        world.set("LIFEBOAT_ADMIN_URL", admin.url());
        let other = tempfile::tempdir().unwrap();
        world.set("LIFEBOAT_FALLBACK_STORAGE", format!("file://{}", other.path().display()));
        let (first, lost) = (configuration(&recorded::first()), of_a_lost_database());
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        let (at, relay) = (at(&companion), companion.relay_address().unwrap());
        let node = world.node(relay);
        world.confirmed(node.node_id(), &first).await;
        assert_eq!(Worker::new(at, &first.hash).reports().await.0, 202);

        page_until(at, "/readyz/export", is_ready).await;
        let good = page_until(at, "/metrics", |found| found.body.contains("state=\"confirmed\"")).await;
        let mut seen = BTreeSet::new();
        check_and_note(&good, &mut seen);
        let name = "lifeboat_keep_other_store_current";
        let mirrored = page_until(at, "/metrics", |found| found.sum(name, "store=\"file://") == 1.0).await;
        check_and_note(&mirrored, &mut seen);
        for (series, number) in [
            ("lifeboat_keep_ready", 1.0),
            ("lifeboat_keep_control_plane_connected", 1.0),
            ("lifeboat_keep_leader", 1.0),
            ("lifeboat_keep_epoch", 1.0),
            ("lifeboat_keep_sequence", 1.0),
            ("lifeboat_keep_held", 0.0),
            ("lifeboat_keep_config_bytes", first.table.len() as f64),
        ] {
            assert_eq!(good.number(&format!("{series}{VERSION}")), number, "{series}");
        }
        let drilled = |found: &Page| found.number(&format!("lifeboat_drill_success{VERSION}")) == 1.0;
        let told = |found: &Page| found.body.contains("lifeboat_drill_success{") && drilled(found);
        check_and_note(&page_until(at, "/metrics", told).await, &mut seen);
        let info = format!("{{kong_version=\"3.9.1\",config_hash=\"{}\",state=\"confirmed\"}}", first.hash);
        assert_eq!(good.number(&format!("lifeboat_keep_configuration_info{info}")), 1.0);
        for step in ["decode", "compress", "write_payload", "read_back", "manifest", "config_json"] {
            assert!(
                good.sum("lifeboat_keep_step_duration_seconds_count", &format!("step=\"{step}\"")) >= 1.0,
                "{step}"
            );
        }
        for (series, number) in [
            ("lifeboat_relay_ready", 1.0),
            ("lifeboat_relay_nodes_connected", 1.0),
            ("lifeboat_relay_nodes_served_from_store", 0.0),
            ("lifeboat_relay_control_plane_reachable", 1.0),
        ] {
            assert_eq!(good.number(series), number, "{series}");
        }
        assert!(good.number("lifeboat_certificate_expiry_timestamp_seconds{certificate=\"relay\"}") > 1.8e9);

        // A control plane that has lost its database.
        world.control_plane.push(lost.to_message().unwrap());
        let held = page_until(at, "/readyz/export", |found| found.body.contains("is held")).await;
        assert_eq!(held.status, 503);
        assert!(held.body.contains("not ready: Kong 3.9.1: configuration 0123456789abcdef"), "{}", held.body);
        assert!(held.body.contains("lifeboat release"), "{}", held.body);
        world.confirmed(node.node_id(), &lost).await;
        let scrape = page_until(at, "/metrics", |found| found.body.contains("reason=\"shrunk\"")).await;
        assert_eq!(scrape.number("lifeboat_relay_empty_configurations_total"), 1.0);
        check_and_note(&scrape, &mut seen);
        assert_eq!(scrape.number(&format!("lifeboat_keep_held{VERSION}")), 1.0);

        // An outage, and a node that lives on the backup.
        world.control_plane.stop().await;
        let restored = world.node(relay);
        restored.wait_for(|state| state.configuration.as_ref() == Some(&first)).await;
        let scrape =
            page_until(at, "/metrics", |found| found.number("lifeboat_relay_nodes_served_from_store") > 0.0).await;
        check_and_note(&scrape, &mut seen);
        assert_eq!(scrape.number("lifeboat_relay_nodes_restored_total"), 1.0);
        assert_eq!(scrape.number("lifeboat_relay_control_plane_reachable"), 0.0);
        assert_eq!(scrape.number(&format!("lifeboat_keep_control_plane_connected{VERSION}")), 0.0);
        assert_eq!(page(at, "/readyz").await.status, 200, "the relay is well, whatever the control plane does");

        // A node of a version that nobody keeps.
        let older = NodeOptions { version: "3.8.1".to_owned(), ..world.node_options(relay) };
        let _older = Actor::start(older);
        let without = "lifeboat_relay_nodes_without_backup";
        // The relay may have looked for the others' backup just before the first one was published, and looks again within 30 s.
        let has_looked =
            |found: &Page| found.sum(without, "\"3.8.1\"") == 1.0 && found.sum(without, "\"3.9.1\"") == 0.0;
        let scrape = page_until(at, "/metrics", has_looked).await;
        assert_eq!(scrape.number(&format!("{without}{VERSION}")), 0.0);
        check_and_note(&scrape, &mut seen);
        let listed = |found: &Page| found.sum("lifeboat_keep_nodes_without_backup", "\"3.8.1\"") == 1.0;
        check_and_note(&page_until(at, "/metrics", listed).await, &mut seen);

        let missing: Vec<&str> =
            METRICS.iter().map(|metric| metric.name).filter(|name| !seen.contains(*name)).collect();
        assert!(missing.is_empty(), "{missing:?} were never told");

        // All of it, and no secret.
        let status = page(at, "/status").await;
        assert_eq!((status.status, &*status.content_type), (200, "application/json"));
        let told: Value = serde_json::from_str(&status.body).unwrap();
        for by in ["relay", "data_planes"] {
            assert_eq!(told[by]["without_backup"], json!([{ "kong_version": "3.8.1", "nodes": 1 }]), "{by}");
            let warning = told[by]["warnings"][0].as_str().unwrap();
            assert!(warning.starts_with("nodes of Kong 3.8.1, of which no store"), "{by}: {warning}");
        }
        let documented = documented_status();
        // Nothing fails here, and nothing ends: those two have tests of their own.
        let is_elsewhere = |path: &&String| path.contains("/failing/") || path.contains("/ending/");
        let elsewhere: BTreeSet<String> = documented.iter().filter(is_elsewhere).cloned().collect();
        assert_eq!(&paths_of(&status.body) | &elsewhere, documented, "docs/status.md differs from what is told");
        let recorded = String::from_utf8_lossy(&first.table).into_owned();
        for secret in ["alice-secret-key", STORE_SECRET, "PRIVATE KEY", REPORT_KEY] {
            assert!(recorded.contains(secret) || secret != "alice-secret-key", "nothing would be found");
            for told in [&good, &scrape, &status, &held] {
                assert!(!told.body.contains(secret), "{secret} is told: {}", told.body);
            }
        }
        companion.stop().await;
    });
}

#[test]
fn what_in_the_newest_configuration_ends_soon_is_told_by_name() {
    play(async {
        let world = World::begin().await;
        let day = Duration::from_secs(24 * 60 * 60);
        let certificate = |ends: SystemTime| ClusterCertificate::version_1(ends - CLUSTER_VALIDITY).certificate_pem;
        let now = SystemTime::now();
        let mut table: Value = serde_json::from_slice(&configuration(&recorded::first()).table).unwrap();
        table["ca_certificates"] = json!([{ "id": "expired", "cert": certificate(now - day) }]);
        table["certificates"] = json!([
            { "id": "later", "cert": certificate(now + 90 * day) },
            { "id": "soon", "cert": certificate(now + 20 * day) },
            { "id": "over", "cert": certificate(now - 2 * day) },
        ]);
        let sent = Configuration { table: table.to_string().into(), hash: "7".repeat(32) };
        world.control_plane.push(sent.to_message().unwrap());
        let companion = world.companion().await;

        let status = page_until(at(&companion), "/status", |page| page.body.contains("\"ending\":[{")).await;
        let told: Value = serde_json::from_str(&status.body).unwrap();
        let newest = &told["export"][0]["newest"];
        let ending = newest["ending"].as_array().unwrap().iter();
        let ending: Vec<(&str, &str)> =
            ending.map(|end| (end["of"].as_str().unwrap(), end["name"].as_str().unwrap())).collect();
        assert_eq!(ending, [("ca_certificate", "expired"), ("certificate", "over"), ("certificate", "soon")]);
        assert_eq!(newest["credentials_with_ttl"], 0);

        let below = |paths: BTreeSet<String>| -> BTreeSet<String> {
            paths.into_iter().filter(|path| path.contains("/ending/")).collect()
        };
        assert_eq!(below(paths_of(&status.body)), below(documented_status()), "docs/status.md differs");
        companion.stop().await;
    });
}

#[test]
fn every_request_that_the_store_sees_is_counted() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        page_until(at(&companion), "/readyz/export", is_ready).await;
        // Elections go on meanwhile: there are moments without a request under way.
        let are_equal = |found: &Page| {
            let counted = |operation: &str| {
                found.sum("lifeboat_store_requests_total", &format!("operation=\"{operation}\"")) as u64
            };
            let seen = world.store.counts();
            [("get", seen.get), ("put", seen.put), ("head", seen.head), ("list", seen.list)]
                .iter()
                .all(|(operation, seen)| counted(operation) == *seen)
        };
        let scrape = page_until(at(&companion), "/metrics", are_equal).await;
        assert!(scrape.sum("lifeboat_store_requests_total", "operation=\"put\"") >= 4.0);
        assert!(scrape.sum("lifeboat_store_requests_total", "outcome=\"conflict\"") >= 1.0, "the probe provokes some");
        companion.stop().await;
    });
}

#[test]
fn a_dead_store_is_told_with_its_reason_and_does_not_touch_health_and_relay() {
    play(async {
        let world = World::begin().await;
        world.store.stop().await;
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        let at = at(&companion);
        let refused = page_until(at, "/readyz/export", |found| found.body.contains("failed: ")).await;
        assert_eq!(refused.status, 503);
        assert!(
            refused.body.starts_with("not ready: Kong 3.9.1: ") && refused.body.contains("since 20"),
            "{refused:?}"
        );
        assert!(refused.body.contains("AWS_CONFIG_STORAGE_ENDPOINT"), "the cure is missing: {refused:?}");
        for well in ["/healthz", "/readyz"] {
            assert_eq!(page(at, well).await.status, 200, "{well}");
        }
        let failures = "lifeboat_keep_failures_total{kong_version=\"3.9.1\",class=\"unavailable\"}";
        let scrape = page_until(at, "/metrics", |found| found.number(failures) > 0.0).await;
        assert_eq!(scrape.number(&format!("lifeboat_keep_ready{VERSION}")), 0.0);
        assert!(scrape.sum("lifeboat_store_requests_total", "outcome=\"unavailable\"") > 0.0);
        let status: Value = serde_json::from_str(&page(at, "/status").await.body).unwrap();
        assert_eq!(status["export"][0]["failing"]["class"], "unavailable", "{status}");
        assert_eq!(status["export"][0]["ready"], false);

        while let Err(error) = world.store.come_back().await {
            assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}");
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
        page_until(at, "/readyz/export", is_ready).await;
        companion.stop().await;
    });
}

#[test]
fn who_asks_for_open_metrics_gets_them_and_who_asks_for_nothing_is_told_what_there_is() {
    play(async {
        let mut world = World::begin().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
        let companion = world.companion().await;
        let at = at(&companion);
        let open = accepting(at, "/metrics", "application/openmetrics-text;version=1.0.0,*/*;q=0.1").await;
        assert!(open.content_type.starts_with("application/openmetrics-text"), "{}", open.content_type);
        assert!(open.body.ends_with("# EOF\n") && open.body.contains("# TYPE lifeboat_relay_nodes_restored counter\n"));
        let other = page(at, "/nothing").await;
        assert_eq!(other.status, 404);
        assert!(other.body.contains("/readyz/export"), "{}", other.body);
        let export = page(at, "/readyz/export").await;
        assert_eq!(export.status, 503, "who believes that something is kept here is told");
        assert!(export.body.contains("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT is off"), "{}", export.body);
        let posted = reqwest::Client::new().post(format!("http://{at}/metrics")).body("x").send().await.unwrap();
        assert_eq!(posted.status().as_u16(), 405);
        companion.stop().await;
    });
}

#[test]
fn two_thousand_idle_connections_from_a_probes_own_address_keep_no_probe_waiting() {
    play(async {
        may_open(IDLE as u64 + 1024);
        let mut world = World::begin().await;
        world.set("LIFEBOAT_HEALTH_LISTEN", "127.0.0.1:0");
        let companion = world.companion().await;
        let health = companion.health_address().expect("it listens");
        for (listen, paths) in [(at(&companion), &["/healthz", "/readyz", "/metrics"][..]), (health, &["/readyz"])] {
            let mut idle = Vec::new();
            for _ in 0..IDLE {
                idle.push(TcpStream::connect(listen).await.unwrap());
            }
            for path in paths.repeat(2) {
                // Whoever was closed comes back at once: there are always as many.
                let is_closed = |stream: &TcpStream| !matches!(stream.try_read(&mut [0]), Err(error) if error.kind() == ErrorKind::WouldBlock);
                idle.retain(|stream| !is_closed(stream));
                while idle.len() < IDLE {
                    idle.push(TcpStream::connect(listen).await.unwrap());
                }
                assert_eq!(page(listen, path).await.status, 200, "{path}");
            }
        }

        let scrape = page(at(&companion), "/metrics").await;
        let made_room = scrape.number("lifeboat_http_connections_unanswered_total{reason=\"made_room\"}");
        assert!(made_room > IDLE as f64, "{made_room}");
        let lines = world.log.lines_with("made room for others without an answer");
        assert!((1..=4).contains(&lines.len()), "a line a minute for each address: {lines:?}");
        assert!(world.log.lines_with("LIFEBOAT_HEALTH_LISTEN made room").len() <= 2, "{lines:?}");
        assert_eq!(page(health, "/metrics").await.status, 404, "health alone is answered there");
        companion.stop().await;
    });
}
