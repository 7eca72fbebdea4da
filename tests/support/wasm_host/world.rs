//! What the host knows: its clock, the roots with their timers, the calls that are under way, the log. Not here: the
//! functions that the filter calls (`calls`, `wasi`).

use std::collections::BTreeMap;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

use super::Behaviour;

/// Where in its life the filter is. Some host calls trap in some phases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Start,
    ContextCreate,
    VmStart,
    Configure,
    Tick,
    RequestHeaders,
    ResponseHeaders,
    DispatchResponse,
    Log,
    Done,
}

/// A call that the filter dispatched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DispatchedCall {
    /// What the host calls it.
    pub token: u32,
    /// Where it goes.
    pub upstream: String,
    /// All headers, pseudo-headers too.
    pub headers: Vec<(String, String)>,
    /// What it carries.
    pub body: Vec<u8>,
    /// How long it may take.
    pub timeout: Duration,
    pub(super) root: u32,
    pub(super) since: Duration,
}

impl DispatchedCall {
    /// A header's value, empty if there is none.
    pub fn header(&self, name: &str) -> &str {
        let header = self.headers.iter().find(|(key, _)| key == name);
        header.map_or("", |(_, value)| value)
    }

    /// Method and path, as in `GET /status`.
    pub fn request_line(&self) -> String {
        format!("{} {}", self.header(":method"), self.header(":path"))
    }

    pub(super) fn is_to_an_address(&self) -> bool {
        self.upstream.parse::<std::net::SocketAddr>().is_ok()
    }
}

/// How a call ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// `:status` and other headers; of a failed call only `:dispatch_status`.
    pub headers: Vec<(String, Vec<u8>)>,
    /// What came with it.
    pub body: Vec<u8>,
}

impl Reply {
    /// An HTTP answer.
    pub fn http(status: u16, body: &[u8]) -> Self {
        let headers = vec![(":status".to_owned(), status.to_string().into_bytes())];
        Self { headers, body: body.to_vec() }
    }

    /// A call that failed: no `:status`, zero sizes, and Kong's reason.
    pub fn failed(reason: &str) -> Self {
        let headers = vec![(":dispatch_status".to_owned(), reason.as_bytes().to_vec())];
        Self { headers, body: Vec::new() }
    }

    /// How Envoy answers by itself where a cluster can't be reached (seen on 1.40).
    pub fn made_up_by_envoy(status: u16, reason: &str) -> Self {
        let body = match status {
            504 => reason.to_owned(),
            _ => format!("upstream connect error or disconnect/reset before headers. reset reason: {reason}"),
        };
        Self::http(status, body.as_bytes())
    }

    /// The same with another header.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.as_bytes().to_vec()));
        self
    }

    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers.iter().find(|(key, _)| key == name);
        header.map(|(_, value)| value.as_slice())
    }

    /// Whether the call failed: nothing was answered.
    pub(super) fn is_failure(&self) -> bool {
        self.header(":status").is_none()
    }

    pub(super) fn header_count(&self) -> usize {
        let counted = self.headers.iter().filter(|(name, _)| name != ":dispatch_status");
        counted.count()
    }
}

/// A line of the gateway's error log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogLine {
    /// Proxy-Wasm's number: 2 is info, 3 warn, 4 error, 5 critical.
    pub level: u32,
    /// What it says.
    pub text: String,
}

/// What time brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    Tick(u32),
    CallFailed(u32, &'static str),
}

/// A metric that the filter has defined.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MetricValue {
    /// It only grows.
    Counter(i64),
    /// It is what was recorded last.
    Gauge(u64),
}

#[derive(Debug)]
struct Root {
    configuration: Vec<u8>,
    /// Those of instances that have trapped go on.
    timers: Vec<Timer>,
    /// Whether this instance has set one.
    has_timer: bool,
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    period: Duration,
    due: Duration,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) behaviour: Behaviour,
    pub(super) phase: Phase,
    pub(super) context: u32,
    /// Since 1970-01-01T00:00:00Z.
    pub(super) now: Duration,
    pub(super) under_way: Vec<DispatchedCall>,
    pub(super) dispatched: usize,
    pub(super) reply: Option<Reply>,
    pub(super) log: Vec<LogLine>,
    pub(super) broken_reconfigurations: usize,
    pub(super) worker_crashed: bool,
    pub(super) metrics: Vec<(String, MetricValue)>,
    pub(super) response_headers: Vec<(String, String)>,
    pub(super) property_reads: usize,
    pub(super) random: StdRng,
    roots: BTreeMap<u32, Root>,
    contexts: u32,
}

impl World {
    pub(super) fn new(behaviour: Behaviour, worker: u64) -> Self {
        Self {
            behaviour,
            phase: Phase::Start,
            context: 0,
            now: Duration::from_secs(1_795_169_515),
            under_way: Vec::new(),
            dispatched: 0,
            reply: None,
            log: Vec::new(),
            broken_reconfigurations: 0,
            worker_crashed: false,
            metrics: Vec::new(),
            response_headers: Vec::new(),
            property_reads: 0,
            random: StdRng::seed_from_u64(worker),
            roots: BTreeMap::new(),
            contexts: 0,
        }
    }

    pub(super) fn enter(&mut self, phase: Phase, context: u32) {
        self.phase = phase;
        self.context = context;
    }

    pub(super) fn next_context(&mut self) -> u32 {
        self.contexts += 1;
        self.contexts
    }

    pub(super) fn add_root(&mut self, configuration: &[u8]) -> u32 {
        let root = self.next_context();
        self.roots.insert(root, Root { configuration: configuration.to_vec(), timers: Vec::new(), has_timer: false });
        root
    }

    pub(super) fn newest_root(&self) -> Option<u32> {
        self.roots.keys().next_back().copied()
    }

    pub(super) fn in_root(&self) -> bool {
        self.roots.contains_key(&self.context)
    }

    pub(super) fn configuration(&self) -> &[u8] {
        self.roots.get(&self.context).map_or(&[], |root| &root.configuration)
    }

    /// All roots with the sizes of their configurations, oldest first.
    pub(super) fn roots(&self) -> Vec<(u32, usize)> {
        self.roots.iter().map(|(root, state)| (*root, state.configuration.len())).collect()
    }

    /// Envoy deletes a root that was replaced.
    pub(super) fn remove_root(&mut self, root: u32) {
        self.roots.remove(&root);
    }

    /// The instance is another one now: a root may set a timer again, while the old one goes on.
    pub(super) fn forget_instance(&mut self) {
        self.roots.values_mut().for_each(|root| root.has_timer = false);
    }

    /// Starts the timer of the root that is running; in Kong an error if it has one already, and in a request.
    pub(super) fn start_timer(&mut self, period: Duration) -> Result<(), &'static str> {
        let timer = Timer { period, due: self.now + period };
        let is_kong = self.behaviour.is_kong();
        match self.roots.get_mut(&self.context) {
            Some(root) if is_kong && root.has_timer => return Err("tick_period already set"),
            Some(root) if is_kong => root.timers.push(timer),
            Some(root) => root.timers = vec![timer],
            None if is_kong => return Err("can only set tick_period in root context"),
            None => return Ok(()),
        }
        self.roots.entry(self.context).and_modify(|root| root.has_timer = true);
        Ok(())
    }

    /// What happens next, if anything does until then. The clock goes there, and a timer is set anew.
    pub(super) fn next_event(&mut self, until: Duration) -> Option<Event> {
        let unresolvable = |call: &&DispatchedCall| self.behaviour.is_kong() && !call.is_to_an_address();
        if let Some(call) = self.under_way.iter().find(unresolvable) {
            return Some(Event::CallFailed(call.token, "resolver failure"));
        }
        let timers = self.roots.iter().flat_map(|(root, state)| {
            let dues = state.timers.iter().enumerate();
            dues.map(move |(number, timer)| (timer.due, Event::Tick(*root), number))
        });
        let timeouts = self.under_way.iter().map(|call| {
            let event = Event::CallFailed(call.token, "timeout");
            (call.since + call.timeout, event, 0)
        });
        let all = timers.chain(timeouts).filter(|(due, ..)| *due <= until);
        let (due, event, number) = all.min_by_key(|(due, ..)| *due)?;
        self.now = self.now.max(due);
        if let Event::Tick(root) = event
            && let Some(timer) = self.roots.get_mut(&root).and_then(|root| root.timers.get_mut(number))
        {
            timer.due += timer.period;
        }
        Some(event)
    }

    pub(super) fn take_call(&mut self, token: u32) -> Option<DispatchedCall> {
        let position = self.under_way.iter().position(|call| call.token == token)?;
        Some(self.under_way.remove(position))
    }
}
