//! The published payload, as the exporter knows it: its bytes, to put them back if the store loses them, and what the log
//! has said of it, so that the log says each thing once.

use lifeboat_core::export::publisher::PayloadState;
use lifeboat_core::verify::Authentic;

use super::payload_messages;
use crate::archive::{KeptPayload, PayloadLook};

#[derive(Debug, Default)]
pub(super) struct PublishedPayload {
    kept: Option<KeptPayload>,
    /// The problem with the payload in the store that was logged last.
    problem: Option<String>,
    /// Why it could not be put back, as the log said last.
    not_put_back: Option<String>,
}

impl PublishedPayload {
    /// One that was just stored.
    pub(super) fn stored(kept: Option<KeptPayload>) -> Self {
        Self { kept, ..Self::default() }
    }

    /// Its bytes, whatever the store has now.
    pub(super) fn kept(&self) -> Option<&KeptPayload> {
        self.kept.as_ref()
    }

    /// Whether something was wrong with it when it was looked at last.
    pub(super) fn is_in_doubt(&self) -> bool {
        self.problem.is_some()
    }

    /// Notes what a look has found, and logs a problem that is new.
    pub(super) fn note(&mut self, look: PayloadLook, manifest: &Authentic, place: &str) -> PayloadState {
        // A kept payload is of use only while its snapshot is the published one.
        self.kept = look.kept.or(self.kept.take()).filter(|kept| kept.is_of(manifest));
        let problem = payload_messages::problem(look.state, look.reason.as_deref());

        match &problem {
            Some(new) if self.problem.as_ref() != Some(new) => payload_messages::log_found(place, manifest, new),
            Some(_) => {}
            None => self.not_put_back = None,
        }
        self.problem = problem;
        look.state
    }

    /// Logs why it could not be put back, if that is new.
    pub(super) fn was_not_put_back(&mut self, reasons: &[String], sequence: u64, place: &str) {
        let reasons = reasons.join("; ");
        if self.not_put_back.as_ref() != Some(&reasons) {
            payload_messages::log_not_put_back(place, sequence, &reasons);
        }
        self.not_put_back = Some(reasons);
    }
}
