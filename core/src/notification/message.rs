//! What a receiver is sent: one JSON object, format 1. Members may be added to it; another number means that one has changed
//! or gone. docs/notifications.md and the program's `lifeboat schema http` describe it.

use serde::Serialize;

use super::{Notice, Of, Phase};
use crate::digest::ConfigHash;
use crate::kong::version::KongVersion;
use crate::time::WallTime;

/// The format of messages.
pub const FORMAT: u32 = 1;

/// Who tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sender {
    /// The host's name.
    pub hostname: String,
    /// The version of the program.
    pub lifeboat: &'static str,
}

/// A message.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Message<'a> {
    format: u32,
    lifeboat: &'static str,
    hostname: &'a str,
    state: &'static str,
    phase: &'static str,
    began: WallTime,
    ended: Option<WallTime>,
    kong_version: Option<KongVersion>,
    certificate: Option<&'static str>,
    config_hash: Option<ConfigHash>,
    sequence: Option<u64>,
    nodes: Option<u64>,
}

impl<'a> Message<'a> {
    /// What is told by `sender` of `notice`.
    pub fn new(notice: &Notice, sender: &'a Sender) -> Self {
        let (kong_version, certificate) = match notice.subject.of {
            Of::Version(version) => (version, None),
            Of::Certificate(which) => (None, Some(which)),
        };
        Self {
            format: FORMAT,
            lifeboat: sender.lifeboat,
            hostname: &sender.hostname,
            state: notice.subject.state.name(),
            phase: match notice.phase {
                Phase::Begins => "begins",
                Phase::Ends { .. } => "ends",
            },
            began: notice.began,
            ended: match notice.phase {
                Phase::Begins => None,
                Phase::Ends { ended } => Some(ended),
            },
            kong_version,
            certificate,
            config_hash: notice.details.config_hash,
            sequence: notice.details.sequence,
            nodes: notice.details.nodes,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;
    use crate::notification::{Details, State, Subject};

    #[test]
    fn a_message_says_what_when_where_and_which_snapshot() {
        let sender = Sender { hostname: "backup-1".to_owned(), lifeboat: "0.1.0" };
        let time =
            |seconds: u64| WallTime::from_system(SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_169_515 + seconds));
        let subject = Subject { state: State::Held, of: Of::Version(Some(KongVersion::new(3, 9, 1))) };
        let hash = "5d41402abc4b2a76b9719d911017c592".parse().unwrap();
        let details = Details { config_hash: Some(hash), sequence: Some(41), nodes: None };
        let begins = Notice { subject, phase: Phase::Begins, began: time(0), details };
        let text = serde_json::to_string(&Message::new(&begins, &sender)).unwrap();
        assert_eq!(
            text,
            r#"{"format":1,"lifeboat":"0.1.0","hostname":"backup-1","state":"held","phase":"begins","began":"2026-11-20T10:11:55.000Z","ended":null,"kong_version":"3.9.1","certificate":null,"config_hash":"5d41402abc4b2a76b9719d911017c592","sequence":41,"nodes":null}"#
        );

        let subject = Subject { state: State::CertificateEnding, of: Of::Certificate("relay") };
        let ends =
            Notice { subject, phase: Phase::Ends { ended: time(60) }, began: time(0), details: Details::default() };
        let json = serde_json::to_value(Message::new(&ends, &sender)).unwrap();
        assert_eq!((&json["phase"], &json["certificate"]), (&"ends".into(), &"relay".into()));
        assert_eq!(json["ended"], "2026-11-20T10:12:55.000Z");
    }
}
