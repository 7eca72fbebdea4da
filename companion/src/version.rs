//! Which lifeboat this is: its version and commit, the platform, and Cargo's features that are switched on. `build.rs` finds
//! them out.

/// The version of all of Lifeboat, from the workspace's Cargo.toml.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The first digits of the commit it was built from; `unknown` in builds for development and without git.
pub const COMMIT: &str = env!("BUILD_COMMIT");

/// What `lifeboat --version` says after the name.
pub const LONG: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    "\ncommit: ",
    env!("BUILD_COMMIT"),
    "\nplatform: ",
    env!("BUILD_PLATFORM"),
    "\nfeatures: ",
    env!("BUILD_FEATURES")
);

/// Version and commit, as the log's first line has them: `0.1.0 (commit 1a2b3c4d5e6f)`.
pub fn described() -> String {
    match COMMIT {
        "unknown" => VERSION.to_owned(),
        commit => format!("{VERSION} (commit {commit})"),
    }
}
