//! What can be wrong with certificates and keys before any connection is made. Failed handshakes are in `failure`.

/// Why a certificate, a key or a list of authorities can't be used.
///
/// The text says what is wrong and what would help, never which setting it came from (whoever read the setting knows
/// that) and never anything of a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// The PEM text holds no certificate.
    #[error("there is no certificate in it: expected PEM text with a line -----BEGIN CERTIFICATE-----")]
    NoCertificate,
    /// The PEM text holds no private key.
    #[error("there is no private key in it: expected PEM text with a line -----BEGIN PRIVATE KEY-----")]
    NoKey,
    /// Each is where the other should be.
    #[error("the certificate and its private key are swapped: each stands where the other belongs")]
    Swapped,
    /// The private key needs a pass phrase.
    #[error("the private key is encrypted, and Kong uses it without a pass phrase: decrypt it with `openssl pkey`")]
    EncryptedKey,
    /// The text isn't valid PEM.
    #[error("the PEM text is damaged: {0}")]
    BadPem(&'static str),
    /// A certificate that can't be read.
    #[error("the certificate can't be read: {0}")]
    BadCertificate(String),
    /// A key of a kind that isn't supported.
    #[error(
        "the private key can't be used: it must be RSA (2048 to 8192 bits), ECDSA (P-256, P-384, P-521) or Ed25519"
    )]
    UnsupportedKey,
    /// The key is another certificate's.
    #[error("the private key does not belong to the certificate (SHA-256 {fingerprint}): they are not a pair")]
    KeyMismatch {
        /// SHA-256 of the certificate's DER.
        fingerprint: lifeboat_core::digest::Sha256Digest,
    },
    /// No certificate to compare with.
    #[error("there is no certificate that a peer could present")]
    NothingAccepted,
    /// No certificate authority.
    #[error("there is no certificate authority to trust")]
    NoAuthority,
    /// An authority's certificate that can't be used as a trust anchor.
    #[error("a certificate authority's certificate can't be used: {0}")]
    BadAuthority(String),
    /// The system's certificate store can't be read or is empty.
    #[error("the system's certificate authorities can't be read: {0}")]
    SystemAuthorities(String),
    /// Own common name without a parent domain, though peers should share it.
    #[error(
        "the own certificate's common name {common_name:?} has no parent domain that nodes could share: \
         list the nodes' names in cluster_allowed_common_names"
    )]
    NoParentDomain {
        /// The own certificate's common name, empty when it has none.
        common_name: String,
    },
}
