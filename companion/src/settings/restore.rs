//! Which snapshots may be restored: of which versions, and how old.

use std::time::Duration;

use lifeboat_core::verify::AgeLimit;

use super::Reader;

/// The rules of restoring.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RestoreRules {
    /// Of which versions (`LIFEBOAT_VERSION_MATCH`).
    pub version: VersionMatch,
    /// How old (`LIFEBOAT_MAX_AGE`).
    pub age: AgeLimit,
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
        Self { version: version(reader), age: AgeLimit(age(reader)) }
    }
}

fn version(reader: &mut Reader<'_>) -> VersionMatch {
    let Some(given) = reader.text("LIFEBOAT_VERSION_MATCH") else { return VersionMatch::default() };
    match given.value.trim() {
        "minor" => VersionMatch::Minor,
        "exact" => VersionMatch::Exact,
        other => {
            reader.wrong(format!("{}: {other:?} is neither minor nor exact", given.name));
            VersionMatch::default()
        }
    }
}

fn age(reader: &mut Reader<'_>) -> Option<Duration> {
    let given = reader.text("LIFEBOAT_MAX_AGE")?;
    if given.value.trim() == "off" {
        return None;
    }
    Some(reader.duration("LIFEBOAT_MAX_AGE", Duration::from_secs(30 * 24 * 60 * 60)))
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
        assert_eq!(rules, RestoreRules { version: VersionMatch::Minor, age: AgeLimit(None) });
        assert_eq!(read(&[("LIFEBOAT_MAX_AGE", "off")]).unwrap().age, AgeLimit(None));
        let strict = read(&[("LIFEBOAT_VERSION_MATCH", "exact"), ("LIFEBOAT_MAX_AGE", "7d")]).unwrap();
        let week = Duration::from_secs(7 * 24 * 60 * 60);
        assert_eq!(strict, RestoreRules { version: VersionMatch::Exact, age: AgeLimit(Some(week)) });
    }

    #[test]
    fn mistakes_are_named_with_a_valid_value() {
        assert!(read(&[("LIFEBOAT_VERSION_MATCH", "patch")]).unwrap_err().contains("neither minor nor exact"));
        assert!(read(&[("LIFEBOAT_MAX_AGE", "old")]).unwrap_err().contains("LIFEBOAT_MAX_AGE"));
    }
}
