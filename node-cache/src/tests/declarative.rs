//! What a node that isn't running has already, and declarative files for its next start.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::Arc;

use bytes::Bytes;
use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::verify::{Policy, Verified, verify_bare};

use super::recorded::{RECORDED, empty_prefix, everything_below, fresh_node, never_written, prefix_with, recorded_id};
use super::running::RunningKong;
use crate::{CacheError, NodePrefix, Present, Step, place_declarative_file, present, remove_declarative_file};

const JSON: &str = r#"{"_format_version":"3.0","services":[]}"#;

fn configuration() -> Verified {
    let policy = Policy { version: recorded_id().version, max_config: 1 << 20, keys: Arc::default() };
    verify_bare(Bytes::from_static(JSON.as_bytes()), &policy).unwrap()
}

fn place(prefix: &NodePrefix) -> Result<std::path::PathBuf, CacheError> {
    place_declarative_file(prefix, &configuration(), &mut |_: Step| {})
}

#[test]
fn a_node_would_start_with_what_its_version_looks_for() {
    let (kong_2, kong_3) = (KongVersion::new(2, 8, 5), recorded_id().version);
    let (folder, prefix) = empty_prefix();
    assert_eq!(present(&NodePrefix::new(folder.path().join("nowhere")), kong_3).unwrap(), Present::Nothing);
    assert_eq!(present(&prefix, kong_3).unwrap(), Present::Nothing);
    // Left by an older Kong, before it was upgraded.
    fs::write(prefix.config_cache(), b"gzip").unwrap();
    assert_eq!(present(&prefix, kong_3).unwrap(), Present::Nothing);
    assert!(matches!(present(&prefix, kong_2).unwrap(), Present::Configuration(what) if what.contains("4 bytes")));

    for (data, expected) in [(never_written(), "Nothing"), (fresh_node(), "Nothing"), (b"garbage".to_vec(), "Useless")]
    {
        let (_folder, prefix) = prefix_with(&data);
        let found = format!("{:?}", present(&prefix, kong_3).unwrap());
        assert!(found.starts_with(expected), "{found}");
    }
    let (_folder, prefix) = prefix_with(RECORDED);
    let before = everything_below(prefix.path());
    assert!(matches!(present(&prefix, kong_3).unwrap(), Present::Configuration(what) if what.contains("3ff47162")));
    // A Kong of 3.0 to 3.3 may have something there, too.
    assert!(matches!(present(&prefix, KongVersion::new(3, 3, 1)).unwrap(), Present::Configuration(_)));
    assert_eq!(everything_below(prefix.path()), before);
}

#[test]
fn a_declarative_file_is_private_and_replaces_an_earlier_one() {
    let (_folder, prefix) = empty_prefix();
    fs::write(prefix.declarative_file(), "of an earlier start, and readable for all").unwrap();
    let path = place(&prefix).unwrap();
    assert_eq!(path.extension().unwrap(), "json", "Kong looks at how the name ends");
    assert_eq!(fs::read_to_string(&path).unwrap(), JSON);
    let (file, owner) = (fs::metadata(&path).unwrap(), fs::metadata(prefix.path()).unwrap());
    assert_eq!((file.permissions().mode() & 0o777, file.uid()), (0o600, owner.uid()));
    assert_eq!(everything_below(prefix.path()).len(), 1);
}

#[test]
fn a_declarative_file_goes_to_the_user_whom_the_prefix_is() {
    let (_folder, prefix) = empty_prefix();
    // Only root can give files away, and become another user.
    if rustix::process::geteuid().is_root() {
        std::os::unix::fs::chown(prefix.path(), Some(1234), Some(2345)).unwrap();
    }
    let path = place(&prefix).unwrap();
    let (file, owner) = (fs::metadata(path).unwrap(), fs::metadata(prefix.path()).unwrap());
    assert_eq!((file.uid(), file.gid()), (owner.uid(), owner.gid()));
}

#[test]
fn what_an_earlier_start_has_left_is_removed_unless_kong_runs() {
    let (_folder, prefix) = empty_prefix();
    remove_declarative_file(&prefix).unwrap();
    place(&prefix).unwrap();
    // Of one that was killed while it wrote.
    fs::create_dir(prefix.path().join(".lifeboat-import")).unwrap();
    fs::write(prefix.path().join(".lifeboat-import/declarative.json"), "half").unwrap();
    let before = everything_below(prefix.path());

    let kong = RunningKong::start(&prefix);
    let refused = [
        remove_declarative_file(&prefix).unwrap_err(),
        place(&prefix).unwrap_err(),
        present(&prefix, recorded_id().version).unwrap_err(),
    ];
    drop(kong);
    for error in refused {
        assert!(matches!(error, CacheError::KongRuns { .. }), "{error}");
    }
    fs::remove_dir_all(prefix.path().join("pids")).unwrap();
    assert_eq!(everything_below(prefix.path()), before);
    remove_declarative_file(&prefix).unwrap();
    assert_eq!(everything_below(prefix.path()), []);
}
