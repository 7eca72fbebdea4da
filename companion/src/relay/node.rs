//! The driver of one node's session: two links, a dial under way, a fetch under way, a large message on its way, a timer.
//! All decisions are the session's.

use std::future::pending;
use std::ops::ControlFlow;
use std::sync::Arc;

use lifeboat_core::export::adoption::NodeNews;
use lifeboat_core::frame::{Frame, Opcode};
use lifeboat_core::kong::ping::hash_in_ping;
use lifeboat_core::outage::OutageLog;
use lifeboat_core::session::answer::Verdict;
use lifeboat_core::session::follow::Bulletin;
use lifeboat_core::session::node::{Action, Event, NodeSession, Notice, Offer};
use lifeboat_link::dial::{DialError, TlsLink, dial};
use lifeboat_link::websocket::{Heard, LinkError};
use lifeboat_runtime::background::finished;
use tokio::task::JoinHandle;
use tracing::{Instrument, debug, info};

use super::admission::Place;
use super::feed_queue::{Permit, Turn};
use super::follower::Subscription;
use super::incremental::Outlet;
use super::large_messages::{Arriving, LARGE, LargeMessages};
use super::nodes::Seat;
use super::snapshot_cache::PendingSnapshot;
use super::{NodeIdentity, Shared, log_lines, recheck};
use crate::export::ObservationSender;
use crate::observation::NodePresence;

struct Driver {
    shared: Arc<Shared>,
    identity: NodeIdentity,
    node: TlsLink,
    control_plane: Option<TlsLink>,
    dialing: Option<JoinHandle<Result<TlsLink, DialError>>>,
    fetching: Option<PendingSnapshot>,
    /// What is published, while the node has lost its control plane.
    bulletins: Option<Subscription>,
    /// A large message that the control plane has begun to send.
    arriving: Option<Arriving>,
    /// The snapshot that is to be sent, and its turn.
    feed: Option<(Arc<Offer>, Turn)>,
    session: NodeSession,
    /// The control plane is there and gives this node nothing.
    outage: OutageLog,
    seat: Seat,
    witness: Option<ObservationSender>,
    presence: NodePresence,
    _outlet: Outlet,
    _place: Arc<Place>,
}

/// What a driver does next.
enum Step {
    Event(Event),
    /// The snapshot's turn has come.
    Feed(Arc<Offer>, Permit),
}

/// Serves a node until one of the two sides ends it.
pub(super) async fn serve(shared: Arc<Shared>, identity: NodeIdentity, node: TlsLink, place: Arc<Place>) {
    info!(node = identity.id, hostname = identity.hostname, "a node connected");
    let (session, actions) = NodeSession::begin(shared.settings.rules, shared.clock.now());
    let witness = identity.version.and_then(|version| shared.witnesses.node(version));
    let presence = shared.recorder.node();
    let mut driver = Driver {
        node,
        control_plane: None,
        dialing: None,
        fetching: None,
        bulletins: None,
        arriving: None,
        feed: None,
        session,
        outage: shared.unserved.another(),
        seat: shared.seats.join(&identity, shared.clock.wall()),
        witness,
        presence,
        _outlet: shared.incremental.outlet(&identity.id, identity.address.ip()),
        _place: place,
        shared,
        identity,
    };
    driver.tell(NodeNews::Joined).await;
    let mut flow = driver.act(actions).await;
    while flow.is_continue() {
        driver.seat.show(&driver.session);
        driver.follow();
        flow = match driver.next_step().await {
            Ok(Step::Event(event)) => driver.take(event).await,
            Ok(Step::Feed(offer, permit)) => driver.feed(&offer, permit).await,
            Err(error) => {
                debug!(node = driver.identity.id, "the node's link ended: {error}");
                ControlFlow::Break(())
            }
        };
    }
    driver.end().await;
}

impl Driver {
    // An error is the node's: without the node there is no session. A part of a node's frame is no event.
    async fn next_step(&mut self) -> Result<Step, LinkError> {
        let (clock, wake_at) = (self.shared.clock, self.session.wake_at());
        loop {
            return Ok(Step::Event(tokio::select! {
                biased;
                heard = self.node.hear() => match heard? {
                    Heard::Frame(frame) => Event::FromNode(frame),
                    Heard::Part => continue,
                },
                heard = hear_control_plane(&self.shared.large, &mut self.control_plane, &mut self.arriving) => {
                    self.control_plane_heard(heard)
                }
                dialed = finished(&mut self.dialing) => self.dialed(dialed),
                offer = fetched(&mut self.fetching) => Event::Fetched(offer),
                bulletin = told(&mut self.bulletins) => Event::Published(bulletin),
                (offer, permit) = turn_to_feed(&mut self.feed) => return Ok(Step::Feed(offer, permit)),
                () = clock.reach(wake_at) => Event::Tick,
            }));
        }
    }

    async fn feed(&mut self, offer: &Offer, permit: Permit) -> ControlFlow<()> {
        if !self.session.awaits_delivery() {
            return ControlFlow::Continue(());
        }
        match permit.deliver(self.node.send_message(offer.message().pieces())).await {
            Ok(()) => self.take(Event::Delivered).await,
            Err(error) => {
                log_lines::not_sent(&self.identity, &error);
                ControlFlow::Break(())
            }
        }
    }

    async fn take(&mut self, event: Event) -> ControlFlow<()> {
        if let Event::FromNode(frame) = &event
            && frame.opcode == Opcode::Ping
            && let Some(hash) = hash_in_ping(&frame.payload)
        {
            self.tell(NodeNews::Runs(hash)).await;
        }
        let passing = match &event {
            Event::FromControlPlane(frame) => Some(frame.clone()),
            _ => None,
        };
        // They may have been changed since the last event, and hold from this one on.
        self.session.set_on_refusal(self.shared.rulebook.now().on_refusal);
        let (now, mut actions) = (self.shared.clock.now(), Vec::new());
        if matches!(event, Event::Tick) && self.arriving.as_ref().is_some_and(Arriving::waits_for_room) {
            // What the control plane has sent waits here for room, and its pong behind it.
            actions = self.session.handle(Event::ControlPlaneHeard, now, rand::random());
        }
        actions.extend(self.session.handle(event, now, rand::random()));
        let flow = self.act(actions).await;
        if let Some(frame) = passing
            && self.shared.emptiness.saw(&frame)
        {
            self.presence.given_nothing();
        }
        flow
    }

    async fn act(&mut self, actions: Vec<Action>) -> ControlFlow<()> {
        let mut control_plane_failed = false;
        for action in actions {
            let sent = match action {
                Action::ConnectControlPlane => {
                    self.dialing = Some(tokio::spawn(self.connect().in_current_span()));
                    Ok(())
                }
                Action::DisconnectControlPlane => {
                    self.disconnect().await;
                    Ok(())
                }
                Action::ToControlPlane(frame) => {
                    control_plane_failed |= self.send_control_plane(&frame).await.is_err();
                    Ok(())
                }
                Action::ToNode(frame) => self.shared.large.deliver(&frame.payload, self.node.send(&frame)).await,
                Action::Fetch => {
                    self.fetching = self.identity.version.map(|version| self.shared.offers.request(version));
                    if self.fetching.is_none() {
                        log_lines::unknown_version(&self.identity);
                    }
                    Ok(())
                }
                Action::FetchPublished(publication) => {
                    let request = |version| self.shared.offers.request_published(version, &publication);
                    self.fetching = self.identity.version.map(request);
                    Ok(())
                }
                Action::Feed(offer) => {
                    self.feed = Some((offer, self.shared.feeds.turn()));
                    Ok(())
                }
                Action::CloseNode(frame) => {
                    if let Some(frame) = frame {
                        let _ = self.node.send(&frame).await;
                    }
                    return ControlFlow::Break(());
                }
                Action::Notify(notice) => {
                    match notice {
                        Notice::Given(_) => {
                            self.shared.outlook.gives(self.shared.clock.now());
                            self.presence.given();
                            self.tell(NodeNews::Given).await;
                        }
                        Notice::Gone { early: Some(how), .. } => {
                            self.shared.outlook.ended_early(how, self.shared.clock.now());
                        }
                        Notice::Adopted(_) => self.presence.restored(),
                        Notice::NotAdopted { .. } => self.presence.not_adopting(),
                        _ => {}
                    }
                    self.log_notice(&notice);
                    Ok(())
                }
            };
            if let Err(error) = sent {
                log_lines::not_sent(&self.identity, &error);
                return ControlFlow::Break(());
            }
        }
        if control_plane_failed && self.control_plane.take().is_some() {
            self.arriving = None;
            return Box::pin(self.take(Event::ControlPlaneClosed)).await;
        }
        ControlFlow::Continue(())
    }

    fn log_notice(&self, notice: &Notice) {
        let control_plane = &self.shared.cluster.control_plane.address;
        log_lines::log(&self.identity, control_plane, notice, &self.outage, self.shared.clock.now());
    }

    async fn tell(&mut self, news: NodeNews) {
        if let Some(witness) = &self.witness {
            witness.tell(news).await;
        }
    }

    async fn send_control_plane(&mut self, frame: &Frame) -> Result<(), LinkError> {
        match &mut self.control_plane {
            Some(link) => link.send(frame).await,
            None => Ok(()),
        }
    }

    fn control_plane_heard(&mut self, heard: Result<Heard, LinkError>) -> Event {
        match heard {
            Ok(Heard::Frame(frame)) => Event::FromControlPlane(frame),
            Ok(Heard::Part) => Event::ControlPlaneHeard,
            Err(error) => {
                log_lines::link_ended(&self.identity, &error, &self.outage, self.shared.clock.now());
                self.control_plane = None;
                self.arriving = None;
                match error {
                    LinkError::Closed | LinkError::Broken(_) | LinkError::Stuck => Event::ControlPlaneClosed,
                    LinkError::Protocol(_) | LinkError::TooLong { .. } => Event::ControlPlaneUnreadable,
                }
            }
        }
    }

    fn dialed(&mut self, dialed: Result<TlsLink, DialError>) -> Event {
        match dialed {
            Ok(mut link) => {
                self.shared.outlook.reached(self.shared.clock.now());
                self.shared.follower.control_plane_is_there();
                // A node that takes longer messages than our own setting allows gets them.
                let limit = self.session.max_payload().unwrap_or(0).max(self.shared.cluster.control_plane.max_payload);
                link.set_limit(limit);
                self.control_plane = Some(link);
                Event::ControlPlaneConnected
            }
            Err(error) => {
                let verdict = self.shared.outlook.failed(&error, self.shared.clock.now());
                if let Verdict::RefusesCertificate(_) = verdict {
                    recheck::begin(&self.shared, &self.identity);
                }
                Event::ControlPlaneFailed(verdict)
            }
        }
    }

    fn follow(&mut self) {
        if self.bulletins.is_some() && !self.shared.follower.is_on() {
            self.session.stop_following();
            self.bulletins = None;
        }
        let version = self.identity.version.filter(|_| self.session.is_in_fallback());
        match version {
            Some(version) if self.bulletins.is_none() => self.bulletins = self.shared.follower.subscribe(version),
            Some(_) => {}
            None => self.bulletins = None,
        }
    }

    fn connect(&self) -> impl Future<Output = Result<TlsLink, DialError>> + use<> {
        let (shared, target) = (self.shared.clone(), self.identity.target.clone());
        let dialer = shared.dialer(self.identity.via.as_deref());
        async move {
            dial(&shared.cluster.control_plane, &target, Some(&dialer), shared.settings.rules.config_timeout).await
        }
    }

    async fn disconnect(&mut self) {
        self.arriving = None;
        if let Some(link) = self.control_plane.take() {
            link.close().await;
        }
    }

    async fn end(mut self) {
        self.tell(NodeNews::Left).await;
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
async fn hear_control_plane(
    large: &Arc<LargeMessages>,
    link: &mut Option<TlsLink>,
    arriving: &mut Option<Arriving>,
) -> Result<Heard, LinkError> {
    let Some(link) = link else { return pending().await };
    let Some(length) = link.begun().filter(|length| *length >= LARGE) else { return link.hear().await };
    let message = arriving.get_or_insert_with(|| large.expect(length));
    loop {
        message.has_room().await?;
        if message.take(link.piece()) {
            break;
        }
    }

    if let Some((opcode, is_final)) = link.take_piece()
        && let Some(payload) = message.whole()
    {
        *arriving = None;
        return Ok(Heard::Frame(Frame { opcode, is_final, payload }));
    }
    link.hear_piece().await?;
    Ok(Heard::Part)
}

async fn turn_to_feed(feed: &mut Option<(Arc<Offer>, Turn)>) -> (Arc<Offer>, Permit) {
    let permit = match feed {
        Some((_, turn)) => turn.await,
        None => pending().await,
    };
    let (offer, _) = feed.take().expect("its turn has just come");
    (offer, permit)
}

async fn fetched(fetching: &mut Option<PendingSnapshot>) -> Arc<Offer> {
    match fetching {
        Some(pending) => {
            let offer = pending.ready().await;
            *fetching = None;
            offer
        }
        None => pending().await,
    }
}

async fn told(bulletins: &mut Option<Subscription>) -> Bulletin {
    match bulletins {
        Some(bulletins) => bulletins.next().await,
        None => pending().await,
    }
}
