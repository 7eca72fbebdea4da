//! A node of incremental sync without sockets and clock: its workers' links, from events to actions. What it asks and
//! answers on a link that is up is in `round`.

use std::sync::Arc;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};

use super::database::Database;
use super::event::{Action, Arrived, Event};
use super::hello::{self, Answer};
use super::options::{IncrementalOptions, Sync};
use super::round::{Cause, Round};
use super::router::Router;
use super::worker::{Link, Up, Worker};
use crate::entities::FALLBACK_WORKSPACE;
use crate::wire::{KeyOrder, PROTOCOL};

/// One process of Kong, from its start. Times count from there.
pub(super) struct Machine {
    pub(super) options: IncrementalOptions,
    pub(super) order: KeyOrder,
    pub(super) workers: Vec<Worker>,
    pub(super) database: Arc<Database>,
    pub(super) router: Router,
    /// It built its router at its start, or had nothing to build it from, or has built it since.
    pub(super) came_up: bool,
    /// The database has what the router does not have yet.
    pub(super) stale: bool,
    pub(super) round: Option<Round>,
    pub(super) applied: u64,
    pub(super) refused: u64,
    pub(super) log: Vec<String>,
    pub(super) actions: Vec<Action>,
    /// Its first round, which has nothing to do with the ticks.
    first_round: Option<Duration>,
    /// None while its own round goes on: it is set again at that round's end.
    pub(super) next_tick: Option<Duration>,
    next_rebuild: Duration,
    rng: StdRng,
}

impl Machine {
    /// Starts Kong, with what the options say is in its LMDB.
    pub(super) fn start(options: IncrementalOptions) -> Self {
        let database = Arc::new(options.database.clone());
        let workspace = database.default_workspace.clone().unwrap_or_else(|| FALLBACK_WORKSPACE.to_owned());
        let link = Link::Waiting { until: options.times.dial_after };
        let worker = Worker { link, workspace, links: 0, last_error: None };
        let mut machine = Self {
            order: KeyOrder::of_a_new_process(),
            workers: vec![worker; options.workers],
            router: Router::default(),
            came_up: true,
            stale: false,
            round: None,
            applied: 0,
            refused: 0,
            log: Vec::new(),
            actions: Vec::new(),
            first_round: (options.sync == Sync::On).then_some(options.times.first_round_after),
            next_tick: (options.sync == Sync::On).then_some(options.times.tick),
            next_rebuild: options.times.rebuild,
            rng: StdRng::seed_from_u64(rand::random()),
            database,
            options,
        };

        if !machine.database.is_empty() {
            machine.build();
            machine.came_up = machine.router.is_built();
        }
        machine
    }

    /// Takes what came.
    pub(super) fn handle(&mut self, event: Event, now: Duration) -> Vec<Action> {
        // What came too late is too late, also when the clock was not looked at in between.
        self.wake_round(now);
        match event {
            Event::Opened { worker, protocol } => self.greet(worker, protocol.as_deref(), now),
            Event::Failed { worker, reason } => {
                self.log.push(format!("[rpc] unable to connect to peer: {reason}"));
                self.lose(worker, reason, now);
            }
            Event::Ended { worker, reason } => self.end(worker, &reason, now),
            Event::Frame { worker, frame } => match self.workers[worker].link {
                Link::Greeting { .. } => self.take_answer_to_hello(worker, &frame, now),
                Link::Up(_) => self.take_frame(worker, frame, now),
                Link::Waiting { .. } | Link::Dialling | Link::Dead => {}
            },
        }
        std::mem::take(&mut self.actions)
    }

    /// Does what is due.
    pub(super) fn wake(&mut self, now: Duration) -> Vec<Action> {
        for worker in 0..self.workers.len() {
            self.wake_worker(worker, now);
        }
        self.wake_round(now);
        if self.first_round.is_some_and(|first| first <= now) {
            self.first_round = None;
            self.begin_round(0, Cause::Start, now);
        }
        if self.next_tick.is_some_and(|tick| tick <= now) {
            self.next_tick = None;
            self.begin_round(0, Cause::Tick, now);
        }
        if self.next_rebuild <= now {
            self.next_rebuild += self.options.times.rebuild;
            self.rebuild();
        }
        std::mem::take(&mut self.actions)
    }

    /// When something is due next.
    pub(super) fn deadline(&self) -> Duration {
        let workers = self.workers.iter().filter_map(Worker::deadline);
        let others =
            [self.first_round, self.next_tick, self.round.as_ref().map(Round::deadline), Some(self.next_rebuild)];
        workers.chain(others.into_iter().flatten()).min().expect("a rebuild is always due some time")
    }

    fn wake_worker(&mut self, worker: usize, now: Duration) {
        let times = &self.options.times;
        let (quiet, silence, poll) = (times.quiet, times.silence, times.poll);
        match &mut self.workers[worker].link {
            Link::Waiting { until } if *until <= now => {
                self.workers[worker].link = Link::Dialling;
                self.actions.push(Action::Dial { worker });
            }
            Link::Greeting { until } if *until <= now => {
                self.close(worker, "failed to receive the first 2 bytes: timeout", now);
            }
            Link::Up(up) if up.next_look <= now => {
                let idle = now - up.last_frame;
                up.next_look += poll;
                if idle >= silence {
                    self.close(worker, "did not receive ping frame from other end within 45 seconds", now);
                } else if idle > quiet {
                    self.actions.push(Action::Ping { worker });
                }
            }
            _ => {}
        }
    }

    fn greet(&mut self, worker: usize, protocol: Option<&str>, now: Duration) {
        match protocol {
            Some(PROTOCOL) => {
                self.workers[worker].link = Link::Greeting { until: now + self.options.times.handshake };
                let payload = hello::text(&self.options, self.order).into_bytes().into();
                self.actions.push(Action::Send { worker, payload });
            }
            Some(other) => self.close(worker, &format!("did not support protocol : {other}"), now),
            None => self.close(worker, "peer did not provide sec_websocket_protocol", now),
        }
    }

    fn take_answer_to_hello(&mut self, worker: usize, frame: &Arrived, now: Duration) {
        let payload = match frame {
            Arrived::Binary(payload) => payload,
            Arrived::Close => return self.close(worker, "the peer closed the link", now),
            Arrived::Text => return self.close(worker, "wrong frame type: text", now),
            Arrived::Ping => return self.close(worker, "wrong frame type: ping", now),
            Arrived::Pong => return self.close(worker, "wrong frame type: pong", now),
            Arrived::Fragment => return self.close(worker, "err: again", now),
        };

        match hello::judge(payload) {
            Answer::Accepted { sync } => {
                self.log.push(format!("worker {worker}: connected"));
                let next_look = now + self.options.times.poll;
                self.workers[worker].links += 1;
                self.workers[worker].link = Link::Up(Up { sync, next_id: 0, last_frame: now, next_look });
            }
            Answer::Refused(reason) => self.close(worker, &reason, now),
            // Kong schedules the next try at the end of the function that this error has left.
            Answer::Deadly(error) => {
                self.log.push(format!("[timer-ng] failed to run timer: {error}"));
                self.workers[worker].last_error = Some(error.to_owned());
                self.workers[worker].link = Link::Dead;
                self.actions.push(Action::Drop { worker });
            }
        }
    }

    fn take_frame(&mut self, worker: usize, frame: Arrived, now: Duration) {
        let next_look = now + self.options.times.poll;
        if let Some(up) = self.workers[worker].up() {
            (up.last_frame, up.next_look) = (now, next_look);
        }
        match frame {
            Arrived::Binary(block) => self.take_message(worker, &block, now),
            Arrived::Ping => self.actions.push(Action::Pong { worker }),
            Arrived::Pong => {}
            Arrived::Close => self.close(worker, "the peer closed the link", now),
            Arrived::Text => self.close(worker, "socket.lua:143: assertion failed!", now),
            Arrived::Fragment => self.close(worker, "err: again", now),
        }
    }

    fn end(&mut self, worker: usize, reason: &str, now: Duration) {
        if !matches!(self.workers[worker].link, Link::Dead | Link::Waiting { .. }) {
            self.log.push(format!("[rpc] connection broken, err: {reason}"));
            self.lose(worker, reason.to_owned(), now);
        }
    }

    /// Closes a link with an empty close frame; there will be another one.
    pub(super) fn close(&mut self, worker: usize, reason: &str, now: Duration) {
        self.log.push(format!("[rpc] connection broken, err: {reason}"));
        self.actions.push(Action::Close { worker });
        self.lose(worker, reason.to_owned(), now);
    }

    fn lose(&mut self, worker: usize, reason: String, now: Duration) {
        let until = now + self.rng.random_range(self.options.times.reconnect.clone());
        self.workers[worker].last_error = Some(reason);
        self.workers[worker].link = Link::Waiting { until };
    }

    fn rebuild(&mut self) {
        if self.stale {
            self.build();
        }
    }

    /// Builds the router; if that fails, the timer tries again.
    pub(super) fn build(&mut self) {
        match self.router.build(&self.database, &self.options.plugins) {
            Ok(()) => (self.stale, self.came_up) = (false, true),
            Err(error) => {
                self.stale = true;
                self.log.push(format!("could not rebuild router via timer: {error}"));
            }
        }
    }
}
