//! One worker's filter: configurations, ticks, answers and requests go to the worker's one `Reporter`, its actions to the
//! host.

use lifeboat_core::report::{Action, LogLine, Reporter, ResponseHeaders};
use lifeboat_filter_abi::Filter;

use crate::host;
use crate::metrics::Metrics;

/// One for all root contexts of this worker: Kong never frees an old one (KONG.md section 4, point 6).
pub(crate) struct Worker {
    reporter: Reporter,
    headers: ResponseHeaders,
    metrics: Metrics,
    /// The root that has set its tick period last. Kong traps a root that does so twice.
    ticking: Option<u32>,
}

impl Worker {
    pub(crate) fn new() -> Self {
        Self {
            reporter: Reporter::new(host::random_number()),
            headers: ResponseHeaders::default(),
            metrics: Metrics::default(),
            ticking: None,
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Log(line) => host::log(&line),
            Action::Record(metric, value) => self.metrics.record(metric, value),
            Action::Dispatch(call) => {
                let token = host::dispatch(&call);
                log(self.reporter.on_dispatched(call.kind, token));
            }
        }
    }
}

impl Filter for Worker {
    fn on_request(&mut self, request: u32, root: u32) {
        self.headers.begin(request, root);
    }

    /// No call is dispatched here: that would trap (KONG.md section 4, point 2). A tick follows soon. The tick period is
    /// set here, whether anything comes of ticks or not: in a request it would trap (point 12).
    fn on_configure(&mut self, root: u32, size: usize) {
        let settings = host::settings(size);
        if self.ticking != Some(root) {
            host::set_tick_period(settings.tick_period());
            self.ticking = Some(root);
        }
        self.headers.configure(root, settings.response_header.clone());
        log(self.reporter.configure(root, settings));
    }

    /// Where the filter may not act not even the clock is read.
    fn on_tick(&mut self, root: u32) {
        if !self.reporter.may_act() {
            return;
        }
        for action in self.reporter.on_tick(root, host::now()) {
            self.carry_out(action);
        }
    }

    /// No call is dispatched here: that Kong would allow it has not been seen. A tick follows soon.
    fn on_call_response(&mut self, token: u32, body_size: usize) {
        log(self.reporter.on_answer(token, &host::answer(body_size)));
    }

    fn on_request_headers(&mut self, _request: u32) {
        if self.reporter.wants_version() {
            log(self.reporter.learn_version(host::kong_version().as_deref()));
        }
        if self.reporter.wants_node_id() {
            self.reporter.learn_node_id(host::kong_node_id());
        }
    }

    fn on_response_headers(&mut self, request: u32) {
        if let Some(header) = self.headers.of(request)
            && let Some(value) = self.reporter.header_value()
        {
            host::set_response_header(header, &value);
        }
    }

    /// A root that is gone ticks no more, and needs no farewell: Kong gives requests numbers that may be a root's too.
    fn on_delete(&mut self, context: u32) {
        self.headers.end(context);
    }
}

fn log(line: Option<LogLine>) {
    if let Some(line) = line {
        host::log(&line);
    }
}
