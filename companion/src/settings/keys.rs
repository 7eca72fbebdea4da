//! The keys for sealing and signing: from variables or files, and from files again whenever they change, so that a key
//! is added or taken away without a restart. What keys mean is in `core`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::SystemTime;

use lifeboat_core::keys::{Keyring, read_key, read_keys};
use lifeboat_runtime::lock::Locked;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::Reader;
use super::names::{
    LIFEBOAT_ENCRYPTION_KEYS as ENCRYPTION, LIFEBOAT_SIGNING_KEY as SIGNING, LIFEBOAT_TRUSTED_KEYS as TRUSTED, Name,
};

/// Where the keys are, and which they are now. By default there are none. Clones share what was read.
#[derive(Clone, Default)]
pub struct KeySource(Arc<Shared>);

#[derive(Default)]
struct Shared {
    given: [Place; 3],
    read: Mutex<Read>,
}

/// What was last read.
#[derive(Default)]
struct Read {
    keys: Arc<Keyring>,
    stamps: [Option<Stamp>; 3],
}

/// Where one setting's value stands.
#[derive(Default)]
enum Place {
    #[default]
    Nowhere,
    Value(Zeroizing<String>),
    File(PathBuf),
}

/// What tells that a file was changed, without reading it: a mounted secret is another file behind the same name.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Stamp {
    modified: Option<SystemTime>,
    length: u64,
    inode: u64,
}

impl KeySource {
    /// These keys, which stand in no file.
    pub fn fixed(keys: Keyring) -> Self {
        let read = Mutex::new(Read { keys: Arc::new(keys), stamps: Default::default() });
        Self(Arc::new(Shared { read, ..Shared::default() }))
    }

    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let given = [place(reader, ENCRYPTION)?, place(reader, SIGNING)?, place(reader, TRUSTED)?];
        let stamps = stamps(&given);
        match keyring(&given) {
            Ok(keys) => {
                let read = Mutex::new(Read { keys: Arc::new(keys), stamps });
                Some(Self(Arc::new(Shared { given, read })))
            }
            Err(problems) => {
                problems.into_iter().for_each(|problem| reader.wrong(problem));
                None
            }
        }
    }

    /// The keys as they are now. Files that were changed are read again; if what stands there now is wrong, the keys
    /// that were there before stay, and that is said once.
    pub fn current(&self) -> Arc<Keyring> {
        let mut read = self.0.read.locked();
        let stamps = stamps(&self.0.given);
        if stamps != read.stamps {
            match keyring(&self.0.given) {
                Ok(keys) => {
                    info!("the keys for sealing and signing were changed: {}", described(&keys));
                    read.keys = Arc::new(keys);
                }
                Err(problems) => {
                    warn!("the changed keys can't be used, so the previous ones stay in use: {}", problems.join("; "))
                }
            }
            read.stamps = stamps;
        }
        read.keys.clone()
    }
}

fn place(reader: &mut Reader<'_>, name: Name) -> Option<Place> {
    let value = reader.secret(name).ok()?;
    Some(match (value, reader.secret_file(name)) {
        (None, _) => Place::Nowhere,
        (Some(_), Some(file)) => Place::File(file.value.trim().into()),
        (Some(value), None) => Place::Value(Zeroizing::new(value)),
    })
}

fn keyring(given: &[Place; 3]) -> Result<Keyring, Vec<String>> {
    let mut problems = Vec::new();
    let [encryption, signing, trusted] = given;
    let encryption = keys_at(encryption, ENCRYPTION, read_keys, &mut problems);
    let signing = keys_at(signing, SIGNING, read_key, &mut problems);
    let trusted = keys_at(trusted, TRUSTED, read_keys, &mut problems);
    if !problems.is_empty() {
        return Err(problems);
    }
    let keys = Keyring::new(encryption.unwrap_or_default(), signing, trusted.unwrap_or_default());
    keys.map_err(|clash| vec![clash.to_string()])
}

fn keys_at<T, E: fmt::Display>(
    place: &Place,
    name: Name,
    parse: impl FnOnce(&str) -> Result<T, E>,
    problems: &mut Vec<String>,
) -> Option<T> {
    let read = match place {
        Place::Nowhere => return None,
        Place::Value(text) => parse(text).map_err(|error| format!("{name}: {error}")),
        Place::File(path) => text_of(path)
            .and_then(|text| parse(&text).map_err(|error| error.to_string()))
            .map_err(|error| format!("{}: {}: {error}", name.in_file(), path.display())),
    };
    read.map_err(|problem| problems.push(problem)).ok()
}

fn text_of(path: &Path) -> Result<Zeroizing<String>, String> {
    std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| format!("it can't be read: {error}"))
}

fn stamps(given: &[Place; 3]) -> [Option<Stamp>; 3] {
    use std::os::unix::fs::MetadataExt;
    [0, 1, 2].map(|index| match &given[index] {
        Place::Nowhere | Place::Value(_) => None,
        Place::File(path) => path.metadata().ok().map(|metadata| Stamp {
            modified: metadata.modified().ok(),
            length: metadata.len(),
            inode: metadata.ino(),
        }),
    })
}

fn described(keys: &Keyring) -> String {
    let names = |names: Vec<_>| match &names[..] {
        [] => "none".to_owned(),
        names => lifeboat_core::keys::quoted(names),
    };
    format!("encryption {}, trusted {}", names(keys.encryption_names()), names(keys.trusted_names()))
}

impl fmt::Debug for KeySource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "KeySource({:?})", self.current())
    }
}

#[cfg(test)]
mod tests {
    use lifeboat_core::keys::{EncryptionKey, SigningKey};

    use super::*;
    use crate::settings::{Problems, Source};

    fn encryption(name: &str) -> String {
        EncryptionKey::from_secret(name.parse().unwrap(), [7; 32]).to_text().to_string()
    }

    fn read(pairs: &[(&str, &str)]) -> Result<KeySource, Problems> {
        let pairs = pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let source = Source::from_environment(pairs);
        let mut reader = Reader::new(&source);
        let keys = KeySource::read(&mut reader);
        keys.ok_or_else(|| reader.into_problems())
    }

    #[test]
    fn keys_are_read_from_variables_and_do_not_print() {
        let signing = SigningKey::from_seed("s".parse().unwrap(), [8; 32]);
        let trusted = signing.trusted().to_text();
        let source = read(&[
            ("LIFEBOAT_ENCRYPTION_KEYS", &encryption("e")),
            ("LIFEBOAT_SIGNING_KEY", &signing.to_text()),
            ("LIFEBOAT_TRUSTED_KEYS", &trusted),
        ])
        .unwrap();
        let printed = format!("{source:?}");
        assert!(printed.contains("EncryptionKey(\"e\", ..)") && printed.contains("SigningKey(\"s\", ..)"), "{printed}");
        assert!(!printed.contains("k1_"), "{printed}");
        assert!(read(&[]).unwrap().current().sealing().is_none());
    }

    #[test]
    fn all_mistakes_are_reported_with_their_setting() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "# nothing\n").unwrap();
        let path = file.path().display().to_string();
        let signing = SigningKey::from_seed("s".parse().unwrap(), [8; 32]).to_text();
        let problems = read(&[
            ("LIFEBOAT_ENCRYPTION_KEYS", "x"),
            ("LIFEBOAT_SIGNING_KEY", &encryption("e")),
            ("LIFEBOAT_TRUSTED_KEYS", &signing),
        ])
        .unwrap_err();
        assert_eq!(problems.list().len(), 3, "{problems}");
        assert!(
            problems.list()[2]
                .starts_with("LIFEBOAT_TRUSTED_KEYS (--trusted-keys): key \"s\" is a private signing key"),
            "{problems}"
        );
        assert!(!problems.to_string().contains(&signing[6..]), "{problems}");
        let problems = read(&[("LIFEBOAT_TRUSTED_KEYS_FILE", &path)]).unwrap_err();
        assert!(
            problems.list()[0].contains(&format!("LIFEBOAT_TRUSTED_KEYS_FILE: {path}: there is no key")),
            "{problems}"
        );
        let both = read(&[("LIFEBOAT_ENCRYPTION_KEYS", &encryption("e")), ("LIFEBOAT_ENCRYPTION_KEYS_FILE", &path)])
            .unwrap_err();
        assert!(both.to_string().contains("both set"), "{both}");
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, encryption("old")).unwrap();
        let keys = read(&[("LIFEBOAT_ENCRYPTION_KEYS_FILE", &path.display().to_string())]).unwrap();
        let names = || lifeboat_core::keys::quoted(&keys.current().encryption_names());
        assert_eq!(names(), "\"old\"");
        std::fs::write(&path, format!("{}\n{}", encryption("new"), encryption("old"))).unwrap();
        assert_eq!(names(), "\"new\", \"old\"");
        std::fs::write(&path, "half a k").unwrap();
        assert_eq!(names(), "\"new\", \"old\"");
        std::fs::remove_file(&path).unwrap();
        assert_eq!(names(), "\"new\", \"old\"");
        std::fs::write(&path, encryption("new")).unwrap();
        assert_eq!(names(), "\"new\"");
    }
}
