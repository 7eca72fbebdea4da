//! Values of arguments: what may be chosen, and how it is written.

use std::path::PathBuf;
use std::str::FromStr;

use crate::archive::Pick;

/// How results are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Output {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// What a real control plane sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Recorded {
    /// A small configuration
    First,
    /// The same after a route was added
    Changed,
    /// What a control plane with a lost and recreated database sends: almost nothing
    LostDatabase,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Compared {
    /// A snapshot.
    Snapshot(Pick),
    /// A file with a declarative configuration.
    File(PathBuf),
}

/// A text that names nothing to compare.
#[derive(Debug, thiserror::Error)]
#[error("it is neither a snapshot's number nor `published` nor file:PATH (valid: 41, published, file:kong.yml)")]
pub struct InvalidCompared;

impl FromStr for Compared {
    type Err = InvalidCompared;

    fn from_str(text: &str) -> Result<Self, InvalidCompared> {
        match text.strip_prefix("file:") {
            Some(path) if !path.is_empty() => Ok(Self::File(path.strip_prefix("//").unwrap_or(path).into())),
            Some(_) => Err(InvalidCompared),
            None if text == "published" => Ok(Self::Snapshot(Pick::Published)),
            None => text.parse().map(|sequence| Self::Snapshot(Pick::Sequence(sequence))).map_err(|_| InvalidCompared),
        }
    }
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    /// Whether the program runs (`/healthz`): for a probe that restarts it
    Process,
    /// Whether nodes are served (`/readyz`): for a probe that sends nodes to it
    Relay,
    /// Whether the newest configuration is published (`/readyz/export`): for alerts, since no restart helps
    Export,
    /// Whether the nodes of its relay run what is published, or what their control plane sent them (`/readyz/current`): for
    /// scripts, and for pods that start behind a relay of their own
    Current,
}

/// Which other result than a filled cache counts as success.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum AlsoWell {
    /// The node has a configuration, or its control plane answers
    NothingToDo,
    /// That, or the import failed: the node starts in any case, and the log says that it may have no configuration
    Failed,
}

/// What programs may rely on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Contract {
    /// The settings: JSON Schema of an environment or a settings file
    Settings,
    /// What commands print with --output json: JSON Schema
    Outputs,
    /// What `lifeboat run` answers over HTTP, and what it sends to LIFEBOAT_WEBHOOK_URL: OpenAPI
    Http,
}

/// What a key is to be made for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Purpose {
    /// A pair: the exporter signs with one half, relays and other importers trust the other
    Signing,
    /// One key: exporters encrypt with it, importers decrypt
    Encryption,
}
