//! Histories as they are after months: thousands of snapshots, written into a store's folder without going through a
//! program, which would take hours.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, SystemTime};

use serde_json::Value;

/// Makes the only snapshot that was published in a version's folder the newest of `count`, of which one came `every` so
/// often. Those before it are copies of it, each under a number and a hash of its own.
///
/// # Panics
/// When nothing is published there, or it can't be written.
pub fn grow(version: &Path, count: u64, every: Duration) {
    let manifest_json = version.join("lifeboat/manifest.json");
    let mut manifest: Value =
        serde_json::from_slice(&fs::read(&manifest_json).expect("something is published")).expect("a manifest is JSON");
    let snapshots = version.join("lifeboat/snapshots");
    let (newest, first) = (text(&manifest["config_hash"]), text(&manifest["snapshot"]["key"]));
    let (folder, first) = first.rsplit_once('/').expect("a key has a folder");

    let payload = fs::read(snapshots.join(first)).expect("whoever sees a manifest finds its payload");
    for entry in fs::read_dir(&snapshots).expect("it is a folder") {
        fs::remove_file(entry.expect("it can be listed").path()).expect("it can be deleted");
    }

    let now = SystemTime::now();
    for sequence in 1..=count {
        let hash = if sequence == count { newest.clone() } else { format!("{sequence:032x}") };
        let name = format!("{sequence:010}-{hash}");
        manifest["sequence"] = sequence.into();
        manifest["config_hash"] = hash.into();
        manifest["snapshot"]["key"] = format!("{folder}/{name}.json.gz").into();

        let written = now - every.mul_f64((count - sequence) as f64);
        write(&snapshots.join(format!("{name}.json.gz")), &payload, written);
        write(&snapshots.join(format!("{name}.manifest.json")), manifest.to_string().as_bytes(), written);
    }
    fs::write(manifest_json, manifest.to_string()).expect("it can be written");
}

fn text(value: &Value) -> String {
    value.as_str().expect("it is text").to_owned()
}

fn write(path: &Path, bytes: &[u8], at: SystemTime) {
    fs::write(path, bytes).expect("it can be written");
    File::options().append(true).open(path).and_then(|file| file.set_modified(at)).expect("a file has a time");
}
