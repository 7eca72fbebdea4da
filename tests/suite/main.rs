//! Lifeboat's scenarios, each named as a sentence. One binary, so that what they share is linked once.

mod bad_messages;
mod clouds;
mod codec;
mod conditions;
mod contract;
mod control_plane_returns;
mod credentials;
mod damaged_store;
mod faults;
mod filter;
mod held;
mod http;
mod idle_cost;
mod keep;
mod outage;
mod program;
mod refusal;
mod relay;
mod reports;
mod secrets;
mod silence;
mod strangers;
mod thinning;
mod tidy;
mod trust;
mod unusable_store;
