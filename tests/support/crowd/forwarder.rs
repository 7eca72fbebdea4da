//! The least that anything between two TLS connections can do: bytes are decrypted on one and encrypted on the other, and
//! nobody looks at them. By the same libraries with the same TLS settings as the program's.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use lifeboat_link::tls::{client_config_shared, server_config_shared};
use rustls::ClientConfig;
use serde_json::{Value, json};
use tokio::io::copy_bidirectional_with_sizes;
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

use super::process::{Part, answer};
use super::{Certificate, FORWARDER, identity, may_open};
use crate::raw_node::connect_tls;

/// Read at once in either direction, as a TLS record holds it.
const CHUNK: usize = 16 * 1024;

/// A forwarder in a process of its own. Dropping it ends it.
pub struct TlsForwarder {
    _part: Part,
    address: SocketAddr,
}

impl TlsForwarder {
    /// Starts it, for at most this many connections.
    ///
    /// # Panics
    /// When this program can't be started again.
    pub fn start(connections: usize, to: SocketAddr, certificate: Certificate<'_>) -> Self {
        let Certificate { certificate, key } = certificate;
        let options = json!({ "certificate": certificate, "key": key, "to": to, "connections": connections });
        let part = Part::start(FORWARDER, &options);
        let address = part.ask("?")["address"].as_str().and_then(|text| text.parse().ok()).expect("an address");
        Self { _part: part, address }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

pub(super) fn run(given: &Value) {
    may_open(2 * given["connections"].as_u64().expect("a number") + 64);
    let to: SocketAddr = given["to"].as_str().and_then(|text| text.parse().ok()).expect("an address");
    let identity = identity(given);
    let accepts = server_config_shared(&[identity.leaf().der().clone()], &identity).expect("one is accepted");
    let (acceptor, dials) = (TlsAcceptor::from(accepts), client_config_shared(&identity));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime can be started");
    let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0")).expect("there is a port");
    let address = listener.local_addr().expect("it is bound");
    runtime.spawn(async move {
        loop {
            let Ok((stream, _)) = listener.accept().await else { continue };
            tokio::spawn(forward(stream, acceptor.clone(), to, dials.clone()));
        }
    });
    answer(|_| json!({ "address": address }));
    runtime.shutdown_background();
}

async fn forward(
    stream: TcpStream,
    acceptor: TlsAcceptor,
    to: SocketAddr,
    dials: Arc<ClientConfig>,
) -> io::Result<(u64, u64)> {
    stream.set_nodelay(true)?;
    let mut near = acceptor.accept(stream).await?;
    let mut far = connect_tls(to, dials).await?;
    copy_bidirectional_with_sizes(&mut near, &mut far, CHUNK, CHUNK).await
}
