//! Putting caches in place: where, whose, and never over a configuration or under a running Kong.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use bytes::Bytes;
use lifeboat_core::digest::ConfigHash;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::{Policy, Verified, verify_bare};

use super::recorded::{
    RECORDED, contents, deep, described_as, empty_prefix, everything_below, fresh_node, never_written, prefix_with,
    recorded_id, recorded_image, stored_image,
};
use super::running::RunningKong;
use crate::{CacheError, NodePrefix, Outcome, Step, place_config_cache, place_image};

const KONG_2: KongVersion = KongVersion::new(2, 8, 5);

fn place(prefix: &NodePrefix) -> Result<Outcome, CacheError> {
    place_image(prefix, &stored_image(), recorded_id().version, &mut |_: Step| {})
}

fn placed(prefix: &NodePrefix) -> Option<String> {
    match place(prefix).unwrap() {
        Outcome::Placed { instead_of } => instead_of,
        other => panic!("{other:?}"),
    }
}

fn configuration() -> Verified {
    let json = Bytes::from_static(br#"{"_format_version":"1.1","services":[]}"#);
    verify_bare(json, &Policy { version: KONG_2, max_config: 1 << 20, keys: Arc::default() }).unwrap()
}

#[test]
fn a_fresh_prefix_gets_a_private_file_of_the_prefixs_owner_and_nothing_else() {
    let (_folder, prefix) = empty_prefix();
    assert_eq!(placed(&prefix), None);
    let (file, owner) = (fs::metadata(prefix.data_file()).unwrap(), fs::metadata(prefix.path()).unwrap());
    assert_eq!(file.permissions().mode() & 0o777, 0o600);
    assert_eq!((file.uid(), file.gid()), (owner.uid(), owner.gid()));
    assert_eq!(fs::metadata(prefix.lmdb_folder()).unwrap().permissions().mode() & 0o777, 0o700);
    let names: Vec<String> = everything_below(prefix.path()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["dbless.lmdb", "dbless.lmdb/data.mdb"]);
}

#[test]
fn the_file_belongs_to_the_prefixs_owner_where_that_can_be_done() {
    let (_folder, prefix) = empty_prefix();
    // Only root can give files away.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(prefix.path(), Some(1234), Some(2345)).unwrap();
    }
    placed(&prefix);
    let owner = fs::metadata(prefix.path()).unwrap();
    for path in [prefix.lmdb_folder(), prefix.data_file()] {
        let found = fs::metadata(&path).unwrap();
        assert_eq!((found.uid(), found.gid()), (owner.uid(), owner.gid()), "{}", path.display());
    }
}

#[test]
fn what_a_fresh_kong_has_made_counts_as_nothing() {
    for fresh in [never_written(), fresh_node()] {
        let (_folder, prefix) = prefix_with(&fresh);
        assert_eq!(placed(&prefix), None);
        assert_eq!(contents(&prefix.data_file()).config_hash, Some(recorded_id().config_hash));
        assert_eq!(fs::read(prefix.lmdb_folder().join("lock.mdb")).unwrap(), b"the node's own");
    }
}

#[test]
fn a_configuration_is_never_replaced_whichever_it_is() {
    let of_another_kong = {
        let mut bytes = RECORDED.to_vec();
        for at in (0..bytes.len() - 17).filter(|at| RECORDED[*at..].starts_with(b"validation_tag3.9")) {
            bytes[at + 14..at + 17].copy_from_slice(b"3.8");
        }
        bytes
    };
    let of_another_lmdb = {
        let mut bytes = RECORDED.to_vec();
        [bytes[20], bytes[4096 + 20]] = [2, 2];
        bytes
    };
    for (present, said) in [
        (RECORDED.to_vec(), "configuration 3ff47162e7a7ce1344f336316b66484e, written by Kong 3.9"),
        (of_another_kong, "written by Kong 3.8"),
        (of_another_lmdb, "data version 2"),
        (deep(), "configuration 3ff4"),
    ] {
        let (_folder, prefix) = prefix_with(&present);
        let before = everything_below(prefix.path());
        match place(&prefix).unwrap() {
            Outcome::AlreadyConfigured { what } => assert!(what.contains(said), "{what}"),
            other => panic!("{other:?} instead of {said}"),
        }
        assert_eq!(everything_below(prefix.path()), before);
    }
}

#[test]
fn what_no_kong_can_use_is_replaced_and_named() {
    for (present, said) in [
        (b"".as_slice(), "not an LMDB"),
        (b"garbage".as_slice(), "not an LMDB"),
        (&[0; 20_000], "not an LMDB"),
        (&RECORDED[..RECORDED.len() / 2], "damaged"),
    ] {
        let (_folder, prefix) = prefix_with(present);
        let instead_of = placed(&prefix).unwrap();
        assert!(instead_of.contains(said), "{instead_of}");
        assert_eq!(contents(&prefix.data_file()).config_hash, Some(recorded_id().config_hash));
    }
}

#[test]
fn an_image_for_another_node_is_not_put_in_place() {
    let (_folder, prefix) = empty_prefix();
    let (image, id) = (recorded_image(), recorded_id());
    let other: ConfigHash = "c71fb99ef5692e02210908bdbd0092b9".parse().unwrap();
    for (config_hash, version) in
        [(id.config_hash, KongVersion::new(3, 8, 0)), (id.config_hash, KONG_2), (other, id.version)]
    {
        let described = described_as(&image, image.expands_to(), config_hash);
        place_image(&prefix, &described, version, &mut |_: Step| {}).unwrap_err();
        assert!(!prefix.data_file().exists());
    }
    // Another patch version takes it.
    assert!(place_image(&prefix, &stored_image(), KongVersion::new(3, 9, 0), &mut |_: Step| {}).is_ok());
}

#[test]
fn nothing_is_done_while_kong_runs_by_its_pid_file() {
    let (_folder, prefix) = empty_prefix();
    let kong = RunningKong::start(&prefix);
    let refused = [
        place(&prefix).unwrap_err(),
        place_config_cache(&prefix, &configuration(), KONG_2, &mut |_: Step| {}).unwrap_err(),
    ];
    for error in refused {
        assert!(matches!(error, CacheError::KongRuns { .. }), "{error}");
        assert!(error.to_string().contains(&format!("pids/nginx.pid names process {}", kong.id())), "{error}");
    }
    drop(kong);
    // The file is left by a Kong that was killed.
    assert_eq!(placed(&prefix), None);
}

#[test]
fn the_pid_of_something_else_is_no_kong() {
    let (_folder, prefix) = empty_prefix();
    fs::create_dir(prefix.path().join("pids")).unwrap();
    // As in a container that has started again, where the number is now our own.
    for stale in [std::process::id().to_string(), "0".into(), "-1".into(), String::new(), "nonsense".into()] {
        fs::write(prefix.path().join("pids/nginx.pid"), stale).unwrap();
        placed(&prefix);
        fs::remove_file(prefix.data_file()).unwrap();
    }
}

#[test]
fn kong_2_gets_the_configuration_as_gzip_unless_it_has_one() {
    let (_folder, prefix) = empty_prefix();
    let verified = configuration();
    fs::write(prefix.config_cache(), b"").unwrap();
    let outcome = place_config_cache(&prefix, &verified, KONG_2, &mut |_: Step| {}).unwrap();
    assert_eq!(outcome, Outcome::Placed { instead_of: None });
    let mut json = String::new();
    let file = fs::File::open(prefix.config_cache()).unwrap();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&file), &mut json).unwrap();
    assert_eq!(json, r#"{"_format_version":"1.1","services":[]}"#);
    assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(everything_below(prefix.path()).len(), 1);

    fs::write(prefix.config_cache(), b"the node's own").unwrap();
    let outcome = place_config_cache(&prefix, &verified, KONG_2, &mut |_: Step| {}).unwrap();
    assert!(matches!(outcome, Outcome::AlreadyConfigured { .. }));
    assert_eq!(fs::read(prefix.config_cache()).unwrap(), b"the node's own");
    let wrong = place_config_cache(&prefix, &verified, KongVersion::new(3, 9, 1), &mut |_: Step| {}).unwrap_err();
    assert!(matches!(wrong, CacheError::WrongForm { .. }), "{wrong}");
}
