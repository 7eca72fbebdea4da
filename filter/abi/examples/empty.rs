//! A filter that does nothing, built on the crate `proxy-wasm` as other filters are: what a Proxy-Wasm filter costs a gateway
//! anyway. `tests/servers/benchmark` compares `lifeboat.wasm` with it.

#![allow(missing_docs, reason = "proxy_wasm::main! makes a public function")]

use proxy_wasm::traits::{Context, HttpContext, RootContext};
use proxy_wasm::types::ContextType;

proxy_wasm::main! {{
    proxy_wasm::set_root_context(|_| Box::new(Empty));
}}

struct Empty;

impl Context for Empty {}

impl HttpContext for Empty {}

impl RootContext for Empty {
    fn create_http_context(&self, _: u32) -> Option<Box<dyn HttpContext>> {
        Some(Box::new(Self))
    }

    fn get_type(&self) -> Option<ContextType> {
        Some(ContextType::HttpContext)
    }
}
