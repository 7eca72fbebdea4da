//! The recordings: the machine gets what a real node got, and must say what that one said, in the same order on each link and
//! at nearly the same time.

use std::collections::{BTreeMap, VecDeque};
use std::io::BufReader;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use flate2::read::GzDecoder;

use super::*;
use crate::incremental::upgrade;

/// How far from the recorded time the machine may be: a real node's timers are late.
const NEAR: Duration = ms(1_000);
/// Two pings that cross.
const CROSSING: Duration = ms(200);

struct Line(Value);

impl Line {
    fn at(&self) -> Duration {
        Duration::from_secs_f64(self.0["t"].as_f64().unwrap())
    }

    fn worker(&self) -> usize {
        self.0["worker"].as_u64().unwrap() as usize
    }

    fn is_of_node(&self) -> bool {
        self.0["dir"] == "dp->cp"
    }

    /// What kind of frame it is; none of an end.
    fn kind(&self) -> &str {
        self.0["kind"].as_str().unwrap_or_default()
    }

    fn raw(&self) -> Vec<u8> {
        STANDARD.decode(self.0["raw"].as_str().unwrap_or_default()).unwrap()
    }
}

fn recording(name: &str) -> Vec<Line> {
    let path = format!("{}/../tests/data/kong-3.9.1/sync2/{name}", env!("CARGO_MANIFEST_DIR"));
    let reader = BufReader::new(GzDecoder::new(std::fs::File::open(path).unwrap()));
    serde_json::Deserializer::from_reader(reader).into_iter().map(|line| Line(line.unwrap())).collect()
}

/// What the machine said on a link, and when.
type Said = VecDeque<(Duration, &'static str, Value)>;

struct Replay {
    stage: Stage,
    said: BTreeMap<usize, Said>,
    pings_received: Vec<(usize, Duration)>,
    compared: usize,
}

impl Replay {
    fn of(lines: &[Line]) -> Self {
        let hello = lines.iter().find(|line| line.kind() == "binary").unwrap();
        let params = hello.0["json"]["params"][0].clone();
        let text = |name: &str| params[name].as_str().unwrap().to_owned();
        let stage = Stage::with(|options| {
            (options.node_id, options.hostname) = (text("kong_node_id"), text("kong_hostname"));
            options.control_plane = params["kong_conf"]["cluster_control_plane"].as_str().unwrap().parse().unwrap();
            // It dials long before the recorded one, and waits for what came of that one's dial.
            options.times.reconnect = ms(1)..ms(2);
            options.times.dial_after = ms(1);
        });
        Self { stage, said: BTreeMap::new(), pings_received: Vec::new(), compared: 0 }
    }

    fn collect(&mut self) {
        for (at, action) in std::mem::take(&mut self.stage.did) {
            let (worker, kind, value) = match action {
                Action::Send { worker, payload } => {
                    let value = serde_json::from_slice(&payload).ok().or_else(|| unpack(&payload));
                    (worker, "binary", value.expect("it sends JSON"))
                }
                Action::Ping { worker } => (worker, "ping", Value::Null),
                Action::Pong { worker } => (worker, "pong", Value::Null),
                Action::Close { worker } => (worker, "close", Value::Null),
                Action::Dial { .. } | Action::Drop { .. } => continue,
            };
            self.said.entry(worker).or_default().push_back((at, kind, value));
        }
    }

    fn until(&mut self, at: Duration) {
        let at = at.max(self.stage.now);
        self.stage.until(at);
        self.collect();
    }

    fn expect(&mut self, line: &Line, at: Duration) {
        let worker = line.worker();
        self.until(at);
        let end = at + NEAR;
        while self.said.get(&worker).is_none_or(VecDeque::is_empty) && self.stage.machine.deadline() <= end {
            self.until(self.stage.machine.deadline());
        }
        let said = self.said.get_mut(&worker).and_then(VecDeque::pop_front);
        let (when, kind, value) = said.unwrap_or_else(|| panic!("it did not say {}", line.0));

        let recorded = if kind == "binary" { line.0["json"].clone() } else { Value::Null };
        assert_eq!((kind, comparable(value)), (line.kind(), comparable(recorded)), "at {}", line.0["t"]);
        assert!(when.abs_diff(at) <= NEAR, "at {when:?} instead of {at:?}");
        self.compared += 1;
    }

    /// Of two that would ping at the same time, the recorded node was sometimes the second, and then did not.
    fn forget_pings_that_cross(&mut self) {
        for (worker, said) in &mut self.said {
            let crosses = |at: Duration| {
                self.pings_received.iter().any(|(of, received)| of == worker && received.abs_diff(at) <= CROSSING)
            };
            said.retain(|(at, kind, _)| *kind != "ping" || !crosses(*at));
        }
    }

    fn receive(&mut self, line: &Line, at: Duration) {
        let worker = line.worker();
        self.until(at);
        match line.kind() {
            "http" => {
                let head = String::from_utf8(line.raw()).unwrap();
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                self.stage.open(worker);
            }
            "binary" => self.stage.frame(worker, Arrived::Binary(line.raw().into())),
            "ping" => {
                self.pings_received.push((worker, at));
                self.stage.frame(worker, Arrived::Ping);
            }
            "pong" => self.stage.frame(worker, Arrived::Pong),
            "close" => self.stage.frame(worker, Arrived::Close),
            _ => self.stage.event(Event::Ended { worker, reason: "closed".to_owned() }),
        }
        self.collect();
    }
}

/// A message as it is compared: of the settings in a hello their names, since other ones were in force.
fn comparable(mut message: Value) -> Value {
    if let Some(conf) = message.pointer_mut("/params/0/kong_conf") {
        *conf = conf.as_object().unwrap().keys().cloned().collect();
    }
    message
}

/// Plays all lines. Kong was started so long before the first.
fn replay(lines: &[Line], lead: Duration) -> Replay {
    let mut replay = Replay::of(lines);
    let began = lines[0].at() - lead;
    for (index, line) in lines.iter().enumerate() {
        let at = line.at() - began;
        match (line.is_of_node(), line.kind()) {
            // The head is compared by itself, and the node's own end is Kong's.
            (true, "http" | "") => {}
            (true, kind) => {
                let crosses = |other: &Line| {
                    other.kind() == "ping"
                        && !other.is_of_node()
                        && other.0["conn"] == line.0["conn"]
                        && other.at().abs_diff(line.at()) <= CROSSING
                };
                if kind == "ping" && lines[index.saturating_sub(3)..].iter().take(6).any(crosses) {
                    replay.until(at);
                    continue;
                }
                replay.forget_pings_that_cross();
                replay.expect(line, at);
            }
            (false, _) => replay.receive(line, at),
        }
    }
    replay.forget_pings_that_cross();
    let left: Vec<_> = replay.said.values().flatten().collect();
    assert!(left.is_empty(), "it said more: {left:?}");
    replay
}

#[test]
fn the_machine_says_what_a_real_node_said_to_a_real_control_plane() {
    let lines = recording("recorded.jsonl.gz");
    let replay = replay(&lines, ms(80));
    assert_eq!(replay.compared, 46);
    assert_eq!(replay.stage.machine.database.version(), 20.0);
}

#[test]
fn the_machine_says_what_a_real_node_said_to_a_made_up_control_plane() {
    let lines = recording("recorded-fake.jsonl.gz");
    let replay = replay(&lines, ms(150));
    assert_eq!(replay.compared, 15);
    assert_eq!(replay.stage.machine.database.version(), -999_999_988.0);
}

#[test]
fn the_head_of_the_upgrade_is_the_recorded_one() {
    for name in ["recorded.jsonl.gz", "recorded-fake.jsonl.gz"] {
        for line in recording(name).iter().filter(|line| line.is_of_node() && line.kind() == "http") {
            let head = String::from_utf8(line.raw()).unwrap();
            let value = |name: &str| {
                let mut lines = head.split("\r\n").filter_map(|line| line.split_once(": "));
                lines.find(|(key, _)| *key == name).unwrap().1
            };
            assert_eq!(upgrade::request(value("Host"), value("Sec-WebSocket-Key")), head);
        }
    }
}
