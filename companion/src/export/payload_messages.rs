//! The messages about a published payload that the store has lost: what that means for new nodes, what Lifeboat does,
//! and what the operator should do.

use lifeboat_core::export::publisher::{NewestState, PayloadLoss, PayloadState};
use lifeboat_core::manifest::{Manifest, Pin};
use tracing::{error, info, warn};

/// What is wrong with a payload; nothing, if it is whole.
pub(super) fn problem(state: PayloadState, reason: Option<&str>) -> Option<String> {
    let problem = word(state)?;
    Some(reason.map_or_else(|| problem.to_owned(), |reason| format!("{problem} ({reason})")))
}

fn word(state: PayloadState) -> Option<&'static str> {
    match state {
        PayloadState::Whole => None,
        PayloadState::Missing => Some("is missing"),
        PayloadState::Altered => Some("is not what its manifest names"),
        PayloadState::Unreadable => Some("can't be read"),
    }
}

pub(super) fn log_found(place: &str, manifest: &Manifest, problem: &str) {
    let (key, sequence) = (&manifest.snapshot.key, manifest.sequence);
    warn!(
        store = place,
        sequence,
        "the payload of the published snapshot {sequence}, {key} in {place}, {problem}: a lifecycle rule, a cleanup \
         job or a person may have done that. The leading exporter puts it back if it can"
    );
}

pub(super) fn log_put_back(place: &str, sequence: u64, from: &str) {
    warn!(store = place, sequence, "put the payload of snapshot {sequence} back into {place}, from {from}");
}

pub(super) fn log_not_put_back(place: &str, sequence: u64, reasons: &str) {
    warn!(store = place, sequence, "the payload of snapshot {sequence} could not be put back into {place}: {reasons}");
}

pub(super) fn log_published_anew(place: &str, sequence: u64, anew: u64, from: &str) {
    warn!(
        store = place,
        sequence = anew,
        "published snapshot {anew} in {place} in the place of snapshot {sequence}, whose payload was lost: the same \
         configuration, from {from}"
    );
}

pub(super) fn log_loss(place: &str, loss: &PayloadLoss) {
    let meaning = meaning(loss);
    match loss {
        // It is under way.
        PayloadLoss::Unavailable(_, NewestState::Ready(_)) => {
            warn!(store = place, "the published payload in {place} is lost: {meaning}")
        }
        _ => error!(store = place, "the published payload in {place} is lost: {meaning}"),
    }
}

pub(super) fn log_back(place: &str) {
    info!(store = place, "the published payload is in {place} again");
}

/// The same, for anyone who asks.
pub(super) fn explained(place: &str, loss: &PayloadLoss) -> String {
    format!("the published payload in {place} is lost: {}", meaning(loss))
}

// What the loss means, why the payload could not be put back, and what to do.
fn meaning(loss: &PayloadLoss) -> String {
    let (state, why) = match loss {
        PayloadLoss::LeftByTheLeader(state) => (
            *state,
            "No exporter has put it back: the one that leads says why in its log. If none leads, start one".to_owned(),
        ),
        PayloadLoss::Unavailable(state, newest) => (*state, why_not(newest)),
    };
    let problem = word(state).unwrap_or("is lost");
    format!(
        "it {problem}, so that new nodes are restored from another store or an older snapshot, or not at all. {why}"
    )
}

fn why_not(state: &NewestState) -> String {
    let nowhere = "It could not be put back from another store or from config.json";

    match state {
        NewestState::Ready(_) => {
            format!("{nowhere}: the control plane is asked for it, and what it sends is published in its place")
        }
        NewestState::Held(why) => format!(
            "{nowhere}, and what the control plane has is held, because {why}. Restore the object from the store's own \
             versions or backups, or publish another snapshot: lifeboat rollback, or lifeboat release"
        ),
        NewestState::Pinned(Pin::Unpin | Pin::Change { .. }) => format!(
            "{nowhere}, and what the control plane has is not what an operator has pinned. Restore the object from the \
             store's own versions or backups, or choose anew: lifeboat rollback, lifeboat pin or lifeboat unpin"
        ),
        NewestState::Nothing | NewestState::Outdated => format!(
            "{nowhere}, and the control plane, which may have it, is not connected. Bring it back, or restore the object from \
             the store's own versions or backups"
        ),
        NewestState::Published
        | NewestState::Doubted { .. }
        | NewestState::Confirming { .. }
        | NewestState::Delayed { .. } => {
            format!("{nowhere}. What the control plane has is published in its place as soon as that may be")
        }
    }
}
