//! `lifeboat import --dbless URL`: through the Admin API of a node without a database, once or whenever it is empty.

use std::pin::pin;
use std::time::Duration;

use lifeboat_core::backoff::Backoff;
use lifeboat_core::outage::OutageLog;
use lifeboat_runtime::clock::Clock;
use reqwest::Url;
use tracing::{debug, info, warn};

use super::super::stopped::{Hangup, Stop};
use super::{Failure, stdout};
use crate::archive::Stores;
use crate::logging::Log;
use crate::one_shot::{self, DblessNode, Loaded, fetched_unless};
use crate::reload::Reloader;
use crate::settings::{DblessImportSettings, LiveRules, RuleChanger, Rulebook, Source, When};

/// How often a node that has a configuration is asked whether it still does: a container that has started anew has none.
const EVERY: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// A node, and what it can be given.
struct DblessRestore {
    node: DblessNode,
    settings: DblessImportSettings,
    sources: Stores,
    when: When,
    clock: Clock,
}

/// Gives the node a configuration, if it has none and is given none, and ends.
pub(super) async fn once(
    source: &Source,
    url: &Url,
    ticket: Option<&str>,
    when: When,
    clock: Clock,
) -> Result<(), Failure> {
    let said = DblessRestore::new(source, url, ticket, when, clock)?.restore().await?;
    stdout::line(&said).map_err(anyhow::Error::from)?;
    Ok(())
}

/// Does so whenever the node is empty, until SIGTERM or SIGINT. The store is read only then, and the settings
/// again at SIGHUP.
pub(super) async fn watch(
    source: &Source,
    url: &Url,
    ticket: Option<&str>,
    log: &Log,
    when: When,
    clock: Clock,
) -> Result<(), Failure> {
    let (mut stop, mut hangup) = (Stop::listen()?, Hangup::listen()?);
    let restoring = DblessRestore::new(source, url, ticket, when, clock)?;
    let changer = RuleChanger::new(LiveRules::from(&restoring.settings));
    let restoring = restoring.ruled_by(changer.rulebook());
    let own_ticket = ticket.map(str::to_owned);
    let mut reloader = Reloader::new(source, log, move |source| {
        Ok(LiveRules::from(&DblessImportSettings::read(source, own_ticket.as_deref())?))
    });

    info!(
        "lifeboat {}: the node at {url} is given a configuration of {} whenever it is empty",
        crate::version::described(),
        restoring.sources.places()
    );
    let mut restoring = pin!(restoring.keep_from_being_empty());
    loop {
        tokio::select! {
            () = stop.told() => break,
            () = hangup.came() => changer.follow(reloader.reload().await),
            () = &mut restoring => break,
        }
    }
    info!("stopping");
    Ok(())
}

impl DblessRestore {
    fn new(source: &Source, url: &Url, ticket: Option<&str>, when: When, clock: Clock) -> Result<Self, Failure> {
        let settings = DblessImportSettings::read(source, ticket)?;
        let sources = Stores::open_existing(&settings.store);
        let node = DblessNode::new(url.clone(), &settings.admin, settings.store.max_config, clock);
        let node = node.map_err(anyhow::Error::from)?;
        Ok(Self { node, settings, sources, when, clock })
    }

    fn ruled_by(self, rulebook: Rulebook) -> Self {
        Self { sources: self.sources.ruled_by(rulebook), ..self }
    }

    /// Gives it a configuration, and says what was given.
    async fn restore(&self) -> Result<String, Failure> {
        let url = self.node.url();
        let version = self.node.version(self.settings.version, self.settings.patience).await;
        let version = version.map_err(anyhow::Error::from)?;

        // A node that has one needs nothing from the store.
        self.still_empty(Duration::ZERO).await?;
        let patience = match self.when {
            When::Always => Duration::ZERO,
            When::ControlPlaneUnreachable => self.settings.patience,
        };
        let fetching = one_shot::configuration(&self.sources, version, self.clock.wall());
        let chosen = fetched_unless(self.still_empty(patience), fetching).await?.map_err(anyhow::Error::from)?;
        let (config_hash, place) = (chosen.verified.config_hash(), chosen.place);
        match self.node.load(chosen.verified).await.map_err(anyhow::Error::from)? {
            Loaded::Now(hash) => Ok(format!(
                "gave configuration {config_hash} from {place} to the node at {url}, which runs it as {hash}"
            )),
            Loaded::BySomebodyElse(_) => {
                Err(Failure::NothingToDo(format!("the node at {url} was given a configuration meanwhile: it stays")))
            }
        }
    }

    /// Ends well only if the node has nothing after this time either.
    async fn still_empty(&self, patience: Duration) -> Result<(), Failure> {
        match self.node.runs_within(patience).await.map_err(anyhow::Error::from)? {
            None => Ok(()),
            Some(hash) => Err(Failure::NothingToDo(format!(
                "the node at {} runs configuration {hash} already, and a newer one is never replaced by an older",
                self.node.url()
            ))),
        }
    }

    async fn keep_from_being_empty(&self) {
        let (mut backoff, outage) = (Backoff::new(EVERY, LONGEST_WAIT), OutageLog::default());
        loop {
            let looked = match self.node.runs().await {
                Ok(Some(_)) => Ok(()),
                Ok(None) => self.restored().await,
                Err(error) => Err(error.into()),
            };

            let wait = match looked {
                Ok(()) => {
                    backoff.reset();
                    if let Some(lasted) = outage.works(self.clock.now()) {
                        info!("the node at {} has a configuration again, after {lasted}", self.node.url());
                    }
                    EVERY
                }
                Err(error) => {
                    let wait = backoff.next_wait(rand::random());
                    let (attempt, seconds) = (backoff.failures(), wait.as_secs_f64());
                    match outage.failed("", self.clock.now()) {
                        Some(lasted) => warn!(attempt, "{error:#}{lasted}. Trying again in {seconds:.0} s"),
                        None => debug!(attempt, "{error:#}. Trying again in {seconds:.0} s"),
                    }
                    wait
                }
            };
            self.clock.reach(self.clock.now() + wait).await;
        }
    }

    async fn restored(&self) -> anyhow::Result<()> {
        match self.restore().await {
            Ok(said) => info!("{said}"),
            Err(Failure::NothingToDo(why)) => info!("{why}"),
            Err(Failure::Failed(error)) => return Err(error),
            Err(other) => return Err(other.into()),
        }
        Ok(())
    }
}
