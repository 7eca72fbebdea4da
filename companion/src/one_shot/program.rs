//! The program that `lifeboat exec` becomes. Why it is started, and with what, is decided elsewhere.
//!
//! It is the same process with the same id: what waits for it, signals it or reads its exit code notices nothing. It gets
//! our environment as it is but for our own secrets, which open every backup and of which a gateway has no use.

use std::convert::Infallible;
use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use crate::settings::names::SETTINGS;

/// What Kong reads a declarative file's path from.
const DECLARATIVE_CONFIG: &str = "KONG_DECLARATIVE_CONFIG";

/// Kong's commands that start no gateway (Kong's public reference of its command line). What isn't among them may start one:
/// an image's own commands, wrappers such as `tini --` and `sh -c`, and whatever a later Kong has.
const STARTS_NO_GATEWAY: &[&str] = &[
    "check",
    "config",
    "debug",
    "drain",
    "health",
    "help",
    "hybrid",
    "migrations",
    "prepare",
    "quit",
    "reload",
    "roar",
    "stop",
    "unready",
    "vault",
    "version",
    "--help",
    "-h",
    "--version",
];

/// A program and its arguments.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandLine {
    name: OsString,
    arguments: Vec<OsString>,
}

/// Why there is no such program.
#[derive(Debug, thiserror::Error)]
#[error("{name} can't be started: {reason}")]
pub struct NotStarted {
    name: String,
    reason: std::io::Error,
}

impl CommandLine {
    /// The program that a command line names; none if it is empty.
    pub fn of(command: &[OsString]) -> Option<Self> {
        let (name, arguments) = command.split_first()?;
        Some(Self { name: name.clone(), arguments: arguments.to_vec() })
    }

    /// Which of Kong's commands this is, if it is known to start no gateway: `kong health`, also behind a wrapper.
    pub fn starts_no_gateway(&self) -> Option<&'static str> {
        let words: Vec<&OsStr> = [&self.name].into_iter().chain(&self.arguments).map(OsString::as_os_str).collect();
        let kong = words.iter().position(|word| Path::new(word).file_name() == Some(OsStr::new("kong")))?;
        // What comes after a script of a shell are the script's arguments, and it may do anything.
        if words[..kong].iter().any(|word| is_script_flag(word)) {
            return None;
        }
        let command = words.get(kong + 1)?;
        STARTS_NO_GATEWAY.iter().copied().find(|known| *command == OsStr::new(known))
    }

    /// Becomes it, and doesn't return then. It loads `declarative` if there is one.
    ///
    /// # Errors
    /// When it can't be started.
    pub fn become_it(&self, declarative: Option<&Path>) -> Result<Infallible, NotStarted> {
        let mut command = Command::new(&self.name);
        command.args(&self.arguments);
        our_secrets().for_each(|variable| {
            command.env_remove(variable);
        });
        if let Some(path) = declarative {
            command.env(DECLARATIVE_CONFIG, path);
        }
        Err(NotStarted { name: self.to_string(), reason: command.exec() })
    }
}

impl NotStarted {
    /// What a shell ends with then.
    pub fn exit_code(&self) -> u8 {
        if self.reason.kind() == ErrorKind::NotFound { 127 } else { 126 }
    }
}

impl std::fmt::Display for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let name = Path::new(&self.name).file_name().unwrap_or(OsStr::new("the program"));
        f.write_str(&name.to_string_lossy())
    }
}

// Arguments may be secrets.
impl std::fmt::Debug for CommandLine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "CommandLine({self}, ..)")
    }
}

// `-c`, also with other letters before it: `bash -ec`.
fn is_script_flag(word: &OsStr) -> bool {
    word.to_str().is_some_and(|word| word.starts_with('-') && !word.starts_with("--") && word.ends_with('c'))
}

fn our_secrets() -> impl Iterator<Item = &'static str> {
    let ours = SETTINGS.iter().filter(|setting| setting.variable.starts_with("LIFEBOAT_"));
    ours.filter(|setting| setting.flag.is_none()).map(|setting| setting.variable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn our_secrets_are_those_of_our_own_settings_and_nothing_of_the_clouds() {
        let secrets: Vec<_> = our_secrets().collect();
        let known = [
            "LIFEBOAT_ADMIN_TOKEN",
            "LIFEBOAT_ENCRYPTION_KEYS",
            "LIFEBOAT_SIGNING_KEY",
            "LIFEBOAT_REPORT_KEYS",
            "LIFEBOAT_TICKET",
            "LIFEBOAT_HEARTBEAT_URL",
            "LIFEBOAT_DRILL_HEARTBEAT_URL",
            "LIFEBOAT_WEBHOOK_URL",
            "LIFEBOAT_WEBHOOK_KEY",
        ];
        assert_eq!(secrets, known);
    }

    #[test]
    fn what_starts_no_gateway_is_known_and_everything_else_may() {
        let command = |line: &str| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            CommandLine::of(&words).unwrap().starts_no_gateway()
        };
        for (line, known) in [
            ("kong migrations bootstrap", "migrations"),
            ("/usr/local/bin/kong reload", "reload"),
            ("/docker-entrypoint.sh kong health", "health"),
            ("tini -- kong config parse kong.yml", "config"),
            ("tini -g -- /docker-entrypoint.sh kong version", "version"),
            ("kong --help", "--help"),
        ] {
            assert_eq!(command(line), Some(known), "{line}");
        }
        for line in [
            "kong start",
            "kong docker-start",
            "kong restart",
            "/docker-entrypoint.sh kong docker-start",
            "tini -- kong start -c check",
            "sh -c kong migrations up && kong start",
            "bash -ec $0 kong migrations",
            "/entrypoint",
            "kong",
            "kong something-new",
            "/bin/echo migrations",
        ] {
            assert_eq!(command(line), None, "{line}");
        }
    }

    #[test]
    fn arguments_do_not_print() {
        let program = CommandLine::of(&["/usr/bin/kong".into(), "--password=wonderful-secret".into()]).unwrap();
        assert_eq!(format!("{program:?} {program}"), "CommandLine(kong, ..) kong");
        assert_eq!(CommandLine::of(&[]), None);
    }
}
