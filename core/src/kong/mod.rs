//! What Kong Gateway speaks: its messages and its configuration hash. Only this module knows Kong's wire format; it
//! neither opens connections nor decides what becomes of what was received.

mod canonical;
mod config_hash;
mod configuration;
mod fold;
mod inflate;
mod number;
#[cfg(test)]
mod plain;
pub mod reconfigure;
