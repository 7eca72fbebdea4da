//! `cluster_mtls=shared`: a peer is who presents the cluster's own certificate, byte for byte, and proves in the
//! handshake that it holds its key. Names, validity and issuers are not looked at: Kong's control plane compares
//! SHA-256 digests and nothing else (KONG.md section 1, "Cluster certificate").

use std::fmt;
use std::sync::Arc;

use lifeboat_core::digest::Sha256Digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls13_signature_with_raw_key};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{
    ALL_VERSIONS, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    PeerMisbehaved, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, SubjectPublicKeyInfoDer, UnixTime};

use super::{Identity, Leaf, TlsError};

/// A client for `cluster_mtls=shared`: the server must present `identity`'s own certificate.
///
/// The server name to ask for is [`SHARED_SERVER_NAME`](super::SHARED_SERVER_NAME).
pub fn client_config_shared(identity: &Identity) -> Arc<ClientConfig> {
    let verifier = PinnedCertificates::new(vec![identity.leaf().clone()]);
    super::client_config(ALL_VERSIONS, Arc::new(verifier), identity.certified_key())
}

/// The same where the server may also present `other`'s certificate: during a rotation, or in a rehearsal.
pub fn client_config_shared_with(identity: &Identity, other: &Identity) -> Arc<ClientConfig> {
    let verifier = PinnedCertificates::new(vec![identity.leaf().clone(), other.leaf().clone()]);
    super::client_config(ALL_VERSIONS, Arc::new(verifier), identity.certified_key())
}

/// A server for `cluster_mtls=shared`: a client must present one of `accepted`. That is the cluster's certificate, and
/// during a rotation the old one and the new one.
///
/// # Errors
/// [`TlsError::NothingAccepted`] when `accepted` is empty, [`TlsError::BadCertificate`] when one can't be read.
pub fn server_config_shared(
    accepted: &[CertificateDer<'_>],
    identity: &Identity,
) -> Result<Arc<ServerConfig>, TlsError> {
    let accepted: Vec<Leaf> = accepted.iter().map(Leaf::from_der).collect::<Result<_, _>>()?;
    if accepted.is_empty() {
        return Err(TlsError::NothingAccepted);
    }
    let verifier = PinnedCertificates::new(accepted);
    Ok(super::server_config(ALL_VERSIONS, Arc::new(verifier), identity.certified_key()))
}

/// The peer presented a certificate that isn't the cluster's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotTheClusterCertificate {
    /// SHA-256 of what it presented.
    pub presented: Sha256Digest,
    /// SHA-256 of each certificate that would have been accepted.
    pub accepted: Vec<Sha256Digest>,
}

impl fmt::Display for NotTheClusterCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let accepted: Vec<String> = self.accepted.iter().map(ToString::to_string).collect();
        write!(f, "certificate (SHA-256 {}) is not the cluster's (SHA-256 {})", self.presented, accepted.join(" or "))
    }
}

impl std::error::Error for NotTheClusterCertificate {}

#[derive(Debug)]
pub(super) struct PinnedCertificates {
    accepted: Vec<Leaf>,
    algorithms: WebPkiSupportedAlgorithms,
}

impl PinnedCertificates {
    pub(super) fn new(accepted: Vec<Leaf>) -> Self {
        Self { accepted, algorithms: super::provider().signature_verification_algorithms }
    }

    fn find(&self, presented: &CertificateDer<'_>) -> Result<&Leaf, Error> {
        self.accepted.iter().find(|leaf| leaf.der() == presented).ok_or_else(|| {
            let refusal = NotTheClusterCertificate {
                presented: Sha256Digest::of(presented),
                accepted: self.accepted.iter().map(Leaf::fingerprint).collect(),
            };
            CertificateError::Other(OtherError(Arc::new(refusal))).into()
        })
    }

    /// The key that signatures are checked with is the one in the pinned certificate, not one that the peer sent.
    fn key(&self, presented: &CertificateDer<'_>) -> Result<&SubjectPublicKeyInfoDer<'static>, Error> {
        self.find(presented).map(Leaf::public_key)
    }
}

impl ServerCertVerifier for PinnedCertificates {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        self.find(end_entity).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let key = webpki::RawPublicKeyEntity::try_from(self.key(certificate)?)
            .map_err(|_| Error::from(CertificateError::BadEncoding))?;
        let mut candidates = self.algorithms.mapping.iter().filter(|(scheme, _)| *scheme == signed.scheme);
        let (_, candidates) = candidates.next().ok_or(PeerMisbehaved::SignedHandshakeWithUnadvertisedSigScheme)?;
        // In TLS 1.2 a scheme does not fix the curve, so each algorithm of the scheme is tried (RFC 8446 section 4.2.3).
        for algorithm in *candidates {
            match key.verify_signature(*algorithm, message, signed.signature()) {
                Ok(()) => return Ok(HandshakeSignatureValid::assertion()),
                Err(webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)) => {}
                Err(_) => break,
            }
        }
        Err(CertificateError::BadSignature.into())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature_with_raw_key(message, self.key(certificate)?, signed, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientCertVerifier for PinnedCertificates {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    /// None: a self-signed certificate has no issuer that a client could choose by.
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        self.find(end_entity).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls12_signature(self, message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        ServerCertVerifier::verify_tls13_signature(self, message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
