//! Lifeboat's companion: sessions, relay, archive, commands. What it computes is in `lifeboat-core`; here is the IO.

pub mod admin;
pub mod archive;
mod background;
pub mod bind;
pub mod chance;
pub mod cli;
pub mod clock;
pub mod command;
pub mod companion;
pub mod delivery;
pub mod dial;
pub mod drill;
pub mod http;
pub mod keep;
pub mod logging;
pub mod metrics;
pub mod node_cache;
pub mod origin;
pub mod rehearsal;
pub mod relay;
pub mod reports;
pub mod rotation;
pub mod settings;
pub mod storage;
pub mod tls;
pub mod websocket;
