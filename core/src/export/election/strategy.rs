//! How the leader is chosen: what the operator has set, and what the store was found to be able to do.

use std::str::FromStr;

/// `LIFEBOAT_ELECTION`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ElectionSetting {
    /// What the store allows.
    #[default]
    Auto,
    /// By a lease, or not at all.
    Lease,
    /// By registrations.
    Registry,
    /// There is one exporter only.
    None,
}

/// Whether a store's conditional writes work. That is found by trying; a vendor's name says nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConditionalWrites {
    /// Create-if-absent and compare-and-swap work, even if several exporters write at once.
    Hold,
    /// At least one of them is refused, ignored or lets several through.
    DoNotHold,
}

/// How the leader is chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strategy {
    /// The holder of the lease leads. When it loses the lease, its writes are fenced off.
    Lease,
    /// The oldest live registration leads; two may overlap briefly.
    Registry,
    /// There is no other.
    Alone,
}

/// A lease was demanded and is not possible.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "LIFEBOAT_ELECTION=lease needs conditional writes that hold, and this store's don't: set LIFEBOAT_ELECTION=auto to \
     let the oldest registered exporter lead, or use another store"
)]
pub struct NoLease;

/// What `LIFEBOAT_ELECTION` may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("it must be auto, lease, registry or none (valid: auto)")]
pub struct UnknownElection;

impl ElectionSetting {
    /// The strategy that follows.
    ///
    /// # Errors
    /// A lease was demanded, but the store can't give one. To go on without it would break what the operator relies on.
    pub fn choose(self, writes: ConditionalWrites) -> Result<Strategy, NoLease> {
        match (self, writes) {
            (Self::None, _) => Ok(Strategy::Alone),
            (Self::Registry, _) | (Self::Auto, ConditionalWrites::DoNotHold) => Ok(Strategy::Registry),
            (Self::Auto | Self::Lease, ConditionalWrites::Hold) => Ok(Strategy::Lease),
            (Self::Lease, ConditionalWrites::DoNotHold) => Err(NoLease),
        }
    }
}

impl FromStr for ElectionSetting {
    type Err = UnknownElection;

    fn from_str(text: &str) -> Result<Self, UnknownElection> {
        match text {
            "auto" => Ok(Self::Auto),
            "lease" => Ok(Self::Lease),
            "registry" => Ok(Self::Registry),
            "none" => Ok(Self::None),
            _ => Err(UnknownElection),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_store_decides_unless_the_operator_does() {
        use ConditionalWrites::{DoNotHold, Hold};
        for (text, writes, strategy) in [
            ("auto", Hold, Ok(Strategy::Lease)),
            ("auto", DoNotHold, Ok(Strategy::Registry)),
            ("lease", Hold, Ok(Strategy::Lease)),
            ("lease", DoNotHold, Err(NoLease)),
            ("registry", Hold, Ok(Strategy::Registry)),
            ("none", DoNotHold, Ok(Strategy::Alone)),
        ] {
            assert_eq!(text.parse::<ElectionSetting>().unwrap().choose(writes), strategy, "{text}");
        }
        assert_eq!("leases".parse::<ElectionSetting>(), Err(UnknownElection));
    }
}
