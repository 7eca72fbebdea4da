//! Fakes that play Kong at the socket: a control plane and a data plane, for `lifeboat demo`, the drill and the tests, and
//! for the tests an S3 store. They know Kong's protocol from KONG.md on their own and share neither WebSocket code nor message types with
//! the product, so that a mistake in one shows against the other. They listen on 127.0.0.1, print nothing, and stop when
//! they are dropped.

pub mod certificate;
pub mod control_plane;
mod der;
pub mod entities;
mod frames;
pub mod incremental;
mod life;
mod link;
mod listening;
pub mod message;
pub mod node;
mod outlet;
mod pace;
pub mod recorded;
mod rpc;
#[cfg(feature = "store")]
pub mod store;
mod wire;
