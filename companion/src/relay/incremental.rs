//! Nodes that take their configuration over `/v2/outlet` alone (`cluster_incremental_sync=on`), and whose version
//! speaks a protocol that this relay does not speak. No snapshot can be given to them, and an operator should know that
//! before an outage. A node is known by what it says of itself, or else by its address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use lifeboat_core::kong::rpc::Hello;
use lifeboat_core::time::Moment;
use lifeboat_runtime::clock::Clock;
use lifeboat_runtime::lock::Locked;
use serde::Serialize;
use tracing::warn;

/// For how many nodes the relay remembers what they asked for. Beyond that it forgets all and begins anew.
const REMEMBERED: usize = 10_000;
/// Which nodes ask for what. Clones share it.
#[derive(Clone, Debug)]
pub(super) struct Incremental {
    state: Arc<Mutex<State>>,
    after: Duration,
    clock: Clock,
}

#[derive(Debug, Default)]
struct State {
    asking: HashMap<Who, Asking>,
    /// How many links by `/v1/outlet` there are now.
    outlets: HashMap<Who, usize>,
}

/// A node that is known by its id, or one of an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Who {
    Node(String),
    At(IpAddr),
}

#[derive(Debug)]
struct Asking {
    since: Moment,
    last: Moment,
    /// What it says of itself, and from where.
    hello: Option<(Hello, IpAddr)>,
    reported: bool,
}

/// A node that can't be restored by the relay.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct OnlyIncremental {
    /// Its id, if it has been linked through and said it.
    pub id: Option<String>,
    /// Its host's name, likewise.
    pub hostname: Option<String>,
    /// Its version, likewise.
    pub version: Option<String>,
    /// Its address.
    pub address: IpAddr,
}

impl Incremental {
    pub(super) fn new(after: Duration, clock: Clock) -> Self {
        Self { state: Arc::default(), after, clock }
    }

    /// Somebody at this address asks for `/v2/outlet` and can't be linked through.
    pub(super) fn refused(&self, address: IpAddr) {
        self.asks(Who::At(address), address, None);
    }

    /// A node has sent this hello, and means another protocol than the one that the relay speaks. Returns after the
    /// time in which the node would have asked for `/v1/outlet`.
    pub(super) async fn linked(&self, address: IpAddr, hello: &Hello) {
        if !hello.syncs {
            return;
        }
        self.asks(Who::At(address), address, Some(hello));
        let who = Who::Node(hello.id.to_string());
        self.asks(who.clone(), address, Some(hello));
        tokio::time::sleep(self.after).await;
        self.asks(who, address, Some(hello));
    }

    /// The same, but never returns.
    pub(super) async fn linked_for_ever(&self, address: IpAddr, hello: &Hello) {
        self.linked(address, hello).await;
        std::future::pending::<()>().await;
    }

    /// A node is linked by `/v1/outlet`, for as long as the returned value lives.
    pub(super) fn outlet(&self, id: &str, address: IpAddr) -> Outlet {
        let who = [Who::Node(id.to_owned()), Who::At(address)];
        let mut state = self.lock();
        for who in &who {
            state.asking.remove(who);
            *state.outlets.entry(who.clone()).or_default() += 1;
        }
        drop(state);
        Outlet { incremental: self.clone(), who }
    }

    /// The nodes that are known to take their configuration this way only, and have asked within the last ten minutes.
    pub(super) fn known(&self) -> Vec<OnlyIncremental> {
        let (now, state) = (self.clock.now(), self.lock());
        let recent = |asking: &&Asking| asking.reported && now - asking.last < Duration::from_secs(600);
        let reported = state.asking.iter().filter(|(_, asking)| recent(asking));
        let mut known: Vec<_> = reported.map(|(who, asking)| only_incremental(who, asking)).collect();
        known.sort_by(|a, b| (&a.id, a.address).cmp(&(&b.id, b.address)));
        known
    }

    fn asks(&self, who: Who, address: IpAddr, hello: Option<&Hello>) {
        let now = self.clock.now();
        let mut state = self.lock();
        if state.outlets.contains_key(&who) {
            return;
        }

        if state.asking.len() >= REMEMBERED {
            state.asking.clear();
        }
        let fresh = || Asking { since: now, last: now, hello: None, reported: false };
        let asking = state.asking.entry(who.clone()).or_insert_with(fresh);
        asking.last = now;
        if let Some(hello) = hello {
            asking.hello = Some((hello.clone(), address));
        }

        if now - asking.since >= self.after && !std::mem::replace(&mut asking.reported, true) {
            report(&only_incremental(&who, asking), address);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.locked()
    }
}

/// A link by `/v1/outlet`.
#[derive(Debug)]
pub(super) struct Outlet {
    incremental: Incremental,
    who: [Who; 2],
}

impl Drop for Outlet {
    fn drop(&mut self) {
        let mut state = self.incremental.lock();
        for who in &self.who {
            if let Some(count) = state.outlets.get_mut(who) {
                *count -= 1;
                if *count == 0 {
                    state.outlets.remove(who);
                }
            }
        }
    }
}

fn only_incremental(who: &Who, asking: &Asking) -> OnlyIncremental {
    let hello = asking.hello.as_ref();
    let address = match who {
        Who::At(address) => Some(*address),
        Who::Node(_) => hello.map(|(_, address)| *address),
    };
    OnlyIncremental {
        id: hello.map(|(hello, _)| hello.id.to_string()),
        hostname: hello.map(|(hello, _)| hello.hostname.clone()),
        version: hello.map(|(hello, _)| hello.announced.clone()),
        address: address.unwrap_or(IpAddr::from([0, 0, 0, 0])),
    }
}

fn report(node: &OnlyIncremental, address: IpAddr) {
    let OnlyIncremental { id, hostname, version, .. } = node;
    let or_not_said = |text: &Option<String>| text.clone().unwrap_or_else(|| "not said".to_owned());
    warn!(
        node = or_not_said(id),
        hostname = or_not_said(hostname),
        version = or_not_said(version),
        %address,
        "a node asks for /v2/outlet only, and its version is none whose incremental sync this relay speaks (open-source Kong \
         3.9), so in an outage it can't be restored. Set cluster_incremental_sync=off on the node"
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(10, 0, 0, 7));
    const ID: &str = "0707cde5-c018-4bb3-88d5-f4c8e60823ad";

    fn hello() -> Hello {
        let hello = format!(
            r#"{{"jsonrpc":"2.0","method":"kong.meta.v1.hello","id":1,"params":[{{"rpc_capabilities":["kong.sync.v2"],
            "rpc_frame_encodings":["x-snappy-framed"],"kong_version":"3.10.0.1-enterprise-edition","kong_hostname":"dp-1",
            "kong_node_id":"{ID}"}}]}}"#
        );
        Hello::decode(hello.as_bytes()).unwrap()
    }

    fn incremental(after: Duration) -> Incremental {
        Incremental::new(after, Clock::start())
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_asks_for_nothing_else_in_time_is_known() {
        let incremental = incremental(Duration::from_secs(15));
        incremental.refused(AT);
        assert_eq!(incremental.known(), []);
        tokio::time::advance(Duration::from_secs(16)).await;
        incremental.refused(AT);
        assert_eq!(incremental.known()[0].address, AT);
        // It was corrected: it comes the other way.
        let _outlet = incremental.outlet(ID, AT);
        assert_eq!(incremental.known(), []);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_asks_for_both_is_not_reported() {
        let incremental = incremental(Duration::from_secs(15));
        let outlet = incremental.outlet(ID, AT);
        incremental.linked(AT, &hello()).await;
        incremental.refused(AT);
        assert_eq!(incremental.known(), []);
        drop(outlet);
        incremental.linked(AT, &hello()).await;
        assert_eq!(incremental.known()[0].id.as_deref(), Some(ID));
    }
}
