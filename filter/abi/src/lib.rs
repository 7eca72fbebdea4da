//! Proxy-Wasm's ABI 0.2.1 (<https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1>), as much of it as
//! `lifeboat.wasm` uses: safe host calls, and exports that survive whatever a host does. The only `unsafe` code of the
//! workspace is here. Not here: what the filter does.
//!
//! Why not the crate `proxy-wasm` (0.2.5)? It panics on a callback for a token or a context that it doesn't know, on a
//! token that a host uses twice, and on a status that a call isn't expected to have, which it reads as an enum although
//! any number may stand there; and it remembers a call for ever whose callback never comes. Kong calls back for contexts
//! of before a trap, and a panic costs all that the filter knows and doubles its timers (KONG.md section 4, point 5). Its
//! exports are fixed names in the crate, so they can't be replaced beside it.

#![deny(
    clippy::arithmetic_side_effects,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unreachable,
    clippy::unwrap_used
)]

mod calls;
mod exports;
mod header_map;
mod memory;

pub use calls::{
    Buffer, HeaderMap, LogLevel, MetricKind, add_to_metric, buffer, current_time, define_metric, dispatch, header, log,
    property, record_metric, replace_header, set_tick_period,
};
pub use exports::{Filter, start};

/// Makes a filter of the module: `filter` is an expression that gives a `Box<dyn Filter>`, evaluated when the host has
/// made the instance.
#[macro_export]
macro_rules! main {
    ($filter:expr) => {
        #[unsafe(no_mangle)]
        extern "C" fn _initialize() {
            $crate::start(|| $filter);
        }
    };
}
