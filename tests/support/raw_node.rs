//! A node whose every frame the test writes and reads itself: for strangers, for nodes that stop reading, and to look at
//! single frames. What behaves like Kong's node is `lifeboat_fakes::node`.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lifeboat_core::frame::Frame;
use lifeboat_fakes::node::EMPTY_HASH;
use lifeboat_fakes::{certificate::CLUSTER_NAME, recorded};
use lifeboat_link::websocket::connect::open;
use lifeboat_link::websocket::{Incoming, Link, LinkError};
use rustls::ClientConfig;
use rustls_pki_types::ServerName;
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// A link on which nothing is said for 45 s is given up (KONG.md section 1).
const PING_EVERY: Duration = Duration::from_secs(10);

/// A raw link to a relay.
pub struct RawNode(Link<TlsStream<TcpStream>>);

/// Connects and completes the TLS handshake. In TLS 1.3 that may succeed though the server will refuse the certificate.
///
/// # Errors
/// When either fails.
pub async fn connect_tls(to: SocketAddr, tls: Arc<ClientConfig>) -> io::Result<TlsStream<TcpStream>> {
    let stream = TcpStream::connect(to).await?;
    stream.set_nodelay(true)?;
    let name = ServerName::try_from(CLUSTER_NAME).expect("Kong's own name is valid");
    TlsConnector::from(tls).connect(name, stream).await
}

impl RawNode {
    /// Opens `/v1/outlet` as a 3.9.1 of this id, and says nothing yet.
    ///
    /// # Errors
    /// When the relay doesn't let it in.
    pub async fn open(to: SocketAddr, tls: Arc<ClientConfig>, id: &str) -> io::Result<Self> {
        let stream = connect_tls(to, tls).await?;
        let target = format!("/v1/outlet?node_id={id}&node_hostname=raw&node_version=3.9.1");
        let link = open(stream, CLUSTER_NAME, &target, None, 1 << 30).await;
        link.map(Self).map_err(io::Error::other)
    }

    /// Sends the recorded basic_info and the ping of an empty node.
    ///
    /// # Errors
    /// When the link is gone.
    pub async fn introduce(&mut self) -> Result<(), LinkError> {
        self.send(Frame::binary(recorded::basic_info())).await?;
        self.ping().await
    }

    /// Sends the ping of an empty node.
    ///
    /// # Errors
    /// When the link is gone.
    pub async fn ping(&mut self) -> Result<(), LinkError> {
        self.send(Frame::ping(Bytes::from_static(EMPTY_HASH.as_bytes()))).await
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the link is gone.
    pub async fn send(&mut self, frame: Frame) -> Result<(), LinkError> {
        self.0.send(&frame).await
    }

    /// Reads until a message of this length begins, and compares it with this one as it comes; after each piece there is a
    /// pause. Nothing of it is kept. Pings meanwhile, as a node does.
    ///
    /// # Errors
    /// When the link is gone.
    ///
    /// # Panics
    /// When another message comes.
    pub async fn takes(&mut self, message: &[u8], pause: Duration) -> Result<(), LinkError> {
        while self.0.begun() != Some(message.len() as u64) {
            if let Ok(heard) = timeout(PING_EVERY, self.0.recv()).await {
                heard?;
            } else {
                self.ping().await?;
            }
        }
        let (mut taken, mut pinged) = (0, Instant::now());
        loop {
            if pinged.elapsed() > PING_EVERY {
                pinged = Instant::now();
                self.ping().await?;
            }
            let piece = self.0.piece();
            assert!(message[taken..].starts_with(piece), "after {taken} bytes another message follows");
            taken += piece.len();
            if self.0.drop_piece().is_some() {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            self.0.wait_for_piece().await?;
        }
    }

    /// The next frame; none when the link has ended.
    pub async fn next(&mut self) -> Option<Frame> {
        loop {
            match self.0.recv().await {
                Ok(Incoming::Frame(frame)) => return Some(frame),
                Ok(Incoming::Part) => {}
                Err(_) => return None,
            }
        }
    }
}
