//! The command line: commands from clap's derive, one flag per setting from the settings' own table.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Arg, ArgMatches, Args, Command, CommandFactory, FromArgMatches, Parser, Subcommand};
use lifeboat_core::keys::KeyName;
use reqwest::Url;

use crate::command::Output;
use crate::command::diff::Compared;
use crate::command::import::AlsoWell;
use crate::command::keygen::Purpose;
use crate::origin::{Origin, admin_url};
use crate::settings::names::SETTINGS;
use crate::settings::source::{ConfError, Source};
use crate::storage::LONGEST_LINK;

/// Keeps Kong data planes alive while their control plane is gone.
#[derive(Debug, Parser)]
#[command(
    name = "lifeboat",
    version,
    after_help = "Every setting is a variable and a flag; --help after a command lists them all.\n\n\
                  Examples:\n  lifeboat demo\n  \
                  lifeboat run --export on --import on --storage s3://backups/kong --control-plane cp.example.com:8005 \
                  --cluster-cert /etc/kong/cluster.crt --cluster-cert-key /etc/kong/cluster.key --kong-version 3.9.1"
)]
struct Cli {
    /// A kong.conf to take Kong's settings from; the environment wins over it, flags over both
    #[arg(long, global = true, value_name = "PATH", help_heading = "Settings")]
    kong_conf: Option<PathBuf>,
    #[command(subcommand)]
    command: Task,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Keep configurations, relay nodes, or both: what the settings say, until a signal
    #[command(
        after_help = "Example:\n  KONG_CLUSTER_FALLBACK_CONFIG_EXPORT=on KONG_VERSION=3.9.1 lifeboat run --storage \
                            file:///var/lib/lifeboat --control-plane 10.0.0.7:8005 --cluster-cert cluster.crt \
                            --cluster-cert-key cluster.key"
    )]
    Run,
    /// Keep one configuration, once
    #[command(after_help = "Examples:\n  lifeboat export --from cp --storage s3://backups/kong --control-plane \
                            cp.example.com:8005 --kong-version 3.9.1 --cluster-cert cluster.crt --cluster-cert-key cluster.key\n  \
                            lifeboat export --from file:kong.yml --storage s3://backups/kong --kong-version 3.9.1\n  \
                            lifeboat export --from dbless:http://127.0.0.1:8001 --storage s3://backups/kong --watch\n\n\
                            An emergency change while the control plane is gone:\n  \
                            lifeboat export --from file:kong.yml --pin --storage s3://backups/kong --kong-version 3.9.1")]
    Export(Export),
    /// List the snapshots in a store
    #[command(after_help = "Examples:\n  lifeboat list --storage s3://backups/kong\n  \
                            lifeboat list --storage file:///var/lib/lifeboat --output json")]
    List(List),
    /// Check settings, certificates, control plane, store and backups, and say what to do where something is wrong
    #[command(
        after_help = "It asks as lifeboat would, keeps nothing, and exits with 0 if nothing failed, else with 1.\n\n\
                            Examples:\n  lifeboat doctor --export on --storage s3://backups/kong --kong-version 3.9.1 \
                            --control-plane cp.example.com:8005 --cluster-cert cluster.crt --cluster-cert-key cluster.key\n  \
                            lifeboat doctor --import on --output json   (with its settings in the environment)"
    )]
    Doctor(Doctor),
    /// Show one snapshot: what its manifest says, whether it could be restored, and on request what is in it
    #[command(after_help = "Examples:\n  lifeboat show --storage s3://backups/kong\n  \
                            lifeboat show 41 --storage s3://backups/kong --kong-version 3.9.1 --output json\n  \
                            lifeboat show --config --storage s3://backups/kong   (its secrets masked)\n  \
                            lifeboat show 41 --config --reveal-secrets --storage s3://backups/kong > kong.json")]
    Show(Show),
    /// Read snapshots as a node's restore would, down to the last byte, and say what is bad
    #[command(after_help = "It exits with 0 if nothing is bad, else with 1, and writes nothing.\n\n\
                            Examples:\n  lifeboat verify --storage s3://backups/kong\n  \
                            lifeboat verify 41 --storage s3://backups/kong --kong-version 3.9.1\n  \
                            lifeboat verify --all --storage s3://backups/kong --output json")]
    Verify(Verify),
    /// Compare two configurations, entity by entity; secrets show only that they changed
    #[command(after_help = "Examples:\n  lifeboat diff 41 --storage s3://backups/kong   (with the published one)\n  \
                            lifeboat diff 40 41 --storage s3://backups/kong --kong-version 3.9.1 --output json\n  \
                            lifeboat diff published file:kong.yml --storage s3://backups/kong\n\n\
                            Lists are compared element by element, and one in another order is said to be that: to Kong some \
                            lists are sets. created_at and updated_at are not compared.")]
    Diff(Diff),
    /// Give a configuration to a node that has none, if its control plane gives it nothing: before it starts, or to one
    /// without a database
    #[command(
        after_help = "Into the node's cache before it starts (for init containers and ExecStartPre), or with --dbless through \
                            the Admin API of a node that runs. Exits with 0 when the node has what it was given, and with 3 \
                            when there is nothing to do: it has a configuration, or its control plane answers.\n\n\
                            Examples:\n  lifeboat import --storage s3://backups/kong --kong-version 3.9.1 --prefix /usr/local/kong \
                            --control-plane cp.example.com:8005 --cluster-cert cluster.crt --cluster-cert-key cluster.key\n  \
                            lifeboat import --ticket ticket --always --kong-version 2.8.5 --prefix /usr/local/kong\n  \
                            lifeboat import --dbless http://127.0.0.1:8001 --storage s3://backups/kong --watch"
    )]
    Import(Import),
    /// Become the program that starts a node; if the node has no configuration and its control plane gives it none, with a
    /// declarative file
    #[command(
        after_help = "For a container's entry point. The program gets this process, its signals and its environment, without \
                            LIFEBOAT_ settings that are secret. A node that has a configuration, or whose control plane answers, is \
                            started as it is, and so is one that nothing can be restored for: the gateway always starts. Exits with \
                            2 over settings if the node has nothing to start with, with 126 or 127 if the program can't be started.\n\n\
                            Examples:\n  lifeboat exec -- kong docker-start   (with the settings of Kong and lifeboat in the environment)\n  \
                            lifeboat exec --storage s3://backups/kong --kong-conf /etc/kong/kong.conf --kong-version 3.9.1 -- \
                            kong start --conf /etc/kong/kong.conf"
    )]
    Exec(Exec),
    /// Print a ticket, with which a node without cloud credentials restores one snapshot
    #[command(after_help = "Examples:\n  lifeboat presign --storage s3://backups/kong > ticket\n  \
                            lifeboat presign 41 --expires-in 3d --storage s3://backups/kong --kong-version 3.9.1\n\n\
                            A ticket is a secret. Give it to a node as LIFEBOAT_TICKET or LIFEBOAT_TICKET_FILE.")]
    Presign(Presign),
    /// Publish a snapshot that is held because it would lose too much, or because no node took it
    #[command(after_help = "Examples:\n  lifeboat release --storage s3://backups/kong --kong-version 3.9.1\n  \
                            lifeboat release 42 --storage s3://backups/kong --kong-version 3.9.1")]
    Release(Release),
    /// Publish an old snapshot again, as a new one that stays until the control plane's configuration changes
    #[command(after_help = "Examples:\n  lifeboat rollback 41 --storage s3://backups/kong --kong-version 3.9.1\n  \
                            lifeboat rollback 41 --hard --storage s3://backups/kong --kong-version 3.9.1")]
    Rollback(Rollback),
    /// Make what is published stay until `lifeboat unpin`, whatever the control plane sends
    #[command(
        after_help = "With a number, that snapshot is published as a new one first, as rollback --hard does.\n\n\
                            Examples:\n  lifeboat pin --storage s3://backups/kong --kong-version 3.9.1\n  \
                            lifeboat pin 41 --storage s3://backups/kong --kong-version 3.9.1"
    )]
    Pin(Pin),
    /// Let exporters publish again what the control plane sends
    #[command(after_help = "Example:\n  lifeboat unpin --storage s3://backups/kong --kong-version 3.9.1")]
    Unpin(Unpin),
    /// Make keys: a pair to sign with and to trust, or one to seal and to open with
    #[command(
        after_help = "Printed as settings; with --folder written into files of mode 0600, the public half 0644.\n\n\
                            Examples:\n  lifeboat keygen signing --name prod-2026 --folder /etc/lifeboat\n  \
                            lifeboat keygen encryption --name prod-2026 > lifeboat.env"
    )]
    Keygen(Keygen),
    /// Rehearse an outage in one process: a control plane, a store and a data plane on loopback, with recorded data
    #[command(after_help = "Examples:\n  lifeboat demo\n  \
                            lifeboat demo --storage s3://backups/kong   (against your own store, under a prefix of its own)")]
    Demo,
}

/// What `export` takes.
#[derive(Debug, Args)]
pub struct Export {
    /// Where the configuration comes from: cp, the control plane; file:PATH, declarative configuration in YAML or JSON,
    /// as decK and DB-less Kong have it, or a node's config.cache.json.gz; dbless:URL, the Admin API of a node without a
    /// database, such as the Ingress Controller's
    #[arg(long, value_name = "cp|file:PATH|dbless:URL", default_value = "cp")]
    pub from: Origin,
    /// With dbless: don't end, but keep each configuration that the node comes to run, until a signal
    #[arg(long, conflicts_with = "pin")]
    pub watch: bool,
    /// With file or dbless: publish it as an emergency change, which stays until the control plane's configuration
    /// changes, whatever it loses
    #[arg(long)]
    pub pin: bool,
    /// With --pin: it stays until `lifeboat unpin`, whatever the control plane sends
    #[arg(long, requires = "pin")]
    pub hard: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `list` takes.
#[derive(Debug, Args)]
pub struct List {
    /// How many snapshots of each version of Kong are shown, newest first
    #[arg(long, value_name = "NUMBER", default_value_t = 20)]
    pub limit: usize,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `doctor` takes.
#[derive(Debug, Args)]
pub struct Doctor {
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `show` takes.
#[derive(Debug, Args)]
pub struct Show {
    /// Which snapshot, by its number in `lifeboat list`; the published one if none is given
    #[arg(value_name = "SEQUENCE")]
    pub sequence: Option<u64>,
    /// Print the configuration itself, as JSON with its secrets masked
    #[arg(long)]
    pub config: bool,
    /// Print it byte for byte as it is, private keys and credentials in clear text
    #[arg(long, requires = "config")]
    pub reveal_secrets: bool,
    /// How the result is printed
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
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `import` takes.
#[derive(Debug, Args)]
pub struct Import {
    /// A file with a ticket of `lifeboat presign` to restore from, or - for standard input; comes before LIFEBOAT_TICKET
    #[arg(long, value_name = "PATH")]
    pub ticket: Option<PathBuf>,
    /// Only if the control plane gives no configuration: this is how it is anyway
    #[arg(long, conflicts_with = "always")]
    pub if_cp_unreachable: bool,
    /// Whatever the control plane says: it is not asked, and whoever feeds a node without a database isn't waited for
    #[arg(long)]
    pub always: bool,
    /// The Admin API of a running node without a database, which is given a configuration if it has none
    #[arg(long, value_name = "URL", value_parser = admin_url)]
    pub dbless: Option<Url>,
    /// With --dbless: don't end, but do so whenever the node has none, until a signal
    #[arg(long, requires = "dbless")]
    pub watch: bool,
    /// Exit with 0 here too, for who takes everything else for a failure, as init containers and systemd do
    #[arg(long, value_enum, value_name = "WHEN", conflicts_with = "watch")]
    pub exit_zero_if: Option<AlsoWell>,
}

/// What `exec` takes.
#[derive(Debug, Args)]
pub struct Exec {
    /// The program and its arguments
    #[arg(value_name = "CMD", last = true, required = true)]
    pub command: Vec<OsString>,
}

/// What `presign` takes.
#[derive(Debug, Args)]
pub struct Presign {
    /// Which snapshot, by its number in `lifeboat list`; the published one if none is given
    #[arg(value_name = "SEQUENCE")]
    pub sequence: Option<u64>,
    /// How long the ticket is to work: at most 7 days, and not longer than the credentials that sign it live
    #[arg(long, value_name = "DURATION", default_value = "12h", value_parser = lifetime)]
    pub expires_in: Duration,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `release` takes.
#[derive(Debug, Args)]
pub struct Release {
    /// Which snapshot, by its number in `lifeboat list`; the newest held one if none is given
    #[arg(value_name = "SEQUENCE")]
    pub sequence: Option<u64>,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `rollback` takes.
#[derive(Debug, Args)]
pub struct Rollback {
    /// Which snapshot, by its number in `lifeboat list`
    #[arg(value_name = "SEQUENCE")]
    pub sequence: u64,
    /// It stays until `lifeboat unpin`, whatever the control plane sends
    #[arg(long)]
    pub hard: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `pin` takes.
#[derive(Debug, Args)]
pub struct Pin {
    /// Which snapshot, by its number in `lifeboat list`; the published one if none is given
    #[arg(value_name = "SEQUENCE")]
    pub sequence: Option<u64>,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `verify` takes.
#[derive(Debug, Args)]
pub struct Verify {
    /// Which snapshot, by its number in `lifeboat list`; the published one if none is given
    #[arg(value_name = "SEQUENCE")]
    pub sequence: Option<u64>,
    /// Every snapshot, published or held; of every version of Kong, unless one is given
    #[arg(long, conflicts_with = "sequence")]
    pub all: bool,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `unpin` takes.
#[derive(Debug, Args)]
pub struct Unpin {
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

/// What `keygen` takes.
#[derive(Debug, Args)]
pub struct Keygen {
    /// What the key is for
    #[arg(value_enum, value_name = "PURPOSE")]
    pub purpose: Purpose,
    /// The key's name, which manifests and messages tell: letters, digits, dots, hyphens, underscores. Without it, one
    /// is made that no other key has
    #[arg(long)]
    pub name: Option<KeyName>,
    /// Where files are written, none of which may be there yet. Without it, the keys are printed
    #[arg(long, value_name = "PATH")]
    pub folder: Option<PathBuf>,
    /// How the result is printed
    #[arg(long, value_enum, default_value = "table")]
    pub output: Output,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(lifetime) if lifetime < Duration::from_secs(1) => Err("it must be a second or more (valid: 12h)".to_owned()),
        Ok(lifetime) if lifetime > LONGEST_LINK => {
            Err("no store's links live longer than seven days (valid: 7d)".to_owned())
        }
        Ok(lifetime) => Ok(lifetime),
        Err(error) => Err(format!("{error} (valid: 12h, 3d)")),
    }
}

/// What was asked for on the command line.
#[derive(Debug)]
pub struct Request {
    /// What to do.
    pub task: Task,
    /// The settings, from wherever they come.
    pub source: Source,
}

/// The whole command line's definition.
pub fn definition() -> Command {
    let flags = SETTINGS.iter().filter_map(|setting| {
        let help = format!("{} [{}, default: {}]", setting.meaning, setting.variable, setting.default).replace('`', "");
        let arg = Arg::new(setting.variable).long(setting.flag?).value_name("VALUE").help(help);
        Some(arg.global(true).help_heading("Settings").hide_short_help(true))
    });
    Cli::command().args(flags)
}

/// Reads the command line and where settings come from.
pub fn read(
    matches: &ArgMatches,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Request, ConfError> {
    let cli = Cli::from_arg_matches(matches).expect("clap has checked this");
    let mut source = Source::from_environment(environment);
    if let Some(path) = &cli.kong_conf {
        source = source.with_kong_conf(path)?;
    }
    let innermost = innermost(matches);
    for setting in SETTINGS.iter().filter(|setting| setting.flag.is_some()) {
        if let Some(value) = innermost.get_one::<String>(setting.variable) {
            source = source.with_flag(setting.variable, value.clone());
        }
    }
    Ok(Request { task: cli.command, source })
}

// Global flags are known to the subcommand's matches wherever they stood.
fn innermost(matches: &ArgMatches) -> &ArgMatches {
    matches.subcommand().map_or(matches, |(_, inner)| innermost(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(arguments: &[&str], environment: &[(&str, &str)]) -> Result<Request, ConfError> {
        let matches = definition().try_get_matches_from(arguments).unwrap();
        read(&matches, environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
    }

    #[test]
    fn the_definition_is_consistent() {
        definition().debug_assert();
    }

    #[test]
    fn a_flag_may_stand_before_or_after_the_command_and_wins() {
        let environment = [("KONG_VERSION", "3.8.1")];
        for arguments in
            [["lifeboat", "--kong-version", "3.9.1", "run"], ["lifeboat", "run", "--kong-version", "3.9.1"]]
        {
            let request = request(&arguments, &environment).unwrap();
            assert_eq!(request.source.get("KONG_VERSION").unwrap().value, "3.9.1");
        }
    }

    #[test]
    fn secrets_are_no_flags() {
        for secret in ["--aws-secret-access-key", "--aws-session-token", "--signing-key", "--encryption-keys"] {
            assert!(definition().try_get_matches_from(["lifeboat", "run", secret, "x"]).is_err());
        }
    }
}
