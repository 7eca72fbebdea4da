//! `lifeboat import` into the cache of a node that has not been started yet.

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::{Verified, VerifiedImage};
use lifeboat_node_cache::{CacheForm, NodePrefix, Outcome, Present, place_config_cache, place_image, present};
use lifeboat_runtime::background::computed;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::progress::step;
use tracing::info;

use super::{Failure, stdout};
use crate::archive::Stores;
use crate::one_shot::{self, Asked, There, fetched_unless};
use crate::settings::{ControlPlaneSettings, ImportSettings, Source, When};

/// What goes into a node's cache.
enum Cache {
    Configuration(Box<Verified>),
    Image(VerifiedImage),
}

/// Puts the published snapshot, or the one of the ticket, into the node's cache. The control plane is asked while it is
/// being fetched.
pub(super) async fn import(source: &Source, ticket: Option<&str>, when: When, clock: Clock) -> Result<(), Failure> {
    let ImportSettings { store, version, prefix, control_plane } = ImportSettings::read(source, ticket, when)?;
    let form = CacheForm::of(version).map_err(anyhow::Error::from)?;
    let looked_at = prefix.clone();
    // A node that has one asks nobody: not each restart in an outage is to wait for the control plane, nor to read the store.
    let found = computed(move || present(&looked_at, version)).await.map_err(anyhow::Error::from)?;
    if let Present::Configuration(what) = found {
        return Err(already_configured(&what));
    }
    let sources = Stores::open_existing(&store);
    let asking = ask(control_plane, version, store.max_config, clock);
    let cache = fetched_unless(asking, fetch(&sources, version, &form, clock.wall())).await?;
    place(cache?, prefix, version).await
}

/// Ends well only if the control plane leaves the node without a configuration.
async fn ask(
    control_plane: Option<ControlPlaneSettings>,
    version: KongVersion,
    max_config: usize,
    clock: Clock,
) -> Result<(), Failure> {
    let Some(control_plane) = control_plane else { return Ok(()) };
    match one_shot::ask(control_plane, version, max_config, clock).await.map_err(anyhow::Error::from)? {
        Asked::GivesNothing => Ok(()),
        // Something to be put right, and not a node that has what it needs.
        Asked::There(there @ There::RefusesCertificate(_)) => Err(anyhow::anyhow!("{there}").into()),
        Asked::There(there) => {
            Err(Failure::NothingToDo(format!("{there} (--always fills the cache without asking it)")))
        }
    }
}

async fn fetch(sources: &Stores, version: KongVersion, form: &CacheForm, now: WallTime) -> anyhow::Result<Cache> {
    match form {
        CacheForm::ConfigCache => {
            Ok(Cache::Configuration(Box::new(one_shot::configuration(sources, version, now).await?.verified)))
        }
        CacheForm::Lmdb { .. } => Ok(Cache::Image(one_shot::image(sources, version, now).await?)),
    }
}

async fn place(cache: Cache, prefix: NodePrefix, version: KongVersion) -> Result<(), Failure> {
    let (hash, path) = match &cache {
        Cache::Configuration(verified) => (verified.config_hash(), prefix.config_cache()),
        Cache::Image(image) => (image.config_hash(), prefix.data_file()),
    };
    let progress = step(format_args!("writing {}", path.display()));
    let placed = computed(move || match cache {
        Cache::Configuration(verified) => place_config_cache(&prefix, &verified, version, &mut |_| {}),
        Cache::Image(image) => place_image(&prefix, &image, version, &mut |_| {}),
    });
    let placed = placed.await;

    drop(progress);
    match placed.map_err(anyhow::Error::from)? {
        Outcome::Placed { instead_of } => {
            if let Some(what) = instead_of {
                info!("{} was {what}, which no Kong can use: replaced", path.display());
            }
            let said = format!("put configuration {hash} into {}: start the node now", path.display());
            stdout::line(&said).map_err(anyhow::Error::from)?;
            Ok(())
        }
        Outcome::AlreadyConfigured { what } => Err(already_configured(&what)),
    }
}

fn already_configured(what: &str) -> Failure {
    Failure::NothingToDo(format!(
        "the node has a configuration already ({what}), and a newer one is never replaced by an older: nothing was written"
    ))
}
