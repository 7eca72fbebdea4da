//! The filter's settings, as they stand in the `config` of a filter chain. Reading them names every mistake at once and
//! never fails: what is right is used, so that the companion can be told of what is wrong. Not here: what the filter
//! does with them (`Reporter`); `filter/lifeboat.meta.json` says the same to Kong, and a test compares.

mod problem;
#[cfg(test)]
mod tests;
mod upstream;

use std::time::Duration;

use serde_json::{Map, Value};

use super::key::ReportKey;
use super::permission::NamedHost;
pub use problem::SettingsProblem;
pub use upstream::Upstream;

/// What the filter was told to do, and what of that could not be understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilterSettings {
    /// `host`: what the filter runs in, where that has to be said.
    pub host: Option<NamedHost>,
    /// `companion`: where reports go.
    pub companion: Option<Upstream>,
    /// `status_api`: Kong's `status_listen`, as seen from the gateway itself.
    pub status_api: Option<Upstream>,
    /// `control_plane`: the control plane's cluster listener, which is only looked for; none where `probe` is off.
    pub control_plane: Option<Upstream>,
    /// `interval_s`: seconds between reports, 1 to 3600; 10 if not set.
    pub interval: Duration,
    /// `report_key`: what reports are signed with.
    pub report_key: Option<ReportKey>,
    /// `node`: the name that the reports carry.
    pub node: Option<String>,
    /// `response_header`: the header in which responses say what the node runs, in lower case.
    pub response_header: Option<String>,
    /// What is wrong with them.
    pub problems: Vec<SettingsProblem>,
}

const HOST: &str = r#"left out in Kong 3.9, or "envoy", or "kong-3.10""#;
const COMPANION: &str = r#"the companion's IP:port, such as "10.0.0.5:8115" (Kong resolves no names here; in Envoy, set host to "envoy" and name a cluster)"#;
const STATUS_API: &str = r#"the IP:port of Kong's status_listen, such as "127.0.0.1:8100" (Kong resolves no names here; in Envoy, set host to "envoy" and name a cluster)"#;
const CONTROL_PLANE: &str = r#"the IP:port of the control plane's cluster listener, such as "10.0.0.9:8005" (Kong resolves no names here; in Envoy, set host to "envoy" and name a cluster)"#;
const PROBE: &str = r#""on" or "off""#;
const INTERVAL: &str = "a whole number of seconds from 1 to 3600, such as 10";
const REPORT_KEY: &str = "one of the companion's LIFEBOAT_REPORT_KEYS: 16 to 256 printable characters without blanks, commas and #, such as openssl rand -hex 32 prints";
const NODE: &str = r#"a name of 1 to 128 bytes without control characters, such as "dp-eu-1""#;
const RESPONSE_HEADER: &str = r#"the name of a header of your own that begins with x-, of at most 64 letters, digits and hyphens, such as "x-lifeboat""#;

impl Default for FilterSettings {
    /// Nothing is set.
    fn default() -> Self {
        Self {
            host: None,
            companion: None,
            status_api: None,
            control_plane: None,
            interval: Self::DEFAULT_INTERVAL,
            report_key: None,
            node: None,
            response_header: None,
            problems: Vec::new(),
        }
    }
}

impl FilterSettings {
    /// How many bytes of settings are read: more than any sensible ones have, little enough that the worst that fits
    /// in costs the gateway no memory worth naming.
    pub const MAX_BYTES: usize = 16 * 1024;
    /// The interval when none is set.
    pub const DEFAULT_INTERVAL: Duration = Duration::from_secs(10);

    /// How often the root context ticks: twice in an interval, so that one tick asks and the next one tells what was
    /// learnt, and a report isn't a whole interval old when it is sent.
    pub fn tick_period(&self) -> Duration {
        self.interval.checked_div(2).unwrap_or_default()
    }

    /// Settings of which nothing could be read, for this reason.
    pub fn unreadable(problem: SettingsProblem) -> Self {
        Self { problems: vec![problem], ..Self::default() }
    }

    /// Reads the settings from JSON: an object, or a text that holds one, which is all that Kong 3.4 takes. Settings that
    /// are not known are ignored; one that is `null` is not set.
    pub fn read(json: &[u8]) -> Self {
        let fields = match object(json) {
            Ok(fields) => fields,
            Err(problem) => return Self::unreadable(problem),
        };
        let mut fields = Fields { fields, problems: Vec::new() };
        let host = fields.host();
        let upstream = |value: &Value| upstream(value).filter(|upstream| upstream.suits(host));
        let probe = fields.optional("probe", PROBE, is_on).unwrap_or(true);

        Self {
            host,
            companion: fields.required("companion", COMPANION, upstream),
            status_api: fields.required("status_api", STATUS_API, upstream),
            control_plane: fields.optional("control_plane", CONTROL_PLANE, upstream).filter(|_| probe),
            interval: fields.optional("interval_s", INTERVAL, interval).unwrap_or(Self::DEFAULT_INTERVAL),
            report_key: fields.secret("report_key", REPORT_KEY, ReportKey::new),
            node: fields.optional("node", NODE, node),
            response_header: fields.optional("response_header", RESPONSE_HEADER, response_header),
            problems: fields.problems,
        }
    }
}

/// The object that is read, and what was found wrong with it so far.
struct Fields {
    fields: Map<String, Value>,
    problems: Vec<SettingsProblem>,
}

impl Fields {
    fn set(&self, setting: &str) -> Option<&Value> {
        self.fields.get(setting).filter(|value| !value.is_null())
    }

    /// What `host` names. Envoy only where nothing but clusters is called: Envoy calls nothing else, so this is some Kong, in
    /// which acting on the word of such a setting could end workers.
    fn host(&mut self) -> Option<NamedHost> {
        let host = self.optional("host", HOST, |value| NamedHost::parse(value.as_str()?))?;
        if host == NamedHost::Envoy {
            let is_cluster = |value: &Value| upstream(value).is_some_and(|upstream| upstream.is_cluster());
            let required = ["companion", "status_api"].into_iter();
            let all = required.map(|setting| (setting, self.set(setting).is_some_and(is_cluster)));
            let control_plane = ("control_plane", self.set("control_plane").is_none_or(is_cluster));
            if let Some((setting, _)) = all.chain([control_plane]).find(|(_, is_one)| !is_one) {
                self.problems.push(SettingsProblem::NotEnvoy { setting });
                return None;
            }
        }
        Some(host)
    }

    fn optional<T>(
        &mut self,
        setting: &'static str,
        must: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        let value = self.set(setting)?;
        let read = read(value);
        if read.is_none() {
            let got = value.to_string().chars().take(80).collect();
            self.problems.push(SettingsProblem::Wrong { setting, got, must });
        }
        read
    }

    fn required<T>(
        &mut self,
        setting: &'static str,
        must: &'static str,
        read: impl FnOnce(&Value) -> Option<T>,
    ) -> Option<T> {
        if self.set(setting).is_none() {
            self.problems.push(SettingsProblem::Missing { setting, must });
        }
        self.optional(setting, must, read)
    }

    fn secret<T>(
        &mut self,
        setting: &'static str,
        must: &'static str,
        read: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let read = self.set(setting)?.as_str().and_then(read);
        if read.is_none() {
            self.problems.push(SettingsProblem::WrongSecret { setting, must });
        }
        read
    }
}

fn object(json: &[u8]) -> Result<Map<String, Value>, SettingsProblem> {
    if json.len() > FilterSettings::MAX_BYTES {
        return Err(SettingsProblem::TooLarge(json.len()));
    }
    if json.trim_ascii().is_empty() {
        return Err(SettingsProblem::Absent);
    }
    let not_an_object = |error: serde_json::Error| SettingsProblem::NotAnObject(error.to_string());
    match serde_json::from_slice(json).map_err(not_an_object)? {
        Value::String(text) => serde_json::from_str(&text).map_err(not_an_object),
        other => serde_json::from_value(other).map_err(not_an_object),
    }
}

fn upstream(value: &Value) -> Option<Upstream> {
    Upstream::parse(value.as_str()?)
}

/// YAML makes `true` and `false` of an `on` and an `off` without quotes.
fn is_on(value: &Value) -> Option<bool> {
    match value {
        Value::Bool(is_on) => Some(*is_on),
        Value::String(text) if text == "on" => Some(true),
        Value::String(text) if text == "off" => Some(false),
        _ => None,
    }
}

fn interval(value: &Value) -> Option<Duration> {
    value.as_u64().filter(|seconds| (1..=3600).contains(seconds)).map(Duration::from_secs)
}

fn node(value: &Value) -> Option<String> {
    let name = value.as_str()?;
    let valid = (1..=128).contains(&name.len()) && !name.contains(char::is_control);
    valid.then(|| name.to_owned())
}

/// Only one of the operator's own: another name could change what a response means.
fn response_header(value: &Value) -> Option<String> {
    let name = value.as_str()?.to_ascii_lowercase();
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    let valid = name.len() > 2 && name.len() <= 64 && name.starts_with("x-") && name.bytes().all(allowed);
    valid.then_some(name)
}
