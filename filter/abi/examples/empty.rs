//! A filter that does nothing, built like `lifeboat.wasm` on this crate: what a Proxy-Wasm filter costs a gateway anyway.
//! `tests/servers/benchmark` compares the two.

use lifeboat_filter_abi::Filter;

struct Empty;

impl Filter for Empty {
    fn on_request(&mut self, _request: u32, _root: u32) {}
    fn on_configure(&mut self, _root: u32, _size: usize) {}
    fn on_tick(&mut self, _root: u32) {}
    fn on_call_response(&mut self, _token: u32, _body_size: usize) {}
    fn on_request_headers(&mut self, _request: u32) {}
    fn on_response_headers(&mut self, _request: u32) {}
    fn on_delete(&mut self, _context: u32) {}
}

lifeboat_filter_abi::main!(Box::new(Empty));
