//! The page in a real browser, about a companion that is as real as in the suite. What is seen and clicked there is in
//! `browser.mjs`; here is what goes on meanwhile. `tests/page/run` installs the browser and starts this.

use std::path::PathBuf;
use std::process::{ExitCode, Stdio};
use std::time::Duration;

use bytes::Bytes;
use lifeboat::companion::Companion;
use lifeboat_fakes::recorded;
use lifeboat_tests::crowd::{By, Certificate, Crowd, CrowdOptions, is_part, may_open};
use lifeboat_tests::generator;
use lifeboat_tests::stage::play_within;
use lifeboat_tests::world::{World, configuration, of_a_lost_database};
use tokio::io::{AsyncBufReadExt, BufReader, Lines};
use tokio::process::{Child, ChildStdout, Command};

/// No scenario takes nearly as long, also on a busy machine.
const BOUND: Duration = Duration::from_secs(1_200);
const NODES: usize = 5_000;
const SNAPSHOTS: usize = 500;
/// 58 MB of JSON.
const LARGE: usize = 50_000;

const SCENARIOS: [(&str, fn()); 5] = [
    ("views", || play_within(BOUND, views())),
    ("outage", || play_within(BOUND, outage())),
    ("crowd", || play_within(BOUND, crowd())),
    ("history", || play_within(BOUND, history())),
    ("large", || play_within(BOUND, large())),
];

fn main() -> ExitCode {
    // The crowd is this program again.
    if let Some(code) = is_part() {
        return code;
    }
    may_open(3 * NODES as u64 + 1_024);

    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    for (name, play) in SCENARIOS.iter().filter(|(name, _)| wanted.is_empty() || wanted.iter().any(|one| one == name)) {
        eprintln!("==== {name}");
        play();
    }
    ExitCode::SUCCESS
}

/// A browser that plays its part of a scenario.
struct Browser {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Browser {
    fn start(scenario: &str, companion: &Companion, more: &[&str]) -> Self {
        let installed = std::env::var_os("LIFEBOAT_TEST_BROWSER").expect("this is started by tests/page/run");
        let script = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/page/browser.mjs"));
        let address = format!("http://{}", companion.http_address().expect("it listens"));
        let mut child = Command::new("node")
            .arg(script)
            .args([scenario, &address])
            .args(more)
            .env("LIFEBOAT_TEST_BROWSER", installed)
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("node starts");
        let lines = BufReader::new(child.stdout.take().expect("it is piped")).lines();
        Self { child, lines }
    }

    /// Waits until the browser says this.
    async fn says(&mut self, wanted: &str) {
        while let Some(line) = self.lines.next_line().await.expect("it prints text") {
            eprintln!("browser: {line}");
            if line == wanted {
                return;
            }
        }
        panic!("the browser ended without saying {wanted:?}");
    }

    /// Waits until it is done, and has found nothing wrong.
    async fn passes(mut self) {
        while let Some(line) = self.lines.next_line().await.expect("it prints text") {
            eprintln!("browser: {line}");
        }
        let status = self.child.wait().await.expect("it ends");
        assert!(status.success(), "what the browser saw is not as it should be: {status}");
    }
}

async fn views() {
    let mut world = World::begin().await;
    world.set("LIFEBOAT_HTTP_PAGE", "on");
    world.set("LIFEBOAT_DRILL_EVERY", "1h");
    let (first, changed) = (recorded::first(), recorded::after_change());
    world.control_plane.push(first.clone());
    let companion = world.companion().await;
    let node = world.node(companion.relay_address().expect("there is a relay"));
    world.confirmed(node.node_id(), &configuration(&first)).await;
    world.published(&configuration(&first)).await;
    world.control_plane.push(changed.clone());
    world.confirmed(node.node_id(), &configuration(&changed)).await;
    world.published(&configuration(&changed)).await;
    let lost = of_a_lost_database();
    world.control_plane.push(lost.to_message().expect("it is one"));
    world.wait_for_object(&format!("3.9.1/lifeboat/snapshots/0000000003-{}.held-shrunk.json", lost.hash)).await;

    let file = tempfile::Builder::new().suffix(".json").tempfile().expect("a file can be made");
    std::fs::write(file.path(), &configuration(&changed).table).expect("it can be written");
    Browser::start("views", &companion, &[&file.path().display().to_string()]).passes().await;
    companion.stop().await;
}

async fn outage() {
    let world = World::begin().await;
    world.control_plane.push(recorded::first());
    let companion = world.companion().await;
    let relay = companion.relay_address().expect("there is a relay");
    let (first, node) = (configuration(&recorded::first()), world.node(relay));
    world.confirmed(node.node_id(), &first).await;
    world.published(&first).await;

    let mut browser = Browser::start("outage", &companion, &[]);
    browser.says("the page is open").await;
    world.control_plane.stop().await;
    let restored = world.node(relay);
    restored.wait_for(|state| state.configuration.as_ref() == Some(&first)).await;
    browser.passes().await;
    companion.stop().await;
}

async fn crowd() {
    let mut world = World::begin().await;
    world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
    world.keep(&recorded::first()).await;
    world.control_plane.stop().await;
    let companion = world.companion().await;
    let (to, hash) = (companion.relay_address().expect("there is a relay"), configuration(&recorded::first()).hash);

    let folder = tempfile::tempdir().expect("a folder can be made");
    let (certificate, key) = (folder.path().join("cluster.crt"), folder.path().join("cluster.key"));
    std::fs::write(&certificate, &world.certificate.certificate_pem).expect("it can be written");
    std::fs::write(&key, &world.certificate.key_pem).expect("it can be written");
    let options = CrowdOptions {
        to,
        nodes: NODES,
        within: Duration::from_secs(60),
        runs: hash.clone(),
        adopts: hash,
        by: By::Outlet,
    };
    let nodes = Crowd::start(&options, Certificate { certificate: &certificate, key: &key });
    nodes.wait_for(BOUND, |seen| seen.up == NODES as u64).await;

    Browser::start("crowd", &companion, &[&NODES.to_string()]).passes().await;
    companion.stop().await;
}

async fn history() {
    let mut world = World::begin().await;
    world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
    let plain = String::from_utf8(generator::configuration(1)).expect("it is text");
    for number in 1..=SNAPSHOTS {
        let another = plain.replacen("\"comment\":null", &format!("\"comment\":\"{number}\""), 1);
        world.keep(&generator::reconfigure_message(another.as_bytes())).await;
    }
    let companion = world.companion().await;
    Browser::start("history", &companion, &[&SNAPSHOTS.to_string()]).passes().await;
    companion.stop().await;
}

async fn large() {
    let mut world = World::begin().await;
    world.set("KONG_CLUSTER_FALLBACK_CONFIG_EXPORT", "off");
    world.set("LIFEBOAT_HTTP_PAGE", "on");
    for services in [LARGE, LARGE + 1] {
        let message = Bytes::from(generator::reconfigure_message(&generator::configuration(services)));
        world.keep(&message).await;
    }
    let companion = world.companion().await;
    Browser::start("large", &companion, &[]).passes().await;
    companion.stop().await;
}
