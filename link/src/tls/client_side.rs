//! Our side of the link to the control plane, as it is now and, during a rotation, as it was before: a control plane with
//! the old certificate is reached as well as one with the new.

use std::fmt;
use std::sync::{Arc, RwLock};

use rustls::ClientConfig;
use rustls_pki_types::CertificateDer;

use super::pinned::client_config_shared_with;
use super::{Authorities, Identity, client_config_pki, client_config_shared};

/// Who we are to the control plane, and whom we believe to be it.
#[derive(Clone, Debug)]
pub struct ClientSide {
    /// What we show.
    pub identity: Identity,
    /// Whom we believe.
    pub believes: Believes,
}

/// Which control planes are believed.
#[derive(Clone, Debug)]
pub enum Believes {
    /// Who has our own certificate: `cluster_mtls=shared`.
    ItsOwnCertificate,
    /// Who has one of these authorities: `pki` and `pki_check_cn`.
    Authorities(Authorities),
}

/// TLS towards the control plane. Clones are one: what is renewed in one of them is renewed in all.
#[derive(Clone)]
pub struct ClientTls(Arc<RwLock<State>>);

struct State {
    now: ClientSide,
    before: Option<ClientSide>,
    shows: Shows,
    /// What follows from these.
    config: Arc<ClientConfig>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Shows {
    Now,
    Before,
}

impl ClientTls {
    /// This side, with nothing before it.
    pub fn new(side: ClientSide) -> Self {
        let config = config(&side);
        Self(Arc::new(RwLock::new(State { now: side, before: None, shows: Shows::Now, config })))
    }

    /// The side as it is now.
    pub fn side(&self) -> ClientSide {
        self.read().now.clone()
    }

    /// The configuration for a connection that begins now; one for all of them.
    pub fn config(&self) -> Arc<ClientConfig> {
        self.read().config.clone()
    }

    /// From now on it is this side; the one until now is still used with who knows that one only.
    pub fn renew(&self, side: ClientSide) {
        let mut state = self.0.write().expect("nothing panics while it holds this lock");
        state.before = Some(std::mem::replace(&mut state.now, side));
        state.show(Shows::Now);
    }

    /// The rotation is over.
    pub fn forget_before(&self) {
        let mut state = self.0.write().expect("nothing panics while it holds this lock");
        state.before = None;
        state.show(Shows::Now);
    }

    /// The control plane presented this certificate. In `shared` mode all members have the same, so it would not accept
    /// another one from us. Returns whether it is to be tried again, with the one that it has.
    pub fn saw(&self, presented: &CertificateDer<'_>) -> bool {
        let mut state = self.0.write().expect("nothing panics while it holds this lock");
        let Some(before) = &state.before else { return false };
        if !matches!(state.now.believes, Believes::ItsOwnCertificate) {
            return false;
        }
        let has_earlier = before.identity.leaf().der() == presented;
        let fits = if has_earlier { Shows::Before } else { Shows::Now };
        let is_another = state.shows != fits;
        if is_another {
            state.show(fits);
        }
        is_another
    }

    /// The control plane did not accept what it was shown, though it has not said so. Returns whether it is to be tried
    /// again, with another certificate. With authorities nothing tells which one it would accept.
    pub fn was_refused(&self) -> bool {
        let mut state = self.0.write().expect("nothing panics while it holds this lock");
        let has_other = state.before.is_some() && matches!(state.now.believes, Believes::Authorities(_));
        if has_other {
            let other = if state.shows == Shows::Now { Shows::Before } else { Shows::Now };
            state.show(other);
        }
        has_other
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.0.read().expect("nothing panics while it holds this lock")
    }
}

impl State {
    fn show(&mut self, shows: Shows) {
        self.shows = shows;
        let Some(before) = &self.before else {
            self.config = config(&self.now);
            return;
        };

        let (shown, other) = match shows {
            Shows::Now => (&self.now, before),
            Shows::Before => (before, &self.now),
        };
        self.config = match (&shown.believes, &other.believes) {
            (Believes::Authorities(one), Believes::Authorities(two)) => {
                client_config_pki(&one.and(two), &shown.identity)
            }
            _ => client_config_shared_with(&shown.identity, &other.identity),
        };
    }
}

fn config(side: &ClientSide) -> Arc<ClientConfig> {
    match &side.believes {
        Believes::ItsOwnCertificate => client_config_shared(&side.identity),
        Believes::Authorities(authorities) => client_config_pki(authorities, &side.identity),
    }
}

impl fmt::Debug for ClientTls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ClientTls({:?})", self.read().now)
    }
}
