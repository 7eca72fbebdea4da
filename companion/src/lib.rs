//! Lifeboat's companion: sessions, relay, archive, commands. What it computes is in `lifeboat-core`; here is the IO.

pub mod rehearsal;
pub mod settings;
pub mod tls;
pub mod websocket;
