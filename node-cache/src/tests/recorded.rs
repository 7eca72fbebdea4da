//! Prefixes of nodes, with caches that were recorded or made by LMDB itself.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::Path;
use std::sync::Arc;

use flate2::read::GzDecoder;
use lifeboat_core::digest::{ConfigHash, Sha256Digest};
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{CacheImage, Document, Manifest, StoredObject};
use lifeboat_core::object_key::ObjectKeys;
use lifeboat_core::verify::{Place, Policy, VerifiedImage, authenticate, verify_image};
use tempfile::TempDir;

use crate::{CacheId, Contents, Image, NodePrefix, Patience};

/// The cache of a Kong 3.9.1 that runs `3ff47162…`.
pub(crate) const RECORDED: &[u8] = include_bytes!("../../../tests/data/kong-3.9.1/dbless.lmdb/data.mdb");
const GOLDEN: &[u8] = include_bytes!("../../../tests/data/manifest-format-1.json");
const NEVER_WRITTEN: &[u8] = include_bytes!("../../../tests/data/lmdb-0.9.33/never-written.mdb.gz");
const FRESH_NODE: &[u8] = include_bytes!("../../../tests/data/lmdb-0.9.33/fresh-node.mdb.gz");
const DEEP: &[u8] = include_bytes!("../../../tests/data/lmdb-0.9.33/deep.mdb.gz");

/// An environment that was opened once.
pub(crate) fn never_written() -> Vec<u8> {
    gunzip(NEVER_WRITTEN)
}

/// An environment with nothing but a tag.
pub(crate) fn fresh_node() -> Vec<u8> {
    gunzip(FRESH_NODE)
}

/// An environment with branches of branches, long values and free pages.
pub(crate) fn deep() -> Vec<u8> {
    gunzip(DEEP)
}

fn gunzip(gzip: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    GzDecoder::new(gzip).read_to_end(&mut bytes).unwrap();
    bytes
}

/// A file with these bytes and no name.
pub(crate) fn file_of(bytes: &[u8]) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(bytes).unwrap();
    file
}

/// What [`RECORDED`] is.
pub(super) fn recorded_id() -> CacheId {
    CacheId { version: KongVersion::new(3, 9, 1), config_hash: "3ff47162e7a7ce1344f336316b66484e".parse().unwrap() }
}

/// A new folder, and an empty prefix in it.
pub(super) fn empty_prefix() -> (TempDir, NodePrefix) {
    let folder = tempfile::tempdir().unwrap();
    let prefix = NodePrefix::new(folder.path().join("kong"));
    fs::create_dir(prefix.path()).unwrap();
    (folder, prefix)
}

/// A prefix with this as its LMDB cache, and a lock file that must stay as it is.
pub(crate) fn prefix_with(data: &[u8]) -> (TempDir, NodePrefix) {
    let (folder, prefix) = empty_prefix();
    fs::create_dir(prefix.lmdb_folder()).unwrap();
    fs::write(prefix.data_file(), data).unwrap();
    fs::write(prefix.lmdb_folder().join("lock.mdb"), b"the node's own").unwrap();
    (folder, prefix)
}

/// An image of [`RECORDED`].
pub(crate) fn recorded_image() -> Image {
    let (folder, prefix) = prefix_with(RECORDED);
    Image::take(&prefix, &recorded_id(), folder.path(), Patience::default()).unwrap()
}

/// The same as a store gives it back.
pub(super) fn stored_image() -> VerifiedImage {
    let image = recorded_image();
    described_as(&image, image.expands_to(), recorded_id().config_hash)
}

/// An image of which a manifest says this.
pub(super) fn described_as(image: &Image, expands_to: u64, config_hash: ConfigHash) -> VerifiedImage {
    let policy = Policy { version: recorded_id().version, max_config: 1 << 20, keys: Arc::default() };
    let mut manifest = Manifest::decode(GOLDEN).unwrap();
    manifest.config_hash = config_hash;
    let keys = ObjectKeys::new(manifest.kong_version);
    manifest.snapshot.key = keys.snapshot(manifest.id());
    let document = Document::decode(&manifest.encode()).unwrap();
    let manifest = authenticate(&document, Place::Newest, &policy).unwrap();
    let object = StoredObject {
        key: keys.cache_image(manifest.id()),
        sha256: Sha256Digest::of(image.gzip()),
        bytes: image.gzip().len() as u64,
        sealed: None,
    };
    verify_image(&manifest, &CacheImage { object, expands_to }, image.gzip().clone(), &policy).unwrap()
}

/// What is in a data file.
pub(super) fn contents(path: &Path) -> Contents {
    Contents::read(&File::open(path).unwrap()).unwrap()
}

/// Every file below a folder with its bytes, and every folder, by path.
pub(super) fn everything_below(folder: &Path) -> Vec<(String, Option<Vec<u8>>)> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        if path.is_dir() {
            found.push((name.clone(), None));
            let below = everything_below(&path);
            found.extend(below.into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else {
            found.push((name, Some(fs::read(&path).unwrap())));
        }
    }
    found.sort();
    found
}
