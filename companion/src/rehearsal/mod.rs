//! The cast: actors that play Kong at the socket, for `lifeboat demo` and for the tests. They know Kong's protocol from
//! KONG.md on their own and share no code with the product's link, so that a mistake in one shows against the other.

pub mod certificate;
mod der;
