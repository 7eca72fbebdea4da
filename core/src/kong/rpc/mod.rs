//! Kong's RPC of 3.9 over `/v2/outlet` (`kong.meta.v1`, `kong.sync.v2`): what nodes and control planes say there, as bytes
//! (KONG.md section 7). After the hello, each message is JSON-RPC in one raw Snappy block, in one binary frame.

mod call;
mod hello;
#[cfg(test)]
pub(crate) mod recorded;
pub(crate) mod snappy;
mod sync_version;

pub(crate) use call::around;
pub use call::{CallId, FromNode, NOTIFY_ID, method_not_found, no_deltas, notify};
pub use hello::{Hello, NotHello, hello_answer, lists_sync};
pub use sync_version::{DEFAULT_WORKSPACE, SyncVersion};

/// The WebSocket subprotocol.
pub const PROTOCOL: &str = "kong.meta.v1";
/// What a node lists that takes its configuration this way, and what a control plane lists that gives it.
pub const SYNC: &str = "kong.sync.v2";
