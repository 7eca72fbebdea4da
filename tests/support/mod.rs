//! placeholder
pub mod wasm_host;
