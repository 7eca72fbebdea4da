//! What the suites stand on: a Proxy-Wasm host, generated data, and a world that is real at the socket. The actors that
//! play Kong (control plane, node, S3 store) are the shipped ones of `lifeboat_fakes`, which `lifeboat demo` uses too.

pub mod admin_api;
pub mod archive_contract;
pub mod cloud;
pub mod cluster;
pub mod crowd;
pub mod dbless_node;
pub mod document;
pub mod faulty;
pub mod forward_proxy;
pub mod forwarder;
pub mod generator;
pub mod json_schema;
pub mod keys;
pub mod large_push;
pub mod log;
pub mod ocsp_responder;
pub mod old_history;
pub mod page;
pub mod peculiar_store;
pub mod program;
pub mod raw_node;
pub mod raw_rpc;
pub mod receiver;
pub mod reporting;
pub mod stage;
pub mod tls;
#[cfg(feature = "wasm-host")]
pub mod wasm_host;
pub mod world;

// The control plane, the node and the S3 store that every scenario plays with.
pub use lifeboat_fakes as fakes;
