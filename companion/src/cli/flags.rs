//! A flag for each setting that is no secret. They are offered by shells and stand in the long help of each command.

use clap::builder::{PossibleValue, StringValueParser, TypedValueParser};
use clap::error::Error;
use clap::{Arg, ArgMatches, Command, ValueHint};

use crate::settings::names::{self, Name, SETTINGS, Setting};

/// Above the settings in a command's help.
pub(super) const HEADING: &str = "Settings";

/// Flags may stand before the command, where they are accepted and not repeated in the help, and after it.
pub(super) fn added_to(program: Command) -> Command {
    let before = SETTINGS.iter().filter_map(flag).map(|flag| flag.hide(true));
    program.args(before).mut_subcommands(added_to_each)
}

fn added_to_each(command: Command) -> Command {
    let flags: Vec<Arg> =
        SETTINGS.iter().filter(|setting| reads(command.get_name(), setting)).filter_map(flag).collect();
    command.args(flags).mut_subcommands(added_to_each)
}

// In the help of a command that reads no setting, or one, the others would be noise.
fn reads(command: &str, setting: &Setting) -> bool {
    match command {
        "completions" | "man" | "schema" => false,
        "healthcheck" => {
            matches!(
                setting.name(),
                names::LIFEBOAT_HTTP_LISTEN | names::LIFEBOAT_HEALTH_LISTEN | names::LIFEBOAT_SETTINGS_FILE
            )
        }
        _ => true,
    }
}

/// What was given for a setting; after the command wins.
pub(super) fn value(matches: &ArgMatches, setting: &Setting) -> Option<String> {
    let inner = matches.subcommand().and_then(|(_, inner)| value(inner, setting));
    let own = || matches.try_get_one::<String>(setting.variable).ok().flatten().cloned();
    inner.or_else(own)
}

fn flag(setting: &Setting) -> Option<Arg> {
    let help = format!("{} [{}, default: {}]", setting.meaning, setting.variable, setting.default).replace('`', "");
    let flag = Arg::new(setting.variable).long(setting.flag?).value_name("VALUE").help(help);
    let flag = flag.help_heading(HEADING).hide_short_help(true);
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
