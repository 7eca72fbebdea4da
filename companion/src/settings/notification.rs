//! The settings of heartbeats and of the webhook. Their URLs are secrets, because anyone who knows one can write there.
//! They are read again each time they are used, so that a replaced file is noticed.

use std::fmt;
use std::net::IpAddr;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::notification::WebhookKey;
use lifeboat_storage::access::Secret;
use reqwest::Url;
use tracing::warn;

use super::names::{LIFEBOAT_DRILL_HEARTBEAT_URL, LIFEBOAT_HEARTBEAT_URL, Name};
use super::names::{LIFEBOAT_WEBHOOK_KEY, LIFEBOAT_WEBHOOK_URL};
use super::{Reader, Role};

/// The placeholder for Kong's version in a heartbeat's URL.
const VERSION: &str = "{kong_version}";

/// The receivers.
#[derive(Clone, Debug, Default)]
pub struct NotificationSettings {
    /// Pinged while this exporter leads and all is well.
    pub heartbeat: Option<Receiver>,
    /// Pinged after each drill that passed.
    pub drill_heartbeat: Option<Receiver>,
    /// Gets a message when a state begins and when it ends.
    pub webhook: Option<Webhook>,
}

/// A receiver. Neither its `Debug` nor its errors show its URL.
#[derive(Clone, Debug)]
pub struct Receiver {
    setting: Name,
    url: Secret,
}

/// A receiver of signed messages.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// The receiver.
    pub receiver: Receiver,
    key: Secret,
}

/// Why a receiver can't be told now. No part of a URL or a key is repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// Its file can't be read.
    #[error("{0}")]
    Unreadable(String),
    /// No URL.
    #[error("it is not a URL (valid: https://hooks.example.com/lifeboat)")]
    NotAUrl,
    /// Messages would go to another host in clear text.
    #[error(
        "it is neither https:// nor http:// to this host's own loopback (valid: https://hooks.example.com/lifeboat)"
    )]
    Exposed,
    /// An address that no receiver has, such as a cloud's metadata service.
    #[error(
        "its address is link-local, multicast, broadcast or unspecified, which no receiver has (valid: \
         https://hooks.example.com/lifeboat)"
    )]
    NoReceiver,
    /// No key.
    #[error(transparent)]
    Key(#[from] lifeboat_core::notification::InvalidWebhookKey),
}

impl NotificationSettings {
    /// Whether there is any receiver.
    pub fn tells_anybody(&self) -> bool {
        self.heartbeat.is_some() || self.drill_heartbeat.is_some() || self.webhook.is_some()
    }

    /// `None` if a setting is wrong, which the reader reports. `drills`: whether this exporter drills by itself.
    pub(super) fn read(reader: &mut Reader<'_>, role: Role, drills: bool) -> Option<Self> {
        let heartbeat = Receiver::read(reader, LIFEBOAT_HEARTBEAT_URL);
        let drill_heartbeat = Receiver::read(reader, LIFEBOAT_DRILL_HEARTBEAT_URL);
        let webhook = Webhook::read(reader);
        let mut read = Self { heartbeat: heartbeat?, drill_heartbeat: drill_heartbeat?, webhook: webhook? };

        // Relays and exporters may share their settings, and a relay's ping would hide a dead exporter.
        if !role.exports() {
            for receiver in [read.heartbeat.take(), read.drill_heartbeat.take()].into_iter().flatten() {
                warn!(
                    "{}: only the exporter that leads pings it, and KONG_CLUSTER_FALLBACK_CONFIG_EXPORT is off: set it \
                     for the exporter instead",
                    receiver.setting
                );
            }
        }
        if read.drill_heartbeat.is_some() && !drills {
            reader.wrong(
                "LIFEBOAT_DRILL_HEARTBEAT_URL: it is pinged after each drill that passed, and LIFEBOAT_DRILL_EVERY is off: set \
                 that as well (valid: 24h)",
            );
            return None;
        }
        Some(read)
    }
}

impl Receiver {
    fn read(reader: &mut Reader<'_>, setting: Name) -> Option<Option<Self>> {
        let Some(url) = reader.rereadable_secret(setting).ok()? else { return Some(None) };
        let receiver = Self { setting, url };
        // Any version: only the URL's form is checked.
        match receiver.url(Some(KongVersion::new(3, 9, 1))) {
            Ok(_) => Some(Some(receiver)),
            Err(error) => {
                reader.wrong(format!("{}: {error}", named(setting, &receiver.url)));
                None
            }
        }
    }

    /// Its URL as it is now: for this version of Kong, if it names versions at all.
    ///
    /// # Errors
    /// When it can't be read, or is one that nothing may be sent to.
    pub fn url(&self, version: Option<KongVersion>) -> Result<Url, Unusable> {
        let text = self.text()?;
        let text = version.map_or_else(|| text.clone(), |version| text.replace(VERSION, &version.to_string()));
        checked(&text)
    }

    /// Whether each version of Kong has a URL of its own.
    ///
    /// # Errors
    /// When it can't be read.
    pub fn names_versions(&self) -> Result<bool, Unusable> {
        self.text().map(|text| text.contains(VERSION))
    }

    fn text(&self) -> Result<String, Unusable> {
        self.url.reveal().map_err(|error| Unusable::Unreadable(error.to_string()))
    }
}

impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.setting.fmt(f)
    }
}

impl Webhook {
    fn read(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        let receiver = Receiver::read(reader, LIFEBOAT_WEBHOOK_URL);
        let key = reader.rereadable_secret(LIFEBOAT_WEBHOOK_KEY);

        match (receiver?, key.ok()?) {
            (Some(receiver), Some(key)) => {
                let webhook = Self { receiver, key };
                match webhook.key() {
                    Ok(_) => Some(Some(webhook)),
                    Err(error) => {
                        reader.wrong(format!("{}: {error}", named(LIFEBOAT_WEBHOOK_KEY, &webhook.key)));
                        None
                    }
                }
            }
            (Some(_), None) => {
                reader.wrong(
                    "LIFEBOAT_WEBHOOK_KEY is not set, but LIFEBOAT_WEBHOOK_URL is: without a signature its receiver can't tell \
                     Lifeboat's messages from anybody's. Set LIFEBOAT_WEBHOOK_KEY or LIFEBOAT_WEBHOOK_KEY_FILE (valid: what \
                     openssl rand -hex 32 prints)",
                );
                None
            }
            (None, Some(_)) => {
                reader.wrong(
                    "LIFEBOAT_WEBHOOK_URL is not set, but LIFEBOAT_WEBHOOK_KEY is: set both or neither (valid: \
                     https://hooks.example.com/lifeboat)",
                );
                None
            }
            (None, None) => Some(None),
        }
    }

    /// The key as it is now.
    ///
    /// # Errors
    /// When it can't be read, or is not a valid key.
    pub fn key(&self) -> Result<WebhookKey, Unusable> {
        let text = self.key.reveal().map_err(|error| Unusable::Unreadable(error.to_string()))?;
        Ok(WebhookKey::new(&text)?)
    }
}

fn named(setting: Name, given: &Secret) -> String {
    match given {
        Secret::Value(_) => setting.to_string(),
        Secret::File(_) => setting.in_file(),
    }
}

fn checked(text: &str) -> Result<Url, Unusable> {
    let url = Url::parse(text.trim()).map_err(|_| Unusable::NotAUrl)?;
    let host = url.host_str().ok_or(Unusable::NotAUrl)?;
    let address: Option<IpAddr> = host.trim_matches(['[', ']']).parse().ok();
    match (url.scheme(), address) {
        ("https", Some(address)) if !may_receive(address) => Err(Unusable::NoReceiver),
        ("https", _) => Ok(url),
        ("http", Some(address)) if address.is_loopback() => Ok(url),
        ("http", None) if host == "localhost" => Ok(url),
        _ => Err(Unusable::Exposed),
    }
}

/// Whether a receiver may have this address: no link-local one, where clouds answer with credentials.
pub(crate) fn may_receive(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            !(address.is_link_local() || address.is_unspecified() || address.is_multicast() || address.is_broadcast())
        }
        IpAddr::V6(address) => !(address.is_unicast_link_local() || address.is_unspecified() || address.is_multicast()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    const KEY: &str = "0123456789abcdef";

    fn read(given: &[(&str, &str)], role: Role) -> Result<NotificationSettings, String> {
        let source = Source::from_environment(given.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let mut reader = Reader::new(&source);
        let read = NotificationSettings::read(&mut reader, role, false);
        if reader.problems().list().is_empty() { Ok(read.unwrap()) } else { Err(reader.into_problems().to_string()) }
    }

    #[test]
    fn a_receiver_is_reached_by_https_or_is_on_this_host() {
        for url in [
            "https://hooks.example.com/T0/B0/secret",
            "https://10.1.2.3/hook",
            "http://127.0.0.1:9000/hook",
            "http://localhost:9000/hook",
            "http://[::1]:9000/hook",
        ] {
            let read = read(&[("LIFEBOAT_HEARTBEAT_URL", url)], Role::Exporter).unwrap();
            assert_eq!(read.heartbeat.unwrap().url(None).unwrap().as_str(), url);
        }
        for (wrong, said) in [
            ("http://hooks.example.com/T0/B0/wonderful", "neither https"),
            ("http://10.0.0.1/wonderful", "neither https"),
            ("http://169.254.169.254/wonderful", "neither https"),
            ("http://localhost.example.com/wonderful", "neither https"),
            ("file:///etc/wonderful", "not a URL"),
            ("unix://x/wonderful", "neither https"),
            ("wonderful", "not a URL"),
            ("https://169.254.169.254/wonderful", "link-local"),
            ("https://[fe80::1]/wonderful", "link-local"),
            ("https://[::ffff:169.254.169.254]/wonderful", "link-local"),
            ("https://0.0.0.0/wonderful", "link-local"),
        ] {
            for setting in ["LIFEBOAT_HEARTBEAT_URL", "LIFEBOAT_DRILL_HEARTBEAT_URL", "LIFEBOAT_WEBHOOK_URL"] {
                let error = read(&[(setting, wrong), ("LIFEBOAT_WEBHOOK_KEY", KEY)], Role::Exporter).unwrap_err();
                assert!(error.contains(&format!("{setting}: ")) && error.contains(said), "{wrong}: {error}");
                assert!(error.contains("valid: https://") && !error.contains("wonderful"), "{error}");
            }
        }
    }

    #[test]
    fn a_heartbeat_may_have_a_url_for_each_version() {
        let given = [("LIFEBOAT_HEARTBEAT_URL", "https://ping.example.com/kong-{kong_version}")];
        let receiver = read(&given, Role::Both).unwrap().heartbeat.unwrap();
        assert_eq!(receiver.names_versions(), Ok(true));
        let url = receiver.url(Some(KongVersion::new(3, 8, 0))).unwrap();
        assert_eq!(url.as_str(), "https://ping.example.com/kong-3.8.0");
    }

    #[test]
    fn a_webhook_has_a_key_and_a_drills_heartbeat_has_drills() {
        let url = ("LIFEBOAT_WEBHOOK_URL", "https://hooks.example.com/wonderful");
        let error = read(&[url], Role::Importer).unwrap_err();
        assert!(error.contains("LIFEBOAT_WEBHOOK_KEY is not set") && !error.contains("wonderful"), "{error}");
        let error = read(&[("LIFEBOAT_WEBHOOK_KEY", KEY)], Role::Importer).unwrap_err();
        assert!(error.contains("LIFEBOAT_WEBHOOK_URL is not set") && !error.contains(KEY), "{error}");
        let error = read(&[url, ("LIFEBOAT_WEBHOOK_KEY", "too-short")], Role::Importer).unwrap_err();
        assert!(error.contains("LIFEBOAT_WEBHOOK_KEY: it is not 16") && !error.contains("too-short"), "{error}");
        assert!(read(&[url, ("LIFEBOAT_WEBHOOK_KEY", KEY)], Role::Importer).unwrap().webhook.is_some());

        let drills = [("LIFEBOAT_DRILL_HEARTBEAT_URL", "https://ping.example.com/wonderful")];
        let error = read(&drills, Role::Exporter).unwrap_err();
        assert!(error.contains("LIFEBOAT_DRILL_EVERY") && !error.contains("wonderful"), "{error}");
    }

    #[test]
    fn a_relay_pings_nobody() {
        let given = [
            ("LIFEBOAT_HEARTBEAT_URL", "https://ping.example.com/x"),
            ("LIFEBOAT_DRILL_HEARTBEAT_URL", "https://ping.example.com/y"),
        ];
        let read = read(&given, Role::Importer).unwrap();
        assert!(read.heartbeat.is_none() && read.drill_heartbeat.is_none());
    }

    #[test]
    fn a_file_is_read_each_time_and_nothing_prints() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("url");
        std::fs::write(&path, "https://hooks.example.com/wonderful\n").unwrap();
        let given = [("LIFEBOAT_HEARTBEAT_URL_FILE", path.to_str().unwrap())];
        let receiver = read(&given, Role::Exporter).unwrap().heartbeat.unwrap();
        std::fs::write(&path, "https://hooks.example.com/another").unwrap();
        assert_eq!(receiver.url(None).unwrap().path(), "/another");
        std::fs::write(&path, "http://hooks.example.com/another").unwrap();
        assert_eq!(receiver.url(None), Err(Unusable::Exposed));

        let given = [("LIFEBOAT_WEBHOOK_URL", "https://hooks.example.com/wonderful"), ("LIFEBOAT_WEBHOOK_KEY", KEY)];
        let shown = format!("{:?}", read(&given, Role::Exporter).unwrap());
        assert!(!shown.contains("hooks.example.com") && !shown.contains(KEY), "{shown}");
    }
}
