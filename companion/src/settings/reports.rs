//! The keys that authenticate the filter's reports: from a variable or a file, and from the file again whenever it
//! changes, so that a key is added or taken away without a restart. What they prove is in `core`.

use std::fmt;
use std::sync::{Arc, Mutex};

use lifeboat_core::report::ReportKey;
use lifeboat_runtime::lock::Locked;
use lifeboat_storage::access::Secret;
use tracing::{info, warn};
use zeroize::Zeroizing;

use super::Reader;
use super::names::LIFEBOAT_REPORT_KEYS as REPORT_KEYS;

/// Where the keys are, and which they are now. By default there are none. Clones share what was read.
#[derive(Clone, Default)]
pub struct ReportKeys {
    given: Option<Secret>,
    read: Arc<Mutex<Read>>,
}

/// What was last read, and from which text.
#[derive(Default)]
struct Read {
    text: Zeroizing<String>,
    keys: Arc<[ReportKey]>,
}

impl ReportKeys {
    pub(super) fn read(reader: &mut Reader<'_>) -> Option<Self> {
        let Some(given) = reader.rereadable_secret(REPORT_KEYS).ok()? else { return Some(Self::default()) };
        let text = match given.reveal() {
            Ok(text) => Zeroizing::new(text),
            Err(error) => {
                reader.wrong(format!("{}: {error}", REPORT_KEYS.in_file()));
                return None;
            }
        };

        match ReportKey::list(&text) {
            Ok(keys) => {
                let read = Read { text, keys: keys.into() };
                Some(Self { given: Some(given), read: Arc::new(Mutex::new(read)) })
            }
            Err(error) => {
                let in_file = matches!(given, Secret::File(_));
                let name = if in_file { REPORT_KEYS.in_file() } else { REPORT_KEYS.to_string() };
                reader.wrong(format!("{name}: {error}"));
                None
            }
        }
    }

    /// Whether there are any: without them reports can't be authenticated.
    pub fn are_set(&self) -> bool {
        self.given.is_some()
    }

    /// The keys as they are now. A file that was changed is read again; if what stands there now is wrong, the keys
    /// that were there before stay, and that is said once.
    pub fn current(&self) -> Arc<[ReportKey]> {
        let mut read = self.read.locked();
        if let Some(given @ Secret::File(_)) = &self.given
            && let Ok(text) = given.reveal().map(Zeroizing::new)
            && *text != *read.text
        {
            match ReportKey::list(&text) {
                Ok(keys) => {
                    info!("{REPORT_KEYS} was changed: there are {} keys now", keys.len());
                    read.keys = keys.into();
                }
                Err(error) => warn!("changed {REPORT_KEYS} can't be used, so the previous ones stay in use: {error}"),
            }
            read.text = text;
        }

        read.keys.clone()
    }
}

impl fmt::Debug for ReportKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ReportKeys({:?})", self.given)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Problems, Source};

    const OLD: &str = "0123456789abcdef";
    const NEW: &str = "fedcba9876543210";

    fn read(name: &str, value: &str) -> Result<ReportKeys, Problems> {
        let source = Source::from_environment([(name.to_owned(), value.to_owned())]);
        let mut reader = Reader::new(&source);
        let keys = ReportKeys::read(&mut reader);
        keys.ok_or_else(|| reader.into_problems())
    }

    #[test]
    fn keys_are_read_and_do_not_print() {
        let keys = read("LIFEBOAT_REPORT_KEYS", &format!("{NEW},{OLD}")).unwrap();
        assert_eq!(&*keys.current(), [ReportKey::new(NEW).unwrap(), ReportKey::new(OLD).unwrap()]);
        assert_eq!(format!("{keys:?}"), "ReportKeys(Some(..))");
        assert!(keys.are_set());
        let none = read("LIFEBOAT_LOG", "info").unwrap();
        assert!(!none.are_set() && none.current().is_empty());
    }

    #[test]
    fn a_mistake_names_the_setting_and_repeats_no_key() {
        let problems = read("LIFEBOAT_REPORT_KEYS", &format!("{OLD},too-short")).unwrap_err();
        assert!(problems.to_string().contains("LIFEBOAT_REPORT_KEYS: key 2 is not 16 to 256"), "{problems}");
        assert!(!problems.to_string().contains("too-short"), "{problems}");
        let problems = read("LIFEBOAT_REPORT_KEYS_FILE", "/nowhere/keys").unwrap_err();
        assert!(problems.to_string().contains("/nowhere/keys"), "{problems}");
    }

    #[test]
    fn a_file_is_read_again_when_it_changes_and_a_broken_one_changes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        std::fs::write(&path, OLD).unwrap();
        let keys = read("LIFEBOAT_REPORT_KEYS_FILE", &path.display().to_string()).unwrap();
        for (text, count) in [(format!("{NEW}\n{OLD}\n"), 2), ("half".to_owned(), 2), (NEW.to_owned(), 1)] {
            std::fs::write(&path, text).unwrap();
            assert_eq!(keys.current().len(), count);
        }
        std::fs::remove_file(&path).unwrap();
        assert_eq!(keys.current().len(), 1);
    }
}
