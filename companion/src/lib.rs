//! Lifeboat's companion: sessions, relay, archive, commands. What it computes is in `lifeboat-core`; here is the IO.

pub mod admin;
pub mod archive;
pub mod bind;
pub mod cli;
pub mod command;
pub mod companion;
pub mod config_source;
pub mod drill;
pub mod evidence;
pub mod exit_status;
pub mod export;
pub mod http;
pub mod logging;
pub mod metrics;
pub mod observation;
pub mod one_shot;
mod per_minute;
mod places;
pub mod progress;
pub mod relay;
pub mod reload;
pub mod reports;
pub mod role;
pub mod rotation;
pub mod settings;
mod terminal;
pub mod version;
