//! `cluster_mtls=pki` and `pki_check_cn`: a peer is who holds a certificate of a trusted authority, valid now, and has
//! the right name. Whether it was revoked is asked in `revocation`.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    ALL_VERSIONS, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName, Error, OtherError,
    RootCertStore, ServerConfig, SignatureScheme,
};
use rustls_pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime};

use super::{CommonNames, Identity, Leaf, TlsError, certificates_from_pem};

/// The certificate authorities that are trusted: at least one.
#[derive(Clone)]
pub struct Authorities(Arc<RootCertStore>);

impl Authorities {
    /// The authorities of `cluster_ca_cert`, or of the files and the word `system` in `lua_ssl_trusted_certificate`.
    ///
    /// # Errors
    /// When one of the texts holds no certificate, or the system has none.
    pub fn new<'a>(sources: impl IntoIterator<Item = AuthoritySource<'a>>) -> Result<Self, TlsError> {
        let mut roots = RootCertStore::empty();
        for source in sources {
            match source {
                AuthoritySource::Pem(text) => {
                    for certificate in certificates_from_pem(text)? {
                        roots.add(certificate).map_err(|error| TlsError::BadAuthority(error.to_string()))?;
                    }
                }
                AuthoritySource::System => add_system(&mut roots)?,
            }
        }
        if roots.is_empty() { Err(TlsError::NoAuthority) } else { Ok(Self(Arc::new(roots))) }
    }

    pub(super) fn anchors(&self) -> &[TrustAnchor<'static>] {
        &self.0.roots
    }

    /// These and the others.
    pub(super) fn and(&self, others: &Self) -> Self {
        let mut roots = RootCertStore::clone(&self.0);
        roots.extend(others.0.roots.iter().cloned());
        Self(Arc::new(roots))
    }
}

impl fmt::Debug for Authorities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Authorities({})", self.0.len())
    }
}

/// Where certificates of authorities come from.
#[derive(Debug, Clone, Copy)]
pub enum AuthoritySource<'a> {
    /// One or several certificates as PEM text.
    Pem(&'a [u8]),
    /// What the operating system trusts. Some of its certificates may be unusable; that is normal.
    System,
}

fn add_system(roots: &mut RootCertStore) -> Result<(), TlsError> {
    let found = rustls_native_certs::load_native_certs();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    match (added, found.errors.first()) {
        (0, Some(error)) => Err(TlsError::SystemAuthorities(error.to_string())),
        (0, None) => Err(TlsError::SystemAuthorities("it has none".to_owned())),
        _ => Ok(()),
    }
}

/// Which of the nodes with a genuine certificate may connect.
#[derive(Debug, Clone)]
pub enum NodeNames {
    /// All: `cluster_mtls=pki`.
    Any,
    /// Those with the right name: `cluster_mtls=pki_check_cn`.
    Only(CommonNames),
}

/// A client for `cluster_mtls=pki`: the server's certificate must come from one of `authorities` and stand for the
/// server name that is asked for (`cluster_server_name` or the host).
pub fn client_config_pki(authorities: &Authorities, identity: &Identity) -> Arc<ClientConfig> {
    super::client_config(ALL_VERSIONS, server_verifier(authorities), identity.certified_key())
}

/// A server for `cluster_mtls=pki` and `pki_check_cn`: the client's certificate must come from one of `authorities`,
/// and its name be among `names`.
pub fn server_config_pki(authorities: &Authorities, names: NodeNames, identity: &Identity) -> Arc<ServerConfig> {
    super::server_config(ALL_VERSIONS, client_verifier(authorities, names), identity.certified_key())
}

pub(super) fn server_verifier(authorities: &Authorities) -> Arc<dyn ServerCertVerifier> {
    Arc::new(NamedServer { authorities: authorities.clone(), provider: super::provider() })
}

/// It sends no hints: nodes have one certificate, and one that does not find its issuer among them might send none.
pub(super) fn client_verifier(authorities: &Authorities, names: NodeNames) -> Arc<dyn ClientCertVerifier> {
    let genuine = WebPkiClientVerifier::builder_with_provider(authorities.0.clone(), super::provider())
        .clear_root_hint_subjects()
        .build()
        .expect("there is an authority, and no revocation list that could be damaged");
    Arc::new(NamedNode { genuine, names })
}

/// webpki says "bad signature" when an authority was made anew under its old name. To whoever reads the message that is
/// an unknown authority; a bad signature of the handshake (a stolen certificate) is something else.
fn chain_error(error: Error) -> Error {
    match error {
        Error::InvalidCertificate(CertificateError::BadSignature) => CertificateError::UnknownIssuer.into(),
        other => other,
    }
}

/// Verifies a control plane. rustls' own verifier differs in one point: it never looks at the common name, while Kong's
/// (OpenSSL) does when a certificate has no DNS name, as many of private authorities have none.
#[derive(Debug)]
struct NamedServer {
    authorities: Authorities,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for NamedServer {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.authorities.0, intermediates, now, algorithms)
            .map_err(chain_error)?;
        match verify_server_name(&certificate, server_name) {
            Err(_) if is_common_name_of(server_name, end_entity) => Ok(ServerCertVerified::assertion()),
            other => other.map(|()| ServerCertVerified::assertion()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Only for a certificate without any DNS name (RFC 6125 section 6.4.4), and never by a wildcard.
fn is_common_name_of(server_name: &ServerName<'_>, end_entity: &CertificateDer<'_>) -> bool {
    let (ServerName::DnsName(name), Ok(leaf)) = (server_name, Leaf::from_der(end_entity)) else { return false };
    leaf.dns_names().is_empty() && leaf.common_name().is_some_and(|common| common.eq_ignore_ascii_case(name.as_ref()))
}

/// Verifies a node: first that its certificate is genuine, then its name.
#[derive(Debug)]
struct NamedNode {
    genuine: Arc<dyn ClientCertVerifier>,
    names: NodeNames,
}

impl ClientCertVerifier for NamedNode {
    fn client_auth_mandatory(&self) -> bool {
        true
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.genuine.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let verified = self.genuine.verify_client_cert(end_entity, intermediates, now).map_err(chain_error)?;
        if let NodeNames::Only(names) = &self.names {
            let leaf = Leaf::from_der(end_entity).map_err(|_| Error::from(CertificateError::BadEncoding))?;
            let refused = |refusal| Error::from(CertificateError::Other(OtherError(Arc::new(refusal))));
            names.check(&leaf).map_err(refused)?;
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.genuine.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.genuine.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.genuine.supported_verify_schemes()
    }
}
