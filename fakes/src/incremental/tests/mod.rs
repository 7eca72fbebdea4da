//! The machine against what was seen of a real 3.9.1, one test for each fact, in a time that is only counted.

mod answers;
mod broken;
mod links;
mod replay;
mod rounds;
mod workspace;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rustls::{ClientConfig, RootCertStore};
use serde_json::{Value, json};

use super::event::{Action, Arrived, Event};
use super::machine::Machine;
use super::options::IncrementalOptions;
use super::state::Rpc;
use crate::entities::FALLBACK_WORKSPACE;
use crate::wire::{GET_DELTA, NOTIFY, pack, unpack};

const fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

/// A workspace that is not Kong's fallback.
const OWN: &str = "558cdf65-8423-49ad-9ef2-65aacdc7407a";
const SERVICE: &str = "147d26eb-168a-4a00-b6d2-efbb3386d1fc";
const ROUTE: &str = "9de1e6c5-f843-4ade-9389-7f932d39e2db";
const CONSUMER: &str = "868204a1-cda0-4c4a-91e0-8cf1fa15d2df";
const CREDENTIAL: &str = "289e0b6e-2553-40ab-9dc1-9b33ef87ce93";
const KEY: &str = "alice-secret-key";

fn options() -> IncrementalOptions {
    let tls = ClientConfig::builder().with_root_certificates(RootCertStore::empty()).with_no_client_auth();
    IncrementalOptions::new(([127, 0, 0, 1], 8005).into(), Arc::new(tls))
}

/// A node and the clock.
struct Stage {
    machine: Machine,
    now: Duration,
    /// What it did since somebody looked.
    did: Vec<(Duration, Action)>,
}

impl Stage {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut IncrementalOptions)) -> Self {
        let mut options = options();
        change(&mut options);
        Self { machine: Machine::start(options), now: Duration::ZERO, did: Vec::new() }
    }

    /// An empty node whose links are up since 60 ms after its start.
    fn connected() -> Self {
        let mut stage = Self::new();
        stage.until(ms(60));
        (0..stage.machine.workers.len()).for_each(|worker| stage.connect(worker));
        stage
    }

    /// The same, after its first round, in which it was given these deltas.
    fn given(deltas: Value) -> Self {
        let mut stage = Self::connected();
        stage.until(ms(250));
        stage.give(0, deltas);
        stage
    }

    /// Kong ends and is started again, with links at once and an up-to-date first round.
    fn restarted(self) -> Self {
        let mut stage = Self::with(|options| options.database = (*self.machine.database).clone());
        stage.until(ms(60));
        (0..stage.machine.workers.len()).for_each(|worker| stage.connect(worker));
        stage.until(ms(250));
        stage.say_no_deltas(0);
        stage
    }

    fn until(&mut self, end: Duration) {
        while self.machine.deadline() <= end {
            self.now = self.now.max(self.machine.deadline());
            let actions = self.machine.wake(self.now);
            self.did.extend(actions.into_iter().map(|action| (self.now, action)));
        }
        self.now = end;
    }

    fn after(&mut self, time: Duration) {
        self.until(self.now + time);
    }

    fn event(&mut self, event: Event) {
        let actions = self.machine.handle(event, self.now);
        self.did.extend(actions.into_iter().map(|action| (self.now, action)));
    }

    fn frame(&mut self, worker: usize, frame: Arrived) {
        self.event(Event::Frame { worker, frame });
    }

    fn plain(&mut self, worker: usize, text: &str) {
        self.frame(worker, Arrived::Binary(Bytes::copy_from_slice(text.as_bytes())));
    }

    fn message(&mut self, worker: usize, message: &Value) {
        self.frame(worker, Arrived::Binary(pack(&message.to_string()).into()));
    }

    fn open(&mut self, worker: usize) {
        self.event(Event::Opened { worker, protocol: Some("kong.meta.v1".to_owned()) });
    }

    fn say_hello(&mut self, worker: usize) {
        self.plain(
            worker,
            r#"{"result":{"rpc_capabilities":["kong.sync.v2"],"rpc_frame_encoding":"x-snappy-framed"},"jsonrpc":"2.0","id":1}"#,
        );
    }

    fn connect(&mut self, worker: usize) {
        self.open(worker);
        self.say_hello(worker);
    }

    fn notify(&mut self, worker: usize, new_version: i64) {
        let params = json!([{ "default": { "new_version": new_version } }]);
        self.message(worker, &json!({ "jsonrpc": "2.0", "id": 0, "method": NOTIFY, "params": params }));
    }

    /// Answers the last call on a worker's link.
    fn answer(&mut self, worker: usize, result: &Value) {
        let id = self.id(worker);
        self.message(worker, &json!({ "jsonrpc": "2.0", "id": id, "result": result }));
    }

    fn id(&self, worker: usize) -> u64 {
        let calls = self.did.iter().filter_map(|(_, action)| call(action));
        calls.filter(|(of, ..)| *of == worker).last().expect("it has asked").1
    }

    fn say_no_deltas(&mut self, worker: usize) {
        for _ in 0..2 {
            self.answer(worker, &json!({ "default": { "wipe": false, "deltas": {} } }));
        }
    }

    /// Answers both calls of a round: the first with these deltas.
    fn give(&mut self, worker: usize, deltas: Value) {
        self.answer(worker, &full(deltas));
        self.answer(worker, &json!({ "default": { "wipe": false, "deltas": {} } }));
    }

    /// What it was given by a notify and the round that follows.
    fn give_more(&mut self, deltas: Value) {
        self.notify(0, 1);
        self.give(0, deltas);
    }

    fn rpc(&self, worker: usize) -> Rpc {
        self.machine.workers[worker].rpc()
    }

    fn log(&self) -> String {
        self.machine.log.join("\n")
    }

    /// The calls of get_delta since somebody looked: worker, id and version.
    fn asked(&mut self) -> Vec<(usize, u64, f64)> {
        self.did.drain(..).filter_map(|(_, action)| call(&action)).collect()
    }

    fn did(&mut self) -> Vec<Action> {
        self.did.drain(..).map(|(_, action)| action).collect()
    }

    /// The messages that it sent since somebody looked.
    fn sent(&mut self) -> Vec<Value> {
        self.did.drain(..).filter_map(|(_, action)| said(&action)).collect()
    }

    fn key_auth(&self) -> Vec<u16> {
        let workspaces = self.machine.workers.iter().map(|worker| &worker.workspace);
        workspaces.map(|id| if self.machine.database.has_key(id, KEY) { 200 } else { 401 }).collect()
    }

    fn is_ready(&self) -> bool {
        self.machine.database.hash() != crate::node::EMPTY_HASH && self.machine.came_up
    }

    fn route(&self) -> u16 {
        self.machine.router.answer("echo")
    }
}

fn said(action: &Action) -> Option<Value> {
    match action {
        Action::Send { payload, .. } => unpack(payload),
        _ => None,
    }
}

fn call(action: &Action) -> Option<(usize, u64, f64)> {
    let message = said(action).filter(|message| message["method"] == GET_DELTA)?;
    let Action::Send { worker, .. } = action else { return None };
    Some((*worker, message["id"].as_u64()?, message["params"][0]["default"]["version"].as_f64()?))
}

fn full(deltas: Value) -> Value {
    json!({ "default": { "wipe": true, "deltas": deltas } })
}

fn delta(kind: &str, version: &Value, workspace: &str, entity: Value) -> Value {
    json!({ "type": kind, "version": version, "ws_id": workspace, "entity": entity })
}

fn route(id: &str) -> Value {
    json!({ "id": id, "name": "echo", "paths": ["/echo"], "regex_priority": 0, "service": { "id": SERVICE } })
}

/// A configuration with a route and a credential, complete as far as the fake looks.
fn deltas(version: impl Into<Value>, workspace: &str) -> Value {
    let version = version.into();
    let service = json!({ "id": SERVICE, "name": "echo", "host": "echo.internal", "port": 80, "enabled": true });
    let credential = json!({ "id": CREDENTIAL, "key": KEY, "consumer": { "id": CONSUMER } });
    json!([
        delta("workspaces", &version, workspace, json!({ "id": workspace, "name": "default" })),
        delta("consumers", &version, workspace, json!({ "id": CONSUMER, "username": "alice" })),
        delta("services", &version, workspace, service),
        delta("routes", &version, workspace, route(ROUTE)),
        delta("keyauth_credentials", &version, workspace, credential),
    ])
}

/// As a relay gives it.
fn of_relay(version: i64) -> Value {
    deltas(version, FALLBACK_WORKSPACE)
}
