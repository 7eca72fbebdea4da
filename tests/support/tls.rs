//! TLS clients that no product code makes: of one version only, with a stolen certificate, with none. They know the
//! cluster's certificate by its bytes and look at nothing else.

use std::sync::Arc;

use lifeboat_fakes::certificate::{Authority, Credentials};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::server::WebPkiClientVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{
    CertificateError, ClientConfig, DigitallySignedStruct, Error, RootCertStore, ServerConfig, SignatureScheme,
    SupportedProtocolVersion,
};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};

/// A client that speaks one version of TLS and shows `shows`, if anything, to a server that has the certificate
/// `expects`.
pub fn client(
    version: &'static SupportedProtocolVersion,
    shows: Option<&Credentials>,
    expects: &Credentials,
) -> Arc<ClientConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[version])
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(KnowsOne { certificate: certificate(expects), provider }));
    Arc::new(match shows {
        Some(shows) => config.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certified_key(shows)))),
        None => config.with_no_client_auth(),
    })
}

/// A server that shows this certificate and asks for none.
pub fn server(shows: &Credentials) -> Arc<ServerConfig> {
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
        .with_no_client_auth();
    Arc::new(config.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified_key(shows)))))
}

/// A server that shows this certificate and lets in only those who have one of this authority.
pub fn server_that_asks(shows: &Credentials, authority: &Authority) -> Arc<ServerConfig> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let mut roots = RootCertStore::empty();
    let root =
        CertificateDer::from_pem_slice(authority.certificate_pem().as_bytes()).expect("the cast writes valid PEM");
    roots.add(root).expect("it is an authority's");
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider.clone());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
        .with_client_cert_verifier(verifier.build().expect("there is a root"));
    Arc::new(config.with_cert_resolver(Arc::new(SingleCertAndKey::from(certified_key(shows)))))
}

/// The certificate of one with the key of another, as somebody has it who only saw the certificate pass by.
pub fn thief(certificate: &Credentials, key: &Credentials) -> Credentials {
    Credentials { certificate_pem: certificate.certificate_pem.clone(), key_pem: key.key_pem.clone() }
}

fn certificate(credentials: &Credentials) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(credentials.certificate_pem.as_bytes()).expect("the cast writes valid PEM")
}

fn certified_key(credentials: &Credentials) -> CertifiedKey {
    let key = PrivateKeyDer::from_pem_slice(credentials.key_pem.as_bytes()).expect("the cast writes valid PEM");
    let key = aws_lc_rs::default_provider().key_provider.load_private_key(key).expect("aws-lc reads its own keys");
    CertifiedKey::new(vec![certificate(credentials)], key)
}

#[derive(Debug)]
struct KnowsOne {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for KnowsOne {
    fn verify_server_cert(
        &self,
        presented: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _name: &ServerName<'_>,
        _ocsp: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        if *presented == self.certificate {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(CertificateError::UnknownIssuer.into())
        }
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _certificate: &CertificateDer<'_>,
        _signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
