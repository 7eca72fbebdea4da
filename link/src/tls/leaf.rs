//! What a certificate says about itself, read with x509-cert because rustls and webpki refuse version 1, which is what Kong
//! makes. Nothing is verified here.

use std::time::SystemTime;

use lifeboat_core::digest::Sha256Digest;
use rustls_pki_types::{CertificateDer, SubjectPublicKeyInfoDer};
use x509_cert::certificate::{CertificateInner, Raw, TbsCertificateInner, Version};
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode, Encode, Error, ErrorKind, Tag, Tagged};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::TlsError;

/// `id-at-commonName`, RFC 5280 appendix A.1.
const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");

/// Without the library's checks of RFC 5280: private authorities make serial numbers of any length.
pub(super) type Certificate = CertificateInner<Raw>;

/// An end-entity certificate and what it says about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leaf {
    der: CertificateDer<'static>,
    public_key: SubjectPublicKeyInfoDer<'static>,
    fingerprint: Sha256Digest,
    common_name: Option<String>,
    dns_names: Vec<String>,
    not_before: SystemTime,
    not_after: SystemTime,
    version_1: bool,
}

impl Leaf {
    /// Reads a certificate of any X.509 version.
    ///
    /// # Errors
    /// [`TlsError::BadCertificate`] when it is no certificate, when bytes follow it, or when it has a date before 1970, which
    /// x509-cert can't express.
    pub fn from_der(der: &CertificateDer<'_>) -> Result<Self, TlsError> {
        let Certificate { tbs_certificate: parsed, .. } = Certificate::from_der(der).map_err(unreadable)?;
        let public_key = parsed.subject_public_key_info.to_der().map_err(unreadable)?;

        Ok(Self {
            der: der.clone().into_owned(),
            public_key: public_key.into(),
            fingerprint: Sha256Digest::of(der),
            common_name: common_name(&parsed),
            dns_names: dns_names(&parsed),
            not_before: parsed.validity.not_before.to_system_time(),
            not_after: parsed.validity.not_after.to_system_time(),
            version_1: parsed.version == Version::V1,
        })
    }

    /// The certificate's bytes.
    pub fn der(&self) -> &CertificateDer<'static> {
        &self.der
    }

    /// The key in it, with which its owner's signatures are checked.
    pub fn public_key(&self) -> &SubjectPublicKeyInfoDer<'static> {
        &self.public_key
    }

    /// SHA-256 of the DER, as `openssl x509 -fingerprint -sha256` shows it, in lower case and without colons.
    pub fn fingerprint(&self) -> Sha256Digest {
        self.fingerprint
    }

    /// The subject's common name.
    pub fn common_name(&self) -> Option<&str> {
        self.common_name.as_deref()
    }

    /// The DNS names among the subject's alternative names.
    pub fn dns_names(&self) -> &[String] {
        &self.dns_names
    }

    /// The name that the certificate stands for: the common name, without one the first DNS name.
    pub fn name(&self) -> Option<&str> {
        self.common_name().or_else(|| self.dns_names.first().map(String::as_str))
    }

    /// From when on it is valid.
    pub fn not_before(&self) -> SystemTime {
        self.not_before
    }

    /// Until when it is valid, inclusive.
    pub fn not_after(&self) -> SystemTime {
        self.not_after
    }

    /// Whether it is X.509 version 1, as `kong hybrid gen_cert` makes them.
    pub fn is_version_1(&self) -> bool {
        self.version_1
    }
}

fn unreadable(error: Error) -> TlsError {
    TlsError::BadCertificate(match error.kind() {
        ErrorKind::TrailingData { .. } => "bytes follow it".to_owned(),
        _ => error.to_string(),
    })
}

// The first one, if it is a text that UTF-8 can be read from.
fn common_name(parsed: &TbsCertificateInner<Raw>) -> Option<String> {
    let mut attributes = parsed.subject.0.iter().flat_map(|attributes| attributes.0.iter());
    let value = &attributes.find(|attribute| attribute.oid == COMMON_NAME)?.value;
    match value.tag() {
        Tag::Utf8String
        | Tag::PrintableString
        | Tag::TeletexString
        | Tag::Ia5String
        | Tag::NumericString
        | Tag::VisibleString => std::str::from_utf8(value.value()).ok().map(str::to_owned),
        _ => None,
    }
}

fn dns_names(parsed: &TbsCertificateInner<Raw>) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(names)))) = parsed.get::<SubjectAltName>() else { return Vec::new() };
    let dns_name = |name| if let GeneralName::DnsName(name) = name { Some(name.to_string()) } else { None };
    names.into_iter().filter_map(dns_name).collect()
}

#[cfg(test)]
mod tests {
    use rustls_pki_types::pem::PemObject;

    use super::*;

    const FINGERPRINT: &str = "4bb57a2e7379f8f136a8b299f26c7e50081e5660ad8c718a6e0674d33e0b59fb";
    const RECORDED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/cluster.crt");

    #[test]
    fn kongs_own_certificate_is_read_although_it_has_version_1() {
        let leaf = Leaf::from_der(&CertificateDer::from_pem_slice(RECORDED).unwrap()).unwrap();
        assert!(leaf.is_version_1());
        assert_eq!(leaf.common_name(), Some("kong_clustering"));
        assert!(leaf.dns_names().is_empty());
        // secp384r1, RFC 5480 section 2.1.1.1.
        let p384 = [0x06, 0x05, 0x2b, 0x81, 0x04, 0x00, 0x22];
        assert!(leaf.public_key().windows(p384.len()).any(|window| window == p384));
        // `openssl x509 -noout -dates -fingerprint -sha256`
        let at = |time: SystemTime| humantime::format_rfc3339_seconds(time).to_string();
        assert_eq!(at(leaf.not_before()), "2026-11-20T09:31:18Z");
        assert_eq!(at(leaf.not_after()), "2029-11-19T09:31:18Z");
        assert_eq!(leaf.fingerprint().to_string(), FINGERPRINT);
    }

    #[test]
    fn what_is_no_certificate_is_refused() {
        let error = Leaf::from_der(&CertificateDer::from(b"not DER".to_vec())).unwrap_err();
        assert!(matches!(error, TlsError::BadCertificate(_)), "{error}");
    }

    #[test]
    fn bytes_behind_a_certificate_are_refused() {
        let mut der = CertificateDer::from_pem_slice(RECORDED).unwrap().to_vec();
        der.push(0);
        let error = Leaf::from_der(&CertificateDer::from(der)).unwrap_err();
        assert_eq!(error, TlsError::BadCertificate("bytes follow it".to_owned()));
    }
}
