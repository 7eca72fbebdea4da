//! `lifeboat import`: fills the cache of a node that has not been started yet, if the control plane gives it nothing.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, anyhow};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Verified, VerifiedImage};
use tracing::{info, warn};

use super::{Failure, stdout};
use crate::archive::{Archive, Sources};
use crate::background::computed;
use crate::clock::Clock;
use crate::keep::BackupNode;
use crate::keep::inquiry::{self, Answer};
use crate::node_cache::{CacheForm, NodePrefix, Outcome, place_config_cache, place_image};
use crate::settings::{ControlPlaneSettings, ImportSettings, Source, When};

/// The most that a ticket has: a manifest and two links.
const TICKET_LIMIT: u64 = 4 << 20;

/// What goes into a node's cache.
enum Cache {
    Configuration(Box<Verified>),
    Image(VerifiedImage),
}

/// Puts the published snapshot, or the one of the ticket in this file, into the node's cache. The control plane is asked
/// while it is being fetched.
pub async fn import(source: &Source, ticket: Option<&Path>, when: When, clock: Clock) -> Result<(), Failure> {
    let ticket = ticket.map(read_ticket).transpose()?;
    let ImportSettings { store, version, prefix, control_plane } =
        ImportSettings::read(source, ticket.as_deref(), when)?;
    let form = CacheForm::of(version).map_err(anyhow::Error::from)?;
    let sources = Sources::open(&store).map_err(anyhow::Error::from)?;
    let asking = ask(control_plane, version, store.max_config, clock);
    let mut asking = std::pin::pin!(asking);
    let now = clock.wall();
    let fetching = fetch(&sources, version, &form, now);
    // Whoever is first: a node must not wait for a store when its control plane is there.
    let cache = tokio::select! {
        asked = &mut asking => {
            asked?;
            fetch(&sources, version, &form, now).await
        }
        fetched = fetching => {
            asking.await?;
            fetched
        }
    };
    place(cache?, prefix, version).await
}

// Not from an argument: everybody on this host can read those.
fn read_ticket(path: &Path) -> anyhow::Result<String> {
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().lock().take(TICKET_LIMIT).read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|file| file.take(TICKET_LIMIT).read_to_string(&mut text)),
    };
    read.with_context(|| format!("--ticket: {} can't be read", path.display()))?;
    Ok(text)
}

/// Ends well only if the control plane leaves the node without a configuration.
async fn ask(
    control_plane: Option<ControlPlaneSettings>,
    version: KongVersion,
    max_config: usize,
    clock: Clock,
) -> Result<(), Failure> {
    let Some(ControlPlaneSettings { cluster, session, feed_on_refusal }) = control_plane else { return Ok(()) };
    let node = BackupNode::new(version);
    let answer = inquiry::ask(Arc::new(cluster), session, node, max_config, clock).await;
    match answer.map_err(anyhow::Error::from)? {
        Answer::Sent(received) => Err(Failure::NothingToDo(format!(
            "the control plane gives configuration {}: the node gets it from there (--always fills the cache all the same)",
            received.config_hash
        ))),
        Answer::Refused(why) if !feed_on_refusal => Err(Failure::NothingToDo(format!(
            "the control plane is there and turns the node away: {why}. Set LIFEBOAT_FEED_ON_REFUSAL=on, or use --always, \
             to restore it all the same"
        ))),
        Answer::Unusable(why) => Err(Failure::NothingToDo(format!(
            "the control plane is there, and sends what can't be used: {why} (--always fills the cache all the same)"
        ))),
        Answer::Refused(why) | Answer::Silent(why) | Answer::Unreachable(why) => {
            warn!("the control plane gives no configuration: {why}");
            Ok(())
        }
    }
}

async fn fetch(sources: &Sources, version: KongVersion, form: &CacheForm, now: WallTime) -> Result<Cache, Failure> {
    match form {
        CacheForm::ConfigCache => {
            let chosen = sources.restore(version, now).await.map_err(anyhow::Error::from)?;
            for (place, skipped) in &chosen.skipped {
                warn!("{} in {place} is not used: {}", skipped.key, skipped.reason);
            }
            for error in &chosen.failed {
                warn!("{error}");
            }
            if chosen.version != version {
                warn!("there is no backup of Kong {version} itself: this is the newest one of Kong {}", chosen.version);
            }
            Ok(Cache::Configuration(Box::new(chosen.verified)))
        }
        CacheForm::Lmdb { .. } => image(sources, version, now).await,
    }
}

// Its form differs between versions, so it must be of the node's own.
async fn image(sources: &Sources, version: KongVersion, now: WallTime) -> Result<Cache, Failure> {
    let mut reasons = Vec::new();
    for (archive, published) in sources.by_newest(version).await {
        let manifest = published.manifest;
        if let Err(too_old) = sources.rules().age.check(&manifest, now) {
            reasons.push(anyhow!("snapshot {} in {}: {too_old}", manifest.sequence, archive.place()));
            continue;
        }
        match archive.cache_image(&manifest).await {
            Ok(Some(image)) => return Ok(Cache::Image(image)),
            Ok(None) => reasons.push(without_image(archive, version, manifest.sequence)),
            Err(error) => reasons.push(anyhow::Error::from(error)),
        }
    }
    for reason in reasons.iter().skip(1) {
        warn!("{reason:#}");
    }
    match reasons.into_iter().next() {
        Some(reason) => Err(reason.into()),
        // Why there is nothing is said by who looks for one thing.
        None => Err(sources.picked(version).await.map_or_else(anyhow::Error::from, |_| anyhow!("try again")).into()),
    }
}

fn without_image(archive: &Archive, version: KongVersion, sequence: u64) -> anyhow::Error {
    anyhow!(
        "snapshot {sequence} of Kong {version} in {} has no image of a node's cache, and Kong {version} caches in nothing \
         else. Restore the node through the relay (lifeboat run --import on), or let an exporter beside a data plane keep \
         images (LIFEBOAT_CACHE_IMAGE=on)",
        archive.place()
    )
}

async fn place(cache: Cache, prefix: NodePrefix, version: KongVersion) -> Result<(), Failure> {
    let (hash, path) = match &cache {
        Cache::Configuration(verified) => (verified.config_hash(), prefix.config_cache()),
        Cache::Image(image) => (image.config_hash(), prefix.data_file()),
    };
    let placed = computed(move || match cache {
        Cache::Configuration(verified) => place_config_cache(&prefix, &verified, version, &mut |_| {}),
        Cache::Image(image) => place_image(&prefix, &image, version, &mut |_| {}),
    });
    match placed.await.map_err(anyhow::Error::from)? {
        Outcome::Placed { instead_of } => {
            if let Some(what) = instead_of {
                info!("{} was {what}, which no Kong can use: replaced", path.display());
            }
            let said = format!("put configuration {hash} into {}: start the node now", path.display());
            stdout::line(&said).map_err(anyhow::Error::from)?;
            Ok(())
        }
        Outcome::AlreadyConfigured { what } => Err(Failure::NothingToDo(format!(
            "the node has a configuration already ({what}), and a newer one is never replaced by an older: nothing was \
             written"
        ))),
    }
}
