//! `lifeboat.wasm`: a Proxy-Wasm filter that only translates, host calls to `lifeboat_core::report` and back. What is
//! said and when is decided there and tested there. Requests pass untouched.
//!
//! A trap in here would hurt the gateway (KONG.md section 4), so nothing in here can panic.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod host;
mod metrics;
mod worker;

lifeboat_filter_abi::main!(Box::new(worker::Worker::new()));
