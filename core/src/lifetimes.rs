//! What of a configuration ends by itself, and when: certificates, licences, credentials with a `ttl`. Nodes that run show
//! none of it; new ones that are restored do.

use std::time::Duration;

use serde_json::{Map, Value};

use crate::certificate;
use crate::kong::Configuration;
use crate::kong::entities::{Entities, Entity};
use crate::time::WallTime;

/// How long before its end something is worth a warning: a part of a configuration, or a certificate of Lifeboat's own,
/// in logs, `lifeboat doctor` and notifications, as in the alerts.
pub const WARNING: Duration = Duration::from_secs(30 * 24 * 60 * 60);

/// What ends in a configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lifetimes {
    /// What has an end, the first to end first.
    pub ends: Vec<End>,
    /// Credentials and tokens that nodes forget when their time is over, counted from when a node loads them: restored
    /// from a backup they live longer than they should.
    pub credentials_with_ttl: u64,
}

/// Something that ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct End {
    /// What it is.
    pub of: Expiring,
    /// What people call it.
    pub name: String,
    /// When.
    pub at: WallTime,
}

/// What has an end by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Expiring {
    /// A CA's certificate. Once one has expired, Kong refuses all of the configuration.
    CaCertificate,
    /// A server's or a client's certificate.
    Certificate,
    /// A licence of Enterprise.
    Licence,
}

impl Expiring {
    /// All.
    pub const ALL: [Self; 3] = [Self::CaCertificate, Self::Certificate, Self::Licence];

    /// What people call it.
    pub fn label(self) -> &'static str {
        match self {
            Self::CaCertificate => "CA certificate",
            Self::Certificate => "certificate",
            Self::Licence => "licence",
        }
    }

    /// What metrics and JSON call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::CaCertificate => "ca_certificate",
            Self::Certificate => "certificate",
            Self::Licence => "license",
        }
    }
}

impl Lifetimes {
    /// Those of a configuration. What can't be read has no end that is known: a vault's reference, say.
    pub fn of(configuration: &Configuration) -> Self {
        let entities = Entities::of(configuration);
        let mut found = Self::default();
        let of_kind = |kind: &str| entities.of_kind(kind).iter().map(|entity| (entity, entity.members()));

        for (kind, of, fields) in [
            ("ca_certificates", Expiring::CaCertificate, &["cert"][..]),
            ("certificates", Expiring::Certificate, &["cert", "cert_alt"]),
        ] {
            for (entity, members) in of_kind(kind) {
                let ends = fields.iter().filter_map(|field| certificate::valid_until(members.get(*field)?.as_str()?));
                found.ends.extend(ends.min().map(|at| End { of, name: entities.name(kind, entity), at }));
            }
        }
        let kind = "licenses";
        for (entity, members) in of_kind(kind) {
            let end =
                licence_end(&members).map(|at| End { of: Expiring::Licence, name: entities.name(kind, entity), at });
            found.ends.extend(end);
        }
        found.ends.sort_by(|one, other| (one.at, one.of, &one.name).cmp(&(other.at, other.of, &other.name)));
        found.credentials_with_ttl = entities.kinds.values().flatten().filter(|entity| has_ttl(entity)).count() as u64;
        found
    }

    /// When the first of these ends.
    pub fn first(&self, of: Expiring) -> Option<WallTime> {
        self.ends.iter().find(|end| end.of == of).map(|end| end.at)
    }

    /// CA certificates for which Kong refuses all of it now.
    pub fn expired_cas(&self, now: WallTime) -> impl Iterator<Item = &End> {
        self.ends.iter().filter(move |end| end.of == Expiring::CaCertificate && end.at < now)
    }

    /// What has ended or ends within [`WARNING`], but for CA certificates that have.
    pub fn ending(&self, now: WallTime) -> impl Iterator<Item = &End> {
        let is_worse = move |end: &End| end.of == Expiring::CaCertificate && end.at < now;
        self.ends.iter().take_while(move |end| end.at < now + WARNING).filter(move |end| !is_worse(end))
    }
}

// Most entities have none, and needn't be read for that.
fn has_ttl(entity: &Entity<'_>) -> bool {
    memchr::memmem::find(entity.json, b"\"ttl\"").is_some()
        && entity.members().get("ttl").is_some_and(|ttl| ttl.as_f64().is_some_and(|ttl| ttl > 0.0))
}

/// A licence is JSON in a text, with a date.
fn licence_end(members: &Map<String, Value>) -> Option<WallTime> {
    let payload: Value = serde_json::from_str(members.get("payload")?.as_str()?).ok()?;
    let date = payload["license"]["payload"]["license_expiration_date"].as_str()?;
    WallTime::try_from(format!("{date}T00:00:00Z")).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const CERTIFICATE: &str = include_str!("../../tests/data/kong-3.9.1/cluster.crt");

    fn lifetimes(json: Value) -> Lifetimes {
        Lifetimes::of(&Configuration::from_json(json.to_string().into()).unwrap())
    }

    fn at(text: &str) -> WallTime {
        WallTime::try_from(text.to_owned()).unwrap()
    }

    #[test]
    fn certificates_licences_and_credentials_end_and_the_first_is_named_first() {
        let payload = json!({"license": {"payload": {"license_expiration_date": "2027-05-01"}}}).to_string();
        let found = lifetimes(json!({
            "ca_certificates": [{"id": "ca", "cert": CERTIFICATE}],
            "certificates": [{"id": "c", "cert": CERTIFICATE, "key": "k"}, {"id": "v", "cert": "{vault://env/c}"}],
            "licenses": [{"id": "l", "payload": payload}, {"id": "m", "payload": "damaged"}],
            "keyauth_credentials": [{"id": "1", "ttl": 60}, {"id": "2", "ttl": null}, {"id": "3", "key": "\"ttl\""}],
        }));
        let ends: Vec<_> = found.ends.iter().map(|end| (end.of, end.name.as_str(), end.at.to_string())).collect();
        let cluster = "2029-11-19T09:31:18.000Z".to_owned();
        assert_eq!(
            ends,
            [
                (Expiring::Licence, "l", "2027-05-01T00:00:00.000Z".to_owned()),
                (Expiring::CaCertificate, "ca", cluster.clone()),
                (Expiring::Certificate, "c", cluster),
            ]
        );
        assert_eq!(found.credentials_with_ttl, 1);
        assert_eq!(found.first(Expiring::Certificate), Some(at("2029-11-19T09:31:18Z")));
    }

    #[test]
    fn an_expired_ca_is_worse_than_anything_else_that_has_ended() {
        let found = lifetimes(json!({"ca_certificates": [{"id": "ca", "cert": CERTIFICATE}],
            "certificates": [{"id": "c", "cert": CERTIFICATE}]}));
        let names = |now: &str| {
            let now = at(now);
            let of = |ends: Vec<&End>| ends.iter().map(|end| end.name.clone()).collect::<Vec<_>>();
            (of(found.expired_cas(now).collect()), of(found.ending(now).collect()))
        };
        assert_eq!(names("2029-10-01T00:00:00Z"), (vec![], vec![]));
        assert_eq!(names("2029-11-01T00:00:00Z"), (vec![], vec!["ca".to_owned(), "c".to_owned()]));
        assert_eq!(names("2029-12-01T00:00:00Z"), (vec!["ca".to_owned()], vec!["c".to_owned()]));
    }
}
