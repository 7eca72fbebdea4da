//! Connections to the HTTP listeners that ended without an answer: counted, since whoever opens them may be a stranger.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::registry::Registry;

use super::names;
use super::series::register;

/// The HTTP listeners tell here what happens. Clones count together.
#[derive(Clone, Debug, Default)]
pub struct HttpMetrics {
    left_unanswered: Family<Labels, Counter>,
}

/// Why a connection got no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeftUnanswered {
    /// Too many were open, and it was the oldest of its kind.
    MadeRoom,
    /// No whole request came in time.
    NoRequest,
    /// Its request was not sent, or its answer not taken, in time.
    TooSlow,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Labels {
    reason: &'static str,
}

const REASONS: [LeftUnanswered; 3] = [LeftUnanswered::MadeRoom, LeftUnanswered::NoRequest, LeftUnanswered::TooSlow];

impl HttpMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        // What has not happened yet has happened 0 times: otherwise its first time would look like none.
        for reason in REASONS {
            let _ = self.left_unanswered.get_or_create(&reason.labels());
        }
        register(registry, &names::HTTP_LEFT_UNANSWERED, self.left_unanswered.clone());
    }

    /// A connection was closed without an answer.
    pub fn left_unanswered(&self, reason: LeftUnanswered) {
        self.left_unanswered.get_or_create(&reason.labels()).inc();
    }

    /// How many were closed for this reason.
    pub fn count(&self, reason: LeftUnanswered) -> u64 {
        self.left_unanswered.get_or_create(&reason.labels()).get()
    }
}

impl LeftUnanswered {
    fn labels(self) -> Labels {
        let reason = match self {
            Self::MadeRoom => "made_room",
            Self::NoRequest => "no_request",
            Self::TooSlow => "too_slow",
        };
        Labels { reason }
    }
}
