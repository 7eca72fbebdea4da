//! Taking images, and what is refused.

use std::fs;

use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;

use super::recorded::{
    RECORDED, contents, described_as, empty_prefix, everything_below, prefix_with, recorded_id, recorded_image,
    stored_image,
};
use crate::{CacheError, CacheId, Image, NodePrefix, Patience, Step, place_image};

fn take(prefix: &NodePrefix, wanted: &CacheId) -> Result<Image, CacheError> {
    let temporary = tempfile::tempdir().unwrap();
    let taken = Image::take(prefix, wanted, temporary.path(), Patience::default());
    assert_eq!(everything_below(temporary.path()), [], "nothing that holds keys is left");
    taken
}

#[test]
fn an_image_holds_what_the_node_holds_and_the_node_keeps_its_files() {
    let (_folder, prefix) = prefix_with(RECORDED);
    let before = everything_below(prefix.path());
    let image = take(&prefix, &recorded_id()).unwrap();
    assert_eq!(everything_below(prefix.path()), before);
    assert!(image.expands_to() < RECORDED.len() as u64, "free pages are left out");

    let (_folder, fresh) = empty_prefix();
    place_image(&fresh, &stored_image(), recorded_id().version, &mut |_: Step| {}).unwrap();
    assert_eq!(contents(&fresh.data_file()), contents(&prefix.data_file()));
}

#[test]
fn an_image_of_another_configuration_is_not_taken() {
    let (_folder, prefix) = prefix_with(RECORDED);
    let other: ConfigHash = "c71fb99ef5692e02210908bdbd0092b9".parse().unwrap();
    let error = take(&prefix, &CacheId { config_hash: other, ..recorded_id() }).unwrap_err();
    assert!(matches!(&error, CacheError::OtherConfiguration { expected, .. } if *expected == other), "{error}");
    assert!(error.is_transient(), "the node may run it later");
}

#[test]
fn an_image_for_another_minor_version_is_not_taken() {
    let (_folder, prefix) = prefix_with(RECORDED);
    for (major, minor) in [(3, 8), (3, 5), (3, 10)] {
        let error =
            take(&prefix, &CacheId { version: KongVersion::new(major, minor, 0), ..recorded_id() }).unwrap_err();
        assert!(matches!(error, CacheError::OtherTag { .. }), "{error}");
    }
    let error = take(&prefix, &CacheId { version: KongVersion::new(3, 3, 0), ..recorded_id() }).unwrap_err();
    assert!(error.to_string().contains("relay"), "it names what to use instead: {error}");
    let error = take(&prefix, &CacheId { version: KongVersion::new(2, 8, 5), ..recorded_id() }).unwrap_err();
    assert!(matches!(error, CacheError::WrongForm { .. }), "{error}");
}

#[test]
fn a_prefix_without_a_cache_is_named() {
    let (_folder, prefix) = empty_prefix();
    let error = take(&prefix, &recorded_id()).unwrap_err();
    assert!(error.to_string().contains("dbless.lmdb/data.mdb"), "{error}");
}

#[test]
fn an_image_that_expands_to_another_size_than_promised_is_refused() {
    let image = recorded_image();
    for expands_to in [0, 1, image.expands_to() - 1, image.expands_to() + 1] {
        let (_folder, prefix) = empty_prefix();
        let wrong = described_as(&image, expands_to, recorded_id().config_hash);
        let error = place_image(&prefix, &wrong, recorded_id().version, &mut |_: Step| {}).unwrap_err();
        assert!(matches!(error, CacheError::ImageSize { .. }), "{error}");
        assert!(!prefix.data_file().exists());
    }
}

#[test]
fn nothing_is_written_where_there_is_no_room() {
    let (_folder, prefix) = empty_prefix();
    let huge = described_as(&recorded_image(), 1 << 60, recorded_id().config_hash);
    let error = place_image(&prefix, &huge, recorded_id().version, &mut |_: Step| {}).unwrap_err();
    assert!(matches!(error, CacheError::NoSpace { .. }), "{error}");
    assert_eq!(fs::read_dir(prefix.lmdb_folder()).unwrap().count(), 0);
}

#[test]
fn an_image_does_not_print_what_it_holds() {
    let printed = format!("{:?}", recorded_image());
    assert!(printed.contains("gzip: ..") && printed.len() < 300, "{printed}");
}
