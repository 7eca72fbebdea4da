//! TLS for the cluster link, on both of its sides: our identity, who a peer may be (`shared`: the pinned cluster
//! certificate; `pki`: an authority, a name), and what a failed handshake means. No sockets, no settings.
//!
//! One crypto provider, aws-lc-rs, is passed explicitly everywhere: a process-wide default would depend on who was
//! first. No session is ever resumed, in either direction: a handshake costs a millisecond in hours, and a resumed
//! session would skip the check of the peer's certificate, so a certificate that was rotated out would live on in
//! tickets.

mod authority;
mod client_side;
mod common_name;
mod error;
mod failure;
mod handshake_queue;
mod identity;
mod leaf;
mod pinned;
mod revocation;
mod server_side;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use rustls::client::Resumption;
use rustls::client::danger::ServerCertVerifier;
use rustls::crypto::CryptoProvider;
use rustls::server::NoServerSessionStorage;
use rustls::server::danger::ClientCertVerifier;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, ServerConfig, SupportedProtocolVersion};

pub use authority::{Authorities, AuthoritySource, NodeNames, client_config_pki, server_config_pki};
pub use client_side::{Believes, ClientSide, ClientTls};
pub use common_name::{CommonNameNotAllowed, CommonNames};
pub use error::TlsError;
pub use failure::{FailureClass, HandshakeFailure, Peer, explain, explain_tls};
pub use handshake_queue::HandshakeQueue;
pub use identity::{Identity, certificates_from_pem};
pub use leaf::Leaf;
pub use pinned::{NotTheClusterCertificate, client_config_shared, client_config_shared_with, server_config_shared};
pub use revocation::{Answer, NoQuestion, NotAnswered, Question};
pub use server_side::{Accepts, ServerSide, ServerTls};

/// The server name that data planes ask for in `shared` mode (KONG.md section 1, "Cluster certificate").
pub const SHARED_SERVER_NAME: &str = "kong_clustering";

/// Does now, in this thread, what the first handshake of a process would wait for: aws-lc seeds its random numbers once, from
/// the jitter of the processor, which takes some 80 ms.
pub fn seed_random_numbers() {
    // If it fails, so does the handshake, which says so.
    let _ = provider().secure_random.fill(&mut [0; 32]);
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::aws_lc_rs::default_provider())
}

/// A client that shows this certificate to whoever asks: Kong's control plane sends no hints that could select one.
fn client_config(
    versions: &[&'static SupportedProtocolVersion],
    verifier: Arc<dyn ServerCertVerifier>,
    certificate: Arc<CertifiedKey>,
) -> Arc<ClientConfig> {
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
        .dangerous()
        .with_custom_certificate_verifier(verifier)
        .with_client_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    config.resumption = Resumption::disabled();
    Arc::new(config)
}

/// A server that shows this certificate whatever name was asked for, as Kong does.
fn server_config(
    versions: &[&'static SupportedProtocolVersion],
    verifier: Arc<dyn ClientCertVerifier>,
    certificate: Arc<CertifiedKey>,
) -> Arc<ServerConfig> {
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_protocol_versions(versions)
        .expect("aws-lc-rs has suites for TLS 1.2 and 1.3")
        .with_client_cert_verifier(verifier)
        .with_cert_resolver(Arc::new(SingleCertAndKey::from(certificate)));
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    Arc::new(config)
}
