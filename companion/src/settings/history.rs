//! How much of the history stays in the store. Which snapshots those are is `lifeboat_core::export::retention`'s.

use lifeboat_core::export::retention::DEFAULT_LIMIT;

use super::{Reader, names};

/// How many snapshots of a version stay at most (`LIFEBOAT_HISTORY`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HistoryLimit {
    /// Nothing is ever deleted.
    Everything,
    /// So many, the oldest of which go first.
    AtMost(usize),
}

const MOST: usize = 1_000_000;

impl Default for HistoryLimit {
    fn default() -> Self {
        Self::AtMost(DEFAULT_LIMIT)
    }
}

impl HistoryLimit {
    pub(super) fn read(reader: &mut Reader<'_>) -> Self {
        let Some(given) = reader.text(names::LIFEBOAT_HISTORY) else { return Self::default() };
        let text = given.value.trim();

        if matches!(text.to_ascii_lowercase().as_str(), "all" | "off") {
            return Self::Everything;
        }
        match text.parse() {
            Ok(limit) if (1..=MOST).contains(&limit) => Self::AtMost(limit),
            _ => {
                reader.wrong(format!(
                    "{}: {text:?} is neither a number of snapshots from 1 to {MOST} nor all, which keeps every one \
                     (valid: {DEFAULT_LIMIT})",
                    given.name
                ));
                Self::default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    fn read(value: &str) -> (HistoryLimit, String) {
        let source = Source::from_environment([("LIFEBOAT_HISTORY".to_owned(), value.to_owned())]);
        let mut reader = Reader::new(&source);
        let limit = HistoryLimit::read(&mut reader);
        (limit, reader.into_problems().list().join("\n"))
    }

    #[test]
    fn the_history_is_bounded_by_a_number_or_not_at_all() {
        assert_eq!(HistoryLimit::read(&mut Reader::new(&Source::default())), HistoryLimit::AtMost(DEFAULT_LIMIT));
        for (value, limit) in [
            ("30", HistoryLimit::AtMost(30)),
            (" 1 ", HistoryLimit::AtMost(1)),
            ("all", HistoryLimit::Everything),
            ("OFF", HistoryLimit::Everything),
        ] {
            assert_eq!(read(value), (limit, String::new()), "{value}");
        }
    }

    #[test]
    fn what_is_no_number_of_snapshots_is_refused_with_one_that_is() {
        for value in ["0", "-1", "30d", "none", "1000001", "1.5"] {
            let (_, problem) = read(value);
            assert!(
                problem.starts_with("LIFEBOAT_HISTORY (--history): ") && problem.ends_with("(valid: 500)"),
                "{value}: {problem}"
            );
        }
    }
}
