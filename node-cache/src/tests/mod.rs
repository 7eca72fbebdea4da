//! What a recorded node cache and ones made by LMDB itself (`tests/data/`) become, and what is never done to a node.

mod declarative;
mod image;
mod killed;
mod place;
pub(crate) mod recorded;
mod running;
