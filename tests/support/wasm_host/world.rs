//! What the host knows: its clock, the roots with their timers, the calls that are under way, the log. Not here: the
//! functions that the filter calls (`calls`, `wasi`).

use std::collections::BTreeMap;
use std::time::Duration;

use rand::SeedableRng;
use rand::rngs::StdRng;

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

    fn resolvable(&self) -> bool {
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

    pub(super) fn header(&self, name: &str) -> Option<&[u8]> {
        let header = self.headers.iter().find(|(key, _)| key == name);
        header.map(|(_, value)| value.as_slice())
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

#[derive(Debug)]
struct Root {
    configuration: Vec<u8>,
    timer: Option<Timer>,
}

#[derive(Debug, Clone, Copy)]
struct Timer {
    period: Duration,
    due: Duration,
}

#[derive(Debug)]
pub(super) struct World {
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
    pub(super) random: StdRng,
    roots: BTreeMap<u32, Root>,
    contexts: u32,
}

impl World {
    pub(super) fn new() -> Self {
        Self {
            phase: Phase::Start,
            context: 0,
            now: Duration::from_secs(1_795_169_515),
            under_way: Vec::new(),
            dispatched: 0,
            reply: None,
            log: Vec::new(),
            broken_reconfigurations: 0,
            worker_crashed: false,
            random: StdRng::seed_from_u64(1),
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
        self.roots.insert(root, Root { configuration: configuration.to_vec(), timer: None });
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

    /// Starts the timer of the root that is running; an error if it has one already.
    pub(super) fn start_timer(&mut self, period: Duration) -> Result<(), ()> {
        let due = self.now + period;
        match self.roots.get_mut(&self.context) {
            Some(root) if root.timer.is_some() => Err(()),
            Some(root) => {
                root.timer = Some(Timer { period, due });
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// What happens next, if anything does until then. The clock goes there, and a timer is set anew.
    pub(super) fn next_event(&mut self, until: Duration) -> Option<Event> {
        if let Some(call) = self.under_way.iter().find(|call| !call.resolvable()) {
            return Some(Event::CallFailed(call.token, "resolver failure"));
        }
        let timers = self.roots.iter().filter_map(|(root, state)| Some((state.timer?.due, Event::Tick(*root))));
        let timeouts = self.under_way.iter().map(|call| {
            let event = Event::CallFailed(call.token, "timeout");
            (call.since + call.timeout, event)
        });
        let (due, event) = timers.chain(timeouts).filter(|(due, _)| *due <= until).min_by_key(|(due, _)| *due)?;
        self.now = self.now.max(due);
        if let Event::Tick(root) = event
            && let Some(timer) = self.roots.get_mut(&root).and_then(|root| root.timer.as_mut())
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
