//! Whether the filter may act in the gateway that it runs in. It may where that is known to be harmless, and stays passive
//! everywhere else: before Kong 3.9 a metric traps and a call can end a worker with all its requests (KONG.md section 4).
//! What it runs in is learnt from a request, the only place where asking is harmless everywhere. Not here: asking.

use super::{LogLevel, LogLine, status};
use crate::kong::version::KongVersion;

/// A gateway that the setting `host` names: one where the filter can't know by itself that it may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedHost {
    /// `"envoy"`: it has no `kong.version` to ask for.
    Envoy,
    /// `"kong-3.10"`: somebody wants to try it there. Its version must still be told by a request.
    Kong310,
}

impl NamedHost {
    /// The host that this value of the setting names.
    pub(super) fn parse(text: &str) -> Option<Self> {
        match text {
            "envoy" => Some(Self::Envoy),
            "kong-3.10" => Some(Self::Kong310),
            _ => None,
        }
    }
}

/// Whether the filter may act.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permission {
    /// No request has told yet what this is.
    Awaited,
    /// It may.
    Granted,
    /// It may not, for as long as the settings name no other host.
    Denied,
}

/// What requests have told of the gateway around the filter. It can't change while the worker lives.
#[derive(Debug, Default)]
pub(super) struct Surroundings {
    told: Option<KongVersion>,
    requests_asked: u8,
    denial_was_said: bool,
}

impl Surroundings {
    /// So many requests are asked at most. Kong's first one knows; those of Envoy and of Kong 3.4 never do.
    const REQUESTS_ASKED: u8 = 3;

    /// Whether the next request is to be asked for `kong.version`.
    pub(super) fn want_version(&self, host: Option<NamedHost>) -> bool {
        host != Some(NamedHost::Envoy) && self.told.is_none() && self.requests_asked < Self::REQUESTS_ASKED
    }

    /// A request has answered, or has not known. The one line that says so, if it is clear now that the filter may not
    /// act.
    pub(super) fn hear_version(&mut self, version: Option<&[u8]>, host: Option<NamedHost>) -> Option<LogLine> {
        self.requests_asked = self.requests_asked.saturating_add(1);
        let version = version.and_then(status::version).and_then(|version| version.parse().ok());
        self.told = self.told.or(version);
        let is_news = self.permission(host) == Permission::Denied && !self.denial_was_said;
        is_news.then(|| {
            self.denial_was_said = true;
            LogLine { level: LogLevel::Warn, text: self.denial() }
        })
    }

    /// Whether the filter may act, where the settings name this host or none.
    pub(super) fn permission(&self, host: Option<NamedHost>) -> Permission {
        if host == Some(NamedHost::Envoy) && self.told.is_none() {
            return Permission::Granted;
        }
        match self.told.map(|version| version.major_minor()) {
            Some((3, 9)) => Permission::Granted,
            Some((3, 10)) if host == Some(NamedHost::Kong310) => Permission::Granted,
            None if self.requests_asked < Self::REQUESTS_ASKED => Permission::Awaited,
            Some(_) | None => Permission::Denied,
        }
    }

    fn denial(&self) -> String {
        let (what, cure) = match self.told {
            None => ("requests here know no kong.version".to_owned(), r#"; in Envoy, set host to "envoy""#),
            Some(version) if version.major_minor() == (3, 10) => {
                (format!("this is Kong {version}"), r#"; 3.10 was not tried: to try it, set host to "kong-3.10""#)
            }
            Some(version) => (format!("this is Kong {version}"), ""),
        };
        format!(
            "{what}, and the filter is known to be harmless in Kong 3.9 only: it stays passive, makes no calls, defines no \
             metrics and reports nothing (traffic is not affected{cure})"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UNNAMED: Option<NamedHost> = None;
    const ENVOY: Option<NamedHost> = Some(NamedHost::Envoy);
    const KONG_3_10: Option<NamedHost> = Some(NamedHost::Kong310);

    /// What becomes of it after these requests, by host: unnamed, Envoy, Kong 3.10.
    fn after(versions: &[Option<&str>]) -> [Permission; 3] {
        let mut surroundings = Surroundings::default();
        for version in versions {
            surroundings.hear_version(version.map(str::as_bytes), UNNAMED);
        }
        [UNNAMED, ENVOY, KONG_3_10].map(|host| surroundings.permission(host))
    }

    #[test]
    fn it_acts_in_kong_3_9_and_elsewhere_only_where_the_settings_say_so() {
        use Permission::{Awaited, Denied, Granted};
        for (versions, unnamed, envoy, kong_3_10) in [
            (&[][..], Awaited, Granted, Awaited),
            (&[None, None], Awaited, Granted, Awaited),
            (&[None, None, None], Denied, Granted, Denied),
            (&[Some("3.9.1")], Granted, Granted, Granted),
            (&[None, Some("3.9.0")], Granted, Granted, Granted),
            (&[Some("3.9.0.1-enterprise-edition")], Granted, Granted, Granted),
            (&[Some("3.10.0.2")], Denied, Denied, Granted),
            (&[Some("3.4.2")], Denied, Denied, Denied),
            (&[Some("3.8.0")], Denied, Denied, Denied),
            (&[Some("3.90.1")], Denied, Denied, Denied),
            (&[Some("13.9.1")], Denied, Denied, Denied),
            (&[Some("4.0.0")], Denied, Denied, Denied),
            (&[Some(""), Some("3.9"), Some("kong/3.9.1")], Denied, Granted, Denied),
        ] {
            assert_eq!(after(versions), [unnamed, envoy, kong_3_10], "{versions:?}");
        }
    }

    #[test]
    fn a_gateway_is_asked_until_it_has_told_and_no_more_than_thrice() {
        let mut surroundings = Surroundings::default();
        assert!(!surroundings.want_version(ENVOY), "there is nothing to ask for");
        for _ in 0..3 {
            assert!(surroundings.want_version(UNNAMED) && surroundings.want_version(KONG_3_10));
            surroundings.hear_version(None, UNNAMED);
        }
        assert!(!surroundings.want_version(UNNAMED));

        let mut surroundings = Surroundings::default();
        surroundings.hear_version(Some(b"3.9.1"), UNNAMED);
        assert!(!surroundings.want_version(UNNAMED));
    }

    #[test]
    fn that_it_stays_passive_is_said_once_with_what_to_do() {
        for (versions, words) in [
            (&[None, None, None, None][..], [r#"set host to "envoy""#, "no kong.version"]),
            (&[Some("3.4.2"), Some("3.4.2")], ["this is Kong 3.4.2", "traffic is not affected"]),
            (&[Some("3.10.0.2"), None], ["this is Kong 3.10.0.2", r#"set host to "kong-3.10""#]),
        ] {
            let mut surroundings = Surroundings::default();
            let hear = |version: &Option<&str>| surroundings.hear_version(version.map(str::as_bytes), UNNAMED);
            let said: Vec<LogLine> = versions.iter().filter_map(hear).collect();
            let [line] = &said[..] else { panic!("not one line: {said:?}") };
            assert!(words.iter().all(|words| line.text.contains(words)), "{line:?}");
        }
        let mut surroundings = Surroundings::default();
        assert_eq!(surroundings.hear_version(Some(b"3.9.1"), UNNAMED), None, "where it acts there is nothing to say");
    }
}
