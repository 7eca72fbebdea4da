//! The two sessions of the control-plane link as state machines: events and the time in, actions out. No sockets.

pub mod answer;
pub mod follow;
pub mod headless;
pub mod node;
pub mod own_certificate;
pub mod reconnect;
pub mod restore;
pub mod sync;

use std::time::Duration;

/// How often a node pings (KONG.md section 1).
pub const PING_INTERVAL: Duration = Duration::from_secs(30);
/// Either side of a link gives up after so much silence (KONG.md section 1).
pub const IDLE_LIMIT: Duration = Duration::from_secs(45);
