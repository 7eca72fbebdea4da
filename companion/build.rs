//! Says what is being built, for `src/version.rs`: the commit, the platform, and Cargo's features that are switched on.

use std::env;
use std::path::Path;
use std::process::Command;

/// The variable by which `release/` says the commit, also where there is no git.
const COMMIT: &str = "SOURCE_COMMIT";
const SHOWN_DIGITS: usize = 12;

fn main() {
    println!("cargo::rerun-if-env-changed={COMMIT}");
    println!("cargo::rerun-if-changed=build.rs");
    let commit = env::var(COMMIT).ok().filter(|commit| !commit.is_empty()).or_else(checked_out);
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    // Cargo sets these for `cargo run` as well, so that none may look like a setting of lifeboat.
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit.get(..SHOWN_DIGITS).unwrap_or(&commit));
    println!("cargo::rustc-env=BUILD_PLATFORM={}", env::var("TARGET").expect("cargo sets it"));
    println!("cargo::rustc-env=BUILD_FEATURES={}", features());
}

// A build for development doesn't ask: it would be built again after each commit, only to show another number.
fn checked_out() -> Option<String> {
    if env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return None;
    }
    // Stores that were unpacked inside of somebody's own repository are not of its commit.
    git(&["ls-files", "--error-unmatch", "build.rs"])?;

    // It changes with each commit and each checkout.
    let log = git(&["rev-parse", "--path-format=absolute", "--git-path", "logs/HEAD"])?;
    if Path::new(&log).exists() {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "HEAD"])
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let printed = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| printed.trim().to_owned())
}

fn features() -> String {
    let names = env::vars().filter_map(|(name, _)| Some(name.strip_prefix("CARGO_FEATURE_")?.to_lowercase()));
    let mut names: Vec<String> = names.map(|name| name.replace('_', "-")).filter(|name| name != "default").collect();
    names.sort();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}
