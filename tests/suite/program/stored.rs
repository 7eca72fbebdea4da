//! What lies in a store, read from outside: from the description of format 1 alone, without any of the product's code.

use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;
use sha2::{Digest, Sha256};

use super::VERSION;

/// What the manifest promises and its payload holds.
#[derive(Debug)]
pub(super) struct Published {
    pub(super) sequence: u64,
    pub(super) config_hash: String,
    pub(super) config_json: Vec<u8>,
}

/// The published snapshot, if one ever was.
///
/// # Errors
/// Whatever is half-written or doesn't fit together.
pub(super) fn published(objects: &Path) -> Result<Option<Published>, String> {
    let folder = objects.join(VERSION).join("lifeboat");
    let text = match std::fs::read(folder.join("manifest.json")) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(format!("manifest.json: {error}")),
    };
    let manifest: serde_json::Value =
        serde_json::from_slice(&text).map_err(|error| format!("manifest.json: {error}"))?;
    let field = |pointer: &str| manifest.pointer(pointer).ok_or_else(|| format!("manifest.json lacks {pointer}"));
    let text_of = |pointer: &str| Ok::<_, String>(field(pointer)?.as_str().unwrap_or_default().to_owned());
    let number_of = |pointer: &str| Ok::<_, String>(field(pointer)?.as_u64().unwrap_or_default());
    if number_of("/format")? != 1 {
        return Err("manifest.json is not of format 1".to_owned());
    }
    let key = text_of("/snapshot/key")?;
    let payload = std::fs::read(objects.join(&key)).map_err(|error| format!("{key}, which is published: {error}"))?;
    same(&key, &payload, &text_of("/snapshot/sha256")?, number_of("/snapshot/bytes")?)?;
    let mut config_json = Vec::new();
    GzDecoder::new(&payload[..]).read_to_end(&mut config_json).map_err(|error| format!("{key}: {error}"))?;
    same("what is in the payload", &config_json, &text_of("/config/sha256")?, number_of("/config/bytes")?)?;
    let _: serde_json::Map<String, serde_json::Value> =
        serde_json::from_slice(&config_json).map_err(|error| format!("what is in {key} is not JSON: {error}"))?;
    Ok(Some(Published { sequence: number_of("/sequence")?, config_hash: text_of("/config_hash")?, config_json }))
}

/// The highest sequence in the names of the payloads, published or not.
pub(super) fn highest_sequence(objects: &Path) -> u64 {
    let snapshots = objects.join(VERSION).join("lifeboat/snapshots");
    let Ok(entries) = std::fs::read_dir(snapshots) else { return 0 };
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let payloads = names.filter(|name| name.ends_with(".json.gz"));
    payloads.filter_map(|name| name.split('-').next()?.parse().ok()).max().unwrap_or(0)
}

/// All files below a folder, sorted.
pub(super) fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { folders.push(path) } else { found.push(path) }
        }
    }
    found.sort();
    found
}

fn same(what: &str, bytes: &[u8], sha256: &str, length: u64) -> Result<(), String> {
    if bytes.len() as u64 != length {
        return Err(format!("{what} has {} bytes, and the manifest says {length}", bytes.len()));
    }
    let digest: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if digest == sha256 { Ok(()) } else { Err(format!("{what} has SHA-256 {digest}, and the manifest says {sha256}")) }
}
