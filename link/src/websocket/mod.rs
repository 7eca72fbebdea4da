//! The control-plane link: WebSocket (RFC 6455) frames over TLS, read and written one by one. Nothing here answers a
//! ping, joins fragments or closes on its own: what passes through the relay passes unchanged, and pongs are Kong's
//! business. Handshakes are hyper's, frame headers tungstenite's.

pub mod accept;
pub mod connect;
mod cutter;
pub mod header;
mod link;

pub use cutter::{Cut, FrameCutter, frame_of_a_server};
pub use link::{Incoming, Link, LinkError};
