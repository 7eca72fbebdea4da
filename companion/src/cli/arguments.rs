//! What each command takes, besides the settings.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueHint};
use clap_complete::Shell;
use lifeboat_core::keys::KeyName;
use lifeboat_storage::LONGEST_LINK;
use reqwest::Url;

use super::status_url::StatusUrl;
use super::values::{AlsoWell, Compared, Contract, Output, Part, Purpose, Recorded};
use crate::config_source::{ConfigSource, admin_url};
use crate::settings::{KongProgram, units};

/// What `export` takes.
#[derive(Debug, Args)]
pub struct Export {
    /// Where the configuration comes from: cp, the control plane; file:PATH, declarative configuration in YAML or JSON,
    /// as decK and DB-less Kong have it, or a node's config.cache.json.gz; dbless:URL, the Admin API of a node without a
    /// database, such as the Ingress Controller's
    #[arg(long, value_name = "cp|file:PATH|dbless:URL", default_value = "cp")]
    pub from: ConfigSource,
    /// With dbless: go on until a signal, and export each configuration that the node comes to run
    #[arg(long, conflicts_with = "pin")]
    pub watch: bool,
    /// With file or dbless: publish it as an emergency change, whatever it loses. It stays until the control plane's
    /// configuration changes
    #[arg(long)]
    pub pin: bool,
    /// With --pin: it stays until `lifeboat unpin`, whatever the control plane sends
    #[arg(long, requires = "pin")]
    pub hard: bool,
    /// With file or dbless: publish it although Kong's schemas or a check of lifeboat's refuse it, and record this reason.
    /// From then on it counts as not checked
    #[arg(long, value_name = "REASON", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    pub accept: Option<String>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `status` takes.
#[derive(Debug, Args)]
pub struct Status {
    /// Where a lifeboat serves its status: http://HOST:PORT, HOST:PORT or HOST; by default as LIFEBOAT_HTTP_LISTEN says
    #[arg(value_name = "URL", value_hint = ValueHint::Url)]
    pub urls: Vec<StatusUrl>,
    /// Go on until Ctrl-C
    #[arg(long)]
    pub watch: bool,
    /// With --watch: how long to wait before the next look
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = patience)]
    pub every: Duration,
    /// How many rows for nodes to show; of more nodes than that, only how many are alike
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub nodes: usize,
    /// How long to wait for an answer
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = patience)]
    pub timeout: Duration,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `healthcheck` takes.
#[derive(Debug, Args)]
pub struct Healthcheck {
    /// Which part must be healthy
    #[arg(long = "for", value_enum, value_name = "PART", default_value = "process")]
    pub part: Part,
    /// How long to wait for an answer before it counts as unhealthy
    #[arg(long, value_name = "DURATION", default_value = "3s", value_parser = patience)]
    pub timeout: Duration,
}

/// What `list` takes.
#[derive(Debug, Args)]
pub struct List {
    /// How many snapshots of each version of Kong to show, newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub limit: usize,
    /// Show so many instead, without counting the older ones: quicker if there are thousands
    #[arg(long, value_name = "NUMBER", conflicts_with = "limit")]
    pub newest: Option<usize>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `doctor` takes.
#[derive(Debug, Args)]
pub struct Doctor {
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `drill` takes.
#[derive(Debug, Args)]
pub struct Drill {
    /// The kong program to start as a scratch data plane; by default the one on the PATH, if there is one
    #[arg(long, value_name = "PATH", conflicts_with = "no_kong", value_hint = ValueHint::ExecutablePath)]
    pub kong: Option<PathBuf>,
    /// Start no real data plane, only the node in this process
    #[arg(long)]
    pub no_kong: bool,
    /// Also write the result as Prometheus metrics into this file, for node_exporter's textfile collector
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub metrics_file: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `show` takes.
#[derive(Debug, Args)]
pub struct Show {
    /// Which snapshot, by its number in `lifeboat list`; the published one if none is given
    #[arg(value_name = "SEQUENCE", value_parser = sequence)]
    pub sequence: Option<u64>,
    /// Print the configuration itself, as JSON with its secrets masked
    #[arg(long)]
    pub config: bool,
    /// Print it byte for byte, private keys and credentials in clear text
    #[arg(long, requires = "config")]
    pub reveal_secrets: bool,
    /// With --config: write it to this file instead, which only you can read (mode 0600)
    #[arg(long, value_name = "FILE", requires = "config")]
    pub output_file: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `diff` takes.
#[derive(Debug, Args)]
pub struct Diff {
    /// The earlier one: a snapshot's number, `published`, or file:PATH
    #[arg(value_name = "A")]
    pub before: Compared,
    /// The later one, likewise
    #[arg(value_name = "B", default_value = "published")]
    pub after: Compared,
    /// Exit with 4 if they differ
    #[arg(long)]
    pub exit_code: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `import` takes.
#[derive(Debug, Args)]
pub struct Import {
    /// A file with a ticket of `lifeboat presign` to restore from, or - for standard input; comes before LIFEBOAT_TICKET
    #[arg(long, value_name = "PATH", value_hint = ValueHint::FilePath)]
    pub ticket: Option<PathBuf>,
    /// Only if the control plane gives no configuration; this is the default
    #[arg(long, conflicts_with = "always")]
    pub if_cp_unreachable: bool,
    /// Don't ask the control plane, and don't wait for the controller of a node without a database
    #[arg(long)]
    pub always: bool,
    /// The Admin API of a running node without a database; the node gets a configuration if it has none
    #[arg(long, value_name = "URL", value_parser = admin_url)]
    pub dbless: Option<Url>,
    /// With --dbless: go on until a signal, and restore the node whenever it has none
    #[arg(long, requires = "dbless")]
    pub watch: bool,
    /// Exit with 0 in this case too, for init containers and systemd, which treat every other code as a failure
    #[arg(long, value_enum, value_name = "WHEN", conflicts_with = "watch")]
    pub exit_zero_if: Option<AlsoWell>,
}

/// What `exec` takes.
#[derive(Debug, Args)]
pub struct Exec {
    /// Exit with 2 instead of starting a node that has no configuration if the settings are wrong: for a rollout that
    /// should stop then
    #[arg(long, conflicts_with = "check")]
    pub strict: bool,
    /// Start nothing, only check the settings: exit with 0 if an empty node would be restored in an outage, with 2 if
    /// settings are wrong, with 3 if this node is not one to restore
    #[arg(long)]
    pub check: bool,
    /// The program and its arguments
    #[arg(
        value_name = "CMD",
        last = true,
        required_unless_present = "check",
        value_hint = ValueHint::CommandWithArguments
    )]
    pub command: Vec<OsString>,
}

/// What `presign` takes.
#[derive(Debug, Args)]
pub struct Presign {
    /// Which snapshot, by its number in `lifeboat list`; the published one if none is given
    #[arg(value_name = "SEQUENCE", value_parser = sequence)]
    pub sequence: Option<u64>,
    /// How long the ticket is valid: at most 7 days, and no longer than the credentials that sign it
    #[arg(long, value_name = "DURATION", default_value = "12h", value_parser = lifetime)]
    pub expires_in: Duration,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `release` takes.
#[derive(Debug, Args)]
pub struct Release {
    /// Which snapshot, by its number in `lifeboat list`; the newest held one if none is given
    #[arg(value_name = "SEQUENCE", value_parser = sequence)]
    pub sequence: Option<u64>,
    /// Don't ask for confirmation (it is asked for on a terminal only)
    #[arg(long)]
    pub yes: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `rollback` takes.
#[derive(Debug, Args)]
pub struct Rollback {
    /// Which snapshot, by its number in `lifeboat list`
    #[arg(value_name = "SEQUENCE", value_parser = sequence)]
    pub sequence: u64,
    /// It stays until `lifeboat unpin`, whatever the control plane sends
    #[arg(long)]
    pub hard: bool,
    /// Don't ask for confirmation (it is asked for on a terminal only)
    #[arg(long)]
    pub yes: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `pin` takes.
#[derive(Debug, Args)]
pub struct Pin {
    /// Which snapshot, by its number in `lifeboat list`; the published one if none is given
    #[arg(value_name = "SEQUENCE", value_parser = sequence)]
    pub sequence: Option<u64>,
    /// Don't ask for confirmation (it is asked for on a terminal only)
    #[arg(long)]
    pub yes: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `verify` takes.
#[derive(Debug, Args)]
pub struct Verify {
    /// Which snapshot, by its number in `lifeboat list`; the published one if none is given
    #[arg(value_name = "SEQUENCE", value_parser = sequence)]
    pub sequence: Option<u64>,
    /// Verify every snapshot, published or held, of every version of Kong unless one is given
    #[arg(long, conflicts_with = "sequence")]
    pub all: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `unpin` takes.
#[derive(Debug, Args)]
pub struct Unpin {
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `prune` takes.
#[derive(Debug, Args)]
pub struct Prune {
    /// Delete them; without it, nothing is deleted
    #[arg(long)]
    pub yes: bool,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `keygen` takes.
#[derive(Debug, Args)]
pub struct Keygen {
    /// What the key is for
    #[arg(value_enum, value_name = "PURPOSE")]
    pub purpose: Purpose,
    /// The key's name, which manifests and messages show: letters, digits, dots, hyphens, underscores. By default a
    /// unique one is made
    #[arg(long)]
    pub name: Option<KeyName>,
    /// Where to write the files, none of which may exist yet. Without it, the keys are printed
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
    /// How to print the result
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `completions` takes.
#[derive(Debug, Args)]
pub struct Completions {
    /// Which shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
}

/// What `schema` takes.
#[derive(Debug, Args)]
pub struct Schema {
    /// What it describes
    #[arg(value_enum, value_name = "WHAT")]
    pub of: Contract,
}

/// What `man` takes.
#[derive(Debug, Args)]
pub struct Manual {
    /// Where to write the pages of all commands, as lifeboat.1, lifeboat-run.1 and so on. Without it, the main page is
    /// printed
    #[arg(long, value_name = "PATH", value_hint = ValueHint::DirPath)]
    pub folder: Option<PathBuf>,
}

/// What `demo` takes.
#[derive(Debug, Args)]
pub struct Demo {
    /// Start only this part of it
    #[command(subcommand)]
    pub actor: Option<Actor>,
}

impl Drill {
    /// Which real data plane is wanted.
    pub fn program(&self) -> KongProgram {
        match &self.kong {
            _ if self.no_kong => KongProgram::Nowhere,
            Some(path) => KongProgram::At(path.clone()),
            None => KongProgram::OnPath,
        }
    }
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(lifetime) if lifetime < Duration::from_secs(1) => Err("it must be a second or more (valid: 12h)".to_owned()),
        Ok(lifetime) if lifetime > LONGEST_LINK => {
            Err("no store's links live longer than seven days (valid: 7d)".to_owned())
        }
        Ok(lifetime) => Ok(lifetime),
        Err(error) => Err(format!("{error} (valid: 12h, 3d)")),
    }
}

fn sequence(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "a snapshot's number is wanted, such as 41: lifeboat list shows them".to_owned())
}

fn patience(text: &str) -> Result<Duration, String> {
    match units::duration(text) {
        Ok(patience) if patience.is_zero() => Err("it must be longer than 0 s (valid: 3s)".to_owned()),
        Ok(patience) => Ok(patience),
        Err(error) => Err(format!("{error} (valid: 3s, 500ms)")),
    }
}

/// One of the fakes, as a process of its own.
#[derive(Debug, Subcommand)]
pub enum Actor {
    /// Be a control plane that sends a recorded configuration, until a signal
    ControlPlane(ControlPlanePart),
    /// Be a data plane that starts empty, and print what it comes to run, until a signal
    Node(NodePart),
}

/// What `demo control-plane` takes.
#[derive(Debug, Args)]
pub struct ControlPlanePart {
    /// Where it listens for data planes
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:9005")]
    pub listen: SocketAddr,
    /// The folder of the cluster certificate and its key, cluster.crt and cluster.key; they are made if there are none
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub folder: PathBuf,
    /// Which recorded configuration it sends
    #[arg(long, value_enum, default_value = "first")]
    pub sends: Recorded,
    /// Serve incremental sync as well, as with cluster_rpc and cluster_incremental_sync on
    #[arg(long)]
    pub incremental_sync: bool,
}

/// What `demo node` takes.
#[derive(Debug, Args)]
pub struct NodePart {
    /// Where it connects, as a data plane's cluster_control_plane: a relay, or a control plane
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8005")]
    pub connect: SocketAddr,
    /// The folder of the cluster certificate and its key, as lifeboat demo control-plane made them
    #[arg(long, value_name = "PATH", default_value = ".")]
    pub folder: PathBuf,
    /// Exit as soon as it runs a configuration; exit with 1 if it has none after 60 s
    #[arg(long)]
    pub once: bool,
    /// Be a data plane with cluster_rpc and cluster_incremental_sync on, which connects to /v2/outlet only
    #[arg(long)]
    pub incremental_sync: bool,
}
