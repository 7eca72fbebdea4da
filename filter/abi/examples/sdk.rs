//! A filter built on the crate `proxy-wasm`, as other filters are: `tests/suite/filter/sdk.rs` runs it, to show that the host
//! there runs what others build. Its configuration is an upstream, which it calls on each tick; it counts the answers, and
//! says in the headers of responses how many there were.

#![allow(missing_docs, reason = "proxy_wasm::main! makes a public function")]

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::{Action, ContextType, LogLevel, MetricType};

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Root::default()));
}}

#[derive(Default)]
struct Root {
    upstream: String,
    metric: u32,
    answers: Rc<Cell<u32>>,
}

impl RootContext for Root {
    fn on_configure(&mut self, _: usize) -> bool {
        let upstream = self.get_plugin_configuration().and_then(|bytes| String::from_utf8(bytes).ok());
        let Some(upstream) = upstream else { return false };
        self.upstream = upstream;
        self.set_tick_period(Duration::from_secs(1));
        true
    }

    fn on_tick(&mut self) {
        if self.answers.get() == 0 {
            self.metric = hostcalls::define_metric(MetricType::Counter, "sdk.answers").unwrap_or_default();
        }
        let headers = vec![(":method", "POST"), (":path", "/asked"), (":authority", "sdk.test")];
        let called = self.dispatch_http_call(&self.upstream, headers, Some(b"body"), vec![], Duration::from_secs(2));
        log(&format!("called: {}", called.is_ok()));
    }

    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Request { answers: self.answers.clone() }))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}

impl Context for Root {
    fn on_http_call_response(&mut self, _: u32, _: usize, body_size: usize, _: usize) {
        let status = self.get_http_call_response_header(":status");
        let body = self.get_http_call_response_body(0, body_size).unwrap_or_default();
        log(&format!("answered: {status:?} {}", String::from_utf8_lossy(&body)));
        self.answers.set(self.answers.get() + 1);
        let _ = hostcalls::increment_metric(self.metric, 1);
    }
}

struct Request {
    answers: Rc<Cell<u32>>,
}

impl Context for Request {}

impl HttpContext for Request {
    fn on_http_request_headers(&mut self, _: usize, _: bool) -> Action {
        let version = self.get_property(vec!["kong", "version"]).unwrap_or_default();
        log(&format!("request in {}", String::from_utf8_lossy(&version)));
        Action::Continue
    }

    fn on_http_response_headers(&mut self, _: usize, _: bool) -> Action {
        self.set_http_response_header("x-answers", Some(&self.answers.get().to_string()));
        Action::Continue
    }
}

fn log(line: &str) {
    let _ = hostcalls::log(LogLevel::Info, line);
}
