//! The filter's settings, as they stand in the `config` of a filter chain. Parsing names every mistake at once and
//! never fails otherwise. Not here: what the filter does when they are wrong (`filter/`: one log line, no ticks).

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use serde_json::{Map, Value};

/// Where a call goes: `IP:port`. A host name would end in Kong's "resolver failure" (KONG.md section 4, point 2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream(String);

impl Upstream {
    /// The address as Proxy-Wasm's dispatch wants it.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What the filter was told to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterSettings {
    /// `companion`: where reports go.
    pub companion: Upstream,
    /// `status_api`: Kong's `status_listen`, as seen from the gateway itself.
    pub status_api: Upstream,
    /// `interval_s`: seconds between reports, 1 to 3600; 10 if not set.
    pub interval: Duration,
    /// `node`: the name that the reports carry, if one is set.
    pub node: Option<String>,
}

/// What is wrong with the filter's settings. The text says how to put it right.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SettingsProblem {
    /// More bytes than are read.
    #[error("the filter's settings have {0} bytes, at most {max} are read; see the README for an example", max = FilterSettings::MAX_BYTES)]
    TooLarge(usize),
    /// There are none.
    #[error("the filter has no settings; give its entry in the filter chain a config such as {EXAMPLE}")]
    Absent,
    /// Not a JSON object.
    #[error("the filter's settings are not a JSON object ({0}); an example: {EXAMPLE}")]
    NotAnObject(String),
    /// A setting that must be there isn't.
    #[error("{setting} is not set; it must be {must}")]
    Missing {
        /// The setting's name.
        setting: &'static str,
        /// What it must be, with an example.
        must: &'static str,
    },
    /// A setting has a value that it can't have.
    #[error("{setting} is {got}; it must be {must}")]
    Wrong {
        /// The setting's name.
        setting: &'static str,
        /// The value as JSON, cut to 80 characters.
        got: String,
        /// What it must be, with an example.
        must: &'static str,
    },
}

const EXAMPLE: &str = r#"{"companion":"10.0.0.5:8115","status_api":"127.0.0.1:8100"}"#;
const COMPANION: &str = r#"the companion's IP:port, such as "10.0.0.5:8115" (Kong resolves no names here)"#;
const STATUS_API: &str =
    r#"the IP:port of Kong's status_listen, such as "127.0.0.1:8100" (Kong resolves no names here)"#;
const INTERVAL: &str = "a whole number of seconds from 1 to 3600, such as 10";
const NODE: &str = r#"a name of 1 to 128 bytes without control characters, such as "dp-eu-1""#;

impl FilterSettings {
    /// How many bytes of settings are read: more than any sensible ones have, little enough that the worst that fits
    /// in costs the gateway no memory worth naming.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// The interval when none is set.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

    /// How often the root context ticks: twice in an interval, so that one tick asks and the next one tells what was
    /// learnt, and a report isn't a whole interval old when it is sent.
    pub fn tick_period(&self) -> Duration {
        self.interval / 2
    }

    /// Reads the settings from JSON. Settings that are not known are ignored; one that is `null` is not set.
    pub fn parse(json: &[u8]) -> Result<Self, Vec<SettingsProblem>> {
        let fields = object(json).map_err(|problem| vec![problem])?;
        let mut problems = Vec::new();
        let companion = note(&mut problems, upstream(&fields, "companion", COMPANION));
        let status_api = note(&mut problems, upstream(&fields, "status_api", STATUS_API));
        let interval = note(&mut problems, interval(&fields));
        let node = note(&mut problems, node(&fields));
        match (companion, status_api, interval, node) {
            (Some(companion), Some(status_api), Some(interval), Some(node)) => {
                Ok(Self { companion, status_api, interval, node })
            }
            _ => Err(problems),
        }
    }
}

fn object(json: &[u8]) -> Result<Map<String, Value>, SettingsProblem> {
    if json.len() > FilterSettings::MAX_BYTES {
        return Err(SettingsProblem::TooLarge(json.len()));
    }
    if json.trim_ascii().is_empty() {
        return Err(SettingsProblem::Absent);
    }
    serde_json::from_slice(json).map_err(|error| SettingsProblem::NotAnObject(error.to_string()))
}

fn note<T>(problems: &mut Vec<SettingsProblem>, read: Result<T, SettingsProblem>) -> Option<T> {
    read.map_err(|problem| problems.push(problem)).ok()
}

fn set<'a>(fields: &'a Map<String, Value>, setting: &str) -> Option<&'a Value> {
    fields.get(setting).filter(|value| !value.is_null())
}

fn wrong(setting: &'static str, got: &Value, must: &'static str) -> SettingsProblem {
    let got = got.to_string().chars().take(80).collect();
    SettingsProblem::Wrong { setting, got, must }
}

fn upstream(
    fields: &Map<String, Value>,
    setting: &'static str,
    must: &'static str,
) -> Result<Upstream, SettingsProblem> {
    let value = set(fields, setting).ok_or(SettingsProblem::Missing { setting, must })?;
    let address = value.as_str().and_then(|text| text.parse().ok());
    match address {
        Some(address) if SocketAddr::port(&address) != 0 => Ok(Upstream(address.to_string())),
        _ => Err(wrong(setting, value, must)),
    }
}

fn interval(fields: &Map<String, Value>) -> Result<Duration, SettingsProblem> {
    let Some(value) = set(fields, "interval_s") else {
        return Ok(FilterSettings::DEFAULT_INTERVAL);
    };
    match value.as_u64() {
        Some(seconds @ 1..=3600) => Ok(Duration::from_secs(seconds)),
        _ => Err(wrong("interval_s", value, INTERVAL)),
    }
}

fn node(fields: &Map<String, Value>) -> Result<Option<String>, SettingsProblem> {
    let Some(value) = set(fields, "node") else {
        return Ok(None);
    };
    match value.as_str() {
        Some(name) if (1..=128).contains(&name.len()) && !name.contains(char::is_control) => Ok(Some(name.to_owned())),
        _ => Err(wrong("node", value, NODE)),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn problems(json: &str) -> Vec<String> {
        let problems = FilterSettings::parse(json.as_bytes()).unwrap_err();
        problems.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn the_example_in_the_messages_is_valid_and_reports_every_ten_seconds() {
        let settings = FilterSettings::parse(EXAMPLE.as_bytes()).unwrap();
        assert_eq!(settings.companion.as_str(), "10.0.0.5:8115");
        assert_eq!(settings.status_api.as_str(), "127.0.0.1:8100");
        assert_eq!((settings.interval, settings.tick_period()), (Duration::from_secs(10), Duration::from_secs(5)));
        assert_eq!(settings.node, None);
    }

    #[test]
    fn settings_that_are_not_known_are_ignored_and_null_is_not_set() {
        let json = r#"{"companion":"[::1]:8115","status_api":"127.0.0.1:8100","interval_s":null,
                       "node":"dp-1","control_plane":"10.0.0.9:8005","report_key":["?"]}"#;
        let settings = FilterSettings::parse(json.as_bytes()).unwrap();
        assert_eq!(settings.companion.as_str(), "[::1]:8115");
        assert_eq!(settings.node.as_deref(), Some("dp-1"));
        assert_eq!(settings.interval, FilterSettings::DEFAULT_INTERVAL);
    }

    #[test]
    fn every_mistake_is_named_at_once_with_its_setting_and_an_example() {
        let found = problems(r#"{"companion":"lifeboat.svc:8115","status_api":8100,"interval_s":0,"node":""}"#);
        assert_eq!(found.len(), 4);
        for (problem, (setting, example)) in found.iter().zip([
            ("companion is \"lifeboat.svc:8115\"", "10.0.0.5:8115"),
            ("status_api is 8100", "127.0.0.1:8100"),
            ("interval_s is 0", "10"),
            ("node is \"\"", "dp-eu-1"),
        ]) {
            assert!(problem.starts_with(setting), "{problem}");
            assert!(problem.contains(example), "{problem}");
        }
    }

    #[test]
    fn an_interval_outside_its_bounds_is_refused() {
        for (interval, accepted) in [
            ("1", true),
            ("3600", true),
            ("0", false),
            ("3601", false),
            ("-5", false),
            ("2.5", false),
            ("1e400", false),
            ("\"10\"", false),
            ("18446744073709551616", false),
        ] {
            let json = format!(r#"{{"companion":"1.2.3.4:1","status_api":"1.2.3.4:2","interval_s":{interval}}}"#);
            assert_eq!(FilterSettings::parse(json.as_bytes()).is_ok(), accepted, "{interval}");
        }
    }

    #[test]
    fn what_kong_could_not_dispatch_to_is_refused_as_an_address() {
        for address in ["localhost:8100", "127.0.0.1", "127.0.0.1:0", ":8100", "http://1.2.3.4:1", ""] {
            let json = format!(r#"{{"companion":"{address}","status_api":"127.0.0.1:8100"}}"#);
            assert_eq!(problems(&json).len(), 1, "{address}");
        }
    }

    #[test]
    fn settings_that_are_absent_or_no_object_or_too_many_have_a_reason() {
        assert_eq!(problems("  "), [SettingsProblem::Absent.to_string()]);
        for json in ["[]", "3", "{", "\"x\"", "nonsense"] {
            assert!(problems(json)[0].contains("not a JSON object"), "{json}");
        }
        let huge = " ".repeat(FilterSettings::MAX_BYTES + 1);
        assert!(problems(&huge)[0].contains("16385 bytes"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes: Vec<u8>) {
            let _ = FilterSettings::parse(&bytes);
        }

        #[test]
        fn a_wrong_value_of_any_length_makes_a_short_message(value in ".{0,4000}") {
            let json = serde_json::json!({"companion": value, "status_api": "127.0.0.1:8100"});
            for problem in FilterSettings::parse(json.to_string().as_bytes()).err().unwrap_or_default() {
                prop_assert!(problem.to_string().chars().count() < 300);
            }
        }
    }
}
