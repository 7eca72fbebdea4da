//! What it costs a relay with thousands of nodes to be looked at: how long `/status`, `/metrics` and the page for browsers
//! take, what they take of a processor, and whether a push takes longer while somebody reads all three every second.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use lifeboat_tests::crowd::outage::{Outage, size_of};
use lifeboat_tests::crowd::{Broadcaster, Crowd};
use lifeboat_tests::page::http_address;
use lifeboat_tests::program::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::report::{Report, at_percent};
use super::{HUNG, nodes};

const NODES: usize = 5_000;
const WITHIN: Duration = Duration::from_secs(15);
const PAGES: [&str; 3] = ["/status", "/metrics", "/"];
const LOOKS: usize = 40;
/// What a page may take, in milliseconds.
const PAGE_LIMIT: f64 = 50.0;
const ROUNDS: usize = 10;
/// Fifteen times as often as Prometheus does by default, five times as often as a browser asks for the page again.
const EVERY: Duration = Duration::from_secs(1);
/// How many times as long a push may take while somebody looks: what two equal rounds differ by.
const PUSH_LIMIT: f64 = 1.1;

pub(super) async fn measure(outage: &Outage, report: &mut Report) {
    let control_plane = Broadcaster::start(NODES, outage.certificate());
    let (relay, address) = outage.relay_before(control_plane.address()).await;
    let http = http_address(&relay).await;
    let crowd = nodes(outage, address, NODES, WITHIN, &outage.hash);
    crowd.wait_for(HUNG, |seen| seen.up == NODES as u64).await;
    control_plane.has(NODES as u64, HUNG).await;
    pages(&relay, http, PAGES, NODES, report).await;
    pushes(outage, &control_plane, &crowd, http, report).await;
}

/// How long these take with so many nodes.
pub(super) async fn pages<const N: usize>(
    relay: &Running,
    http: SocketAddr,
    paths: [&str; N],
    nodes: usize,
    report: &mut Report,
) {
    for path in paths {
        // Buffers grow.
        fetch(http, path).await;
        let (mut times, mut bytes, before) = (Vec::new(), 0, processor_time(relay));
        for _ in 0..LOOKS {
            let (took, length) = fetch(http, path).await;
            times.push(took.as_secs_f64() * 1e3);
            bytes = length;
        }
        let spent = (processor_time(relay) - before).as_secs_f64() * 1e3 / LOOKS as f64;
        let what = format!("{path} of {bytes} bytes with {nodes} nodes, median of {LOOKS}");
        // A list of more nodes takes as long as its megabytes take; whoever wants it faster reads it in parts.
        let is_bounded = path != "/status" || nodes <= NODES;
        report.add(&what, at_percent(&mut times, 50), "ms", is_bounded.then_some(PAGE_LIMIT));
        report.add("… 95 % within", at_percent(&mut times, 95), "ms", None);
        report.add("… of the relay's processor time", spent, "ms", None);
    }
}

async fn pushes(outage: &Outage, control_plane: &Broadcaster, crowd: &Crowd, http: SocketAddr, report: &mut Report) {
    let (mut alone, mut watched) = (Vec::new(), Vec::new());
    // In the first two buffers grow.
    for round in 0..2 * ROUNDS + 2 {
        let watcher = (round % 2 == 1).then(|| tokio::spawn(watch(http)));
        let begun = control_plane.push(&outage.message);
        let expected = (round as u64 + 1) * NODES as u64;
        let seen = crowd.wait_for(HUNG, |seen| seen.messages == expected).await;
        let took = (seen.last_message - begun) as f64 / 1e6;
        if let Some(watcher) = &watcher {
            watcher.abort();
        }
        match (round, &watcher) {
            (0 | 1, _) => {}
            (_, Some(_)) => watched.push(took),
            (_, None) => alone.push(took),
        }
    }
    let [alone, watched] = [&mut alone, &mut watched].map(|times| at_percent(times, 50));
    let bytes = size_of(&outage.message);
    report.add(&format!("a push of {bytes} bytes to {NODES} nodes, median of {ROUNDS}"), alone, "ms", None);
    report.add("… while all three are read every second", watched, "ms", None);
    report.add("… times as long", watched / alone, "", Some(PUSH_LIMIT));
}

async fn watch(http: SocketAddr) {
    loop {
        for path in PAGES {
            fetch(http, path).await;
        }
        tokio::time::sleep(EVERY).await;
    }
}

/// Reads a page as cheaply as can be, since reader and relay share the processors. Gives how long it took and its bytes.
async fn fetch(http: SocketAddr, path: &str) -> (Duration, usize) {
    let (begun, mut answer) = (Instant::now(), Vec::with_capacity(1 << 22));
    let mut stream = TcpStream::connect(http).await.expect("the relay listens");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {http}\r\n\r\n");
    stream.write_all(request.as_bytes()).await.expect("it takes a request");
    stream.read_to_end(&mut answer).await.expect("it answers");
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{path} is not answered");
    (begun.elapsed(), answer.len())
}

/// What the process has had of the processors (proc_pid_stat(5): utime and stime, in hundredths of a second).
fn processor_time(running: &Running) -> Duration {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.id())).expect("it runs");
    // The program's name may hold blanks and ends with a parenthesis.
    let fields: Vec<&str> = stat.rsplit(')').next().expect("there is one").split_whitespace().collect();
    let ticks: u64 = [11, 12].iter().map(|index| fields[*index].parse::<u64>().expect("it is a number")).sum();
    Duration::from_millis(ticks * 10)
}
