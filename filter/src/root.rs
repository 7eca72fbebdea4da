//! The root context: configuration, ticks and answers go to the worker's one `Reporter`, its actions to the host.

use std::cell::RefCell;

use lifeboat_core::report::{Action, FilterSettings, LogLevel, LogLine, Reporter};
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

use crate::host;
use crate::request::PassingRequest;

thread_local! {
    /// One for all root contexts of this worker: Kong never frees an old one (KONG.md section 4, point 6).
    static REPORTER: RefCell<Reporter> = RefCell::new(Reporter::new(host::random_number()));
}

/// One configuration of the filter in one worker.
pub(crate) struct FilterRoot {
    context_id: u32,
    ticking: bool,
}

impl FilterRoot {
    pub(crate) fn new(context_id: u32) -> Self {
        Self { context_id, ticking: false }
    }

    /// Kong traps a root that sets its tick period twice, so this does it once; `Reporter` goes by the time.
    fn start_ticking(&mut self, settings: &FilterSettings) {
        if !self.ticking {
            host::set_tick_period(settings.tick_period());
            self.ticking = true;
        }
    }
}

impl Context for FilterRoot {
    /// No call is dispatched here: that Kong would allow it has not been seen. A tick follows soon.
    fn on_http_call_response(&mut self, token: u32, _headers: usize, body_size: usize, _trailers: usize) {
        let answer = host::answer(body_size);
        log(with_reporter(|reporter| reporter.on_answer(token, &answer)));
    }
}

impl RootContext for FilterRoot {
    /// Always true: false would leave the node half-way between two configurations (KONG.md section 4, point 4).
    /// No call is dispatched here: that would trap (point 2).
    fn on_configure(&mut self, size: usize) -> bool {
        let settings = match host::settings(size) {
            Ok(settings) => {
                self.start_ticking(&settings);
                Some(settings)
            }
            Err(problems) => {
                let reasons: Vec<String> = problems.iter().map(ToString::to_string).collect();
                let reasons = reasons.join("; ");
                let text = format!("nothing is reported until this is put right (traffic is not affected): {reasons}");
                host::log(&LogLine { level: LogLevel::Warn, text });
                None
            }
        };
        with_reporter(|reporter| reporter.configure(self.context_id, settings));
        true
    }

    fn on_tick(&mut self) {
        let now = host::now();
        carry_out(with_reporter(|reporter| reporter.on_tick(self.context_id, now)));
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }

    fn create_http_context(&self, _context_id: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(PassingRequest))
    }
}

/// What the reporter answers. The default, should it be at work already: a host that calls back in the middle of a
/// call must not make it panic.
fn with_reporter<T: Default>(ask: impl FnOnce(&mut Reporter) -> T) -> T {
    let asked = REPORTER.try_with(|reporter| match reporter.try_borrow_mut() {
        Ok(mut reporter) => ask(&mut reporter),
        Err(_) => T::default(),
    });
    asked.unwrap_or_default()
}

fn carry_out(actions: Vec<Action>) {
    for action in actions {
        match action {
            Action::Log(line) => host::log(&line),
            Action::Dispatch(call) => {
                let token = host::dispatch(&call);
                log(with_reporter(|reporter| reporter.on_dispatched(call.kind, token)));
            }
        }
    }
}

fn log(line: Option<LogLine>) {
    if let Some(line) = line {
        host::log(&line);
    }
}
