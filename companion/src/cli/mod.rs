//! The command line: commands from clap's derive, one flag per setting from the settings' own table. Help, completions and
//! man pages all come from this definition.

mod arguments;
mod examples;
mod flags;
mod help;
mod values;

use std::path::PathBuf;

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser, Subcommand, ValueHint};

pub use arguments::{
    Actor, Completions, ControlPlanePart, Demo, Diff, Doctor, Drill, Exec, Export, Healthcheck, Import, Keygen, List,
    Manual, NodePart, Pin, Presign, Prune, Release, Rollback, Show, Unpin, Verify,
};
pub use examples::{Example, examples_of};
pub use help::{EXIT_CODES, broken};
pub use values::{AlsoWell, Compared, InvalidCompared, Output, Part, Purpose, Recorded};

use crate::settings::names::SETTINGS;
use crate::settings::source::Source;
use crate::settings::unprintable;
use crate::version;

/// Keeps Kong data planes alive while their control plane is gone
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version = version::VERSION, long_version = version::LONG)]
struct Cli {
    /// A kong.conf to take Kong's settings from; a settings file, the environment and flags win over it
    #[arg(long, global = true, value_name = "PATH", help_heading = flags::HEADING, value_hint = ValueHint::FilePath)]
    kong_conf: Option<PathBuf>,
    #[command(subcommand)]
    command: Task,
}

/// What to do. The first line of each is what the list of commands shows; what can be pasted stands in `examples`.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Keep configurations, relay nodes, or both, until a signal
    ///
    /// With --export on it keeps what the control plane sends; with --import on it is the relay that new nodes are restored
    /// by. What waits to be written when SIGTERM or SIGINT comes is written first.
    Run,
    /// Ask the lifeboat of this host or container how it is
    ///
    /// For containers, which hold nothing else to ask with. It exits with 0 if all is well, else with 1, and says why.
    /// LIFEBOAT_HTTP_LISTEN is the only setting that it reads: set it as for lifeboat run.
    Healthcheck(Healthcheck),
    /// Keep one configuration, once
    ///
    /// From the control plane, from a file, or from a node without a database. With --pin it is an emergency change, while the
    /// control plane is gone.
    Export(Export),
    /// Give a configuration to a node that has none
    ///
    /// Only if its control plane gives it nothing. Into the node's cache before it starts (for init containers and
    /// ExecStartPre), or with --dbless through the Admin API of a node that runs. It exits with 0 when the node has what it
    /// was given, and with 3 when there is nothing to do: it has a configuration, or its control plane answers.
    Import(Import),
    /// Become a node's program, with a configuration if it needs one
    ///
    /// For a container's entry point. If the node is a data plane (KONG_ROLE=data_plane, KONG_DATABASE=off, or --import on),
    /// has no configuration, and its control plane gives it none, it is started with a declarative file. The program gets
    /// this process, its signals and its environment, without LIFEBOAT_ settings that are secret. The gateway always starts:
    /// whatever else is so, settings that are wrong among it, the program is started as it is, and the log says why. It exits
    /// with 126 or 127 if the program can't be started.
    Exec(Exec),
    /// Print a ticket that restores one snapshot without credentials
    ///
    /// For a node without cloud credentials, as LIFEBOAT_TICKET or LIFEBOAT_TICKET_FILE. A ticket is a secret.
    Presign(Presign),
    /// Check everything, and say what to do where it is wrong
    ///
    /// Settings, certificates, control plane, store and backups. It asks as lifeboat would, keeps nothing, and exits with 0 if
    /// nothing failed, else with 1.
    Doctor(Doctor),
    /// List the snapshots in a store
    List(List),
    /// Show one snapshot, and on request what is in it
    ///
    /// What its manifest says, and whether it could be restored. With --config the configuration itself, its secrets masked.
    Show(Show),
    /// Read snapshots as a restore would, and say what is bad
    ///
    /// Down to the last byte, and what belongs to them too. It exits with 0 if nothing is bad, else with 1, and writes
    /// nothing.
    Verify(Verify),
    /// Compare two configurations, entity by entity
    ///
    /// Secrets show only that they changed. Lists are compared element by element, and one in another order is said to be
    /// that: to Kong some lists are sets. created_at and updated_at are not compared.
    Diff(Diff),
    /// Publish a snapshot that is held
    ///
    /// It is held because it would lose too much, or because no node took it: lifeboat list says which.
    Release(Release),
    /// Publish an old snapshot again
    ///
    /// As a new one, that stays until the control plane's configuration changes, or with --hard until lifeboat unpin.
    Rollback(Rollback),
    /// Make what is published stay, whatever the control plane sends
    ///
    /// Until lifeboat unpin. With a number, that snapshot is published as a new one first, as rollback --hard does.
    Pin(Pin),
    /// Let exporters publish again what the control plane sends
    Unpin(Unpin),
    /// Show which old snapshots may go, and delete them with --yes
    ///
    /// Those that LIFEBOAT_HISTORY and their age allow: all of the last day stay, then one an hour for a week, then one a day,
    /// and always what is published, the good one before it, and what a held one is compared with. Exporters delete the same by
    /// themselves, a tenth of the history in a day at most and by no clock of a host; this deletes all of it at once, by the
    /// clock that it shows. It exits with 0 if something may go or is gone, with 3 if nothing may.
    Prune(Prune),
    /// Rehearse an outage on the live setup, without touching it
    ///
    /// A relay of its own on a loopback port, whose control plane is never there, restores an empty node of each version with
    /// the live stores, keys and certificate; where a kong program is on the PATH, also a real data plane with its own prefix
    /// and ports, which is stopped again. Nothing is written to a store. It exits with 0 if all nodes came to run their
    /// configuration, else with 1.
    Drill(Drill),
    /// Rehearse an outage in one process, with recorded data
    ///
    /// A control plane, a store and a data plane are started on loopback. With --storage it uses a store of yours, below a
    /// prefix of its own. Its actors can also be started as processes of their own, to rehearse by hand.
    Demo(Demo),
    /// Make keys to sign and to trust, or to seal and to open
    ///
    /// Printed as settings; with --folder written into files of mode 0600, the public half 0644.
    Keygen(Keygen),
    /// Print what a shell needs to complete these commands
    Completions(Completions),
    /// Print the manual page, or write those of all commands
    #[command(name = "man")]
    Manual(Manual),
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
    help::explained(flags::added_to(Cli::command()))
}

/// The commands, without a flag for each setting.
pub fn commands() -> Command {
    Cli::command()
}

/// Reads the command line and where settings come from.
pub fn read(matches: &ArgMatches, environment: impl IntoIterator<Item = (String, String)>) -> Request {
    let cli = Cli::from_arg_matches(matches).expect("clap has checked this");
    let mut source = Source::from_environment(environment);
    if let Some(path) = &cli.kong_conf {
        source = source.with_kong_conf(path);
    }
    for setting in SETTINGS.iter().filter(|setting| setting.flag.is_some()) {
        if let Some(value) = flags::value(matches, setting) {
            source = source.with_flag(setting.variable, value);
        }
    }
    // A flag may have named it.
    Request { task: cli.command, source: source.with_settings_file() }
}

/// What clap says of arguments, without those that may be secrets.
pub fn without_secrets(message: &str, arguments: &[String]) -> String {
    // Of `--flag=value` either half is quoted alone.
    let halves = |argument: &str| argument.split_once('=').map(|(name, value)| [name.to_owned(), value.to_owned()]);
    let halves: Vec<String> = arguments.iter().filter_map(|argument| halves(argument)).flatten().collect();
    let all = arguments.iter().chain(&halves).map(String::as_str);
    let shown = unprintable::without_secrets(message, all);
    if shown == message {
        return shown;
    }
    format!(
        "{shown}\nWhat may be a secret is not shown. Everybody on this host can read arguments: give the path of a file.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(arguments: &[&str], environment: &[(&str, &str)]) -> Request {
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
            let request = request(&arguments, &environment);
            assert_eq!(request.source.get("KONG_VERSION").unwrap().value, "3.9.1");
        }
    }

    #[test]
    fn a_secret_that_was_typed_as_an_argument_is_not_repeated() {
        let key = "-----BEGIN PRIVATE KEY-----\nc2VjcmV0MTIzNA==\n-----END PRIVATE KEY-----";
        let joined = format!("--cluster-cert-keys={key}");
        for arguments in [
            ["lifeboat", "run", "--cluster-cert-key", key],
            ["lifeboat", "run", key, "x"],
            ["lifeboat", key, "x", "y"],
            ["lifeboat", "run", &joined, "x"],
            ["lifeboat", "list", "--limit", "prod:sk1_c2VjcmV0MTIzNA"],
        ] {
            let error = definition().try_get_matches_from(arguments).unwrap_err().to_string();
            let said = without_secrets(&error, &arguments.map(str::to_owned));
            assert!(!said.contains("c2VjcmV0"), "{arguments:?}: {said}");
        }
        let plain = definition().try_get_matches_from(["lifeboat", "exprot"]).unwrap_err().to_string();
        assert_eq!(without_secrets(&plain, &["exprot".to_owned()]), plain);
    }

    #[test]
    fn secrets_are_no_flags() {
        for secret in ["--aws-secret-access-key", "--aws-session-token", "--signing-key", "--encryption-keys"] {
            assert!(definition().try_get_matches_from(["lifeboat", "run", secret, "x"]).is_err());
        }
    }
}
