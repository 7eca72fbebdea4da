//! Whose habits a host has: Envoy's, or those of a version of Kong, which differ in what they survive (KONG.md section 4).
//! What is not known of a version is taken from the strictest. Not here: acting so.

/// Whose habits a host has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Behaviour {
    /// Kong 3.4.2 (seen): metrics trap, any call that is dispatched kills the worker, requests know no `kong.version`.
    Kong34,
    /// Kong 3.5 and 3.6 (source): metrics trap, and a second call beside one that is under way kills the worker.
    Kong36,
    /// Kong 3.7 (source): metrics trap, and a call that fails beside another one kills the worker.
    Kong37,
    /// Kong 3.8 (source): a call that fails is never called back.
    Kong38,
    /// Kong 3.9.1 (seen): several calls at once, metrics, and each call is called back.
    Kong39,
    /// Envoy 1.40 (seen): a call goes to a cluster, may be made at any time, and ends in an answer that Envoy makes up if
    /// the cluster can't be reached; there are no properties of Kong's; a root that was replaced is told so and deleted.
    Envoy,
}

impl Behaviour {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Kong34, Self::Kong36, Self::Kong37, Self::Kong38, Self::Kong39, Self::Envoy];

    /// Whether it is a Kong.
    pub fn is_kong(self) -> bool {
        self != Self::Envoy
    }

    /// What a request knows of `kong.version`: empty in Kong 3.4, nothing in Envoy.
    pub fn kong_version(self) -> Option<&'static str> {
        match self {
            Self::Kong34 => Some(""),
            Self::Kong36 => Some("3.6.1"),
            Self::Kong37 => Some("3.7.1"),
            Self::Kong38 => Some("3.8.0"),
            Self::Kong39 => Some("3.9.1"),
            Self::Envoy => None,
        }
    }

    pub(super) fn traps_at_metrics(self) -> bool {
        matches!(self, Self::Kong34 | Self::Kong36 | Self::Kong37)
    }

    /// Whether a call that sets out kills the worker, beside so many others.
    pub(super) fn dies_of_a_call(self, beside: usize) -> bool {
        self == Self::Kong34 || (self == Self::Kong36 && beside > 0)
    }

    /// Whether a call that fails kills the worker, beside so many others.
    pub(super) fn dies_of_a_failure(self, beside: usize) -> bool {
        self == Self::Kong37 && beside > 0
    }

    pub(super) fn calls_back_for_a_failure(self) -> bool {
        matches!(self, Self::Kong39 | Self::Envoy)
    }
}
