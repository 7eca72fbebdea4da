//! The cast: actors that play Kong at the socket, and an S3 store, for `lifeboat demo` and for the tests. They know
//! Kong's protocol from KONG.md on their own and share neither WebSocket code nor message types with the product's
//! link, so that a mistake in one shows against the other. They listen on 127.0.0.1, print nothing, and are gone when
//! they are dropped.

pub mod certificate;
pub mod control_plane;
mod der;
mod frames;
mod life;
mod link;
mod listening;
pub mod message;
pub mod node;
mod outlet;
mod pace;
pub mod recording;
mod rpc;
pub mod store;

#[cfg(test)]
mod scenes;
