//! Rounds of a node of incremental sync: it asks twice, one round at a time in all of its workers. And what a control plane
//! calls.

use std::cmp::Ordering;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::application::{Outcome, apply};
use super::event::Action;
use super::machine::Machine;
use super::options::Sync;
use super::router::Router;
use crate::wire::{GET_DELTA, NOTIFY, SYNC, number, pack, unpack};

/// A round: Kong's mutex is held while there is one.
#[derive(Debug, Clone)]
pub(super) struct Round {
    worker: usize,
    cause: Cause,
    step: Step,
}

/// Why a round is begun.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cause {
    /// Kong was started.
    Start,
    /// It was time again. The next time is counted from this round's end.
    Tick,
    /// The control plane has something new.
    Notified,
}

#[derive(Debug, Clone)]
enum Step {
    /// It looks whether there is a link, the next time then.
    Looking { began: Duration, look: usize, until: Duration },
    /// It waits for an answer.
    Calling { call: Call, link: u64, id: u64, until: Duration },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Call {
    First,
    Second,
}

impl Round {
    pub(super) fn deadline(&self) -> Duration {
        match self.step {
            Step::Looking { until, .. } | Step::Calling { until, .. } => until,
        }
    }
}

impl Machine {
    /// Begins one, unless there is one.
    pub(super) fn begin_round(&mut self, worker: usize, cause: Cause, now: Duration) {
        if self.round.is_some() {
            return self.count_to_next_tick(cause, now);
        }
        let step = Step::Looking { began: now, look: 0, until: now };
        self.round = Some(Round { worker, cause, step });
        self.wake_round(now);
    }

    fn end_round(&mut self, now: Duration) {
        if let Some(round) = self.round.take() {
            self.count_to_next_tick(round.cause, now);
        }
    }

    fn count_to_next_tick(&mut self, cause: Cause, now: Duration) {
        if cause == Cause::Tick {
            self.next_tick = Some(now + self.options.times.tick);
        }
    }

    pub(super) fn wake_round(&mut self, now: Duration) {
        let Some(round) = self.round.as_ref().filter(|round| round.deadline() <= now) else { return };
        match round.step {
            Step::Looking { began, look, .. } => self.look(round.worker, began, look, now),
            Step::Calling { call, .. } => self.fail_call(round.worker, call, "timeout", now),
        }
    }

    fn look(&mut self, worker: usize, began: Duration, look: usize, now: Duration) {
        if self.workers[worker].up().is_some() && look < self.options.times.looks.len() {
            return self.call(worker, Call::First, now);
        }
        // After the last look it waits once more, and doesn't look.
        let times = &self.options.times;
        let next = match (look + 1).cmp(&times.looks.len()) {
            Ordering::Less => began + times.looks[look + 1],
            Ordering::Equal => began + times.give_up,
            Ordering::Greater => {
                self.log.push("unable to create worker mutex and sync: rpc is not ready".to_owned());
                return self.end_round(now);
            }
        };
        self.step(Step::Looking { began, look: look + 1, until: next });
    }

    fn step(&mut self, step: Step) {
        if let Some(round) = &mut self.round {
            round.step = step;
        }
    }

    fn call(&mut self, worker: usize, call: Call, now: Duration) {
        let link = self.workers[worker].links;
        let version = self.database.version();
        let Some(up) = self.workers[worker].up() else {
            return self.fail_call(worker, call, "no peer is connected", now);
        };
        if !up.sync {
            let error = format!("requested capability does not exist, capability: {SYNC}, node_id: control_plane");
            return self.fail_call(worker, call, &error, now);
        }

        let id = up.next_id;
        up.next_id += 1;
        let params = json!([{ "default": { "version": number(version) } }]);
        self.send(worker, &json!({ "jsonrpc": "2.0", "id": id, "method": GET_DELTA, "params": params }));
        self.step(Step::Calling { call, link, id, until: now + self.options.times.call });
    }

    fn fail_call(&mut self, worker: usize, call: Call, error: &str, now: Duration) {
        self.log.push(format!("sync get_delta error: {error}"));
        self.go_on(worker, call, now);
    }

    /// The second call follows the first at once, whatever came of it.
    fn go_on(&mut self, worker: usize, call: Call, now: Duration) {
        match call {
            Call::First => self.call(worker, Call::Second, now),
            Call::Second => self.end_round(now),
        }
    }

    pub(super) fn take_message(&mut self, worker: usize, block: &[u8], now: Duration) {
        let Some(message) = unpack(block) else {
            return self.close(worker, "socket.lua: the frame can't be decoded", now);
        };
        if message["jsonrpc"] != "2.0" {
            return self.close(worker, "socket.lua:146: assertion failed!", now);
        }
        let id = message.get("id").filter(|id| !id.is_null());
        match (message.get("method"), id) {
            (Some(_), None) => self.close(worker, "socket.lua:164: assertion failed!", now),
            (Some(method), Some(id)) => self.answer_call(worker, method, id, &message["params"], now),
            (None, id) => self.take_answer(worker, id, &message, now),
        }
    }

    fn take_answer(&mut self, worker: usize, id: Option<&Value>, message: &Value, now: Duration) {
        let of_link = self.workers[worker].links;
        let waiting = match &self.round {
            Some(Round { worker: asking, step: Step::Calling { call, link, id, .. }, .. })
                if *asking == worker && *link == of_link =>
            {
                Some((*call, *id))
            }
            _ => None,
        };
        let matching = waiting.filter(|(_, waiting)| id.and_then(Value::as_f64) == Some(*waiting as f64));
        let Some((call, _)) = matching else {
            let id = id.unwrap_or(&Value::Null);
            return self.log.push(format!("[rpc] no interest for RPC response id: {id}, dropping it"));
        };

        match message.get("error").filter(|error| !error.is_null()) {
            Some(error) => {
                let text = error["message"].as_str().unwrap_or_default().to_owned();
                self.fail_call(worker, call, &text, now);
            }
            None => self.take_result(worker, call, &message["result"], now),
        }
    }

    fn take_result(&mut self, worker: usize, call: Call, result: &Value, now: Duration) {
        match apply(&self.database, result, &mut self.workers[worker].workspace) {
            Ok(outcome) => {
                self.adopt(worker, outcome);
                self.go_on(worker, call, now);
            }
            // A Lua error ends the round, and what was not committed is not in the database.
            Err(error) => {
                self.refused += 1;
                self.log.push(format!("unable to create worker mutex and sync: {error}"));
                self.end_round(now);
            }
        }
    }

    fn adopt(&mut self, worker: usize, outcome: Outcome) {
        let (database, at_once) = match outcome {
            Outcome::Nothing => return,
            Outcome::Added(database) => (database, None),
            Outcome::Replaced(database) => {
                let at_once = Router::is_at_once(&database);
                // All workers are told of a new configuration, with its default workspace.
                let workspace = self.workers[worker].workspace.clone();
                for other in &mut self.workers {
                    other.workspace.clone_from(&workspace);
                }
                (database, Some(at_once))
            }
        };

        self.applied += 1;
        self.log.push(format!("applied {}", database.hash()));
        self.database = Arc::new(database);
        self.stale = true;
        if at_once == Some(true) {
            self.build();
        } else if at_once == Some(false) {
            self.log.push("declarative reconfigure failed: router was changed while rebuilding it".to_owned());
        }
    }

    fn answer_call(&mut self, worker: usize, method: &Value, id: &Value, params: &Value, now: Duration) {
        let id = id.as_f64().map_or_else(|| id.clone(), number);
        let error = |code: i32, message: &str| json!({ "jsonrpc": "2.0", "id": id, "error": { "code": code, "message": message } });
        if *method != NOTIFY || self.options.sync == Sync::Off {
            return self.send(worker, &error(-32_601, "Method not found"));
        }

        let default = params[0].get("default").filter(|default| !default.is_null());
        let Some(default) = default else {
            return self.send(worker, &error(-32_000, "default namespace does not exist inside params"));
        };
        let Some(new_version) = default.get("new_version") else {
            return self.send(worker, &error(-32_000, "'new_version' key does not exist"));
        };
        // Comparing it is a Lua error in a timer: there is no answer, and the link goes on.
        let Some(new_version) = new_version.as_f64() else { return };
        self.send(worker, &json!({ "jsonrpc": "2.0", "id": id, "result": true }));
        if new_version > self.database.version() {
            self.begin_round(worker, Cause::Notified, now);
        }
    }

    fn send(&mut self, worker: usize, message: &Value) {
        let payload = pack(&self.order.text(message)).into();
        self.actions.push(Action::Send { worker, payload });
    }
}
