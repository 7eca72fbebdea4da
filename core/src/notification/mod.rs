//! Heartbeats and webhook messages, for people without monitoring: which states are told, when, and in which words. This
//! only decides; the companion's `notification` observes and sends.

mod heartbeat;
mod message;
mod signing;
mod teller;

use std::fmt;
use std::time::Duration;

use crate::digest::ConfigHash;
use crate::kong::version::KongVersion;

pub use heartbeat::{DrillHeartbeat, Heartbeat};
pub use message::{FORMAT, Message, Sender};
pub use signing::{InvalidWebhookKey, SIGNATURE_HEADER, TIMESTAMP_HEADER, WebhookKey};
pub use teller::{Afterwards, Notice, Phase, Teller};

/// How an attempt to reach a receiver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// It took what it was sent.
    Delivered,
    /// It did not, as far as is known.
    Failed,
}

/// What is told when it begins and when it ends: the most urgent first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// The payload of what is published is lost.
    BackupGone,
    /// Nodes run a configuration from the store, since the control plane gave them none.
    NodesServedFromStore,
    /// What the control plane sent last is held.
    Held,
    /// What is to be done at the store fails, or nobody can be elected there.
    ExportFailing,
    /// The newest rehearsal of an outage failed.
    DrillFailing,
    /// Another exporter writes where this one does.
    AnotherExporter,
    /// A certificate ends soon or has ended.
    CertificateEnding,
}

impl State {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::BackupGone,
        Self::NodesServedFromStore,
        Self::Held,
        Self::ExportFailing,
        Self::DrillFailing,
        Self::AnotherExporter,
        Self::CertificateEnding,
    ];

    /// What messages call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::BackupGone => "backup_gone",
            Self::NodesServedFromStore => "nodes_served_from_store",
            Self::Held => "held",
            Self::ExportFailing => "export_failing",
            Self::DrillFailing => "drill_failing",
            Self::AnotherExporter => "another_exporter",
            Self::CertificateEnding => "certificate_ending",
        }
    }

    /// How long it must last before it is told. What often passes by itself, such as a store that is away for a minute, is
    /// not worth a message.
    fn lasts_before_it_is_told(self) -> Duration {
        match self {
            Self::ExportFailing => Duration::from_secs(5 * 60),
            Self::BackupGone => Duration::from_secs(2 * 60),
            Self::NodesServedFromStore => Duration::from_secs(30),
            Self::Held | Self::DrillFailing | Self::AnotherExporter | Self::CertificateEnding => Duration::ZERO,
        }
    }

    /// Over how long those spread who come to tell it at the same moment. There may be thousands of relays, and one leader.
    fn spread(self) -> Duration {
        match self {
            Self::NodesServedFromStore | Self::CertificateEnding => Duration::from_secs(30),
            Self::BackupGone | Self::Held | Self::ExportFailing | Self::DrillFailing | Self::AnotherExporter => {
                Duration::from_secs(5)
            }
        }
    }
}

/// A state, and what is in it. Each is told by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subject {
    /// The state.
    pub state: State,
    /// What is in it.
    pub of: Of,
}

/// What is in a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Of {
    /// The backup, or the nodes, of one version of Kong; none for nodes that said no version.
    Version(Option<KongVersion>),
    /// A certificate, by its use: `cluster` or `relay`.
    Certificate(&'static str),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.state.name())?;
        match self.of {
            Of::Version(Some(version)) => write!(f, " of Kong {version}"),
            Of::Version(None) => Ok(()),
            Of::Certificate(which) => write!(f, " of the {which} certificate"),
        }
    }
}

/// What a message says beside the state. No names of entities, and no texts: those may hold addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Details {
    /// The configuration that it is about.
    pub config_hash: Option<ConfigHash>,
    /// The number of the snapshot that nodes are restored from.
    pub sequence: Option<u64>,
    /// How many nodes it is about.
    pub nodes: Option<u64>,
}
