//! Says what is being built, for `src/version.rs`: the commit, the platform, and Cargo's features that are switched on. And puts
//! the page's comparison into the program, if `wasm-build.sh` has made it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

/// The variable by which `release/` says the commit, also where there is no git.
const COMMIT: &str = "SOURCE_COMMIT";
const SHOWN_DIGITS: usize = 12;

/// `required` makes a build without the page's comparison fail: what is installed has it.
const COMPARISON: &str = "PAGE_COMPARISON";
const COMPARISON_FILES: [&str; 2] = ["comparison.js", "comparison_bg.wasm"];

fn main() {
    println!("cargo::rerun-if-env-changed={COMMIT}");
    println!("cargo::rerun-if-changed=build.rs");
    let commit = env::var(COMMIT).ok().filter(|commit| !commit.is_empty()).or_else(checked_out);
    let commit = commit.unwrap_or_else(|| "unknown".to_owned());
    // Cargo sets these for `cargo run` as well, so that none may look like a setting of lifeboat.
    println!("cargo::rustc-env=BUILD_COMMIT={}", commit.get(..SHOWN_DIGITS).unwrap_or(&commit));
    println!("cargo::rustc-env=BUILD_PLATFORM={}", env::var("TARGET").expect("cargo sets it"));
    println!("cargo::rustc-env=BUILD_FEATURES={}", features());
    embed_comparison();
}

fn embed_comparison() {
    // The folder is always there, so that Cargo sees when something comes into it.
    let built = Path::new(env!("CARGO_MANIFEST_DIR")).join("../web/built");
    println!("cargo::rerun-if-changed={}", built.display());
    println!("cargo::rerun-if-env-changed={COMPARISON}");

    let [script, wasm] = COMPARISON_FILES.map(|name| built.join(name));
    let is_there = script.is_file() && wasm.is_file();
    let is_required = env::var(COMPARISON).is_ok_and(|value| value == "required");
    assert!(
        is_there || !is_required,
        "{COMPARISON}=required, and the page's comparison is not there: run ./wasm-build.sh"
    );

    let found = if is_there {
        let quoted = |path: PathBuf| format!("{:?}", path.display().to_string());
        let (script, wasm) = (quoted(script), quoted(wasm));
        format!("Some(Comparison {{ script: include_str!({script}), wasm: include_bytes!({wasm}) }})")
    } else {
        "None".to_owned()
    };
    let out = PathBuf::from(env::var_os("OUT_DIR").expect("cargo sets it")).join("comparison.rs");
    let source = format!("pub(super) const COMPARISON: Option<Comparison> = {found};\n");
    fs::write(out, source).expect("cargo's own folder can be written");
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
