//! What the stores have for the one node, and in the log what was passed over.

use anyhow::anyhow;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;
use lifeboat_core::verify::VerifiedImage;
use tracing::warn;

use crate::archive::{Chosen, NoneChosen, Stores};

/// The newest configuration that verifies.
///
/// # Errors
/// As [`Stores::restore`].
pub async fn configuration(sources: &Stores, version: KongVersion, now: WallTime) -> Result<Chosen, NoneChosen> {
    let chosen = sources.restore(version, now).await?;
    for (place, skipped) in &chosen.skipped {
        warn!("{} in {place} is not used: {}", skipped.key, skipped.reason);
    }
    for error in &chosen.failed {
        warn!("{error}");
    }
    if chosen.version != version {
        warn!("there is no backup of Kong {version} itself: this is the newest one of Kong {}", chosen.version);
    }
    Ok(chosen)
}

/// The image of a node's cache that the newest snapshot has: of this version, or else, if the rules allow that, of one of the
/// same major.minor, whose nodes cache in the same form.
///
/// # Errors
/// When there is none, with what to use instead.
pub async fn image(sources: &Stores, version: KongVersion, now: WallTime) -> anyhow::Result<VerifiedImage> {
    let mut reasons = Vec::new();
    if let Some(image) = image_of(sources, version, now, &mut reasons).await {
        return Ok(image);
    }

    for other in sources.kin(version).await {
        if let Some(image) = image_of(sources, other, now, &mut reasons).await {
            warn!("there is no image of a node of Kong {version} itself: this is the one of Kong {other}");
            return Ok(image);
        }
    }

    for reason in reasons.iter().skip(1) {
        warn!("{reason:#}");
    }
    match reasons.into_iter().next() {
        Some(reason) => Err(reason),
        // Why there is nothing is said by who looks for one thing.
        None => match sources.picked(version).await {
            Err(error) => Err(error.into()),
            Ok(_) => Err(anyhow!("the store did not answer at first, and does now: try again")),
        },
    }
}

async fn image_of(
    sources: &Stores,
    version: KongVersion,
    now: WallTime,
    reasons: &mut Vec<anyhow::Error>,
) -> Option<VerifiedImage> {
    for (archive, published) in sources.by_newest(version).await {
        match archive.restore_image(&published.manifest, sources.rules(), now).await {
            Ok(image) => return Some(image),
            Err(reason) => reasons.push(reason.into()),
        }
    }
    None
}
