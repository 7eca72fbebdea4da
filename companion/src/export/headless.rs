//! The driver of the headless data plane: the session in `core` decides; here are the sockets, and decoding in the
//! background.

use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::export::Received;
use lifeboat_core::kong::basic_info::BasicInfo;
use lifeboat_core::kong::reconfigure::{DecodeError, Reconfigure};
use lifeboat_core::lifetimes::Lifetimes;
use lifeboat_core::outage::{OutageLog, Outages};
use lifeboat_core::session::headless::{Action, Event, Headless as Session, Notice};
use lifeboat_link::dial::{DialError, TlsLink, dial};
use lifeboat_link::websocket::{Incoming, LinkError};
use lifeboat_runtime::background::{finished, or_pending};
use lifeboat_runtime::clock::Clock;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tracing::Instrument;

use super::decoder::Decoder;
use super::log_lines::{self, LinkLog};
use super::newest::Line;
use super::{BackupNode, Newest};
use crate::admin::{Admin, AdminError};
use crate::metrics::StepTimes;
use crate::observation::{ControlPlaneSays, ExportRecorder};
use crate::settings::{ClusterSettings, ExporterSettings};

/// A headless data plane.
#[derive(Debug)]
pub struct Headless {
    cluster: Arc<ClusterSettings>,
    keep: ExporterSettings,
    node: BackupNode,
    admin: Option<Admin>,
    clock: Clock,
    session: Session,
    link: Option<TlsLink>,
    dialing: Option<JoinHandle<Dialed>>,
    decoder: Decoder,
    newest: Newest,
    /// How many links there have been.
    links: u64,
    cause: String,
    /// Why our certificate is not accepted, for as long as it isn't. An outage in between has other causes.
    refused_because: Option<String>,
    /// Whether the link was closed on purpose, to ask the control plane anew. That is no outage.
    asks_anew: bool,
    log: LinkLog,
    admin_log: Arc<OutageLog>,
    news: watch::Sender<Option<News>>,
    recorder: ExportRecorder,
}

/// A session's notice, and the sentence that tells a person why.
#[derive(Clone, Debug)]
pub struct News {
    /// What happened.
    pub notice: Notice,
    /// Why, as it was logged.
    pub why: String,
}

#[derive(Debug)]
struct Dialed {
    link: Result<TlsLink, DialError>,
    basic_info: Option<BasicInfo>,
}

impl Headless {
    /// A data plane that begins to connect when it runs. `max_config` bounds a configuration, in bytes, decompressed.
    pub fn new(
        cluster: Arc<ClusterSettings>,
        keep: ExporterSettings,
        node: BackupNode,
        max_config: usize,
        clock: Clock,
    ) -> Result<Self, AdminError> {
        let admin = keep.admin.as_ref().map(Admin::new).transpose()?;
        let session = Session::new(keep.basic_info().encode(), keep.config_timeout, clock.now());

        Ok(Self {
            recorder: ExportRecorder::new(keep.version, clock),
            decoder: Decoder::new(keep.version, max_config),
            log: LinkLog::new(cluster.clone(), keep.version, clock),
            admin_log: Arc::default(),
            cluster,
            keep,
            node,
            admin,
            clock,
            session,
            link: None,
            dialing: None,
            newest: Newest::default(),
            links: 0,
            cause: String::new(),
            refused_because: None,
            asks_anew: false,
            news: watch::Sender::new(None),
        })
    }

    /// The same, which records there what happens, and measures there how long decoding takes.
    pub fn observed_by(mut self, recorder: ExportRecorder, steps: StepTimes) -> Self {
        self.recorder = recorder;
        self.decoder.measure(steps);
        self
    }

    /// The same, whose problems are said by whoever asks: they are its news.
    pub(super) fn for_an_asker(mut self) -> Self {
        self.log.is_for_an_asker();
        self
    }

    /// The same, of whose outages is said there what is to be said.
    pub fn beside(mut self, outages: &Outages) -> Self {
        self.log.is_beside(outages.another());
        self.admin_log = Arc::new(outages.another());
        self
    }

    /// Where the newest configuration will be found.
    pub fn newest(&self) -> Newest {
        self.newest.clone()
    }

    /// Where the newest news of the link will be found.
    pub fn news(&self) -> watch::Receiver<Option<News>> {
        self.news.subscribe()
    }

    /// Runs until it is dropped.
    pub async fn run(mut self) {
        loop {
            let event = self.next_event().await;
            for action in self.session.handle(event, self.clock.now(), rand::random()) {
                self.act(action).await;
            }
        }
    }

    async fn next_event(&mut self) -> Event {
        let wake_at = self.session.wake_at();
        tokio::select! {
            biased;
            received = or_pending(self.link.as_mut().map(TlsLink::recv)) => self.received(received),
            dialed = finished(&mut self.dialing) => self.dialed(dialed),
            decoded = self.decoder.next() => self.decoded(decoded),
            () = self.newest.is_asked_to_reconnect(), if self.link.is_some() => self.given_up().await,
            () = or_pending(wake_at.map(|moment| self.clock.reach(moment))) => Event::Tick,
        }
    }

    // Closes the link, so that a new connection asks the control plane what it has now.
    async fn given_up(&mut self) -> Event {
        self.asks_anew = true;
        self.disconnect().await;
        Event::GivenUp
    }

    async fn disconnect(&mut self) {
        self.line_is(Line::Down);
        if let Some(link) = self.link.take() {
            link.close().await;
        }
    }

    fn line_is(&self, line: Line) {
        self.newest.set_line(line);
        match line {
            Line::Up(_) => self.recorder.connected(),
            Line::Down => self.recorder.disconnected(),
        }
    }

    fn received(&mut self, received: Result<Incoming, LinkError>) -> Event {
        match received {
            Ok(Incoming::Frame(frame)) => Event::Frame(frame),
            Ok(Incoming::Part) => Event::Heard,
            Err(error) => {
                self.cause = self.log.link_ended(&error);
                self.link = None;
                self.line_is(Line::Down);
                match error {
                    LinkError::Closed | LinkError::Broken(_) => Event::Closed,
                    LinkError::Protocol(_) | LinkError::TooLong { .. } | LinkError::Stuck => Event::GivenUp,
                }
            }
        }
    }

    fn dialed(&mut self, Dialed { link, basic_info }: Dialed) -> Event {
        if let Some(basic_info) = basic_info {
            self.session.set_basic_info(basic_info.encode());
        }

        match link {
            Ok(link) => {
                self.link = Some(link);
                self.links += 1;
                self.line_is(Line::Up(self.links));
                Event::Connected
            }
            Err(error) => {
                // Logged once the session knows what it means.
                self.cause = error.to_string();
                let shown = self.cluster.control_plane.tls.side().identity.leaf().fingerprint();
                Event::ConnectFailed { failure: error.failure, shown }
            }
        }
    }

    fn decoded(&mut self, decoded: Result<Reconfigure, DecodeError>) -> Event {
        match decoded {
            Err(error) => {
                self.cause = self.log.not_kept(&error);
                Event::NotReceived
            }
            Ok(message) => {
                let hash = message.config_hash;
                let bytes = message.configuration.json().len();
                self.recorder.received(hash, bytes as u64);

                // Nothing waits for what is only told.
                let (configuration, recorder) = (message.configuration.clone(), self.recorder.clone());
                tokio::task::spawn_blocking(move || recorder.ends(hash, Lifetimes::of(&configuration)));

                // Logged only when it can't be lost any more: if the program is stopped after this line, it is still
                // written.
                self.newest.put(Received {
                    configuration: message.configuration,
                    config_hash: hash,
                    hashes: message.hashes,
                    at: self.clock.wall(),
                    source: None,
                });
                self.log.works();
                tracing::info!(%hash, bytes, "received a configuration from the control plane");
                Event::Received(hash)
            }
        }
    }

    async fn act(&mut self, action: Action) {
        match action {
            Action::Connect => self.dialing = Some(tokio::spawn(self.connect().in_current_span())),
            Action::Send(frame) => {
                if let Some(link) = &mut self.link
                    && let Err(error) = link.send(&frame).await
                {
                    // The next read finds the same, and tells the session.
                    tracing::debug!("sending to the control plane failed: {error}");
                }
            }
            Action::Receive(message) => self.decoder.decode(message),
            Action::Disconnect => self.disconnect().await,
            Action::Notify(notice) => self.notify(notice).await,
        }
    }

    async fn notify(&mut self, notice: Notice) {
        let cause = self.cause_of(&notice);
        let said = match notice {
            Notice::Silent(wait) => self.explain_silence(wait).await,
            Notice::Lost { .. } if std::mem::take(&mut self.asks_anew) => {
                tracing::info!("asking the control plane on a new connection what it has now");
                String::new()
            }
            other => self.log.log(&cause, other),
        };
        if let Some(says) = self.said_by_the_control_plane(&notice, &cause) {
            self.recorder.control_plane_says(says);
        }

        let why = match notice {
            Notice::NotReceived => cause,
            _ => said,
        };
        self.news.send_replace(Some(News { notice, why }));
    }

    // What was found at the socket. While a certificate stays refused, what was found when it was refused first.
    fn cause_of(&mut self, notice: &Notice) -> String {
        let found = std::mem::take(&mut self.cause);
        match notice {
            Notice::CertificateRefused(_) => self.refused_because.get_or_insert(found).clone(),
            Notice::Connected | Notice::Unreachable { .. } | Notice::Refused(_) => {
                self.refused_because = None;
                found
            }
            _ => found,
        }
    }

    // What operators must know about the control plane until it changes; none for a notice that doesn't concern it.
    fn said_by_the_control_plane(&self, notice: &Notice, cause: &str) -> Option<ControlPlaneSays> {
        match notice {
            Notice::Refused(refusal) => Some(ControlPlaneSays::RefusesNode(refusal.to_string())),
            Notice::CertificateRefused(_) => {
                Some(ControlPlaneSays::RefusesCertificate(log_lines::certificate_refused(&self.cluster, cause)))
            }
            Notice::Connected | Notice::Unreachable { .. } => Some(ControlPlaneSays::Nothing),
            _ => None,
        }
    }

    fn connect(&self) -> impl Future<Output = Dialed> + use<> {
        let (cluster, keep, admin) = (self.cluster.clone(), self.keep.clone(), self.admin.clone());
        let (target, log, clock) = (self.node.target(), self.admin_log.clone(), self.clock);
        async move {
            let basic_info = match &admin {
                Some(admin) => from_admin(admin, &keep, &log, clock).await,
                None => None,
            };
            Dialed { link: dial(&cluster.control_plane, &target, None, Duration::MAX).await, basic_info }
        }
    }

    // The Admin API may know why. It answers within its own limit, far below the link's.
    async fn explain_silence(&self, wait: Duration) -> String {
        let status = match &self.admin {
            Some(admin) => Some(admin.sync_status(&self.node.id).await),
            None => None,
        };
        self.log.silence(&self.node.id, wait, status)
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        if let Some(dialing) = &self.dialing {
            dialing.abort();
        }
    }
}

async fn from_admin(admin: &Admin, keep: &ExporterSettings, log: &OutageLog, clock: Clock) -> Option<BasicInfo> {
    match admin.loadable().await {
        Ok(loadable) => {
            if let Some(lasted) = log.works(clock.now()) {
                tracing::info!("LIFEBOAT_ADMIN_URL answers again, after {lasted}");
            }
            let plugins = loadable.plugins.into_iter().chain(keep.plugins.iter().cloned());
            Some(BasicInfo::with_plugins(plugins, &loadable.filters, keep.labels.clone()))
        }
        Err(error) => {
            match log.failed("admin", clock.now()) {
                Some(lasted) => tracing::warn!(
                    "{error}{lasted}; going on with the bundled plugins, LIFEBOAT_PLUGINS and LIFEBOAT_FILTERS"
                ),
                None => tracing::debug!("{error}"),
            }
            None
        }
    }
}
