//! The control plane: where it is, who it must be, and who we are to it.

use std::fmt;

use lifeboat_link::tls::{
    Authorities, AuthoritySource, Believes, ClientSide, ClientTls, CommonNames, Identity, Leaf, NodeNames,
    SHARED_SERVER_NAME, TlsError, certificates_from_pem,
};
use lifeboat_link::{Address, ControlPlane, PutOff};
use rustls_pki_types::{CertificateDer, ServerName};

use super::names::{self, KONG_LUA_SSL_TRUSTED_CERTIFICATE as TRUSTED, Name};
use super::source::Given;
use super::{Reader, limits, proxy};

/// How to reach the control plane as a node of its cluster.
#[derive(Clone)]
pub struct ClusterSettings {
    /// Where it is, and how it is reached.
    pub control_plane: ControlPlane,
    /// Our own certificate on this link, as it was at the start.
    pub identity: Identity,
    /// Whom to trust.
    pub trust: Trust,
    /// Whether nodes' certificates are asked about (`cluster_ocsp`).
    pub revocation: Revocation,
    /// The certificates of `KONG_CLUSTER_CA_CERT`, if that is used.
    pub authorities: Vec<Leaf>,
}

/// `cluster_mtls`.
#[derive(Clone, Debug)]
pub enum Trust {
    /// One certificate for all.
    Shared(CertificateDer<'static>),
    /// Certificates of an authority; nodes must have one of these names.
    Pki(NodeNames),
}

/// Whether a revocation of nodes' certificates is asked for (`cluster_ocsp`); only where they come from an authority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Revocation {
    /// No.
    Off,
    /// Yes, and a node whose status can't be determined is refused.
    On,
    /// Yes, and a node whose status can't be determined is accepted.
    Optional,
}

impl ClusterSettings {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let address = control_plane(reader);
        let proxy = proxy::read(reader);
        let revocation = revocation(reader);
        let max_payload = limits::max_payload(reader);
        let identity = identity(reader, names::KONG_CLUSTER_CERT, names::KONG_CLUSTER_CERT_KEY);
        let mode =
            reader.text(names::KONG_CLUSTER_MTLS).map_or("shared".to_owned(), |given| given.value.trim().to_owned());
        let (trust, believes, authorities) = match mode.as_str() {
            "shared" => {
                let certificate = identity.as_ref()?.leaf().der().clone();
                (Trust::Shared(certificate), Believes::ItsOwnCertificate, Vec::new())
            }
            "pki" | "pki_check_cn" => {
                let authorities = control_plane_authorities(reader);
                let names = if mode == "pki" { Some(NodeNames::Any) } else { node_names(reader, identity.as_ref()) };
                let leaves = cluster_authorities(reader);
                (Trust::Pki(names?), Believes::Authorities(authorities?), leaves)
            }
            other => {
                reader.wrong(format!("KONG_CLUSTER_MTLS: {other:?} is none of shared, pki, pki_check_cn"));
                return None;
            }
        };
        let address = address?;
        let server_name = server_name(reader, &mode, &address)?;
        let identity = identity?;
        let tls = ClientTls::new(ClientSide { identity: identity.clone(), believes });
        let put_off = PutOff::default();
        let control_plane = ControlPlane { address, proxy: proxy?, tls, server_name, max_payload, put_off };

        Some(Self { control_plane, identity, trust, revocation: revocation?, authorities })
    }
}

impl fmt::Debug for ClusterSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { control_plane, identity, trust, .. } = self;
        write!(f, "ClusterSettings({control_plane:?}, {identity:?}, {trust:?})")
    }
}

fn revocation(reader: &mut Reader<'_>) -> Option<Revocation> {
    let Some(given) = reader.text(names::KONG_CLUSTER_OCSP) else { return Some(Revocation::Off) };
    match given.value.trim() {
        "off" => Some(Revocation::Off),
        "on" => Some(Revocation::On),
        "optional" => Some(Revocation::Optional),
        other => {
            reader.wrong(format!("{}: {other:?} is none of off, on, optional", given.name));
            None
        }
    }
}

// Lifeboat's own setting wins, because Kong's setting on the same host may name the relay.
fn control_plane(reader: &mut Reader<'_>) -> Option<Address> {
    if let Some(given) = reader.text(names::LIFEBOAT_CONTROL_PLANE) {
        return reader.parse(&given);
    }
    let why = "the control plane's cluster listener is needed";
    let kongs = names::KONG_CLUSTER_CONTROL_PLANE;
    // If Kong's setting is given but wrong, that is reported, and not that ours is missing.
    let setting = if reader.is_given(kongs) { kongs } else { names::LIFEBOAT_CONTROL_PLANE };
    let given = reader.required(setting, why, "cp.example.com:8005")?;
    reader.parse(&given)
}

pub(super) fn identity(reader: &mut Reader<'_>, certificate: Name, key: Name) -> Option<Identity> {
    let of_key = format!("the private key of {certificate} is needed");
    let of_certificate = "a certificate of the cluster is needed; with cluster_mtls=shared all have the same";
    let certificate = reader.required(certificate, of_certificate, "/etc/kong/cluster.crt");
    let key = reader.required(key, &of_key, "/etc/kong/cluster.key");
    identity_of(reader, &certificate?, &key?)
}

/// A certificate and its key.
pub(super) fn identity_of(reader: &mut Reader<'_>, certificate: &Given, key: &Given) -> Option<Identity> {
    let (certificate_pem, key_pem) = (reader.pem(certificate), reader.pem(key));
    let (certificate_pem, key_pem) = (certificate_pem?, key_pem?);
    let read = Identity::from_pem(&certificate_pem, &key_pem);

    read.map_err(|error| {
        let names = match error {
            TlsError::NoKey | TlsError::EncryptedKey | TlsError::UnsupportedKey => key.name.clone(),
            TlsError::NoCertificate | TlsError::BadCertificate(_) => certificate.name.clone(),
            _ => format!("{} and {}", certificate.name, key.name),
        };
        reader.wrong(format!("{names}: {error}"));
    })
    .ok()
}

fn control_plane_authorities(reader: &mut Reader<'_>) -> Option<Authorities> {
    let mut pems = Vec::new();
    let mut system = System::Unused;

    if let Some(given) = reader.text(names::KONG_CLUSTER_CA_CERT) {
        pems.push(checked(reader, &given)?);
    }
    for item in reader.list(TRUSTED) {
        if item == "system" {
            system = System::AsSet;
        } else {
            let name = TRUSTED.to_string();
            pems.push(checked(reader, &Given { value: item, name, is_argument: false })?);
        }
    }

    if !reader.is_given(TRUSTED) && trusts_the_system(reader) {
        system = System::ByDefault;
    }
    let given = || pems.iter().map(|pem| AuthoritySource::Pem(pem));
    let read = match system {
        System::Unused => Authorities::new(given()),
        System::AsSet => Authorities::new(given().chain([AuthoritySource::System])),
        // Images without a shell often have no authorities either, and need none where one is set.
        System::ByDefault => Authorities::new(given().chain([AuthoritySource::System]))
            .or_else(|error| if pems.is_empty() { Err(error) } else { Authorities::new(given()) }),
    };

    read.map_err(|error| {
        let name = "KONG_CLUSTER_CA_CERT or KONG_LUA_SSL_TRUSTED_CERTIFICATE";
        reader.wrong(format!("{name}: {error} (valid: /etc/kong/ca.crt)"));
    })
    .ok()
}

/// Whether the machine's own authorities are trusted.
enum System {
    Unused,
    AsSet,
    ByDefault,
}

// Kong's own default since 3.0 (`kong_defaults.lua` of the OSS tags). 2.x trusts only authorities that are named.
fn trusts_the_system(reader: &mut Reader<'_>) -> bool {
    let given = reader.text(names::LIFEBOAT_KONG_VERSIONS).or_else(|| reader.text(names::KONG_VERSION));
    given.is_none_or(|given| given.value.split(',').any(|version| !version.trim().starts_with("2.")))
}

// For the doctor, which checks them one by one; what is wrong with them has been reported.
fn cluster_authorities(reader: &mut Reader<'_>) -> Vec<Leaf> {
    let given = reader.text(names::KONG_CLUSTER_CA_CERT);
    let pem = given.and_then(|given| checked(reader, &given)).unwrap_or_default();
    certificates_from_pem(&pem).unwrap_or_default().iter().filter_map(|der| Leaf::from_der(der).ok()).collect()
}

pub(super) fn checked(reader: &mut Reader<'_>, given: &Given) -> Option<Vec<u8>> {
    let pem = reader.pem(given)?;
    match certificates_from_pem(&pem) {
        Ok(_) => Some(pem),
        Err(error) => {
            reader.wrong(format!("{}: {error}", given.name));
            None
        }
    }
}

fn node_names(reader: &mut Reader<'_>, own: Option<&Identity>) -> Option<NodeNames> {
    let listed = reader.list(names::KONG_CLUSTER_ALLOWED_COMMON_NAMES);
    match CommonNames::new(&listed, own?) {
        Ok(names) => Some(NodeNames::Only(names)),
        Err(error) => {
            reader.wrong(format!("KONG_CLUSTER_ALLOWED_COMMON_NAMES: {error}"));
            None
        }
    }
}

fn server_name(reader: &mut Reader<'_>, mode: &str, control_plane: &Address) -> Option<ServerName<'static>> {
    if mode == "shared" {
        return Some(ServerName::try_from(SHARED_SERVER_NAME).expect("Kong's own name is a valid one"));
    }
    let given = reader.text(names::KONG_CLUSTER_SERVER_NAME);
    let name = given.as_ref().map_or(control_plane.host.as_str(), |given| given.value.trim()).to_owned();
    match ServerName::try_from(name.clone()) {
        Ok(name) => Some(name),
        Err(_) => {
            let setting = given.map_or("LIFEBOAT_CONTROL_PLANE".to_owned(), |given| given.name);
            reader.wrong(format!("{setting}: {name:?} can't be a certificate's name (valid: cp.example.com)"));
            None
        }
    }
}
