//! One connection of a node while the control plane is gone: the relay speaks the protocol itself.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use hyper::upgrade::{Parts, Upgraded};
use hyper_util::rt::TokioIo;
use lifeboat_core::deltas::{Deltas, Unsyncable};
use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_core::kong::rpc::{CallId, FromNode, Hello, NotHello, SyncVersion};
use lifeboat_core::kong::rpc::{hello_answer, method_not_found, no_deltas, notify};
use lifeboat_core::session::follow::{StoreView, snapshot_gives_way};
use lifeboat_core::session::sync::{Answer, Offer, SyncNotice, SyncTrouble};
use lifeboat_core::time::Moment;
use lifeboat_link::dial::TlsLink;
use lifeboat_link::websocket::header::Mask;
use lifeboat_link::websocket::{Incoming, Link, LinkError};
use lifeboat_runtime::background::or_pending;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsStream;
use tracing::debug;

use super::nodes::{NodeConnection, join};
use super::outage::{LocalConnection, Standing};
use super::snapshot::SyncSnapshot;
use super::{Caller, HELLO_LIMIT, HELLO_SIZE, log_lines};
use crate::relay::Shared;
use crate::relay::nodes::ControlPlaneLink;
use crate::relay::published_watch::Subscription;
use crate::relay::snapshot_cache::PendingSnapshot;

/// A node waits 5 s for all of an answer.
const SENT_WITHIN: Duration = Duration::from_secs(4);
/// How much of that may pass before the first byte is sent, while other nodes are sent the snapshot.
const QUEUED_WITHIN: Duration = Duration::from_secs(2);
/// A node pings every 35 s at most.
const IDLE_LIMIT: Duration = Duration::from_secs(60);
/// The close code that says: the control plane is there, connect again.
const GOING_AWAY: u16 = 1001;

/// A connection of a node that is restored here.
struct Connection {
    shared: Arc<Shared>,
    caller: Caller,
    link: TlsLink,
    hello: Hello,
    /// None for a node that takes its configuration elsewhere.
    node: Option<NodeConnection>,
    standing: watch::Receiver<Standing>,
    fetching: Option<PendingSnapshot>,
    snapshot: Option<Deltas>,
    published: Option<Subscription>,
    last_heard: Moment,
    _local: LocalConnection,
}

enum Event {
    Frame(Frame),
    Part,
    Standing,
    Fetched(Arc<SyncSnapshot>),
    Published(StoreView),
    Tick,
}

/// Serves a connection until one of the two sides ends it.
pub(super) async fn serve(shared: Arc<Shared>, upgraded: Upgraded, caller: Caller) {
    let local = shared.sync_outage.local(&shared);
    let Parts { io, read_buf, .. } =
        upgraded.downcast::<TokioIo<TlsStream<TcpStream>>>().expect("what comes back is the stream that went in");
    let mut link = Link::new(io.into_inner(), read_buf, Mask::Theirs, HELLO_SIZE);

    let hello = match Box::pin(timeout(HELLO_LIMIT, first_message(&mut link))).await {
        Ok(Ok(hello)) => hello,
        Ok(Err(Some(problem))) => {
            log_lines::not_hello(&caller, problem);
            let _ = link.send(&Frame::close(1008)).await;
            return link.close().await;
        }
        Ok(Err(None)) | Err(_) => return link.close().await,
    };

    let standing = shared.sync_outage.standing();
    let is_synced = hello.can_be_synced();
    let node = is_synced.then(|| join(&shared, &hello, &caller, ControlPlaneLink::Connecting));
    if let Some(node) = &node {
        node.entry.is_served_here();
    }
    let last_heard = shared.clock.now();
    // Boxed, as a node's driver is, so that it takes memory only while it lasts.
    let mut connection = Box::new(Connection {
        caller,
        link,
        hello,
        node,
        standing,
        fetching: None,
        snapshot: None,
        published: None,
        last_heard,
        _local: local,
        shared,
    });

    connection.named_elsewhere();
    let mut flow = Box::pin(connection.say_hello(is_synced)).await;
    while flow.is_continue() {
        flow = match connection.next_event().await {
            Ok(event) => Box::pin(connection.handle(event)).await,
            Err(error) => {
                debug!(peer = %connection.caller.peer, "a connection to /v2/outlet ended: {error}");
                ControlFlow::Break(())
            }
        };
    }
    connection.link.close().await;
}

// The error is `None` if the connection has ended.
async fn first_message(link: &mut TlsLink) -> Result<Hello, Option<NotHello>> {
    loop {
        match link.recv().await {
            Ok(Incoming::Part) => {}
            Ok(Incoming::Frame(frame)) if frame.is_whole_message() => {
                return Hello::decode(&frame.payload).map_err(Some);
            }
            Ok(Incoming::Frame(_)) | Err(LinkError::TooLong { .. } | LinkError::Protocol(_)) => {
                return Err(Some(NotHello::Form));
            }
            Err(_) => return Err(None),
        }
    }
}

impl Connection {
    // Lists a node that takes its configuration over /v2/outlet, but speaks another protocol than this relay.
    fn named_elsewhere(&self) {
        if self.hello.syncs && self.node.is_none() {
            let (shared, peer, hello) = (self.shared.clone(), self.caller.peer.ip(), self.hello.clone());
            self.shared.spawn(async move { shared.incremental.linked(peer, &hello).await });
        }
    }

    async fn say_hello(&mut self, is_synced: bool) -> ControlFlow<()> {
        self.send(&Frame::binary(hello_answer(is_synced))).await?;
        self.stands().await
    }

    async fn next_event(&mut self) -> Result<Event, LinkError> {
        let (clock, wake_at) = (self.shared.clock, self.wake_at());
        Ok(tokio::select! {
            biased;
            received = self.link.recv() => match received? {
                Incoming::Frame(frame) => Event::Frame(frame),
                Incoming::Part => Event::Part,
            },
            Ok(()) = self.standing.changed() => Event::Standing,
            snapshot = or_pending(self.fetching.as_mut().map(PendingSnapshot::ready_for_sync)) => Event::Fetched(snapshot),
            view = or_pending(self.published.as_mut().map(Subscription::next)) => Event::Published(view),
            () = clock.reach(wake_at) => Event::Tick,
        })
    }

    async fn handle(&mut self, event: Event) -> ControlFlow<()> {
        match event {
            Event::Frame(frame) => {
                self.last_heard = self.shared.clock.now();
                self.heard(frame).await
            }
            Event::Part => {
                self.last_heard = self.shared.clock.now();
                ControlFlow::Continue(())
            }
            Event::Standing => self.stands().await,
            Event::Fetched(snapshot) => {
                self.fetching = None;
                self.fetched(&snapshot).await;
                ControlFlow::Continue(())
            }
            Event::Published(view) => {
                self.published(view);
                ControlFlow::Continue(())
            }
            Event::Tick => self.tick().await,
        }
    }

    // What the control plane is now to this connection.
    async fn stands(&mut self) -> ControlFlow<()> {
        let standing = *self.standing.borrow_and_update();
        let link = match standing {
            Standing::There => return self.leave().await,
            Standing::Asking => ControlPlaneLink::Connecting,
            Standing::Gone => ControlPlaneLink::Gone,
            Standing::Refuses => ControlPlaneLink::Refused,
        };

        if let Some(node) = &self.node {
            node.entry.shows(link);
        }
        if standing == Standing::Gone {
            self.fetch();
        }
        ControlFlow::Continue(())
    }

    // Closes the connection. The node connects again, and is then linked to the control plane.
    async fn leave(&mut self) -> ControlFlow<()> {
        let within = self.shared.sync_outage.close_within();
        let until = Instant::now() + within.mul_f64(rand::random());
        // Until then it is still a node that pings.
        while let Ok(Ok(incoming)) = timeout_at(until, self.link.recv()).await {
            if let Incoming::Frame(frame) = incoming {
                self.heard(frame).await?;
            }
        }
        let _ = self.link.send(&Frame::close(GOING_AWAY)).await;
        ControlFlow::Break(())
    }

    fn fetch(&mut self) {
        if let (Some(_), Some(version)) = (&self.node, self.hello.version) {
            self.fetching = Some(self.shared.snapshots.request(version));
            if self.published.is_none() {
                self.published = self.shared.published_watch.subscribe(version);
            }
        }
    }

    async fn fetched(&mut self, snapshot: &Arc<SyncSnapshot>) {
        let Some(node) = &self.node else { return };
        match snapshot.deltas().await {
            Ok(deltas) => {
                node.entry.unsyncable(None);
                self.snapshot = Some(deltas);
            }
            Err(why) => {
                if node.entry.with(|node| node.has()).is_none_or(|version| version == 0) {
                    self.refuse(&why);
                }
            }
        }
    }

    fn refuse(&self, why: &Unsyncable) {
        let Some(node) = &self.node else { return };
        if node.entry.unsyncable(Some(why.to_string())) {
            log_lines::unsyncable(&node.entry, why);
        }
    }

    fn published(&mut self, view: StoreView) {
        let newest = SyncVersion::of_sequence(view.newest.sequence);
        let is_newer = self.snapshot.as_ref().is_none_or(|deltas| snapshot_gives_way(deltas.version(), newest));
        if let Some(version) = self.hello.version.filter(|_| is_newer && self.fetching.is_none()) {
            self.fetching = Some(self.shared.snapshots.request_published(version, &view.newest));
        }
    }

    async fn tick(&mut self) -> ControlFlow<()> {
        let (now, offer) = (self.shared.clock.now(), self.offer());
        if now >= self.last_heard + IDLE_LIMIT {
            debug!(peer = %self.caller.peer, "a connection to /v2/outlet has been silent for 60 s: closed it");
            return ControlFlow::Break(());
        }
        let is_due = self.node.as_ref().is_some_and(|node| node.entry.with(|node| node.notify(offer.as_ref(), now)));
        if is_due {
            self.send(&Frame::binary(notify())).await?;
        }
        ControlFlow::Continue(())
    }

    fn wake_at(&self) -> Moment {
        let (now, offer) = (self.shared.clock.now(), self.offer());
        let notify_at = self.node.as_ref().and_then(|node| node.entry.with(|node| node.notify_at(offer.as_ref(), now)));
        let idle_at = self.last_heard + IDLE_LIMIT;
        notify_at.map_or(idle_at, |at| at.min(idle_at))
    }

    // None while the control plane is not known to be gone, and while there is no snapshot.
    fn offer(&self) -> Option<Offer> {
        let deltas = self.snapshot.as_ref().filter(|_| *self.standing.borrow() == Standing::Gone)?;
        Some(Offer {
            version: deltas.version(),
            message_bytes: deltas.message_bytes(),
            config_bytes: deltas.config_bytes(),
            follow: self.shared.published_watch.is_on(),
        })
    }

    async fn heard(&mut self, frame: Frame) -> ControlFlow<()> {
        match frame.opcode {
            Opcode::Ping => self.send(&Frame { opcode: Opcode::Pong, ..frame }).await,
            Opcode::Pong => ControlFlow::Continue(()),
            Opcode::Close => {
                let _ = self.link.send(&frame).await;
                ControlFlow::Break(())
            }
            Opcode::Binary if frame.is_final => match FromNode::decode(&frame.payload) {
                Some(FromNode::GetDelta { id, version }) => self.asked(&id, version).await,
                Some(FromNode::OtherCall { id }) => self.send(&Frame::binary(method_not_found(&id))).await,
                Some(FromNode::NotifyAnswered | FromNode::Other) => ControlFlow::Continue(()),
                None => ControlFlow::Break(()),
            },
            _ => ControlFlow::Break(()),
        }
    }

    async fn asked(&mut self, id: &CallId, version: i64) -> ControlFlow<()> {
        let (now, offer) = (self.shared.clock.now(), self.offer());
        let Some(node) = &self.node else { return self.send(&Frame::binary(no_deltas(id))).await };
        let entry = node.entry.clone();
        let (answer, notice) = entry.with(|node| node.asked(version, offer.as_ref(), now));
        match &notice {
            Some(SyncNotice::Adopted(_)) => entry.restored(),
            Some(SyncNotice::Trouble(SyncTrouble::NotAdopted { .. })) => entry.not_adopting(),
            _ => {}
        }
        if let Some(notice) = &notice {
            log_lines::noticed(&entry, notice);
        }

        let deltas = self.snapshot.clone().filter(|_| answer == Answer::Everything);
        match deltas {
            Some(deltas) => self.restore(id, &deltas).await,
            None => {
                self.send(&Frame::binary(no_deltas(id))).await?;
                // Another one may have been published by now.
                if version == 0 && offer.is_some() && self.fetching.is_none() {
                    self.fetch();
                }
                ControlFlow::Continue(())
            }
        }
    }

    async fn restore(&mut self, id: &CallId, deltas: &Deltas) -> ControlFlow<()> {
        let Some(entry) = self.node.as_ref().map(|node| node.entry.clone()) else { return ControlFlow::Continue(()) };
        let until = Instant::now() + SENT_WITHIN;
        let Ok(permit) = timeout(QUEUED_WITHIN, self.shared.feed_queue.permit()).await else {
            entry.with(|node| node.not_sent(self.shared.clock.now()));
            return self.send(&Frame::binary(no_deltas(id))).await;
        };

        let pieces = deltas.answer(id);
        match timeout_at(until, permit.deliver(self.link.send_message(&pieces))).await {
            Ok(Ok(())) => {
                log_lines::sent(&entry, deltas.version());
                ControlFlow::Continue(())
            }
            Ok(Err(error)) => {
                debug!(node = entry.id, "the node could not be sent the snapshot: {error}");
                ControlFlow::Break(())
            }
            Err(_) => {
                log_lines::not_sent_in_time(&entry);
                ControlFlow::Break(())
            }
        }
    }

    async fn send(&mut self, frame: &Frame) -> ControlFlow<()> {
        match self.link.send(frame).await {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => {
                debug!(peer = %self.caller.peer, "a node could not be sent a frame: {error}");
                ControlFlow::Break(())
            }
        }
    }
}
