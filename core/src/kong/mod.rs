//! What Kong says and how: versions, messages, pings, hashes. Only this module knows Kong's wire format.

pub mod basic_info;
pub mod message;
pub mod ping;
pub mod plugins;
pub mod reconfigure;
pub mod version;
