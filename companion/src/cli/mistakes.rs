//! What is said of a command line that can't be taken: the name that was probably meant, and why a flag is not taken that
//! other commands take.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, Error, ErrorKind};
use clap::parser::ValueSource;
use clap::{ArgMatches, Command};
use strsim::levenshtein;

use super::settings_help::{KONG_CONF, reads_kong_conf};
use super::{definition, flags, typed};
use crate::settings::names::{SETTINGS, Setting};
use crate::settings::read_by;

/// What operators type, and what there is for it.
const OTHER_WORDS: &[(&str, &str)] = &[
    (
        "restore",
        "new data planes are restored by a relay (lifeboat run --import on), before they start (lifeboat import), or as they \
         start (lifeboat exec). An older snapshot is published again by lifeboat rollback",
    ),
    (
        "backup",
        "lifeboat run --export on backs up whatever the control plane sends, lifeboat export what it has now. lifeboat list \
         shows the backups",
    ),
    ("history", "lifeboat list shows the snapshots"),
    ("snapshots", "lifeboat list shows them"),
    ("health", "it is lifeboat healthcheck"),
    ("check", "lifeboat doctor checks the setup, lifeboat verify the backups, lifeboat healthcheck a running lifeboat"),
    ("start", "lifeboat run is what keeps running; lifeboat exec starts a gateway"),
];

/// Kong's settings carry these before what a flag is called.
const PREFIXES: [&str; 4] = ["KONG_CLUSTER_FALLBACK_CONFIG_", "KONG_CLUSTER_FALLBACK_", "LIFEBOAT_", "KONG_"];

/// Reads a command line, of which the first argument is the program's name.
///
/// # Errors
/// When it can't be taken, with what was probably meant; and when help or the version was asked for.
pub fn matches(arguments: &[OsString]) -> Result<ArgMatches, Error> {
    match definition().try_get_matches_from(arguments) {
        Ok(matches) => refuse_unread(matches),
        Err(error) => Err(explained(error, arguments)),
    }
}

// A flag before the command is every command's, as far as clap knows.
fn refuse_unread(matches: ArgMatches) -> Result<ArgMatches, Error> {
    let command = typed(&matches);
    let names = read_by(&command);
    let is_given = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);

    let mut given = SETTINGS.iter().filter(|setting| setting.flag.is_some() && is_given(setting.variable));
    let unread = given.find(|setting| !names.contains(&setting.name()));
    match unread.and_then(|setting| not_read(setting, &command)) {
        Some(message) => Err(refusal(&command, ErrorKind::UnknownArgument, message)),
        None if is_given(KONG_CONF) && !reads_kong_conf(&names) => {
            let message = format!("lifeboat {command} reads no setting of Kong's, and so no --{}", KONG_CONF);
            Err(refusal(&command, ErrorKind::UnknownArgument, message))
        }
        None => Ok(matches),
    }
}

fn explained(error: Error, arguments: &[OsString]) -> Error {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => Some(text.clone()),
        _ => None,
    };
    // As far as it can be read.
    let read = definition().ignore_errors(true).try_get_matches_from(arguments);
    let command = read.map(|matches| typed(&matches)).unwrap_or_default();

    let message = match error.kind() {
        ErrorKind::InvalidSubcommand => context(ContextKind::InvalidSubcommand).and_then(|word| other_word(&word)),
        ErrorKind::UnknownArgument => context(ContextKind::InvalidArg).and_then(|argument| flag(&argument, &command)),
        _ => None,
    };
    match message {
        Some(message) => refusal(&command, error.kind(), message),
        None => error,
    }
}

fn refusal(command: &str, kind: ErrorKind, message: String) -> Error {
    let mut definition = definition();
    definition.build();
    let mut at = &mut definition;
    for name in command.split_whitespace() {
        at = at.find_subcommand_mut(name).expect("it was read from this definition");
    }
    at.error(kind, message)
}

fn other_word(word: &str) -> Option<String> {
    let (_, hint) = OTHER_WORDS.iter().find(|(known, _)| *known == word.to_lowercase())?;
    Some(format!("there is no command {word}: {hint}"))
}

fn flag(argument: &str, command: &str) -> Option<String> {
    let name = argument.strip_prefix("--")?.split('=').next()?;
    match setting_named(name) {
        Some(setting) if setting.flag.is_none() => Some(secret(name, setting)),
        Some(setting) if setting.flag == Some(name) => not_read(setting, command),
        Some(setting) => {
            let flag = setting.flag.map(|flag| format!("--{flag}"))?;
            let file = name.ends_with("file") && setting.may_be_in_file();
            let or_file = if file { format!(", or set {}_FILE", setting.variable) } else { String::new() };
            let not_read = not_read(setting, command).map(|why| format!(", which {why}")).unwrap_or_default();
            Some(format!("there is no flag --{name}: it is {flag} ({}){or_file}{not_read}", setting.variable))
        }
        None => nearest(name, command),
    }
}

/// The setting that a flag means: its own, or one that its variable or a file of its secret would have.
fn setting_named(name: &str) -> Option<&'static Setting> {
    let by_flag = SETTINGS.iter().find(|setting| setting.flag == Some(name));
    let variable = name.to_uppercase().replace('-', "_");
    let plain = variable.strip_suffix("_FILE").unwrap_or(&variable);
    let is_meant = |setting: &&Setting| {
        let own = setting.variable;
        own == variable || own == plain || PREFIXES.iter().any(|prefix| own.strip_prefix(prefix) == Some(plain))
    };
    by_flag.or_else(|| SETTINGS.iter().find(is_meant))
}

fn secret(name: &str, setting: &Setting) -> String {
    let variable = setting.variable;
    format!(
        "there is no flag --{name}: it is a secret, and everybody on this host can read arguments. Set {variable}, or \
         {variable}_FILE to the path of a file that holds it"
    )
}

/// Why a command doesn't take a flag that others do.
fn not_read(setting: &Setting, command: &str) -> Option<String> {
    let (flag, readers) = (setting.flag?, flags::readers(setting.name()));
    // One that every command reads, before or without a command.
    if readers.iter().any(|reader| reader == command) {
        return None;
    }
    Some(format!(
        "lifeboat {command} does not read --{flag} ({}): leave it out. Read by: {}",
        setting.variable,
        readers.join(", ")
    ))
}

fn nearest(name: &str, command: &str) -> Option<String> {
    let mut definition = definition();
    definition.build();
    let mut at: &Command = &definition;
    for word in command.split_whitespace() {
        at = at.find_subcommand(word)?;
    }

    let flags: Vec<&str> = at.get_arguments().filter_map(|argument| argument.get_long()).collect();
    let by_letters = flags.iter().map(|flag| (levenshtein(name, flag), *flag)).min();
    let few = (name.len() / 3).clamp(1, 3);
    if let Some((_, flag)) = by_letters.filter(|(distance, _)| *distance <= few) {
        return Some(format!("there is no flag --{name}: did you mean --{flag}?"));
    }

    let words =
        |flag: &str| flag.split(['-', '_']).filter(|word| word.len() > 2).map(str::to_owned).collect::<Vec<_>>();
    let own = words(name);
    let shared = |flag: &&&str| words(flag).iter().filter(|word| own.contains(word)).count();
    let most = flags.iter().map(|flag| shared(&flag)).max().filter(|most| *most > 0)?;
    let near: Vec<String> = flags.iter().filter(|flag| shared(flag) == most).map(|flag| format!("--{flag}")).collect();
    Some(format!("there is no flag --{name}: did you mean {}?", near.join(" or ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(line: &str) -> String {
        let arguments: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        matches(&arguments).expect_err(line).to_string()
    }

    #[test]
    fn a_flag_that_a_command_never_reads_is_refused_by_name_before_and_after_the_command() {
        for line in ["lifeboat list --relay-listen 127.0.0.1:1", "lifeboat --relay-listen 127.0.0.1:1 list"] {
            let said = said(line);
            assert!(said.contains("lifeboat list does not read --relay-listen (LIFEBOAT_RELAY_LISTEN)"), "{said}");
            assert!(said.contains("Read by: run, ") && said.contains("Usage: lifeboat list"), "{said}");
        }
        let conf = said("lifeboat --kong-conf /etc/kong/kong.conf keygen signing");
        assert!(conf.contains("lifeboat keygen reads no setting of Kong's"), "{conf}");
        assert!(matches(&["lifeboat", "--log", "debug", "list"].map(OsString::from)).is_ok());
    }

    #[test]
    fn a_secret_is_answered_with_its_variable_and_the_one_for_a_file() {
        for flag in ["--aws-secret-access-key", "--signing-key", "--lifeboat-signing-key", "--signing-key-file"] {
            let said = said(&format!("lifeboat run {flag} x"));
            assert!(said.contains("it is a secret") && said.contains("_KEY_FILE to the path of a file"), "{said}");
        }
    }

    #[test]
    fn a_mistyped_flag_is_answered_with_the_right_one() {
        for (typed, right) in [
            ("--cluster-certificate-key", "--cluster-cert-key"),
            ("--storge", "did you mean --storage?"),
            ("--cluster_cert", "it is --cluster-cert (KONG_CLUSTER_CERT)"),
            ("--kong-cluster-mtls", "it is --cluster-mtls"),
            ("--cluster-fallback-config-storage", "it is --storage"),
            ("--LIFEBOAT_MAX_AGE", "it is --max-age"),
            ("--trusted-keys-file", "or set LIFEBOAT_TRUSTED_KEYS_FILE"),
            ("--storage-endpoint", "--aws-config-storage-endpoint or --azure-storage-endpoint"),
        ] {
            let said = said(&format!("lifeboat run {typed} x"));
            assert!(said.contains(right), "{typed}: {said}");
        }
        assert!(said("lifeboat list --outptu json").contains("did you mean --output?"));
        let elsewhere = said("lifeboat list --kong-cluster-mtls pki");
        assert!(elsewhere.contains("it is --cluster-mtls") && elsewhere.contains("does not read"), "{elsewhere}");
    }

    #[test]
    fn restore_and_backup_are_answered_with_the_commands_that_do_it() {
        let restore = said("lifeboat restore");
        assert!(restore.contains("lifeboat run --import on") && restore.contains("lifeboat import"), "{restore}");
        let backup = said("lifeboat backup --storage s3://backups/kong");
        assert!(backup.contains("lifeboat run --export on") && backup.contains("lifeboat export"), "{backup}");
        assert!(said("lifeboat exprot").contains("'export'"), "clap's own hint stays");
    }
}
