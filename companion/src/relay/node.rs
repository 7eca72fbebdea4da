//! The driver of one node's session: two links, a dial under way, a fetch under way, a large message on its way, a timer.
//! All decisions are the session's.

use std::ops::ControlFlow;
use std::sync::Arc;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::export::adoption::NodeNews;
use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_core::outage::OutageLog;
use lifeboat_core::session::answer::Verdict;
use lifeboat_core::session::node::{Action, Event, NodeSession, Notice, ReadySnapshot};
use lifeboat_link::dial::{TlsLink, dial};
use lifeboat_link::websocket::{Incoming, LinkError};
use lifeboat_runtime::background::{finished, or_pending};
use tokio::task::JoinHandle;
use tracing::{Instrument, debug, info};

use super::NotLinked;
use super::admission::Place;
use super::feed_queue::{Permit, PermitWait};
use super::incremental::Outlet;
use super::large_messages::{Arriving, LARGE, LargeMessages};
use super::nodes::NodeRow;
use super::published_watch::Subscription;
use super::snapshot_cache::PendingSnapshot;
use super::{NodeIdentity, Shared, log_lines, recheck};
use crate::export::ObservationSender;
use crate::observation::NodePresence;

struct Driver {
    shared: Arc<Shared>,
    identity: NodeIdentity,
    node: TlsLink,
    /// None in an outage; being boxed, it then takes no memory.
    control_plane: Option<Box<TlsLink>>,
    dialing: Option<JoinHandle<Result<TlsLink, NotLinked>>>,
    fetching: Option<PendingSnapshot>,
    /// What is published, while the node has lost its control plane.
    published: Option<Subscription>,
    /// A large message that the control plane has begun to send.
    arriving: Option<Arriving>,
    /// The snapshot that is to be sent, and the wait for leave to send it.
    feed: Option<(Arc<ReadySnapshot>, PermitWait)>,
    session: NodeSession,
    /// The control plane is there and gives this node nothing.
    outage: OutageLog,
    row: NodeRow,
    observer: Option<ObservationSender>,
    presence: NodePresence,
    _outlet: Outlet,
    place: Arc<Place>,
}

/// What a driver does next.
enum Step {
    Event(Event),
    /// The snapshot may be sent.
    Feed(Permit),
}

/// What came from the control plane.
enum FromControlPlane {
    Frame(Frame),
    /// A part of one.
    Part,
    /// Nothing yet: it has begun a large message for which there is no room.
    HeldBack,
}

/// Serves a node until one of the two sides ends it.
pub(super) fn serve(
    shared: Arc<Shared>,
    identity: NodeIdentity,
    node: TlsLink,
    place: Arc<Place>,
) -> impl Future<Output = ()> {
    info!(node = identity.id, hostname = identity.hostname, "a node connected");
    let (session, actions) = NodeSession::begin(shared.settings.rules, shared.clock.now());
    // Made before the future begins, and boxed: otherwise the future would hold its arguments twice.
    let driver = Box::new(Driver {
        node,
        control_plane: None,
        dialing: None,
        fetching: None,
        published: None,
        arriving: None,
        feed: None,
        session,
        outage: shared.unserved.another(),
        row: shared.nodes.join(&identity, shared.clock.wall()),
        observer: identity.version.and_then(|version| shared.observations.node(version)),
        presence: shared.recorder.node(),
        _outlet: shared.incremental.outlet(&identity.id, identity.address.ip()),
        place,
        shared,
        identity,
    });
    driver.run(actions)
}

impl Driver {
    // Most of the time, a node waits for its next step. All other waits are boxed, so that they take memory only while
    // they last.
    async fn run(mut self: Box<Self>, first: Vec<Action>) {
        self.observe(NodeNews::Joined).await;
        let mut flow = Box::pin(self.perform(first)).await;

        while flow.is_continue() {
            self.row.show(&self.session);
            self.follow();
            flow = match self.next_step().await {
                Ok(Step::Event(event)) => Box::pin(self.handle(event)).await,
                Ok(Step::Feed(permit)) => Box::pin(self.feed(permit)).await,
                Err(error) => {
                    debug!(node = self.identity.id, "the node's link ended: {error}");
                    ControlFlow::Break(())
                }
            };
        }

        Box::pin(self.end()).await;
    }

    // An error means that the node's link failed, which ends the session. A part of a node's frame is no event.
    async fn next_step(&mut self) -> Result<Step, LinkError> {
        let (clock, wake_at) = (self.shared.clock, self.session.wake_at());
        loop {
            return Ok(Step::Event(tokio::select! {
                biased;
                received = self.node.recv() => match received? {
                    Incoming::Frame(frame) => Event::FromNode(self.sharing_the_first(frame)),
                    Incoming::Part => continue,
                },
                received = recv(&self.shared.large_messages, &mut self.control_plane, &mut self.arriving) => {
                    self.received(received)
                }
                dialed = finished(&mut self.dialing) => self.dialed(dialed),
                snapshot = or_pending(self.fetching.as_mut().map(PendingSnapshot::ready)) => {
                    self.fetching = None;
                    Event::Fetched(snapshot)
                }
                view = or_pending(self.published.as_mut().map(Subscription::next)) => Event::Published(view),
                permit = or_pending(self.feed.as_mut().map(|(_, permit)| permit)) => return Ok(Step::Feed(permit)),
                () = clock.reach(wake_at) => Event::Tick,
            }));
        }
    }

    // The session keeps a node's first message, which is the same for most nodes.
    fn sharing_the_first(&self, frame: Frame) -> Frame {
        match self.session.info() {
            None if frame.opcode == Opcode::Binary => {
                Frame { payload: self.shared.first_messages.share(&frame.payload), ..frame }
            }
            _ => frame,
        }
    }

    async fn feed(&mut self, permit: Permit) -> ControlFlow<()> {
        let Some((snapshot, _)) = self.feed.take().filter(|_| self.session.awaits_delivery()) else {
            return ControlFlow::Continue(());
        };
        match permit.deliver(self.node.send_message(snapshot.message().pieces())).await {
            Ok(()) => self.handle(Event::Delivered).await,
            Err(error) => self.not_sent(&error),
        }
    }

    async fn handle(&mut self, event: Event) -> ControlFlow<()> {
        // The rule may have been changed since the last event, and holds from this one on.
        self.session.set_on_refusal(self.shared.rulebook.now().on_refusal);
        let actions = self.session.handle(event, self.shared.clock.now(), rand::random());
        self.perform(actions).await
    }

    async fn perform(&mut self, actions: Vec<Action>) -> ControlFlow<()> {
        let mut control_plane_failed = false;
        for action in actions {
            match action {
                Action::ConnectControlPlane => self.dialing = Some(tokio::spawn(self.connect().in_current_span())),
                Action::DisconnectControlPlane => self.disconnect().await,
                Action::RaiseLimit(limit) => {
                    if let Some(link) = &mut self.control_plane {
                        link.raise_limit(limit);
                    }
                }
                Action::ToControlPlane(frame) => {
                    if let Some(link) = &mut self.control_plane {
                        control_plane_failed |= link.send(&frame).await.is_err();
                    }
                }
                Action::ToNode(frame) => self.send(&frame).await?,
                Action::Fetch => self.fetch(),
                Action::FetchPublished(publication) => {
                    let request = |version| self.shared.snapshots.request_published(version, &publication);
                    self.fetching = self.identity.version.map(request);
                }
                Action::Feed(snapshot) => self.feed = Some((snapshot, self.shared.feed_queue.permit())),
                Action::CloseNode(frame) => {
                    if let Some(frame) = frame {
                        let _ = self.node.send(&frame).await;
                    }
                    return ControlFlow::Break(());
                }
                Action::Notify(notice) => self.notify(&notice).await,
            }
        }

        if control_plane_failed && self.control_plane.take().is_some() {
            self.arriving = None;
            return Box::pin(self.handle(Event::ControlPlaneClosed)).await;
        }
        ControlFlow::Continue(())
    }

    async fn send(&mut self, frame: &Frame) -> ControlFlow<()> {
        let max_config = self.shared.settings.limits.large_messages;
        let sending = self.shared.large_messages.deliver(&frame.payload, self.node.send(frame));
        let (delivered, sent) = tokio::join!(sending, self.shared.sent_hashes.of(frame, max_config));
        if let Err(error) = delivered {
            return self.not_sent(&error);
        }

        if let Some(sent) = sent {
            self.row.was_sent(sent);
        }
        if self.shared.empty_configurations.saw(frame) {
            self.presence.given_nothing();
        }
        ControlFlow::Continue(())
    }

    fn not_sent(&self, error: &LinkError) -> ControlFlow<()> {
        log_lines::not_sent(&self.identity, error);
        ControlFlow::Break(())
    }

    fn fetch(&mut self) {
        self.fetching = self.identity.version.map(|version| self.shared.snapshots.request(version));
        if self.fetching.is_none() {
            log_lines::unknown_version(&self.identity);
        }
    }

    async fn notify(&mut self, notice: &Notice) {
        let now = self.shared.clock.now();
        match notice {
            Notice::Runs(hash) => {
                self.seen_running(*hash);
                self.observe(NodeNews::Runs(*hash)).await;
            }
            Notice::Given(_) => {
                self.shared.control_plane_health.gives(now);
                self.presence.given();
                self.observe(NodeNews::Given).await;
            }
            Notice::Gone { early: Some(how), .. } => self.shared.control_plane_health.ended_early(*how, now),
            Notice::Adopted(_) => self.presence.restored(),
            Notice::NotAdopted { .. } => self.presence.not_adopting(),
            _ => {}
        }
        log_lines::log(&self.identity, &self.shared.cluster.control_plane.address, notice, &self.outage, now);
    }

    // If the node is switched to incremental sync, it will say that it has nothing until a control plane has sent it
    // something that way.
    fn seen_running(&self, hash: ConfigHash) {
        let may_sync = self.identity.version.is_some_and(|version| version.major_minor() == (3, 9));
        if may_sync && !hash.is_empty() {
            self.shared.sync_nodes.runs_by_outlet(&self.identity.id, self.shared.clock.now());
        }
    }

    async fn observe(&mut self, news: NodeNews) {
        if let Some(observer) = &self.observer {
            observer.tell(news).await;
        }
    }

    fn received(&mut self, received: Result<FromControlPlane, LinkError>) -> Event {
        match received {
            Ok(FromControlPlane::Frame(frame)) => Event::FromControlPlane(frame),
            Ok(FromControlPlane::Part) => Event::ControlPlaneHeard,
            Ok(FromControlPlane::HeldBack) => Event::ControlPlaneHeldBack,
            Err(error) => {
                log_lines::link_ended(&self.identity, &error, &self.outage, self.shared.clock.now());
                (self.control_plane, self.arriving) = (None, None);
                match error {
                    LinkError::Closed | LinkError::Broken(_) | LinkError::Stuck => Event::ControlPlaneClosed,
                    LinkError::Protocol(_) | LinkError::TooLong { .. } => Event::ControlPlaneUnreadable,
                }
            }
        }
    }

    fn dialed(&mut self, dialed: Result<TlsLink, NotLinked>) -> Event {
        let now = self.shared.clock.now();

        match dialed {
            Ok(link) => {
                self.shared.published_watch.control_plane_is_there();
                self.control_plane = Some(Box::new(link));
                Event::ControlPlaneConnected
            }
            Err(NotLinked::NoFile) => Event::NoFileForLink,
            Err(NotLinked::Failed(error)) => {
                let verdict = self.shared.control_plane_health.failed(&error, now);
                if let Verdict::RefusesCertificate(_) = verdict {
                    recheck::begin(&self.shared, &self.identity);
                }
                Event::ControlPlaneFailed(verdict)
            }
        }
    }

    fn follow(&mut self) {
        if self.published.is_some() && !self.shared.published_watch.is_on() {
            self.session.stop_following();
            self.published = None;
        }
        match self.identity.version.filter(|_| self.session.is_in_fallback()) {
            Some(_) if self.published.is_some() => {}
            Some(version) => self.published = self.shared.published_watch.subscribe(version),
            None => self.published = None,
        }
    }

    fn connect(&self) -> impl Future<Output = Result<TlsLink, NotLinked>> + use<> {
        let (shared, place, target) = (self.shared.clone(), self.place.clone(), self.identity.target.clone());
        let dialer = shared.dialer(self.identity.via.as_deref());
        async move {
            let (control_plane, within) = (&shared.cluster.control_plane, shared.settings.rules.config_timeout);
            shared.linked(&place, dial(control_plane, &target, Some(&dialer), within)).await
        }
    }

    async fn disconnect(&mut self) {
        self.arriving = None;
        if let Some(link) = self.control_plane.take() {
            link.close().await;
        }
    }

    async fn end(mut self: Box<Self>) {
        self.observe(NodeNews::Left).await;
        if let Some(dialing) = &self.dialing {
            dialing.abort();
        }
        self.disconnect().await;
        info!(node = self.identity.id, hostname = self.identity.hostname, "the node's link is closed");
        self.node.close().await;
    }
}

// A large message is read only when there is room for it; until then the control plane's side of the connection fills up,
// as it does when a node takes it slowly. Loses nothing when dropped before it is ready.
async fn recv(
    large_messages: &Arc<LargeMessages>,
    link: &mut Option<Box<TlsLink>>,
    arriving: &mut Option<Arriving>,
) -> Result<FromControlPlane, LinkError> {
    let link = or_pending(link.as_mut().map(std::future::ready)).await;
    let Some(length) = link.begun().filter(|length| *length >= LARGE) else {
        return Ok(match link.recv().await? {
            Incoming::Frame(frame) => FromControlPlane::Frame(frame),
            Incoming::Part => FromControlPlane::Part,
        });
    };
    let message = arriving.get_or_insert_with(|| large_messages.expect(length));
    if message.begins_to_wait() {
        return Ok(FromControlPlane::HeldBack);
    }
    let waited = message.has_room().await?;
    if waited || !message.take(link.piece()) {
        return Ok(FromControlPlane::Part);
    }

    if let Some((opcode, is_final)) = link.drop_piece()
        && let Some(payload) = message.whole()
    {
        *arriving = None;
        return Ok(FromControlPlane::Frame(Frame { opcode, is_final, payload }));
    }
    link.wait_for_piece().await?;
    Ok(FromControlPlane::Part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_future<A, B, C, D, F: Future>(_: fn(A, B, C, D) -> F) -> usize {
        size_of::<F>()
    }

    #[test]
    fn a_node_that_waits_takes_little_memory_beside_its_connection() {
        let waiting = size_of_future(serve);
        assert!(waiting + size_of::<Driver>() < 6 * 1024, "{waiting} + {} bytes", size_of::<Driver>());
    }
}
