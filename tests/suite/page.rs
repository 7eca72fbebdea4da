//! The page for browsers, requested over HTTP: what its views say, and which requests are refused. `tests/page/run` tests it
//! in a real browser.

use std::io::Read;
use std::net::SocketAddr;

use flate2::read::GzDecoder;
use lifeboat::companion::Companion;
use lifeboat_fakes::recorded;
use lifeboat_tests::page::{Page, page, page_until};
use lifeboat_tests::reporting::Worker;
use lifeboat_tests::stage::play;
use lifeboat_tests::world::{World, configuration, of_a_lost_database};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const SECRETS: [&str; 2] = ["alice-secret-key", "PRIVATE KEY"];

fn at(companion: &Companion) -> SocketAddr {
    companion.http_address().expect("it listens")
}

/// An answer, byte by byte: clients know better than to send some of these requests.
struct Raw {
    status: u16,
    head: String,
    body: Vec<u8>,
}

async fn raw(at: SocketAddr, method: &str, path: &str, headers: &[(&str, &str)]) -> Raw {
    let mut stream = TcpStream::connect(at).await.expect("it listens");
    let headers: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    stream.write_all(format!("{method} {path} HTTP/1.1\r\n{headers}\r\n").as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("an answer has a head");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("and that a status");
    Raw { status, head, body: answer[end + 4..].to_vec() }
}

#[test]
fn now_says_what_new_nodes_get_what_is_held_and_that_the_control_plane_is_away() {
    play(async {
        let world = World::begin().await;
        world.control_plane.push(recorded::first());
        let companion = world.companion().await;
        let (at, relay) = (at(&companion), companion.relay_address().unwrap());
        let (first, node) = (configuration(&recorded::first()), world.node(relay));
        world.confirmed(node.node_id(), &first).await;

        let answers =
            |found: &Page| found.body.contains("New nodes of Kong 3.9.1 would get snapshot <strong>1</strong>");
        let good = page_until(at, "/", answers).await;
        assert_eq!(good.content_type, "text/html; charset=utf-8");
        assert!(good.body.contains("The control plane answers. ") && good.body.contains(&first.hash), "{}", good.body);
        assert!(good.body.contains(node.node_id()), "{}", good.body);

        world.control_plane.push(of_a_lost_database().to_message().unwrap());
        let held = page_until(at, "/", |found| found.body.contains("LifeboatConfigurationHeld")).await;
        assert!(held.body.contains("is held and not published"), "{}", held.body);

        world.control_plane.stop().await;
        let restored = world.node(relay);
        restored.wait_for(|state| state.configuration.as_ref() == Some(&first)).await;
        let away = page_until(at, "/", |found| found.body.contains("1 node runs a configuration from the store")).await;
        assert!(away.body.contains("The control plane is away. "), "{}", away.body);
        assert!(away.body.contains("get snapshot <strong>1</strong>"), "{}", away.body);
        assert!(away.body.contains("LifeboatNodesServedFromStore"), "{}", away.body);
        for secret in SECRETS {
            assert!(!away.body.contains(secret) && !held.body.contains(secret), "{secret}");
        }
        companion.stop().await;
    });
}

#[test]
fn history_lists_what_is_held_first_and_the_command_that_releases_it() {
    play(async {
        let mut world = World::begin().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
        world.keep(&recorded::first()).await;
        let companion = world.companion().await;
        let listed = page(at(&companion), "/history").await;
        assert!(listed.body.contains("<h2>Kong 3.9.1</h2>"), "{}", listed.body);
        assert!(listed.body.contains("<th scope=\"row\">1</th>"), "{}", listed.body);
        assert!(listed.body.contains("<strong>published</strong>"), "{}", listed.body);

        // It compares nothing, and gives no configuration away.
        let compare = page(at(&companion), "/compare?version=3.9.1&before=1&after=1").await;
        assert!(compare.body.contains("lifeboat diff 1 1 --kong-version 3.9.1"), "{}", compare.body);
        assert!(compare.body.contains("LIFEBOAT_HTTP_PAGE=on"), "{}", compare.body);
        let configuration = page(at(&companion), "/page/configuration/3.9.1/1").await;
        assert_eq!(configuration.status, 404, "{}", configuration.body);
        companion.stop().await;
    });
}

#[test]
fn a_configuration_leaves_only_where_that_is_switched_on_and_without_its_secrets() {
    play(async {
        let mut world = World::begin().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
        world.set("LIFEBOAT_HTTP_PAGE", "on");
        world.keep(&recorded::first()).await;
        let companion = world.companion().await;
        let address = at(&companion);
        let host = [("host", "127.0.0.1")];
        let answer = raw(address, "GET", "/page/configuration/3.9.1/1", &host).await;
        assert_eq!(answer.status, 200, "{}", String::from_utf8_lossy(&answer.body));
        assert!(answer.head.contains("content-encoding: gzip") && answer.head.contains("cache-control: no-store"));

        let mut json = String::new();
        GzDecoder::new(&answer.body[..]).read_to_string(&mut json).unwrap();
        assert!(answer.head.contains(&format!("lifeboat-bytes: {}", json.len())), "{}", answer.head);
        let plain = String::from_utf8_lossy(&configuration(&recorded::first()).table).into_owned();
        assert!(plain.contains(SECRETS[0]), "nothing would be found");
        for secret in SECRETS {
            assert!(!json.contains(secret), "{secret}");
        }
        let masked: Value = serde_json::from_str(&json).unwrap();
        let key = masked["keyauth_credentials"][0]["key"].as_str().unwrap();
        assert!(key.starts_with("(masked ") && key.len() > 16, "{key}");

        for (path, status) in [("3.9.1/2", 404), ("3.8.1/1", 404), ("three/1", 404), ("3.9.1/one", 400)] {
            let answer = raw(address, "GET", &format!("/page/configuration/{path}"), &host).await;
            assert_eq!(answer.status, status, "{path}: {}", String::from_utf8_lossy(&answer.body));
        }
        companion.stop().await;
    });
}

#[test]
fn strangers_in_a_browser_get_nothing_and_probes_and_programs_get_all_as_before() {
    play(async {
        let mut world = World::begin().await;
        world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
        world.set("LIFEBOAT_HTTP_PAGE", "on");
        world.set("LIFEBOAT_HTTP_HOSTS", "lifeboat.example.com");
        world.keep(&recorded::first()).await;
        let companion = world.companion().await;
        let at = at(&companion);
        let guarded =
            ["/", "/history", "/compare", "/status", "/page/page.js", "/page/style.css", "/page/configuration/3.9.1/1"];

        for path in guarded {
            let own = raw(at, "GET", path, &[("host", &at.to_string())]).await;
            assert_eq!(own.status, 200, "{path}");
            for header in [
                "content-security-policy: default-src 'none'",
                "x-content-type-options: nosniff",
                "referrer-policy: no-referrer",
                "cross-origin-resource-policy: same-origin",
                "cross-origin-opener-policy: same-origin",
            ] {
                assert!(own.head.contains(header), "{path} lacks {header}: {}", own.head);
            }
            for absent in ["set-cookie", "access-control-"] {
                assert!(!own.head.contains(absent), "{path}: {}", own.head);
            }
            assert_eq!(raw(at, "GET", path, &[("host", "lifeboat.example.com")]).await.status, 200, "{path}");

            let rebound = raw(at, "GET", path, &[("host", "evil.example:8115")]).await;
            assert_eq!(rebound.status, 421, "{path}");
            assert!(String::from_utf8_lossy(&rebound.body).contains("LIFEBOAT_HTTP_HOSTS"), "{path}");
            let elsewhere = [("host", "127.0.0.1"), ("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors")];
            assert_eq!(raw(at, "GET", path, &elsewhere).await.status, 403, "{path}");
            let origin = [("host", "127.0.0.1"), ("origin", "http://evil.example")];
            assert_eq!(raw(at, "GET", path, &origin).await.status, 403, "{path}");
            for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"] {
                let refused = raw(at, method, path, &[("host", "127.0.0.1"), ("content-length", "0")]).await;
                assert_eq!(refused.status, 405, "{method} {path}");
            }
        }

        // The kubelet, Prometheus and the filter ask under whatever name leads here.
        for path in ["/healthz", "/readyz", "/metrics"] {
            for headers in [
                [("host", "10-0-0-5.kong.pod"), ("user-agent", "kube-probe/1.31")],
                [("host", "x"), ("sec-fetch-site", "cross-site")],
            ] {
                assert_eq!(raw(at, "GET", path, &headers).await.status, 200, "{path}");
            }
        }
        let hash = configuration(&recorded::first()).hash;
        assert_eq!(Worker::new(at, &hash).reports().await.0, 202);
        companion.stop().await;
    });
}
