//! Drives a node's machine: a task for each link, the clock, and what can be seen.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until};

use super::event::{Action, Arrived, Event};
use super::link::{self, Order, Told};
use super::machine::Machine;
use super::options::IncrementalOptions;
use super::state::{IncrementalState, Said, What, Word, WorkerState};
use crate::wire::unpack;

/// Of a message that takes more on the wire only the rest is remembered, not its result.
const LARGE: usize = 64 << 10;

/// A link's number among the worker's, and what it says.
type Post = (usize, u64, Told);

struct Driver {
    machine: Machine,
    began: Instant,
    links: Vec<RunningLink>,
    post: mpsc::UnboundedSender<Post>,
    state: Arc<watch::Sender<IncrementalState>>,
}

#[derive(Default)]
struct RunningLink {
    number: u64,
    orders: Option<mpsc::UnboundedSender<Order>>,
    task: Option<JoinHandle<()>>,
}

impl Drop for RunningLink {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// Lives until it is aborted.
pub(super) async fn live(options: IncrementalOptions, state: Arc<watch::Sender<IncrementalState>>) {
    let (post, mut arriving) = mpsc::unbounded_channel();
    let links = (0..options.workers).map(|_| RunningLink::default()).collect();
    let mut driver = Driver { machine: Machine::start(options), began: Instant::now(), links, post, state };
    driver.publish(|state| state.starts += 1);
    loop {
        let actions = tokio::select! {
            Some((worker, number, told)) = arriving.recv() => driver.take(worker, number, told),
            () = sleep_until(driver.began + driver.machine.deadline()) => driver.machine.wake(driver.began.elapsed()),
        };
        driver.act(actions);
        driver.publish(|_| {});
    }
}

impl Driver {
    fn take(&mut self, worker: usize, number: u64, told: Told) -> Vec<Action> {
        if self.links[worker].number != number {
            return Vec::new();
        }
        let event = match told {
            Told::Asked(head) => return self.note(worker, Said::Sent, What::Head(head)),
            Told::Answered(head) => return self.note(worker, Said::Received, What::Head(head)),
            Told::Opened(protocol) => Event::Opened { worker, protocol },
            Told::Failed(reason) => Event::Failed { worker, reason },
            Told::Ended(reason) => Event::Ended { worker, reason },
            Told::Frame(frame) => {
                self.note(worker, Said::Received, seen(&frame));
                Event::Frame { worker, frame }
            }
        };
        self.machine.handle(event, self.began.elapsed())
    }

    fn note(&self, worker: usize, said: Said, what: What) -> Vec<Action> {
        self.state.send_modify(|state| state.words.push(Word { worker, said, what: Arc::new(what) }));
        Vec::new()
    }

    fn act(&mut self, actions: Vec<Action>) {
        for action in actions {
            match action {
                Action::Dial { worker } => self.dial(worker),
                Action::Drop { worker } => self.links[worker] = RunningLink::after(&self.links[worker]),
                Action::Send { worker, payload } => {
                    self.note(worker, Said::Sent, message(&payload));
                    self.order(worker, Order::Send(payload));
                }
                Action::Ping { worker } => {
                    self.note(worker, Said::Sent, What::Ping);
                    self.order(worker, Order::Ping);
                }
                Action::Pong { worker } => {
                    self.note(worker, Said::Sent, What::Pong);
                    self.order(worker, Order::Pong);
                }
                Action::Close { worker } => {
                    self.note(worker, Said::Sent, What::Close);
                    self.order(worker, Order::Close);
                    // What comes after that is nobody's. The task ends itself.
                    self.links[worker].number += 1;
                    self.links[worker].task = None;
                }
            }
        }
    }

    /// A link that has ended takes no orders, and says so itself.
    fn order(&self, worker: usize, order: Order) {
        let orders = &self.links[worker].orders;
        let _ = orders.as_ref().map(|orders| orders.send(order));
    }

    fn dial(&mut self, worker: usize) {
        let mut link = RunningLink::after(&self.links[worker]);
        let (orders, taken) = mpsc::unbounded_channel();
        let (post, number) = (self.post.clone(), link.number);
        let tell = move |told| {
            // Only a node that has ended does not take it.
            let _ = post.send((worker, number, told));
        };
        link.orders = Some(orders);
        link.task = Some(tokio::spawn(link::run(self.machine.options.clone(), taken, tell)));
        self.links[worker] = link;
    }

    fn publish(&mut self, change: impl FnOnce(&mut IncrementalState)) {
        let machine = &mut self.machine;
        self.state.send_modify(|state| {
            let of_worker = |worker: &super::worker::Worker| WorkerState {
                rpc: worker.rpc(),
                links: worker.links,
                last_error: worker.last_error.clone(),
                workspace: worker.workspace.clone(),
            };
            state.workers = machine.workers.iter().map(of_worker).collect();
            state.database = machine.database.clone();
            state.router = machine.router.clone();
            state.came_up = machine.came_up;
            state.applied += std::mem::take(&mut machine.applied);
            state.refused += std::mem::take(&mut machine.refused);
            state.log.append(&mut machine.log);
            change(state);
        });
    }
}

impl RunningLink {
    fn after(last: &Self) -> Self {
        Self { number: last.number + 1, orders: None, task: None }
    }
}

fn seen(frame: &Arrived) -> What {
    match frame {
        Arrived::Binary(payload) => message(payload),
        Arrived::Text => What::Text,
        Arrived::Ping => What::Ping,
        Arrived::Pong => What::Pong,
        Arrived::Close => What::Close,
        Arrived::Fragment => What::Fragment,
    }
}

fn message(payload: &Bytes) -> What {
    let value = serde_json::from_slice(payload).ok().or_else(|| unpack(payload));
    match value {
        Some(mut value) => {
            // A thousand nodes would remember the same settings.
            if let Some(conf) = value.pointer_mut("/params/0/kong_conf") {
                *conf = Value::from("..");
            }
            if payload.len() > LARGE && value.get("result").is_some() {
                value["result"] = Value::from(format!("{} bytes on the wire", payload.len()));
            }
            What::Message(value)
        }
        None => What::Unreadable(payload.len()),
    }
}
