//! Tells those who have no monitoring: pings while all is well, and a message for what begins or ends. What is told, and when,
//! is decided in `core`; here it is looked at, sent and logged.

mod delivery;
mod states;

use std::collections::BTreeMap;
use std::time::Duration;

use lifeboat_core::export::drill::DrillOutcome;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::notification::{
    Afterwards, Attempt, DrillHeartbeat, Heartbeat, Message, Notice, Phase, Sender, Teller,
};
use lifeboat_core::outage::OutageLog;
use lifeboat_core::time::{Moment, WallTime};
use lifeboat_runtime::clock::Clock;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

pub use self::delivery::NoClient;
use self::delivery::{Delivery, Undelivered};
use self::states::Watch;
use crate::drill::DrillMetrics;
use crate::observation::{ExportFacts, Observation};
use crate::relay::RelayView;
use crate::settings::{NotificationSettings, Receiver, Webhook};

/// How often it is looked at what there is to tell.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Tells for as long as the program runs.
#[derive(Debug)]
pub struct Notifier {
    settings: NotificationSettings,
    known: Known,
    sender: Sender,
    delivery: Delivery,
    clock: Clock,
}

/// What there is to look at.
#[derive(Clone, Debug)]
pub struct Known {
    /// What the parts of the program record.
    pub observation: Observation,
    /// The relay's nodes, if there is a relay.
    pub relay: Option<RelayView>,
    /// The drills of this exporter.
    pub drills: DrillMetrics,
}

impl Notifier {
    /// Tells these receivers, as the program on this host.
    ///
    /// # Errors
    /// When there can be no HTTP client, such as on a host without authorities that it trusts.
    pub fn new(settings: NotificationSettings, known: Known, hostname: String, clock: Clock) -> Result<Self, NoClient> {
        let sender = Sender { hostname, lifeboat: env!("CARGO_PKG_VERSION") };
        Ok(Self { settings, known, sender, delivery: Delivery::new()?, clock })
    }

    /// Tells until `stop`. One receiver that hangs holds up no other.
    pub async fn run(self, stop: CancellationToken) {
        let Self { settings, .. } = &self;
        let heartbeat = async {
            match &settings.heartbeat {
                Some(receiver) => self.pings_while_well(receiver).await,
                None => std::future::pending().await,
            }
        };
        let drills = async {
            match &settings.drill_heartbeat {
                Some(receiver) => self.pings_after_drills(receiver).await,
                None => std::future::pending().await,
            }
        };
        let webhook = async {
            match &settings.webhook {
                Some(webhook) => self.tells(webhook).await,
                None => std::future::pending().await,
            }
        };

        tokio::select! {
            () = stop.cancelled() => {}
            () = heartbeat => {}
            () = drills => {}
            () = webhook => {}
        }
    }

    async fn pings_while_well(&self, receiver: &Receiver) {
        let log = ReceiverLog::of(receiver);
        // One for each version whose URL is its own, else one for all.
        let mut heartbeats: BTreeMap<Option<KongVersion>, Heartbeat> = BTreeMap::new();
        loop {
            sleep(LOOK_EVERY).await;
            let facts = self.known.observation.export_facts();
            let well: Vec<Option<KongVersion>> = match receiver.names_versions() {
                Ok(true) => facts.iter().filter(|facts| is_well(facts)).map(|facts| Some(facts.version)).collect(),
                Ok(false) if !facts.is_empty() && facts.iter().all(is_well) => vec![None],
                Ok(false) => Vec::new(),
                Err(error) => {
                    log.failed(&error.into(), self.clock.now());
                    Vec::new()
                }
            };

            for version in well {
                let now = self.clock.now();
                let heartbeat = heartbeats.entry(version).or_insert_with(|| Heartbeat::new(now, rand::random()));
                if heartbeat.is_due(now) {
                    let attempt = self.ping(receiver, version, &log).await;
                    heartbeat.pinged(attempt, self.clock.now(), rand::random());
                }
            }
        }
    }

    async fn pings_after_drills(&self, receiver: &Receiver) {
        let log = ReceiverLog::of(receiver);
        let mut heartbeat = DrillHeartbeat::new();
        loop {
            sleep(LOOK_EVERY).await;
            if let Some(ended) = self.last_passed_drill() {
                heartbeat.passed(ended, self.clock.now());
            }
            if heartbeat.is_due(self.clock.now()) {
                let attempt = self.ping(receiver, None, &log).await;
                heartbeat.pinged(attempt, self.clock.now(), rand::random());
            }
        }
    }

    // When the newest drill ended, if all versions that this exporter leads have passed it.
    fn last_passed_drill(&self) -> Option<WallTime> {
        let facts = self.known.observation.export_facts();
        let led = facts.iter().filter(|facts| facts.leads());
        let drills: Option<Vec<_>> = led.map(|facts| self.known.drills.of(facts.version)).collect();
        let drills = drills?;
        let has_passed = drills.iter().all(|drill| drill.outcome == DrillOutcome::Passed);
        drills.iter().map(|drill| drill.ended).min().filter(|_| has_passed)
    }

    async fn ping(&self, receiver: &Receiver, version: Option<KongVersion>, log: &ReceiverLog) -> Attempt {
        let delivered = match receiver.url(version) {
            Ok(url) => self.delivery.ping(url).await,
            Err(error) => Err(error.into()),
        };
        log.ended(&delivered, self.clock.now())
    }

    async fn tells(&self, webhook: &Webhook) {
        let log = ReceiverLog::of(&webhook.receiver);
        let (mut teller, mut watch) = (Teller::default(), Watch::default());
        loop {
            sleep(LOOK_EVERY).await;
            let (now, wall) = (self.clock.now(), self.clock.wall());
            let there = watch.look(&self.known, now, wall);
            teller.observe(&there, now, wall, rand::random());

            let Some(notice) = teller.next(now) else { continue };
            let delivered = self.tell(webhook, &notice).await;
            let now = self.clock.now();
            let attempt = log.ended(&delivered, now);
            self.say(&log, &notice, teller.sent(&notice, attempt, now, rand::random()));
        }
    }

    async fn tell(&self, webhook: &Webhook, notice: &Notice) -> Result<(), Undelivered> {
        let (url, key) = (webhook.receiver.url(None)?, webhook.key()?);
        let body = serde_json::to_vec(&Message::new(notice, &self.sender)).expect("a message always has a JSON form");
        let timestamp = (self.clock.wall().unix_seconds() as u64).to_string();
        let signature = key.signature(&timestamp, &body);
        self.delivery.post(url, timestamp, signature, body).await
    }

    fn say(&self, log: &ReceiverLog, notice: &Notice, afterwards: Afterwards) {
        let (setting, subject) = (&log.setting, notice.subject);
        let phase = match notice.phase {
            Phase::Begins => "begins",
            Phase::Ends { .. } => "ends",
        };
        match afterwards {
            Afterwards::Told => info!("{setting} was told: {subject} {phase}"),
            Afterwards::Again => debug!("{setting} was not told: {subject} {phase}"),
            Afterwards::GivenUp => {
                warn!(
                    "{setting} was never told: {subject} {phase}. It took no message for an hour and a half: look at it"
                );
            }
        }
    }
}

// What is led here, and would answer 200 at /readyz/export: a follower's ping would hide that its leader is dead.
fn is_well(facts: &ExportFacts) -> bool {
    facts.leads() && facts.check_ready().is_ok()
}

/// What is logged of a receiver: that it fails, now and then, and that it works again.
#[derive(Debug)]
struct ReceiverLog {
    setting: String,
    outage: OutageLog,
}

impl ReceiverLog {
    fn of(receiver: &Receiver) -> Self {
        Self { setting: receiver.to_string(), outage: OutageLog::default() }
    }

    fn ended(&self, delivered: &Result<(), Undelivered>, now: Moment) -> Attempt {
        match delivered {
            Ok(()) => {
                if let Some(lasted) = self.outage.works(now) {
                    info!("{} can be reached again, after {lasted}", self.setting);
                }
                Attempt::Delivered
            }
            Err(error) => {
                self.failed(error, now);
                Attempt::Failed
            }
        }
    }

    fn failed(&self, error: &Undelivered, now: Moment) {
        let setting = &self.setting;
        match self.outage.failed(error.class(), now) {
            Some(lasted) => warn!(
                "{setting} could not be told{lasted}: {error}. Lifeboat tries again; backups and data planes are not affected"
            ),
            None => debug!("{setting} could not be told: {error}"),
        }
    }
}
