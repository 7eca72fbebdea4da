//! A node's life: link after link, and on each what KONG.md section 1 tells of a data plane.

use std::collections::VecDeque;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use fastwebsockets::Role;
use futures::future::{BoxFuture, OptionFuture};
use futures::{FutureExt, StreamExt};
use hyper::StatusCode;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::frames::{Incoming, Writer, halves};
use super::message::Configuration;
use super::node::{NodeOptions, NodeState, Wrpc};
use super::outlet::{self, Introduction};
use super::pace::{Masking, Patience};

/// Lives until it is aborted.
pub(super) async fn live(options: NodeOptions, state: Arc<watch::Sender<NodeState>>) {
    let life = Life { database_ready: Instant::now() + options.database_ready_after, options, state };
    loop {
        let ended = life.link().await;
        let (Ok(reason) | Err(reason)) = ended.map_err(|error| error.to_string());
        life.state.send_modify(|state| {
            (state.connected, state.loading) = (false, false);
            state.log.push(reason.clone());
            state.last_error = Some(reason);
        });
        if life.options.wrpc == Wrpc::AskedFirst && life.speaks_wrpc() {
            return;
        }
        sleep(rand::random_range(life.options.reconnect.clone())).await;
    }
}

const SPEAKS_WRPC: &str = "the control plane speaks wRPC: this node never opens /v1/outlet";

struct Life {
    options: NodeOptions,
    state: Arc<watch::Sender<NodeState>>,
    database_ready: Instant,
}

impl Life {
    fn log(&self, line: impl Into<String>, change: impl FnOnce(&mut NodeState)) {
        self.state.send_modify(|state| {
            state.log.push(line.into());
            change(state);
        });
    }

    fn hash(&self) -> String {
        self.state.borrow().hash().to_owned()
    }

    fn speaks_wrpc(&self) -> bool {
        self.state.borrow().last_error.as_deref() == Some(SPEAKS_WRPC)
    }

    /// One link, from the first packet to its end. Returns why it ended.
    async fn link(&self) -> io::Result<String> {
        if self.options.wrpc == Wrpc::AskedFirst {
            let tls = self.connect().await?;
            let asked = outlet::ask_for_wrpc(tls, &self.options.server_name);
            if self.in_time("the answer about wRPC", asked).await? != StatusCode::NOT_FOUND {
                return Ok(SPEAKS_WRPC.to_owned());
            }
        }

        let tls = self.connect().await?;
        let introduction = Introduction {
            node_id: self.options.node_id.clone(),
            hostname: self.options.hostname.clone(),
            version: self.options.version.clone(),
        };
        let opening = outlet::open(tls, &self.options.server_name, &introduction);
        let socket = self.in_time("the WebSocket handshake", opening).await?;
        self.talk(socket).await
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let stream = self.in_time("the connection", TcpStream::connect(self.options.control_plane)).await?;
        stream.set_nodelay(true)?;
        let name = ServerName::try_from(self.options.server_name.clone()).map_err(io::Error::other)?;
        let handshake = TlsConnector::from(self.options.tls.clone()).connect(name, stream);
        self.in_time("the TLS handshake", handshake).await
    }

    async fn in_time<T>(&self, what: &str, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
        match timeout(self.options.handshake, work).await {
            Ok(result) => result,
            Err(_) => Err(io::Error::new(io::ErrorKind::TimedOut, format!("{what} took too long"))),
        }
    }

    async fn talk(&self, socket: TokioIo<Upgraded>) -> io::Result<String> {
        let patience = Patience { stall: self.options.stall, silence: self.options.silence, masking: Masking::ByRole };
        let (frames, mut writer) = halves(socket, Role::Client, self.options.max_payload, patience);
        let mut frames = pin!(frames);
        writer.binary(&self.options.first_message()).await?;

        let mut pinger = Pinger::new(self);
        pinger.ping(&mut writer).await?;
        self.log("connected", |state| {
            state.connected = true;
            state.connections += 1;
        });

        let mut loader = Loader::default();
        loop {
            tokio::select! {
                frame = frames.next() => match frame.transpose()? {
                    Some(Incoming::Binary(message)) => self.receive(message, &mut loader),
                    Some(Incoming::Pong(_)) => pinger.answered(),
                    Some(Incoming::Fragment) => return Err(io::Error::other("again: the message is fragmented")),
                    Some(Incoming::Close) => return Ok("the control plane closed the link".to_owned()),
                    // Kong answers no ping of its control plane, and ignores text.
                    Some(Incoming::Ping(_) | Incoming::Text) => {}
                    None => return Ok("the control plane hung up".to_owned()),
                },
                Some(loaded) = &mut loader.running => {
                    pinger.due_now |= self.apply(loaded);
                    loader.running = None.into();
                    loader.start_next(self);
                },
                _ = pinger.poll.tick() => if pinger.is_due() {
                    pinger.ping(&mut writer).await?;
                },
            }
        }
    }

    fn receive(&self, message: Bytes, loader: &mut Loader) {
        self.log(format!("received {} bytes", message.len()), |state| state.received += 1);
        if Instant::now() < self.database_ready {
            return self.log("unable to open DB for access: MDB_NOTFOUND", |state| state.dropped += 1);
        }
        loader.waiting = Some(message);
        loader.start_next(self);
    }

    /// Returns whether a ping is due because of it.
    fn apply(&self, loaded: io::Result<Configuration>) -> bool {
        self.state.send_modify(|state| state.loading = false);
        let rejected = |why: &str| self.log(format!("unable to update running config: {why}"), |s| s.rejected += 1);

        match loaded {
            Err(error) => rejected(&error.to_string()),
            Ok(configuration) if configuration.hash == self.hash() => {
                self.log("same config received from control plane, no need to reload", |_| {});
            }
            Ok(configuration) if self.options.rejects.as_ref().is_some_and(|rejects| rejects(&configuration)) => {
                rejected("it is not valid");
            }
            Ok(configuration) => {
                self.log(format!("applied {}", configuration.hash), |state| {
                    state.applied += 1;
                    state.configuration = Some(configuration);
                });
                return true;
            }
        }
        false
    }
}

/// Loads one configuration at a time; of those that come meanwhile only the newest is kept, as Kong does.
#[derive(Default)]
struct Loader {
    running: OptionFuture<BoxFuture<'static, io::Result<Configuration>>>,
    waiting: Option<Bytes>,
}

impl Loader {
    fn start_next(&mut self, life: &Life) {
        if life.state.borrow().loading {
            return;
        }
        let Some(message) = self.waiting.take() else { return };
        life.state.send_modify(|state| state.loading = true);
        self.running = Some(load(message, life.options.loading_time).boxed()).into();
    }
}

async fn load(message: Bytes, at_least: Duration) -> io::Result<Configuration> {
    let parsing = tokio::task::spawn_blocking(move || Configuration::from_message(&message));
    let ((), parsed) = tokio::join!(sleep(at_least), parsing);
    parsed.map_err(io::Error::other)?
}

/// Pings at once, then every interval, and earlier when a configuration was applied; looks at the clock once per poll.
struct Pinger<'a> {
    life: &'a Life,
    poll: tokio::time::Interval,
    last: Instant,
    due_now: bool,
    /// The hashes in the pings that are not answered yet, oldest first.
    unanswered: VecDeque<String>,
}

impl<'a> Pinger<'a> {
    fn new(life: &'a Life) -> Self {
        let mut poll = interval(life.options.poll_interval);
        poll.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Self { life, poll, last: Instant::now(), due_now: false, unanswered: VecDeque::new() }
    }

    fn is_due(&self) -> bool {
        self.due_now || self.last.elapsed() >= self.life.options.ping_interval
    }

    async fn ping(&mut self, writer: &mut Writer<TokioIo<Upgraded>>) -> io::Result<()> {
        let hash = self.life.hash();
        writer.ping(hash.as_bytes()).await?;
        (self.last, self.due_now) = (Instant::now(), false);
        self.poll.reset();
        self.unanswered.push_back(hash);
        self.life.state.send_modify(|state| state.pings += 1);
        Ok(())
    }

    /// A pong answers the oldest ping.
    fn answered(&mut self) {
        let hash = self.unanswered.pop_front();
        self.life.state.send_modify(|state| {
            state.pongs += 1;
            state.confirmed = hash.or(state.confirmed.take());
        });
    }
}
