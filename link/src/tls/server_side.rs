//! The relay's side towards nodes, as it is now and, during a rotation, as it was before. Nodes with the old and with the
//! new certificate are accepted. A node also looks at the relay's certificate, which it is shown before it shows its own:
//! an address whose node did not like the one is shown the other one at its next try.

use std::collections::HashMap;
use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, RwLock};
use std::time::SystemTime;

use lifeboat_runtime::lock::Locked;
use rustls::ServerConfig;
use rustls_pki_types::CertificateDer;

use super::{
    Authorities, Identity, Leaf, NoQuestion, NodeNames, Question, TlsError, server_config_pki, server_config_shared,
};

/// Of how many addresses is remembered what they are to be shown. Beyond that all begin anew.
const REMEMBERED: usize = 10_000;

/// Who the relay is to nodes, and which nodes it accepts.
#[derive(Clone, Debug)]
pub struct ServerSide {
    /// What it shows.
    pub identity: Identity,
    /// Whom it accepts.
    pub accepts: Accepts,
}

/// Which nodes are accepted.
#[derive(Clone, Debug)]
pub enum Accepts {
    /// Those with one of these certificates: `cluster_mtls=shared`.
    Certificates(Vec<CertificateDer<'static>>),
    /// Those with a certificate of these authorities and one of these names: `pki` and `pki_check_cn`.
    Authorities(Authorities, NodeNames),
}

/// TLS towards nodes. Clones are one: what is renewed in one of them is renewed in all.
#[derive(Clone)]
pub struct ServerTls(Arc<Shared>);

struct Shared {
    state: RwLock<State>,
    shown: Mutex<HashMap<IpAddr, Shown>>,
}

struct State {
    now: ServerSide,
    /// Those before included.
    accepted: Accepts,
    shows_now: Arc<ServerConfig>,
    before: Option<Before>,
}

/// The side before, while it is still good.
struct Before {
    identity: Identity,
    config: Arc<ServerConfig>,
}

/// Which of its two certificates a node is shown during a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shown {
    Now,
    Before,
}

impl ServerTls {
    /// This side, with nothing before it.
    ///
    /// # Errors
    /// [`TlsError::NothingAccepted`], [`TlsError::BadCertificate`] when nobody could be accepted.
    pub fn new(side: ServerSide) -> Result<Self, TlsError> {
        let shows_now = config(&side.identity, &side.accepts)?;
        let accepted = side.accepts.clone();
        let state = RwLock::new(State { now: side, accepted, shows_now, before: None });
        Ok(Self(Arc::new(Shared { state, shown: Mutex::default() })))
    }

    /// The side as it is now.
    pub fn side(&self) -> ServerSide {
        self.read().now.clone()
    }

    /// The certificate that nodes are shown now.
    pub fn certificate(&self) -> Leaf {
        self.read().now.identity.leaf().clone()
    }

    /// The configuration for a connection from this address.
    pub fn config(&self, from: IpAddr) -> Arc<ServerConfig> {
        let state = self.read();
        let shown = |ip| self.shown().get(&ip).copied().unwrap_or(Shown::Now);
        match &state.before {
            Some(before) if shown(from) == Shown::Before => before.config.clone(),
            _ => state.shows_now.clone(),
        }
    }

    /// From now on it is this side; who knows only the one until now is still served.
    ///
    /// # Errors
    /// As [`new`](Self::new); then nothing changes.
    pub fn renew(&self, side: ServerSide) -> Result<(), TlsError> {
        let mut state = self.0.state.write().expect("nothing panics while it holds this lock");
        let both = side.accepts.and(&state.now.accepts);
        let shows_now = config(&side.identity, &both)?;
        let identity = state.now.identity.clone();
        let before = Before { config: config(&identity, &both)?, identity };
        *state = State { now: side, accepted: both, shows_now, before: Some(before) };
        self.shown().clear();
        Ok(())
    }

    /// The rotation is over.
    pub fn forget_before(&self) {
        let mut state = self.0.state.write().expect("nothing panics while it holds this lock");
        if let Ok(now) = config(&state.now.identity, &state.now.accepts) {
            (state.shows_now, state.before, state.accepted) = (now, None, state.now.accepts.clone());
        }
        self.shown().clear();
    }

    /// What is to be asked about a node's certificate chain, which was accepted.
    ///
    /// # Errors
    /// When nobody can be asked.
    pub fn question(&self, chain: &[CertificateDer<'_>], now: SystemTime) -> Result<Question, NoQuestion> {
        match &self.read().accepted {
            Accepts::Authorities(authorities, _) => Question::about(chain, authorities, now),
            Accepts::Certificates(_) => Err(NoQuestion::NoResponder),
        }
    }

    /// A node at this address showed this certificate. In `shared` mode all have the same, so it is to be shown this one.
    pub fn saw(&self, at: IpAddr, presented: &CertificateDer<'_>) {
        let state = self.read();
        if let (Some(before), Accepts::Certificates(_)) = (&state.before, &state.now.accepts) {
            let shown = if before.identity.leaf().der() == presented { Shown::Before } else { Shown::Now };
            self.remember(at, shown);
        }
    }

    /// A node at this address did not accept what it was shown. `saw` knows better, where it is of use.
    pub fn was_refused(&self, by: IpAddr) {
        if self.read().before.is_some() {
            let next = if self.shown().get(&by) == Some(&Shown::Before) { Shown::Now } else { Shown::Before };
            self.remember(by, next);
        }
    }

    /// A node at this address finished TLS, and left. Kong's look at a certificate only then; with an authority it may be
    /// that it does not know that of the newer one.
    pub fn was_left(&self, by: IpAddr) {
        if let Accepts::Authorities(..) = self.read().now.accepts {
            self.was_refused(by);
        }
    }

    fn remember(&self, at: IpAddr, what: Shown) {
        let mut shown = self.shown();
        if shown.len() >= REMEMBERED {
            shown.clear();
        }
        shown.insert(at, what);
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.state.read().expect("nothing panics while it holds this lock")
    }

    fn shown(&self) -> std::sync::MutexGuard<'_, HashMap<IpAddr, Shown>> {
        self.0.shown.locked()
    }
}

impl Accepts {
    fn and(&self, earlier: &Self) -> Self {
        match (self, earlier) {
            (Self::Certificates(now), Self::Certificates(earlier)) => {
                Self::Certificates(now.iter().chain(earlier).cloned().collect())
            }
            (Self::Authorities(now, names), Self::Authorities(earlier, _)) => {
                Self::Authorities(now.and(earlier), names.clone())
            }
            // `cluster_mtls` does not change while the program runs.
            _ => self.clone(),
        }
    }
}

fn config(identity: &Identity, accepts: &Accepts) -> Result<Arc<ServerConfig>, TlsError> {
    match accepts {
        Accepts::Certificates(accepted) => server_config_shared(accepted, identity),
        Accepts::Authorities(authorities, names) => Ok(server_config_pki(authorities, names.clone(), identity)),
    }
}

impl fmt::Debug for ServerTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServerTls({:?})", self.read().now)
    }
}
