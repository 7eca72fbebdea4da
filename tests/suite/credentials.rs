//! Credentials as the platforms hand them out: each form is shown a wrong one that is refused, is renewed before it
//! expires, and leaves no secret in the log. The settings that choose between the forms are tested where they are read.

mod aws;
mod azure;
mod google;
mod program;

use bytes::Bytes;
use lifeboat::settings::{Source, StoreSettings};
use lifeboat_storage::{Storage, StorageError, Write};
use lifeboat_tests::log::Log;

/// What an operator has set.
type Settings = Vec<(&'static str, String)>;

/// Opens a store as Lifeboat does.
fn open(settings: &Settings) -> Storage {
    let settings = settings.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    let settings = StoreSettings::read_alone(&Source::from_environment(settings));
    let settings = settings.unwrap_or_else(|problems| panic!("{problems}"));
    Storage::open(&settings.location()).expect("nothing is asked yet")
}

/// The same settings with another value.
fn with(settings: &Settings, name: &'static str, value: impl Into<String>) -> Settings {
    let mut changed: Settings = settings.iter().filter(|(other, _)| *other != name).cloned().collect();
    changed.push((name, value.into()));
    changed
}

/// Writes an object and reads it back.
async fn write_and_read(storage: &Storage, key: &str) -> Result<(), StorageError> {
    let bytes = Bytes::from(format!("what is in {key}"));
    storage.write(key, bytes.clone(), Write::Create).await?;
    let (read, _) = storage.read(key, 1000).await?;
    assert_eq!(read, bytes);
    assert_eq!(storage.list("folder", None).await?, ["folder/object"]);
    Ok(())
}

/// Why a write is refused, in the log too.
async fn refusal(storage: &Storage) -> String {
    let error = storage.write("folder/object", Bytes::from_static(b"x"), Write::Create).await.unwrap_err();
    assert!(!error.is_transient(), "{error}");
    tracing::error!(%error, ?error, "refused");
    error.to_string()
}

/// That none of these stands in the log, with a store printed there at last.
fn assert_unlogged(storage: &Storage, secrets: &[&str]) {
    tracing::error!("the store: {storage:?}");
    let log = Log::current();
    assert!(log.text().contains("TRACE"), "what is searched is not everything");
    assert!(!secrets.is_empty());
    for secret in secrets {
        assert!(secret.len() > 8, "{secret:?} is found everywhere");
        let lines = log.lines_with(secret);
        assert!(lines.is_empty(), "{secret} stands in {lines:?}");
    }
}
