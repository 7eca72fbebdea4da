//! Restoring one node once, for `import` and `exec`: what its control plane says, what the stores have, and how to start the
//! gateway or load a node without a database. The relay (`relay`) restores nodes for as long as it runs.

mod control_plane;
mod dbless;
mod program;
mod store;

pub use control_plane::{Asked, There, ask, fetched_unless};
pub use dbless::{DblessNode, LoadError, Loaded};
pub use program::{CommandLine, NotStarted};
pub use store::{configuration, image};
