//! Whether a certificate was revoked, by OCSP (RFC 6960): what to ask whom, and what an answer is worth. Nothing is sent
//! here; who asks is the relay, as Kong's control plane does for its data planes (`cluster_ocsp`).

use std::time::{Duration, SystemTime};

use lifeboat_core::digest::Sha256Digest;
use rustls::crypto::WebPkiSupportedAlgorithms;
use rustls_pki_types::{CertificateDer, Der, SubjectPublicKeyInfoDer, TrustAnchor, UnixTime};
use sha1::{Digest, Sha1};
use webpki::{EndEntityCert, KeyUsage, RawPublicKeyEntity};
use x509_cert::der::asn1::{Null, ObjectIdentifier, OctetString};
use x509_cert::der::{Any, Decode, Encode, Reader, SliceReader, Tag};
use x509_cert::ext::pkix::AuthorityInfoAccessSyntax;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::serial_number::SerialNumber;
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoRef};
use x509_ocsp::{
    BasicOcspResponse, CertId, CertStatus, OcspGeneralizedTime, OcspRequest, OcspResponse, OcspResponseStatus, Request,
    SingleResponse, TbsRequest, Version,
};

use super::Authorities;
use super::leaf::Certificate;

/// `id-sha1`, RFC 3279: what every responder knows. It only names the issuer here, and protects nothing.
const SHA_1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.14.3.2.26");
/// `id-pkix-ocsp-basic`, RFC 6960 section 4.2.1.
const BASIC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1.1");
/// `id-ad-ocsp`, RFC 5280 section 4.2.2.1.
const OCSP_ACCESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");
/// `id-kp-OCSPSigning`, RFC 6960 section 4.2.2.2, as DER without its tag and length.
const OCSP_SIGNING: &[u8] = &[0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x09];
/// By how much two clocks may differ, as OpenSSL's `OCSP_check_validity` is called by nginx.
const SKEW: Duration = Duration::from_secs(300);

/// What is to be asked about a certificate.
#[derive(Clone, Debug)]
pub struct Question {
    /// Of which certificate.
    pub certificate: Sha256Digest,
    /// The responder's URL.
    pub responder: String,
    /// The request, DER.
    pub request: Vec<u8>,
    id: CertId,
    issuer: Issuer,
}

#[derive(Clone, Debug)]
struct Issuer {
    name: Vec<u8>,
    key: SubjectPublicKeyInfoDer<'static>,
}

/// Why nobody can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoQuestion {
    /// It has no Authority Information Access with an OCSP responder.
    #[error("its certificate names no OCSP responder (Authority Information Access)")]
    NoResponder,
    /// Its issuer is not known, or it is damaged.
    #[error("its certificate's issuer could not be found")]
    NoIssuer,
}

/// What an answer says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// Not revoked, and this may be believed until then.
    Good {
        /// Until when, if the responder says so.
        until: Option<SystemTime>,
    },
    /// Revoked.
    Revoked,
}

/// An answer that proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotAnswered {
    /// The responder answers no question now, or not this one.
    #[error("the OCSP responder did not answer ({0})")]
    Unsuccessful(&'static str),
    /// It is no OCSP answer.
    #[error("the OCSP answer can't be read")]
    Malformed,
    /// It is about something else.
    #[error("the OCSP answer is about another certificate")]
    AnotherCertificate,
    /// The responder does not know it.
    #[error("the OCSP responder does not know this certificate")]
    Unknown,
    /// It is too old or from the future.
    #[error("the OCSP answer is not valid now (are all clocks right)")]
    NotValidNow,
    /// It is not signed by the issuer, nor by a responder that the issuer made one.
    #[error("the OCSP answer is not signed by the certificate's issuer")]
    Signature,
}

impl Question {
    /// The question about the first certificate of a chain that `authorities` vouch for.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub fn about(chain: &[CertificateDer<'_>], authorities: &Authorities, now: SystemTime) -> Result<Self, NoQuestion> {
        let (leaf, intermediates) = chain.split_first().ok_or(NoQuestion::NoIssuer)?;
        let parsed = Certificate::from_der(leaf).map_err(|_| NoQuestion::NoIssuer)?;
        let responder = responder_of(&parsed).ok_or(NoQuestion::NoResponder)?;

        let certificate = EndEntityCert::try_from(leaf).map_err(|_| NoQuestion::NoIssuer)?;
        let name = sequence(certificate.issuer()).ok_or(NoQuestion::NoIssuer)?;
        let key = issuer_key(&certificate, intermediates, authorities, now).ok_or(NoQuestion::NoIssuer)?;
        let id = cert_id(&name, &key, certificate.serial()).ok_or(NoQuestion::NoIssuer)?;

        let request = Request { req_cert: id.clone(), single_request_extensions: None };
        let tbs_request = TbsRequest {
            version: Version::V1,
            requestor_name: None,
            request_list: vec![request],
            request_extensions: None,
        };
        let request = OcspRequest { tbs_request, optional_signature: None }.to_der();
        let request = request.map_err(|_| NoQuestion::NoIssuer)?;
        Ok(Self { certificate: Sha256Digest::of(leaf), responder, request, id, issuer: Issuer { name, key } })
    }

    /// What an answer to it says, DER.
    ///
    /// # Errors
    /// When it proves nothing.
    pub fn read(&self, answer: &[u8], now: SystemTime) -> Result<Answer, NotAnswered> {
        let outer = OcspResponse::from_der(answer).map_err(|_| NotAnswered::Malformed)?;
        check_status(outer.response_status)?;
        let inner = outer.response_bytes.filter(|bytes| bytes.response_type == BASIC).ok_or(NotAnswered::Malformed)?;
        let bytes = inner.response.as_bytes();
        let basic = BasicOcspResponse::from_der(bytes).map_err(|_| NotAnswered::Malformed)?;
        self.check_signature(&basic, signed_part(bytes)?, now)?;

        let is_ours = |single: &&SingleResponse| is_same(&single.cert_id, &self.id);
        let single = basic.tbs_response_data.responses.iter().find(is_ours).ok_or(NotAnswered::AnotherCertificate)?;
        let until = single.next_update.map(system_time);
        if system_time(single.this_update) > now + SKEW || until.is_some_and(|until| until + SKEW < now) {
            return Err(NotAnswered::NotValidNow);
        }

        match single.cert_status {
            CertStatus::Good(_) => Ok(Answer::Good { until }),
            CertStatus::Revoked(_) => Ok(Answer::Revoked),
            CertStatus::Unknown(_) => Err(NotAnswered::Unknown),
        }
    }

    fn check_signature(&self, basic: &BasicOcspResponse, signed: &[u8], now: SystemTime) -> Result<(), NotAnswered> {
        let algorithms = super::provider().signature_verification_algorithms;
        let algorithm = basic.signature_algorithm.to_der().map_err(|_| NotAnswered::Malformed)?;
        let signature = basic.signature.as_bytes().ok_or(NotAnswered::Malformed)?;
        let is_by = |key: &SubjectPublicKeyInfoDer<'_>| verifies(&algorithms, key, &algorithm, signed, signature);
        if is_by(&self.issuer.key) {
            return Ok(());
        }

        for certificate in basic.certs.iter().flatten() {
            let der = CertificateDer::from(certificate.to_der().map_err(|_| NotAnswered::Malformed)?);
            if let Some(key) = self.delegate(&der, &algorithms, now)
                && is_by(&key)
            {
                return Ok(());
            }
        }
        Err(NotAnswered::Signature)
    }

    // RFC 6960 section 4.2.2.2: issued by the very issuer, for this purpose.
    fn delegate(
        &self,
        der: &CertificateDer<'_>,
        algorithms: &WebPkiSupportedAlgorithms,
        now: SystemTime,
    ) -> Option<SubjectPublicKeyInfoDer<'static>> {
        let anchor = TrustAnchor {
            subject: Der::from(contents(&self.issuer.name)?.to_vec()),
            subject_public_key_info: Der::from(contents(&self.issuer.key)?.to_vec()),
            name_constraints: None,
        };
        let certificate = EndEntityCert::try_from(der).ok()?;
        let usage = KeyUsage::required(OCSP_SIGNING);
        certificate.verify_for_usage(algorithms.all, &[anchor], &[], unix_time(now), usage, None, None).ok()?;
        Some(certificate.subject_public_key_info())
    }
}

fn check_status(status: OcspResponseStatus) -> Result<(), NotAnswered> {
    let why = match status {
        OcspResponseStatus::Successful => return Ok(()),
        OcspResponseStatus::MalformedRequest => "it calls the request malformed",
        OcspResponseStatus::InternalError => "it has an internal error",
        OcspResponseStatus::TryLater => "it says: try later",
        OcspResponseStatus::SigRequired => "it wants signed requests",
        OcspResponseStatus::Unauthorized => "it calls us unauthorized, or has no record of the certificate",
    };
    Err(NotAnswered::Unsuccessful(why))
}

fn responder_of(certificate: &Certificate) -> Option<String> {
    let (_, AuthorityInfoAccessSyntax(ways)) = certificate.tbs_certificate.get().ok()??;
    ways.into_iter().find_map(|way| match way.access_location {
        GeneralName::UniformResourceIdentifier(uri) if way.access_method == OCSP_ACCESS => Some(uri.to_string()),
        _ => None,
    })
}

fn issuer_key(
    certificate: &EndEntityCert<'_>,
    intermediates: &[CertificateDer<'_>],
    authorities: &Authorities,
    now: SystemTime,
) -> Option<SubjectPublicKeyInfoDer<'static>> {
    let algorithms = super::provider().signature_verification_algorithms;
    let (anchors, usage) = (authorities.anchors(), KeyUsage::client_auth());
    let path =
        certificate.verify_for_usage(algorithms.all, anchors, intermediates, unix_time(now), usage, None, None).ok()?;
    match path.intermediate_certificates().next() {
        Some(issuer) => Some(issuer.subject_public_key_info()),
        None => sequence(&path.anchor().subject_public_key_info).map(SubjectPublicKeyInfoDer::from),
    }
}

fn cert_id(issuer_name: &[u8], issuer_key: &[u8], serial: &[u8]) -> Option<CertId> {
    let key = SubjectPublicKeyInfoRef::from_der(issuer_key).ok()?;
    let hash = |bytes: &[u8]| OctetString::new(Sha1::digest(bytes).to_vec()).ok();
    Some(CertId {
        hash_algorithm: AlgorithmIdentifierOwned { oid: SHA_1, parameters: Some(Null.into()) },
        issuer_name_hash: hash(issuer_name)?,
        issuer_key_hash: hash(key.subject_public_key.raw_bytes())?,
        serial_number: SerialNumber::new(serial).ok()?,
    })
}

// A responder may leave out the parameters of the hash.
fn is_same(one: &CertId, other: &CertId) -> bool {
    one.hash_algorithm.oid == other.hash_algorithm.oid
        && one.issuer_name_hash == other.issuer_name_hash
        && one.issuer_key_hash == other.issuer_key_hash
        && one.serial_number == other.serial_number
}

fn verifies(
    algorithms: &WebPkiSupportedAlgorithms,
    key: &SubjectPublicKeyInfoDer<'_>,
    algorithm: &[u8],
    signed: &[u8],
    signature: &[u8],
) -> bool {
    let (Ok(key), Some(wanted)) = (RawPublicKeyEntity::try_from(key), contents(algorithm)) else { return false };
    let mut candidates = algorithms.all.iter().filter(|known| known.signature_alg_id().as_ref() == wanted);
    candidates.any(|known| key.verify_signature(*known, signed, signature).is_ok())
}

// The signature is over the bytes as they came, not over what they are understood as.
fn signed_part(basic: &[u8]) -> Result<&[u8], NotAnswered> {
    let inside = contents(basic).ok_or(NotAnswered::Malformed)?;
    let mut reader = SliceReader::new(inside).map_err(|_| NotAnswered::Malformed)?;
    reader.tlv_bytes().map_err(|_| NotAnswered::Malformed)
}

// What is in a DER value, without its tag and length.
fn contents(der: &[u8]) -> Option<&[u8]> {
    let value = x509_cert::der::asn1::AnyRef::from_der(der).ok()?;
    Some(value.value())
}

// A DER sequence of what is in it.
fn sequence(contents: &[u8]) -> Option<Vec<u8>> {
    Any::new(Tag::Sequence, contents).ok()?.to_der().ok()
}

fn system_time(time: OcspGeneralizedTime) -> SystemTime {
    time.0.to_system_time()
}

fn unix_time(time: SystemTime) -> UnixTime {
    UnixTime::since_unix_epoch(time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default())
}
