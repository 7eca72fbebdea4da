//! Which snapshots may be restored: of which versions, how old, and whose; and whether a node that its control plane refuses
//! is.

use std::time::Duration;

use lifeboat_core::session::restore::OnRefusal;
use lifeboat_core::verify::AgeLimit;

use super::{Reader, Rulebook, names};

/// The rules of restoring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreRules {
    /// Of which versions (`LIFEBOAT_VERSION_MATCH`).
    pub version: VersionMatch,
    /// How old (`LIFEBOAT_MAX_AGE`).
    pub age: AgeLimit,
    /// Whose, if another exporter writes there, too (`LIFEBOAT_PREFER`).
    pub prefer: Prefer,
}

/// What is restored if somebody else has written `config.json` since the manifest was written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Prefer {
    /// What the manifest names.
    #[default]
    Manifest,
    /// The newer one: that `config.json`.
    Newest,
}

/// Which version's snapshots a node may have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum VersionMatch {
    /// Its own version's, and where there is none, those of the same major.minor.
    #[default]
    Minor,
    /// Its own version's.
    Exact,
}

impl RestoreRules {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        Self { version: version(reader), age: AgeLimit(age(reader)), prefer: prefer(reader) }
    }

    /// As they are now, if the age changes in this book (`SIGHUP`).
    pub fn as_of(self, rulebook: Option<&Rulebook>) -> Self {
        Self { age: rulebook.map_or(self.age, |rulebook| rulebook.now().age), ..self }
    }
}

/// What a control plane's refusal means (`LIFEBOAT_FEED_ON_REFUSAL`).
pub(super) fn on_refusal(reader: &mut Reader<'_>) -> OnRefusal {
    if reader.switch(names::LIFEBOAT_FEED_ON_REFUSAL) { OnRefusal::Feed } else { OnRefusal::LeaveAlone }
}

fn version(reader: &mut Reader<'_>) -> VersionMatch {
    let Some(given) = reader.text(names::LIFEBOAT_VERSION_MATCH) else { return VersionMatch::default() };
    match given.value.trim() {
        "minor" => VersionMatch::Minor,
        "exact" => VersionMatch::Exact,
        other => {
            reader.wrong(format!("{}: {other:?} is neither minor nor exact", given.name));
            VersionMatch::default()
        }
    }
}

fn prefer(reader: &mut Reader<'_>) -> Prefer {
    let Some(given) = reader.text(names::LIFEBOAT_PREFER) else { return Prefer::default() };
    match given.value.trim() {
        "manifest" => Prefer::Manifest,
        "newest"
            if reader.is_given(names::LIFEBOAT_TRUSTED_KEYS) || reader.is_given(names::LIFEBOAT_ENCRYPTION_KEYS) =>
        {
            reader.wrong(format!(
                "{}: newest would restore a config.json that is not signed, which LIFEBOAT_TRUSTED_KEYS and \
                 LIFEBOAT_ENCRYPTION_KEYS forbid: set it to manifest, or unset the keys",
                given.name
            ));
            Prefer::default()
        }
        "newest" => Prefer::Newest,
        other => {
            reader.wrong(format!("{}: {other:?} is neither manifest nor newest", given.name));
            Prefer::default()
        }
    }
}

fn age(reader: &mut Reader<'_>) -> Option<Duration> {
    let given = reader.text(names::LIFEBOAT_MAX_AGE)?;
    let example = Duration::from_secs(30 * 24 * 60 * 60);
    (given.value.trim() != "off").then(|| reader.duration(names::LIFEBOAT_MAX_AGE, example))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    fn read(pairs: &[(&str, &str)]) -> Result<RestoreRules, String> {
        let source = Source::from_environment(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let mut reader = Reader::new(&source);
        let rules = RestoreRules::read(&mut reader);
        if reader.problems().list().is_empty() { Ok(rules) } else { Err(reader.into_problems().to_string()) }
    }

    #[test]
    fn by_default_any_age_and_the_same_minor_version_will_do() {
        let rules = read(&[]).unwrap();
        assert_eq!(rules, RestoreRules { version: VersionMatch::Minor, age: AgeLimit(None), prefer: Prefer::Manifest });
        assert_eq!(read(&[("LIFEBOAT_MAX_AGE", "off")]).unwrap().age, AgeLimit(None));
        let strict = read(&[("LIFEBOAT_VERSION_MATCH", "exact"), ("LIFEBOAT_MAX_AGE", "7d")]).unwrap();
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert_eq!(
            strict,
            RestoreRules { version: VersionMatch::Exact, age: AgeLimit(Some(week)), prefer: Prefer::Manifest }
        );
    }

    #[test]
    fn mistakes_are_named_with_a_valid_value() {
        assert!(read(&[("LIFEBOAT_VERSION_MATCH", "patch")]).unwrap_err().contains("neither minor nor exact"));
        assert!(read(&[("LIFEBOAT_MAX_AGE", "old")]).unwrap_err().contains("LIFEBOAT_MAX_AGE"));
        assert!(read(&[("LIFEBOAT_PREFER", "mine")]).unwrap_err().contains("neither manifest nor newest"));
    }

    #[test]
    fn what_nobody_has_signed_is_preferred_only_where_no_keys_are_set() {
        assert_eq!(read(&[("LIFEBOAT_PREFER", "newest")]).unwrap().prefer, Prefer::Newest);
        assert_eq!(read(&[("LIFEBOAT_PREFER", "manifest")]).unwrap().prefer, Prefer::Manifest);
        for keys in ["LIFEBOAT_TRUSTED_KEYS", "LIFEBOAT_ENCRYPTION_KEYS_FILE"] {
            let error = read(&[("LIFEBOAT_PREFER", "newest"), (keys, "x")]).unwrap_err();
            assert!(error.contains("is not signed"), "{error}");
        }
    }
}
