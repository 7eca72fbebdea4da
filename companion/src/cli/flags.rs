//! A flag for each setting that is no secret, at each command that reads it. Shells offer them; in which words the help shows
//! them is said in `settings_help`.

use std::path::PathBuf;

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser, ValueParser};
use clap::error::Error;
use clap::{Arg, ArgMatches, Command, ValueHint};

use super::settings_help::{KONG_CONF, SHORT_HEADING, in_short, reads_kong_conf};
use crate::settings::names::{self, Name, SETTINGS, Setting};
use crate::settings::read_by;

/// Flags may stand before the command, where they are accepted and not repeated in the help, and after it.
pub(super) fn added_to(program: Command) -> Command {
    let before = SETTINGS.iter().filter_map(|setting| flag("", setting)).chain([kong_conf()]);
    let before: Vec<Arg> = before.map(|flag| flag.hide(true)).collect();
    program.args(before).mut_subcommands(|command| added_to_each(command, ""))
}

fn added_to_each(command: Command, above: &str) -> Command {
    let path = format!("{above}{}", command.get_name());
    let names = read_by(&path);
    let read = SETTINGS.iter().filter(|setting| names.contains(&setting.name()));
    let mut flags: Vec<Arg> = read.filter_map(|setting| flag(&path, setting)).collect();
    if reads_kong_conf(&names) {
        flags.push(kong_conf());
    }

    let below = format!("{path} ");
    command.args(flags).mut_subcommands(|command| added_to_each(command, &below))
}

/// The commands that read a setting, as they are typed.
pub(super) fn readers(name: Name) -> Vec<String> {
    let definition = super::commands();
    let commands = definition.get_subcommands().map(|command| command.get_name().to_owned());
    commands.filter(|command| read_by(command).contains(&name)).collect()
}

/// What was given for a setting; after the command wins.
pub(super) fn value(matches: &ArgMatches, setting: &Setting) -> Option<String> {
    let inner = matches.subcommand().and_then(|(_, inner)| value(inner, setting));
    let own = || matches.try_get_one::<String>(setting.variable).ok().flatten().cloned();
    inner.or_else(own)
}

/// The `kong.conf` that was named; after the command wins.
pub(super) fn kong_conf_of(matches: &ArgMatches) -> Option<PathBuf> {
    let inner = matches.subcommand().and_then(|(_, inner)| kong_conf_of(inner));
    let own = || matches.try_get_one::<PathBuf>(KONG_CONF).ok().flatten().cloned();
    inner.or_else(own)
}

fn kong_conf() -> Arg {
    let flag = Arg::new(KONG_CONF).long(KONG_CONF).value_name("PATH").value_parser(ValueParser::path_buf());
    let flag = flag.help("a kong.conf to read Kong's settings from").value_hint(ValueHint::FilePath);
    flag.hide_short_help(true).hide_long_help(true)
}

// The long help has all of them, in words of its own.
fn flag(path: &str, setting: &Setting) -> Option<Arg> {
    let flag = Arg::new(setting.variable).long(setting.flag?).hide_long_help(true).help_heading(SHORT_HEADING);
    let flag = match in_short(path, setting.name()) {
        Some((value, help)) => flag.value_name(value).help(help),
        None => flag.value_name("VALUE").help(setting.meaning.replace('`', "")).hide_short_help(true),
    };
    Some(match offered(setting.name()) {
        Offered::Words(words) => flag.value_parser(Suggested(words)).hide_possible_values(true),
        Offered::Path(hint) => flag.value_hint(hint),
        Offered::Nothing => flag.value_hint(ValueHint::Other),
    })
}

/// What a shell offers as a setting's value.
enum Offered {
    Words(&'static [&'static str]),
    Path(ValueHint),
    Nothing,
}

/// The only words that a setting has, if it has few. The log takes more than is offered.
pub(crate) fn words_of(name: Name) -> Option<&'static [&'static str]> {
    match offered(name) {
        Offered::Words(words) if name != names::LIFEBOAT_LOG => Some(words),
        Offered::Words(_) | Offered::Path(_) | Offered::Nothing => None,
    }
}

fn offered(name: Name) -> Offered {
    match name {
        names::KONG_CLUSTER_FALLBACK_CONFIG_EXPORT
        | names::KONG_CLUSTER_FALLBACK_CONFIG_IMPORT
        | names::KONG_CLUSTER_USE_PROXY
        | names::LIFEBOAT_CACHE_IMAGE
        | names::LIFEBOAT_FEED_ON_REFUSAL
        | names::LIFEBOAT_FOLLOW => Offered::Words(&["on", "off"]),
        names::KONG_CLUSTER_MTLS => Offered::Words(&["shared", "pki", "pki_check_cn"]),
        names::KONG_CLUSTER_OCSP => Offered::Words(&["on", "optional", "off"]),
        names::LIFEBOAT_VERSION_MATCH => Offered::Words(&["minor", "exact"]),
        names::LIFEBOAT_PREFER => Offered::Words(&["manifest", "newest"]),
        names::LIFEBOAT_ELECTION => Offered::Words(&["auto", "lease", "registry", "none"]),
        names::LIFEBOAT_LOG => Offered::Words(&["error", "warn", "info", "debug", "trace", "off"]),
        names::LIFEBOAT_LOG_FORMAT => Offered::Words(&["text", "json"]),
        names::LIFEBOAT_STORAGE_ADDRESSING => Offered::Words(&["path", "virtual"]),
        names::AWS_EC2_METADATA_DISABLED | names::AWS_USE_DUALSTACK_ENDPOINT | names::AWS_USE_FIPS_ENDPOINT => {
            Offered::Words(&["true", "false"])
        }
        names::KONG_CLUSTER_CERT
        | names::KONG_CLUSTER_CERT_KEY
        | names::KONG_CLUSTER_CA_CERT
        | names::KONG_LUA_SSL_TRUSTED_CERTIFICATE
        | names::LIFEBOAT_RELAY_CERT
        | names::LIFEBOAT_RELAY_CERT_KEY
        | names::LIFEBOAT_RELAY_CLIENT_CA
        | names::LIFEBOAT_STORAGE_CA
        | names::LIFEBOAT_ADMIN_CA
        | names::LIFEBOAT_ADMIN_CERT
        | names::LIFEBOAT_ADMIN_CERT_KEY
        | names::LIFEBOAT_SETTINGS_FILE
        | names::AWS_WEB_IDENTITY_TOKEN_FILE
        | names::GOOGLE_APPLICATION_CREDENTIALS
        | names::AZURE_FEDERATED_TOKEN_FILE => Offered::Path(ValueHint::FilePath),
        names::KONG_PREFIX => Offered::Path(ValueHint::DirPath),
        _ => Offered::Nothing,
    }
}

/// Takes any text: what is wrong with a setting is said with all that is wrong with the others, wherever they stand.
#[derive(Clone)]
struct Suggested(&'static [&'static str]);

impl TypedValueParser for Suggested {
    type Value = String;

    fn parse_ref(&self, command: &Command, arg: Option<&Arg>, value: &std::ffi::OsStr) -> Result<String, Error> {
        StringValueParser::new().parse_ref(command, arg, value)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(self.0.iter().map(|word| PossibleValue::new(*word))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_offers_for_a_setting_is_among_what_its_documentation_names() {
        for setting in SETTINGS {
            let Offered::Words(words) = offered(setting.name()) else { continue };
            let switches = ["on", "off", "true", "false"];
            let levels = setting.variable == "LIFEBOAT_LOG";
            for word in words.iter().filter(|word| !switches.contains(word) && !levels) {
                let documented = setting.meaning.contains(&format!("`{word}`")) || setting.default == *word;
                assert!(documented, "{}: {word}", setting.variable);
            }
        }
    }

    #[test]
    fn a_value_that_is_not_offered_is_taken_as_it_is() {
        let matches =
            super::super::definition().try_get_matches_from(["lifeboat", "run", "--export", "maybe"]).unwrap();
        let export = SETTINGS.iter().find(|setting| setting.flag == Some("export")).unwrap();
        assert_eq!(value(&matches, export).as_deref(), Some("maybe"));
    }
}
