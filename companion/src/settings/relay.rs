//! The relay: where it listens, who it is to nodes, and by which rules it feeds them.

use std::fmt;
use std::net::SocketAddr;

use lifeboat_core::session::node::Rules;
use lifeboat_core::session::reconnect::NODE_RETRY;
use lifeboat_link::tls::{Accepts, Authorities, AuthoritySource, Identity, NodeNames, ServerSide, ServerTls};

use super::cluster::{checked, identity};
use super::relay_limits::RelayLimits;
use super::restore::on_refusal;
use super::store::max_config;
use super::{ClusterSettings, Follow, LiveRules, Reader, Rulebook, Trust, names};

/// How nodes are served.
#[derive(Clone)]
pub struct RelaySettings {
    /// Where the relay listens.
    pub listen: SocketAddr,
    /// The TLS server, which knows who may connect, and follows its files when they change.
    pub tls: ServerTls,
    /// How a node's session behaves.
    pub rules: Rules,
    /// How much it takes on at once.
    pub limits: RelayLimits,
    /// How what is published is followed while the control plane is gone; not at all by default (`LIFEBOAT_FOLLOW`).
    pub follow: Option<Follow>,
    /// Where these rules change, if they can while it runs.
    pub rulebook: Option<Rulebook>,
}

impl RelaySettings {
    pub(super) fn read(reader: &mut Reader<'_>, cluster: Option<&ClusterSettings>) -> Option<Self> {
        let listen = listen(reader);
        let on_refusal = on_refusal(reader);
        let config_timeout = reader.config_timeout();
        let follow = Follow::read(reader);
        let cluster = cluster?;
        let side = match &cluster.trust {
            Trust::Shared(certificate) => {
                let accepts = Accepts::Certificates(vec![certificate.clone()]);
                Some(ServerSide { identity: cluster.identity.clone(), accepts })
            }
            Trust::Pki(names) => pki(reader, names.clone(), cluster),
        };
        let tls = ServerTls::new(side?).map_err(|error| reader.wrong(format!("KONG_CLUSTER_CERT: {error}"))).ok();
        let (listen, tls) = (listen?, tls?);

        refuse_itself(reader, listen, cluster);
        Some(Self {
            listen,
            tls,
            rules: Rules { config_timeout, on_refusal, retry: NODE_RETRY },
            limits: RelayLimits { large_messages: max_config(reader), ..RelayLimits::default() },
            follow,
            rulebook: None,
        })
    }
}

impl RelaySettings {
    /// By what is decided about nodes.
    pub fn rulebook(&self) -> Rulebook {
        let own = || LiveRules { on_refusal: self.rules.on_refusal, follow: self.follow, ..LiveRules::default() };
        self.rulebook.clone().unwrap_or_else(|| Rulebook::fixed(own()))
    }
}

impl fmt::Debug for RelaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RelaySettings({}, {:?})", self.listen, self.rules)
    }
}

fn listen(reader: &mut Reader<'_>) -> Option<SocketAddr> {
    let Some(given) = reader.text(names::LIFEBOAT_RELAY_LISTEN) else { return Some(([127, 0, 0, 1], 8005).into()) };
    match given.value.trim().parse() {
        Ok(address) => Some(address),
        Err(_) => {
            let valid = "valid: 127.0.0.1:8005, 0.0.0.0:8005, [::1]:8005";
            reader.wrong(format!("{}: {:?} is not an IP address with a port ({valid})", given.name, given.value));
            None
        }
    }
}

/// What nodes see, if it isn't the cluster's certificate. The outer option: whether it could be read.
pub(super) fn shown_to_nodes(reader: &mut Reader<'_>) -> Option<Option<Identity>> {
    match reader.text(names::LIFEBOAT_RELAY_CERT) {
        Some(_) => identity(reader, names::LIFEBOAT_RELAY_CERT, names::LIFEBOAT_RELAY_CERT_KEY).map(Some),
        None => Some(None),
    }
}

fn pki(reader: &mut Reader<'_>, names: NodeNames, cluster: &ClusterSettings) -> Option<ServerSide> {
    let own = shown_to_nodes(reader)?.unwrap_or_else(|| cluster.identity.clone());
    let given = match reader.text(names::LIFEBOAT_RELAY_CLIENT_CA) {
        Some(given) => given,
        None => {
            let why = "the relay must know who issues the nodes' certificates";
            reader.required(names::KONG_CLUSTER_CA_CERT, why, "/etc/kong/ca.crt")?
        }
    };
    let pem = checked(reader, &given)?;

    match Authorities::new([AuthoritySource::Pem(&pem)]) {
        Ok(authorities) => Some(ServerSide { identity: own, accepts: Accepts::Authorities(authorities, names) }),
        Err(error) => {
            reader.wrong(format!("{}: {error}", given.name));
            None
        }
    }
}

// Only the obvious case is found here. If the relay is hidden behind names, it finds that out when it dials itself.
fn refuse_itself(reader: &mut Reader<'_>, listen: SocketAddr, cluster: &ClusterSettings) {
    let control_plane = &cluster.control_plane.address;
    let is_here = |ip: std::net::IpAddr| ip == listen.ip() || (listen.ip().is_unspecified() && ip.is_loopback());
    let same_host = match control_plane.host.parse() {
        Ok(ip) => is_here(ip),
        Err(_) => control_plane.host == "localhost" && (listen.ip().is_loopback() || listen.ip().is_unspecified()),
    };
    if same_host && control_plane.port == listen.port() {
        reader.wrong(format!(
            "the control plane {control_plane} is this relay itself (LIFEBOAT_RELAY_LISTEN {listen}): set \
             LIFEBOAT_CONTROL_PLANE to the real one"
        ));
    }
}
