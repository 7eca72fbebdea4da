//! Giving a configuration to one node, once: whether its control plane leaves it without one, what there is to give, and
//! the ways that need more than a file. The relay serves nodes from then on (`relay`); how caches look is in `node_cache`.

mod control_plane;
mod dbless;
mod program;
mod store;

pub use control_plane::{Asked, There, ask, fetched_unless};
pub use dbless::{DblessNode, LoadError, Loaded};
pub use program::{NotStarted, Program};
pub use store::{configuration, image};
