//! Who we are on the cluster link: a certificate chain and the private key that belongs to it.

use std::fmt;
use std::sync::Arc;

use rustls::sign::CertifiedKey;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, pem};

use super::{Leaf, TlsError, provider};

/// A certificate chain with its private key, checked to be a pair.
#[derive(Clone)]
pub struct Identity {
    leaf: Leaf,
    certified_key: Arc<CertifiedKey>,
}

impl Identity {
    /// Reads `cluster_cert` and `cluster_cert_key`: the certificate first, then its chain if there is one; the key as
    /// PKCS#8, SEC1 or PKCS#1. Certificates of X.509 version 1 are fine.
    ///
    /// # Errors
    /// When either text holds no such thing, the key is encrypted or of an unknown kind, or the two are not a pair.
    pub fn from_pem(certificate: &[u8], key: &[u8]) -> Result<Self, TlsError> {
        let chain = certificates_from_pem(certificate).map_err(|error| match error {
            TlsError::NoCertificate if key_from_pem(certificate).is_ok() && certificates_from_pem(key).is_ok() => {
                TlsError::Swapped
            }
            other => other,
        })?;
        let leaf = Leaf::from_der(&chain[0])?;
        let key = provider().key_provider.load_private_key(key_from_pem(key)?).map_err(|_| TlsError::UnsupportedKey)?;
        // `CertifiedKey::keys_match` can't be asked: it refuses to read version 1.
        if key.public_key().ok_or(TlsError::UnsupportedKey)? != *leaf.public_key() {
            return Err(TlsError::KeyMismatch { fingerprint: leaf.fingerprint() });
        }
        Ok(Self { leaf, certified_key: Arc::new(CertifiedKey::new(chain, key)) })
    }

    /// The certificate that peers see.
    pub fn leaf(&self) -> &Leaf {
        &self.leaf
    }

    pub(super) fn certified_key(&self) -> Arc<CertifiedKey> {
        self.certified_key.clone()
    }
}

impl fmt::Debug for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Identity")
            .field("common_name", &self.leaf.common_name())
            .field("fingerprint", &self.leaf.fingerprint())
            .field("key", &"..")
            .finish()
    }
}

/// All certificates of a PEM text, in its order; at least one.
///
/// # Errors
/// [`TlsError::NoCertificate`] without any, [`TlsError::BadPem`] when the text is damaged.
pub fn certificates_from_pem(text: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(text).collect();
    match certificates {
        Ok(certificates) if certificates.is_empty() => Err(TlsError::NoCertificate),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(damaged(&error)),
    }
}

fn key_from_pem(text: &[u8]) -> Result<PrivateKeyDer<'static>, TlsError> {
    let holds = |needle: &[u8]| text.windows(needle.len()).any(|window| window == needle);
    // RFC 5958 ("BEGIN ENCRYPTED PRIVATE KEY") and the older headers of RFC 1421.
    if holds(b"ENCRYPTED PRIVATE KEY-----") || holds(b"Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::EncryptedKey);
    }
    PrivateKeyDer::from_pem_slice(text).map_err(|error| match error {
        pem::Error::NoItemsFound => TlsError::NoKey,
        error => damaged(&error),
    })
}

/// The parser's own texts quote lines of what may be a key.
fn damaged(error: &pem::Error) -> TlsError {
    TlsError::BadPem(match error {
        pem::Error::MissingSectionEnd { .. } => "a -----BEGIN line has no -----END line",
        pem::Error::IllegalSectionStart { .. } => "a -----BEGIN line does not end in -----",
        pem::Error::Base64Decode(_) => "what is between the lines is not base64",
        _ => "it can't be parsed",
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    use lifeboat_fakes::certificate::{ClusterCertificate, Credentials};
    use x509_cert::der::asn1::AnyRef;
    use x509_cert::der::{Decode, SliceReader};

    use super::*;

    fn credentials() -> Credentials {
        ClusterCertificate::version_1(SystemTime::UNIX_EPOCH)
    }

    fn identity(certificate: &str, key: &str) -> Result<Identity, TlsError> {
        Identity::from_pem(certificate.as_bytes(), key.as_bytes())
    }

    #[test]
    fn a_version_1_certificate_and_its_key_are_an_identity() {
        let Credentials { certificate_pem, key_pem } = credentials();
        assert!(identity(&certificate_pem, &key_pem).unwrap().leaf().is_version_1());
    }

    #[test]
    fn a_certificate_and_a_key_that_are_swapped_are_recognised() {
        let Credentials { certificate_pem, key_pem } = credentials();
        assert_eq!(identity(&key_pem, &certificate_pem).unwrap_err(), TlsError::Swapped);
        assert_eq!(identity(&key_pem, &key_pem).unwrap_err(), TlsError::NoCertificate);
    }

    #[test]
    fn a_key_of_another_certificate_is_refused() {
        let (one, other) = (credentials(), credentials());
        let error = identity(&one.certificate_pem, &other.key_pem).unwrap_err();
        assert!(matches!(error, TlsError::KeyMismatch { .. }), "{error}");
    }

    #[test]
    fn what_is_missing_is_named() {
        let Credentials { certificate_pem, key_pem } = credentials();
        assert_eq!(identity(&key_pem, &key_pem).unwrap_err(), TlsError::NoCertificate);
        assert_eq!(identity(&certificate_pem, &certificate_pem).unwrap_err(), TlsError::NoKey);
        assert_eq!(identity("", &key_pem).unwrap_err(), TlsError::NoCertificate);
    }

    #[test]
    fn an_encrypted_key_is_named_as_such() {
        let certificate = credentials().certificate_pem;
        let modern = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIIB\n-----END ENCRYPTED PRIVATE KEY-----\n";
        let old = "-----BEGIN EC PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-256-CBC,00\n\nMIIB\n\
                   -----END EC PRIVATE KEY-----\n";
        for key in [modern, old] {
            assert_eq!(identity(&certificate, key).unwrap_err(), TlsError::EncryptedKey);
        }
    }

    #[test]
    fn damaged_text_is_refused_without_quoting_it() {
        let Credentials { certificate_pem, key_pem } = credentials();
        let (head, body) = key_pem.split_at(60);
        let error = identity(&certificate_pem, &format!("{head}!{body}")).unwrap_err();
        assert_eq!(error, TlsError::BadPem("what is between the lines is not base64"));
        let cut = key_pem.split("-----END").next().unwrap();
        let error = identity(&certificate_pem, cut).unwrap_err();
        assert_eq!(error, TlsError::BadPem("a -----BEGIN line has no -----END line"));
    }

    #[test]
    fn debug_does_not_print_the_key() {
        let Credentials { certificate_pem, key_pem } = credentials();
        let debug = format!("{:?}", identity(&certificate_pem, &key_pem).unwrap());
        assert!(debug.contains(r#"key: "..""#), "{debug}");
        assert!(debug.len() < 200, "{debug}");
    }

    #[test]
    fn the_two_older_forms_of_keys_are_read() {
        let rsa = rcgen::KeyPair::generate_for(&rcgen::PKCS_RSA_SHA256).unwrap();
        for (key, label) in [(rcgen::KeyPair::generate().unwrap(), "EC PRIVATE KEY"), (rsa, "RSA PRIVATE KEY")] {
            let certificate = rcgen::CertificateParams::new([]).unwrap().self_signed(&key).unwrap().pem();
            // The last field of PKCS#8 (RFC 5958) is the older form: SEC1 (RFC 5915) or PKCS#1 (RFC 8017).
            let pkcs8 = AnyRef::from_der(key.serialized_der()).unwrap();
            let mut fields = SliceReader::new(pkcs8.value()).unwrap();
            let [_version, _algorithm, older] = [(); 3].map(|()| AnyRef::decode(&mut fields).unwrap());
            let inner = STANDARD.encode(older.value());
            let parameters = "-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n";
            let text = format!("{parameters}-----BEGIN {label}-----\n{inner}\n-----END {label}-----\n");
            identity(&certificate, &text).unwrap();
        }
    }
}
