//! Where a drill is played: a relay on a port of this host that the system chose, which decides as a live one would and
//! whose control plane is certainly gone.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use lifeboat_core::session::node::Rules;
use lifeboat_core::session::reconnect::NODE_RETRY;
use lifeboat_core::session::restore::OnRefusal;
use lifeboat_link::tls::{Accepts, ServerSide, ServerTls};
use lifeboat_link::{Address, ControlPlane, PutOff};
use lifeboat_runtime::clock::Clock;
use tokio::net::TcpSocket;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::outcome::{DrillFailure, Step};
use crate::archive::Stores;
use crate::export::NodeObservations;
use crate::observation::RelayRecorder;
use crate::relay::{Relay, RelayView};
use crate::settings::{ClusterSettings, DrillSettings, RelayLimits, RelaySettings};

const LOOPBACK: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
/// A scratch node and a Kong, each of which may try again.
const CONNECTIONS: usize = 16;
const LOOK_EVERY: Duration = Duration::from_millis(200);
/// What a node could not take at once it may take a moment later.
const PASSES_WITHIN: Duration = Duration::from_secs(3);

/// The private relay. Dropping it ends it.
#[derive(Debug)]
pub(super) struct PrivateRelay {
    address: SocketAddr,
    view: RelayView,
    stop: CancellationToken,
    running: JoinHandle<()>,
    _gone: DeadEnd,
}

/// An address of this host at which nobody can listen, and nobody does: the port is taken, and connections are refused.
#[derive(Debug)]
struct DeadEnd {
    address: SocketAddr,
    _socket: TcpSocket,
}

impl DeadEnd {
    fn take() -> std::io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(LOOPBACK)?;
        Ok(Self { address: socket.local_addr()?, _socket: socket })
    }
}

impl PrivateRelay {
    /// Starts the relay.
    pub(super) async fn start(settings: &DrillSettings, sources: Stores, clock: Clock) -> Result<Self, DrillFailure> {
        let failed = |why: String| {
            let cure = "look at the limits of this process (open files), and whether 127.0.0.1 may be listened on";
            DrillFailure::new(Step::Relay, format!("the drill's relay can't be started: {why}"), cure)
        };

        let gone = DeadEnd::take().map_err(|error| failed(error.to_string()))?;
        let cluster = Arc::new(without_control_plane(&settings.cluster, gone.address));
        let config_timeout = settings.config_timeout;
        let relay = RelaySettings {
            listen: LOOPBACK,
            tls: tls(settings).map_err(|error| failed(error.to_string()))?,
            rules: Rules { config_timeout, on_refusal: OnRefusal::LeaveAlone, retry: NODE_RETRY },
            limits: RelayLimits { files: Some(2 * CONNECTIONS), ..RelayLimits::default() },
            follow: None,
            rulebook: None,
        };

        let (stop, witnesses, recorder) =
            (CancellationToken::new(), NodeObservations::default(), RelayRecorder::default());
        let relay = Relay::bind(relay, cluster, sources, witnesses, clock, stop.clone(), recorder).await;
        let relay = relay.map_err(|error| failed(error.to_string()))?;
        Ok(Self { address: relay.address(), view: relay.view(), stop, running: tokio::spawn(relay.run()), _gone: gone })
    }

    /// Where the relay listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Why a node stays empty although there is a snapshot, in a sentence of the relay's.
    pub(super) fn trouble(&self) -> Option<String> {
        self.view.nodes().into_iter().find_map(|node| node.trouble)
    }

    /// Waits until there is such a trouble that does not pass.
    pub(super) async fn stuck(&self) -> String {
        let mut since = None;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(trouble) = self.trouble() else {
                since = None;
                continue;
            };
            if since.get_or_insert_with(Instant::now).elapsed() > PASSES_WITHIN {
                return trouble;
            }
        }
    }
}

impl Drop for PrivateRelay {
    fn drop(&mut self) {
        self.stop.cancel();
        self.running.abort();
    }
}

// It is never asked, not even through a proxy.
fn without_control_plane(cluster: &ClusterSettings, gone: SocketAddr) -> ClusterSettings {
    let address = Address { host: gone.ip().to_string(), port: gone.port() };
    let reached = cluster.control_plane.clone();
    let control_plane = ControlPlane { address, proxy: None, put_off: PutOff::default(), ..reached };
    ClusterSettings { control_plane, ..cluster.clone() }
}

// The certificates as they are now, which may have been replaced since the start. In `pki` mode, too, exactly the one that
// the scratch nodes show is accepted: it is the companion's own, and needn't be one that the relay lets in.
fn tls(settings: &DrillSettings) -> Result<ServerTls, lifeboat_link::tls::TlsError> {
    let shown = settings.cluster.control_plane.tls.side().identity.leaf().der().clone();
    ServerTls::new(ServerSide { identity: settings.relay_identity(), accepts: Accepts::Certificates(vec![shown]) })
}

#[cfg(test)]
mod tests {
    use std::io::ErrorKind;

    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    #[tokio::test]
    async fn nobody_answers_at_a_dead_end_and_nobody_else_can_have_it() {
        let gone = DeadEnd::take().unwrap();
        assert!(gone.address.ip().is_loopback() && gone.address.port() != 0);
        let refused = TcpStream::connect(gone.address).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
        assert_eq!(TcpListener::bind(gone.address).await.unwrap_err().kind(), ErrorKind::AddrInUse);
    }
}
