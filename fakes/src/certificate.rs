//! Throw-away certificates: the cluster certificate as `kong hybrid gen_cert` makes it (X.509 **version 1**), and a
//! small certificate authority for `cluster_mtls=pki`. Nothing here is for production keys.

use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CustomExtension, DnType, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, PublicKeyData, SignatureAlgorithm, SigningKey,
};

use super::der::{self, Tag};

/// The common name of every cluster certificate that Kong makes, and the server name that its data planes ask for.
pub const CLUSTER_NAME: &str = "kong_clustering";

/// How long a certificate of `kong hybrid gen_cert` is valid by default: 3 years.
pub const CLUSTER_VALIDITY: Duration = Duration::from_secs(3 * 365 * 24 * 60 * 60);

/// `ecdsa-with-SHA384`, RFC 5758 section 3.2.
const ECDSA_WITH_SHA384: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x03];
/// `id-pe-authorityInfoAccess`, RFC 5280 section 4.2.2.1.
const AUTHORITY_INFORMATION_ACCESS: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 1, 1];
/// `id-ad-ocsp`, likewise.
const OCSP_ACCESS: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x30, 0x01];
/// `commonName`, X.520.
const COMMON_NAME: &[u8] = &[0x55, 0x04, 0x03];

/// A certificate and its private key as PEM text.
#[derive(Clone)]
pub struct Credentials {
    /// One `CERTIFICATE` section.
    pub certificate_pem: String,
    /// One `PRIVATE KEY` section (PKCS#8).
    pub key_pem: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("certificate_pem", &self.certificate_pem).field("key_pem", &"..").finish()
    }
}

/// Makes the certificate that all members of a `cluster_mtls=shared` cluster present.
pub struct ClusterCertificate;

impl ClusterCertificate {
    /// A certificate as `kong hybrid gen_cert` makes it: version 1 (so without any extension), P-384, self-signed,
    /// common name [`CLUSTER_NAME`], valid for [`CLUSTER_VALIDITY`] from `not_before`.
    ///
    /// rcgen makes version 3 only, so the few fields are written here (RFC 5280 section 4.1). The one difference from
    /// Kong's is the digest of the self-signature (SHA-384 instead of SHA-256), which nobody verifies.
    pub fn version_1(not_before: SystemTime) -> Credentials {
        let key = generate(&PKCS_ECDSA_P384_SHA384);
        let algorithm = der::sequence(&[der::value(Tag::ObjectIdentifier, ECDSA_WITH_SHA384)]);
        let name = der::name(COMMON_NAME, CLUSTER_NAME);
        let to_be_signed = der::sequence(&[
            der::value(Tag::Integer, &[0]),
            algorithm.clone(),
            name.clone(),
            der::sequence(&[der::time(not_before), der::time(not_before + CLUSTER_VALIDITY)]),
            name,
            key.subject_public_key_info(),
        ]);
        let signature = key.sign(&to_be_signed).expect("a fresh ECDSA key signs");
        let certificate = der::sequence(&[to_be_signed, algorithm, der::bit_string(&signature)]);
        Credentials { certificate_pem: pem(&certificate), key_pem: key.serialize_pem() }
    }
}

/// A certificate authority of its own, which signs the certificates of control planes and nodes.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    /// An authority with a fresh key, valid from the beginning of time as rcgen sees it.
    pub fn new(common_name: &str) -> Self {
        let mut params = params(common_name, &[]);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        let issuer = CertifiedIssuer::self_signed(params, generate(&PKCS_ECDSA_P256_SHA256));
        Self(issuer.expect("the parameters are complete"))
    }

    /// The authority's own certificate, as nodes have it in `cluster_ca_cert`.
    pub fn certificate_pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for `common_name` with `alternative_names` (DNS names and IP addresses), valid in `validity`.
    pub fn issue(
        &self,
        common_name: &str,
        alternative_names: &[&str],
        validity: std::ops::Range<SystemTime>,
    ) -> Credentials {
        self.sign(params(common_name, alternative_names), validity)
    }

    /// The same with the URL of an OCSP responder in it.
    pub fn issue_with_responder(
        &self,
        common_name: &str,
        alternative_names: &[&str],
        validity: std::ops::Range<SystemTime>,
        responder: &str,
    ) -> Credentials {
        let mut params = params(common_name, alternative_names);
        params.custom_extensions.push(information_access(responder));
        self.sign(params, validity)
    }

    /// The authority's signature of these bytes: ECDSA on P-256 with SHA-256, as DER.
    pub fn signature(&self, bytes: &[u8]) -> Vec<u8> {
        self.0.key().sign(bytes).expect("a fresh ECDSA key signs")
    }

    fn sign(&self, mut params: CertificateParams, validity: std::ops::Range<SystemTime>) -> Credentials {
        params.not_before = validity.start.into();
        params.not_after = validity.end.into();
        let key = generate(&PKCS_ECDSA_P256_SHA256);
        let certificate = params.signed_by(&key, &self.0).expect("the parameters are complete");
        Credentials { certificate_pem: certificate.pem(), key_pem: key.serialize_pem() }
    }
}

/// What a certificate says of where its revocation is told: an Authority Information Access with one OCSP responder
/// (RFC 5280 section 4.2.2.1).
fn information_access(responder: &str) -> CustomExtension {
    let access = der::sequence(&[
        der::value(Tag::ObjectIdentifier, OCSP_ACCESS),
        der::value(Tag::UniformResourceIdentifier, responder.as_bytes()),
    ]);
    CustomExtension::from_oid_content(AUTHORITY_INFORMATION_ACCESS, der::sequence(&[access]))
}

fn params(common_name: &str, alternative_names: &[&str]) -> CertificateParams {
    let names: Vec<String> = alternative_names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("alternative names are DNS names or addresses");
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, common_name);
    params
}

fn generate(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).expect("aws-lc makes ECDSA keys")
}

fn pem(der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let lines: Vec<&str> =
        text.as_bytes().chunks(64).map(|line| std::str::from_utf8(line).expect("base64 is ASCII")).collect();
    format!("-----BEGIN CERTIFICATE-----\n{}\n-----END CERTIFICATE-----\n", lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use x509_cert::Certificate;
    use x509_cert::certificate::Version;
    use x509_cert::der::Decode;
    use x509_cert::time::Time;

    use super::*;

    fn parse(credentials: &Credentials) -> Vec<u8> {
        let body: String = credentials.certificate_pem.lines().filter(|line| !line.starts_with("-----")).collect();
        STANDARD.decode(body).unwrap()
    }

    #[test]
    fn a_cluster_certificate_has_version_1_and_no_extension() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_795_000_000);
        let der = parse(&ClusterCertificate::version_1(now));
        let certificate = Certificate::from_der(&der).unwrap().tbs_certificate;
        assert_eq!(certificate.version, Version::V1);
        assert!(certificate.extensions.is_none());
        assert_eq!(certificate.subject.to_string(), "CN=kong_clustering");
        let seconds = |time: Time| time.to_unix_duration().as_secs();
        assert_eq!(seconds(certificate.validity.not_before), 1_795_000_000);
        assert_eq!(seconds(certificate.validity.not_after), 1_795_000_000 + CLUSTER_VALIDITY.as_secs());
    }

    #[test]
    fn two_cluster_certificates_are_different() {
        let now = SystemTime::UNIX_EPOCH;
        let (one, other) = (ClusterCertificate::version_1(now), ClusterCertificate::version_1(now));
        assert_ne!(one.certificate_pem, other.certificate_pem);
    }

    #[test]
    fn debug_does_not_print_the_key() {
        let credentials = ClusterCertificate::version_1(SystemTime::UNIX_EPOCH);
        assert!(!format!("{credentials:?}").contains("PRIVATE"));
    }
}
