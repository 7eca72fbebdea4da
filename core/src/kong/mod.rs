//! What Kong Gateway speaks: versions, messages, pings and its configuration hash. Only this module knows Kong's wire
//! format; it neither opens connections nor decides what becomes of what was received.

pub mod basic_info;
mod canonical;
pub(crate) mod code;
mod config_hash;
mod configuration;
pub(crate) mod derived_id;
pub(crate) mod entities;
pub(crate) mod entity_name;
mod fold;
pub(crate) mod inflate;
pub mod limits;
pub mod message;
pub mod node_error;
mod number;
pub mod outlet_query;
pub mod ping;
pub mod plugins;
pub mod reconfigure;
pub mod rpc;
pub(crate) mod schema;
mod stated_hash;
#[cfg(test)]
mod tests;
mod unrunnable;
pub mod version;

pub use config_hash::SectionHashes;
pub use configuration::{Configuration, ConfigurationError, EntityCounts, counted};
pub use schema::kind_names;
pub use stated_hash::stated_hash;
pub use unrunnable::Unrunnable;
