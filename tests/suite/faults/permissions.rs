//! What a store says to those who may not do everything: that there is nothing is not the same as that nothing is shown.

use bytes::Bytes;
use lifeboat_storage::{Storage, StorageError, Write};
use lifeboat_tests::faulty::{MemoryS3, Permission, Weather};
use lifeboat_tests::log::Log;
use lifeboat_tests::stage::play;

use super::storage_in;

const THERE: &str = "3.9.1/lifeboat/manifest.json";
const MISSING: &str = "3.9.1/config.json";
const LIMIT: u64 = 1 << 20;

async fn store_without(permissions: &[Permission]) -> Storage {
    let s3 = MemoryS3::default();
    let storage = storage_in(&Weather::fair(), &s3);
    for key in [THERE, "3.9.1/lifeboat/manifest.jso", "3.9.1/lifeboat/manifest.json.old"] {
        storage.write(key, Bytes::from_static(b"{}"), Write::Create).await.unwrap();
    }
    for permission in permissions {
        s3.revoke(*permission);
    }
    storage
}

#[test]
fn where_listing_is_not_allowed_a_missing_object_is_missing_to_who_restores_and_that_is_said_once() {
    play(async {
        let storage = store_without(&[Permission::List]).await;
        assert!(storage.read_optional(THERE, LIMIT).await.unwrap().is_some());
        for _ in 0..3 {
            assert_eq!(storage.read_optional(MISSING, LIMIT).await.unwrap(), None);
            assert_eq!(storage.clone().read_optional("3.9.1/another.json", LIMIT).await.unwrap(), None);
        }
        let said = Log::current().lines_with("It is taken as missing");
        assert_eq!(said.len(), 1, "{said:?}");
        for word in ["WARN", MISSING, "s3:GetObject", "s3:ListBucket"] {
            assert!(said[0].contains(word), "{}", said[0]);
        }
    });
}

#[tokio::test]
async fn who_would_write_anew_does_not_take_a_hidden_object_for_a_missing_one() {
    let storage = store_without(&[Permission::List]).await;
    assert!(storage.read_if_it_exists(THERE, LIMIT).await.unwrap().is_some());
    let error = storage.read_if_it_exists(MISSING, LIMIT).await.unwrap_err();
    assert!(matches!(error, StorageError::Denied { .. }) && error.to_string().contains("s3:ListBucket"), "{error}");
}

#[tokio::test]
async fn where_listing_is_allowed_it_tells_what_is_missing_from_what_may_not_be_read() {
    let storage = store_without(&[Permission::Read]).await;
    for missing in [MISSING, "3.9.1/lifeboat/manifest.jsom", "3.9.1/lifeboat/manifest.jsonl", "alone"] {
        assert_eq!(storage.read_optional(missing, LIMIT).await.unwrap(), None, "{missing}");
        assert_eq!(storage.read_if_it_exists(missing, LIMIT).await.unwrap(), None, "{missing}");
    }
    let error = storage.read_optional(THERE, LIMIT).await.unwrap_err();
    assert!(matches!(error, StorageError::Denied { .. }) && error.to_string().contains("s3:GetObject"), "{error}");
}

#[tokio::test]
async fn each_missing_permission_is_named() {
    let storage = store_without(&[Permission::Write, Permission::List, Permission::Delete]).await;
    let write = storage.write(MISSING, Bytes::new(), Write::Replace).await.unwrap_err();
    let list = storage.list("3.9.1", None).await.unwrap_err();
    let delete = storage.delete(THERE).await.unwrap_err();
    for (error, permission) in [(write, "s3:PutObject"), (list, "s3:ListBucket"), (delete, "s3:DeleteObject")] {
        assert!(matches!(error, StorageError::Denied { .. }) && error.to_string().contains(permission), "{error}");
    }
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_what_was_not_there_is_too() {
    let storage = store_without(&[]).await;
    for key in [THERE, MISSING] {
        storage.delete(key).await.unwrap();
        assert_eq!(storage.read_optional(key, LIMIT).await.unwrap(), None);
    }
}
