//! The program, built once for all tests that start it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

/// Where the program is, which is built as this test was. A test that runs no longer holds cargo's lock.
pub(super) fn executable() -> &'static Path {
    static EXECUTABLE: OnceLock<PathBuf> = OnceLock::new();
    EXECUTABLE.get_or_init(build)
}

fn build() -> PathBuf {
    // <target folder>/<profile>/deps/<this test>
    let this = std::env::current_exe().expect("a test knows where it is");
    let folder = this.ancestors().nth(2).expect("tests lie in a profile's folder");
    let profile = match folder.file_name().and_then(OsStr::to_str).expect("cargo names it in ASCII") {
        "debug" => "dev",
        other => other,
    };
    let target = folder.parent().expect("a profile's folder lies in the target folder");
    // As whoever calls was built: tests with all default members, benchmarks without the filter's host. Then its
    // dependencies have the features with which they have been built already.
    let packages: &[&str] = match cfg!(feature = "wasm-host") {
        true => &[],
        false => &["--package", "lifeboat", "--package", "lifeboat-tests", "--no-default-features"],
    };
    let built = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["build", "--bin", "lifeboat", "--message-format", "json-render-diagnostics"])
        .args(packages)
        .args(["--profile", profile, "--target-dir"])
        .arg(target)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .stderr(Stdio::inherit())
        .output()
        .expect("cargo starts");
    assert!(built.status.success(), "lifeboat can't be built: cargo's own messages are above");
    let messages = String::from_utf8(built.stdout).expect("cargo writes UTF-8");
    let executable = |line: &str| {
        let message: serde_json::Value = serde_json::from_str(line).ok()?;
        let is_ours = message["target"]["name"] == "lifeboat";
        message["executable"].as_str().filter(|_| is_ours).map(PathBuf::from)
    };
    messages.lines().find_map(executable).expect("cargo names the executable that it has built")
}
