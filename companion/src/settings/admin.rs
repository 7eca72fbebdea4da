//! Kong's Admin APIs, a control plane's or a node's: its address, the authority that we trust, and our own credentials.

use std::fmt;

use lifeboat_storage::access::Secret;
use reqwest::{Certificate, Identity, Url};

use super::cluster::identity_of;
use super::names::{self, Name};
use super::source::Given;
use super::{Reader, store};

/// A control plane's Admin API.
#[derive(Clone, Debug)]
pub struct AdminApi {
    /// Where it is.
    pub url: Url,
    /// How to get in.
    pub access: AdminAccess,
}

/// How to get into an Admin API.
#[derive(Clone, Default)]
pub struct AdminAccess {
    /// Whose certificates are trusted besides those of the system's authorities.
    pub authorities: Vec<Certificate>,
    /// What we show to a server that asks for a certificate.
    pub identity: Option<Identity>,
    /// What the header `Kong-Admin-Token` has, which Kong Enterprise asks for with `enforce_rbac`
    /// (<https://developer.konghq.com/how-to/enable-rbac-with-admin-api>).
    pub token: Option<Secret>,
}

impl AdminApi {
    /// The control plane's. The outer option: whether it could be read.
    #[allow(clippy::option_option)]
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Option<Self>> {
        // Checked without a URL, too: a mistake in it is one all the same.
        let access = AdminAccess::read(reader);
        let Some(given) = reader.text(names::LIFEBOAT_ADMIN_URL) else { return access.map(|_| None) };
        match given.value.trim().parse::<Url>() {
            Ok(url) if matches!(url.scheme(), "http" | "https") && url.has_host() => {
                Some(Some(Self { url, access: access? }))
            }
            _ => {
                let valid = "valid: http://127.0.0.1:8001";
                reader.wrong(format!("{}: it must be a URL of http or https ({valid})", given.name));
                None
            }
        }
    }
}

impl AdminAccess {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let authorities = authorities(reader);
        let identity = identity(reader);
        let token = reader.rereadable_secret(names::LIFEBOAT_ADMIN_TOKEN).ok();
        Some(Self { authorities: authorities?, identity: identity?, token: token? })
    }
}

fn authorities(reader: &mut Reader<'_>) -> Option<Vec<Certificate>> {
    let pem = store::extra_authorities(reader, names::LIFEBOAT_ADMIN_CA, "/etc/lifeboat/admin-ca.crt")?.0;
    let read = Certificate::from_pem_bundle(&pem);
    read.map_err(|error| reader.wrong(format!("{}: {error}", names::LIFEBOAT_ADMIN_CA))).ok()
}

#[allow(clippy::option_option)]
fn identity(reader: &mut Reader<'_>) -> Option<Option<Identity>> {
    const BOTH: [Name; 2] = [names::LIFEBOAT_ADMIN_CERT, names::LIFEBOAT_ADMIN_CERT_KEY];
    if !BOTH.iter().any(|name| reader.is_given(*name)) {
        return Some(None);
    }
    let why = "LIFEBOAT_ADMIN_CERT and LIFEBOAT_ADMIN_CERT_KEY belong together";
    let certificate = reader.required(BOTH[0], why, "/etc/lifeboat/admin.crt");
    let key = reader.required(BOTH[1], why, "/etc/lifeboat/admin.key");
    let (certificate, key) = (certificate?, key?);

    // What is wrong with them, or that they don't belong together, is said in the same words as for the cluster's.
    identity_of(reader, &certificate, &key)?;
    let mut pem = |given: &Given| reader.pem(given);
    let both = [pem(&certificate)?, b"\n".to_vec(), pem(&key)?].concat();
    let read = Identity::from_pem(&both);
    read.map_err(|error| reader.wrong(format!("{} and {}: {error}", certificate.name, key.name))).ok().map(Some)
}

impl fmt::Debug for AdminAccess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AdminAccess")
            .field("authorities", &self.authorities.len())
            .field("identity", &self.identity.as_ref().map(|_| ".."))
            .field("token", &self.token)
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use lifeboat_fakes::certificate::{Authority, Credentials};

    use super::*;
    use crate::settings::{Problems, Source};

    const URL: (&str, &str) = ("LIFEBOAT_ADMIN_URL", "https://cp.example.com:8444");

    fn issued(authority: &Authority, name: &str) -> Credentials {
        let day = Duration::from_secs(24 * 60 * 60);
        authority.issue(name, &[], SystemTime::now() - day..SystemTime::now() + day)
    }

    fn read(pairs: &[(&str, &str)]) -> Result<Option<AdminApi>, Problems> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let source = Source::from_environment(pairs);
        let mut reader = Reader::new(&source);
        match AdminApi::read(&mut reader) {
            Some(read) if reader.problems().list().is_empty() => Ok(read),
            _ => Err(reader.into_problems()),
        }
    }

    #[test]
    fn what_gets_into_an_admin_api_is_read_and_does_not_print() {
        let authority = Authority::new("an authority");
        let own = issued(&authority, "lifeboat");
        let pairs = [
            URL,
            ("LIFEBOAT_ADMIN_CA", &authority.certificate_pem()),
            ("LIFEBOAT_ADMIN_CERT", &own.certificate_pem),
            ("LIFEBOAT_ADMIN_CERT_KEY", &own.key_pem),
            ("LIFEBOAT_ADMIN_TOKEN", "wonderful"),
        ];
        let admin = read(&pairs).unwrap().unwrap();
        assert_eq!(admin.access.authorities.len(), 1);
        assert!(admin.access.identity.is_some() && admin.access.token.is_some());
        let printed = format!("{admin:?}");
        assert!(!printed.contains("wonderful") && !printed.contains("PRIVATE"), "{printed}");
        assert!(read(&[]).unwrap().is_none());
    }

    #[test]
    fn what_can_not_be_used_is_named() {
        let authority = Authority::new("an authority");
        let certificate = issued(&authority, "lifeboat").certificate_pem;
        let foreign = issued(&authority, "another").key_pem;
        let both = ("LIFEBOAT_ADMIN_CERT", &*certificate);
        for (pairs, named) in [
            (vec![both], "LIFEBOAT_ADMIN_CERT_KEY"),
            (vec![("LIFEBOAT_ADMIN_CERT_KEY", &*foreign)], "LIFEBOAT_ADMIN_CERT (--admin-cert) is not set"),
            (vec![both, ("LIFEBOAT_ADMIN_CERT_KEY", &*foreign)], "LIFEBOAT_ADMIN_CERT"),
            (vec![("LIFEBOAT_ADMIN_CA", "/no/such/file")], "LIFEBOAT_ADMIN_CA"),
            (vec![("LIFEBOAT_ADMIN_TOKEN_FILE", "/no/such/file")], "LIFEBOAT_ADMIN_TOKEN_FILE"),
            (vec![("LIFEBOAT_ADMIN_URL", "cp.example.com:8001")], "LIFEBOAT_ADMIN_URL"),
        ] {
            let problems = read(&pairs).unwrap_err();
            assert!(problems.mention(named), "{named} is missing in {problems}");
            assert!(!problems.to_string().contains("PRIVATE"), "{problems}");
        }
    }
}
