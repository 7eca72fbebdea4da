//! Which lifeboat this is: its version and commit, the platform, and Cargo's features that are switched on. `build.rs` finds
//! them out.

/// The version of all of Lifeboat, from the workspace's Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first digits of the commit it was built from; `unknown` in builds for development and without git.
pub const COMMIT: &str = env!("LIFEBOAT_COMMIT");

/// What `lifeboat --version` says after the name.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("LIFEBOAT_COMMIT"),
    "\nplatform: ",
    env!("LIFEBOAT_PLATFORM"),
    "\nfeatures: ",
    env!("LIFEBOAT_FEATURES")
);
