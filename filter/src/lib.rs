//! `lifeboat.wasm`: a Proxy-Wasm filter that only translates, host calls to `lifeboat_core::report` and back. What is
//! said and when is decided there and tested there. Requests pass untouched.
//!
//! A trap in here would hurt the gateway (KONG.md section 4), so nothing in here can panic, and the SDK's convenience
//! methods are not used: they unwrap what the host returns.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]
// Nothing here is for other crates: what the SDK's macro exports is for the host.
#![allow(missing_docs)]

mod host;
mod request;
mod root;

proxy_wasm::main! {{
    proxy_wasm::set_log_level(proxy_wasm::types::LogLevel::Info);
    proxy_wasm::set_root_context(|context_id| Box::new(root::FilterRoot::new(context_id)));
}}
