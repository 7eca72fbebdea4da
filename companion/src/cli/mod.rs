//! The command line: commands from clap's derive, one flag per setting from the settings' own table. Help, completions and
//! man pages all come from this definition.

mod arguments;
mod examples;
mod flags;
mod help;
mod mistakes;
mod settings_help;
mod status_url;
mod values;

use clap::{ArgMatches, Command, CommandFactory, FromArgMatches, Parser, Subcommand};

pub use arguments::{
    Actor, Completions, ControlPlanePart, Demo, Diff, Doctor, Drill, Exec, Export, Healthcheck, Import, Keygen, List,
    Manual, NodePart, Pin, Presign, Prune, Release, Rollback, Schema, Show, Status, Unpin, Verify,
};
pub use examples::{Example, examples_of};
pub(crate) use flags::words_of;
pub use help::{EXIT_CODES, broken};
pub use mistakes::matches;
pub use status_url::StatusUrl;
pub use values::{AlsoWell, Compared, Contract, InvalidCompared, Output, Part, Purpose, Recorded};

use crate::settings::names::SETTINGS;
use crate::settings::read_by;
use crate::settings::source::Source;
use crate::settings::unprintable;
use crate::version;

/// Lets new Kong data planes start while their control plane is down
#[derive(Debug, Parser)]
#[command(name = "lifeboat", version = version::VERSION, long_version = version::LONG)]
struct Cli {
    #[command(subcommand)]
    command: Task,
}

/// What to do. The list of commands shows the first line of each; `examples` has what can be pasted.
#[derive(Debug, Subcommand)]
pub enum Task {
    /// Export configurations, relay data planes, or both, until a signal
    ///
    /// With --export on it writes what the control plane sends to the store. With --import on it is the relay, which
    /// restores new data planes. At SIGTERM or SIGINT it first writes what is waiting.
    Run,
    /// Show how running lifeboats are: exports, relays, nodes
    ///
    /// Of this host's lifeboat, or of all those that are named. It exits with 0 if all have answered, whatever they say, else
    /// with 1: lifeboat healthcheck is what scripts ask. With --watch the table stays in its place until Ctrl-C, which is exit
    /// code 0; if standard output is no terminal, it is written again whenever it says something new.
    Status(Status),
    /// Check the health of lifeboat on this host or in this container
    ///
    /// For containers, which have no other program to ask with. It exits with 0 if all is well, else with 1 and the reason.
    /// Give it the same LIFEBOAT_HTTP_LISTEN and LIFEBOAT_HEALTH_LISTEN as lifeboat run; it reads no other settings.
    Healthcheck(Healthcheck),
    /// Export one configuration, once
    ///
    /// From the control plane, from a file, or from a node without a database. With --pin it publishes an emergency change
    /// while the control plane is gone.
    Export(Export),
    /// Give a configuration to a node that has none
    ///
    /// Only if its control plane gives it none. It fills the node's cache before the node starts (for init containers and
    /// ExecStartPre), or with --dbless uses the Admin API of a running node. It exits with 0 when the node has the
    /// configuration, and with 3 when there is nothing to do: the node has one already, or its control plane answers.
    Import(Import),
    /// Start a gateway, with a configuration if it needs one
    ///
    /// As a container's entry point. A data plane (KONG_ROLE=data_plane and KONG_DATABASE=off, or --import on) that has no
    /// configuration, and gets none from its control plane, is started with a declarative file. The program takes over this
    /// process, its signals and its environment, without LIFEBOAT_ settings that are secret. The gateway always starts: if
    /// anything fails, wrong settings included, it is started unchanged, and the log says why. The exit code is 126 or 127 if
    /// the program can't be started.
    Exec(Exec),
    /// Print a ticket that restores one snapshot without credentials
    ///
    /// For a node without cloud credentials, as LIFEBOAT_TICKET or LIFEBOAT_TICKET_FILE. A ticket is a secret.
    Presign(Presign),
    /// Check the whole setup, and say what to do about each problem
    ///
    /// Settings, certificates, control plane, store and backups. It connects as lifeboat run would, publishes nothing, and
    /// exits with 0 if nothing failed, else with 1.
    Doctor(Doctor),
    /// List the snapshots in a store
    List(List),
    /// Show one snapshot, and on request its configuration
    ///
    /// Its manifest, and whether it could be restored. With --config the configuration itself, its secrets masked.
    Show(Show),
    /// Read snapshots as a restore would, and report damage
    ///
    /// It reads every byte of them and of the objects that belong to them, and writes nothing. It exits with 0 if all are
    /// good, else with 1.
    Verify(Verify),
    /// Compare two configurations, entity by entity
    ///
    /// Of a secret it shows only that it changed. Lists are compared element by element; a list that is only in another
    /// order is reported as such, since Kong treats some lists as sets. created_at and updated_at are not compared.
    Diff(Diff),
    /// Publish a snapshot that is held
    ///
    /// Snapshots are held because they would remove too much, or because no node runs them: lifeboat list says which.
    Release(Release),
    /// Publish an old snapshot again
    ///
    /// As a new snapshot, which stays published until the control plane's configuration changes, or with --hard until
    /// lifeboat unpin.
    Rollback(Rollback),
    /// Keep a snapshot published, whatever the control plane sends
    ///
    /// Until lifeboat unpin. With a number, that snapshot is first published as a new one, as rollback --hard does.
    Pin(Pin),
    /// Let exporters publish again what the control plane sends
    Unpin(Unpin),
    /// List snapshots that can be deleted, and delete them with --yes
    ///
    /// By LIFEBOAT_HISTORY and by age: all of the last day stay, then one an hour for a week, then one a day, and always the
    /// published one, the good one before it, and those that held ones are compared with. Exporters delete the same snapshots
    /// by themselves, at most a tenth of the history in a day, and by no host's clock. This deletes all of them at once, by
    /// the clock that it shows. It exits with 0 if it lists or deletes any, with 3 if there are none.
    Prune(Prune),
    /// Rehearse an outage on the live setup, without touching it
    ///
    /// It starts a relay of its own on a loopback port, without a control plane, and restores an empty node of each version
    /// with the live stores, keys and certificate. If there is a kong program on the PATH, it also restores a real data plane
    /// with its own prefix and ports, and stops it again. It writes nothing to a store. It exits with 0 if all nodes came to
    /// run their configuration, else with 1.
    Drill(Drill),
    /// Rehearse an outage in one process, with recorded data
    ///
    /// It starts a control plane, a store and a data plane on loopback. With --storage it uses a store of yours, below a
    /// prefix of its own. Control plane and data plane can also be started as separate processes, to rehearse by hand.
    Demo(Demo),
    /// Make keys that sign snapshots, or keys that encrypt them
    ///
    /// It prints them as settings. With --folder it writes files of mode 0600, the public half with 0644.
    Keygen(Keygen),
    /// Print what programs may rely on, as a schema
    ///
    /// JSON Schema of the settings or of what commands print with --output json, or OpenAPI of what lifeboat run answers.
    Schema(Schema),
    /// Print the completions for a shell
    Completions(Completions),
    /// Print the manual page, or write one for each command
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
    if let Some(path) = flags::kong_conf_of(matches) {
        source = source.with_kong_conf(&path);
    }
    for setting in SETTINGS.iter().filter(|setting| setting.flag.is_some()) {
        if let Some(value) = flags::value(matches, setting) {
            source = source.with_flag(setting.variable, value);
        }
    }
    // A flag may have named it.
    let source = source.with_settings_file().for_reading(read_by(&typed(matches)));
    Request { task: cli.command, source }
}

// The command, as it was typed after `lifeboat`.
fn typed(matches: &ArgMatches) -> String {
    let Some((name, inner)) = matches.subcommand() else { return String::new() };
    match typed(inner) {
        below if below.is_empty() => name.to_owned(),
        below => format!("{name} {below}"),
    }
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
