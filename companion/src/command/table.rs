//! Tables that fit a terminal. Where output goes elsewhere, nothing is folded, shortened or left out, so that a line
//! is one thing that can be looked for.
//!
//! comfy-table would do the padding, which is the smaller part: which column gives way first, and that a last column of text
//! moves below the others, would stay here, and the program would have two crates more.

use lifeboat_core::time::WallTime;
use unicode_width::UnicodeWidthStr;

use crate::lasting::lasting;
use crate::terminal::folded;

/// Between two columns.
const GAP: usize = 2;
/// A column of text that would be narrower is put below the others.
const NARROWEST_TEXT: usize = 32;

/// What is said below a table that has given something up.
pub(super) const SHORTENED: &str = "Shortened to fit this terminal: --output json has all of it";

/// What a table gives up, in this order, until it fits.
#[derive(Clone, Copy, Debug)]
pub(super) enum Concession {
    /// The column with this title.
    Drop(&'static str),
    /// All of that column's texts but so many letters.
    Shorten(&'static str, usize),
}

/// Rows of short texts, none of which is folded.
#[derive(Clone, Debug)]
pub(super) struct Table {
    titles: Vec<&'static str>,
    rows: Vec<Vec<String>>,
    /// Numbers end below each other.
    right: Vec<&'static str>,
}

impl Table {
    /// A table without rows yet.
    pub(super) fn new(titles: &[&'static str]) -> Self {
        Self { titles: titles.to_vec(), rows: Vec::new(), right: Vec::new() }
    }

    /// The same, with numbers in these columns.
    pub(super) fn with_numbers_in(self, right: &[&'static str]) -> Self {
        Self { right: right.to_vec(), ..self }
    }

    /// Adds a row; what it has fewer of than there are columns is empty.
    pub(super) fn add(&mut self, mut row: Vec<String>) {
        row.resize(self.titles.len(), String::new());
        self.rows.push(row);
    }

    /// The table as it fits, and whether something had to go for that.
    pub(super) fn fitted(mut self, width: Option<usize>, concessions: &[Concession]) -> (String, bool) {
        let mut is_shortened = false;
        for concession in concessions {
            if width.is_none_or(|width| self.width() <= width) {
                break;
            }
            is_shortened |= self.concede(*concession);
        }
        (self.lines().join("\n"), is_shortened)
    }

    /// The table with a last column of text, which is folded in its column, or below the rest where that is too narrow.
    pub(super) fn with_text(self, title: &str, texts: &[String], width: Option<usize>) -> String {
        let text_width = width.map(|width| width.saturating_sub(self.width() + GAP));
        let is_below = text_width.is_some_and(|width| width < NARROWEST_TEXT);
        let (indent, beside) = if is_below { (GAP, None) } else { (self.width() + GAP, Some(())) };
        let lines = self.lines();
        let titled = [title.to_owned()];
        let texts = titled.iter().chain(texts);
        let pairs = lines.iter().zip(texts).enumerate().map(|(index, (line, text))| match beside {
            Some(()) => format!("{line:<indent$}{}", folded(text, width, indent, indent)).trim_end().to_owned(),
            None if index == 0 => line.clone(),
            None => format!("{line}\n{}{}", " ".repeat(indent), folded(text, width, indent, indent)),
        });
        pairs.collect::<Vec<_>>().join("\n")
    }

    // Tells whether that has made a difference.
    fn concede(&mut self, concession: Concession) -> bool {
        let (Concession::Drop(title) | Concession::Shorten(title, _)) = concession;
        let Some(column) = self.titles.iter().position(|other| *other == title) else { return false };
        match concession {
            Concession::Drop(_) => {
                self.titles.remove(column);
                self.rows.iter_mut().for_each(|row| drop(row.remove(column)));
                true
            }
            Concession::Shorten(_, letters) => {
                let is_longer = |row: &Vec<String>| row[column].chars().nth(letters).is_some();
                let is_any_longer = self.rows.iter().any(is_longer);
                self.rows.iter_mut().for_each(|row| row[column] = row[column].chars().take(letters).collect());
                is_any_longer
            }
        }
    }

    fn widths(&self) -> Vec<usize> {
        let of_column = |column: usize| {
            self.rows.iter().map(|row| row[column].width()).chain([self.titles[column].width()]).max().unwrap_or(0)
        };
        (0..self.titles.len()).map(of_column).collect()
    }

    fn width(&self) -> usize {
        self.widths().iter().sum::<usize>() + GAP * self.titles.len().saturating_sub(1)
    }

    fn lines(&self) -> Vec<String> {
        let widths = self.widths();
        let line = |cells: &[&str]| {
            let padded = cells.iter().enumerate().map(|(column, cell)| {
                let blanks = " ".repeat(widths[column] - cell.width());
                if self.right.contains(&self.titles[column]) {
                    format!("{blanks}{cell}")
                } else {
                    format!("{cell}{blanks}")
                }
            });
            padded.collect::<Vec<_>>().join(&" ".repeat(GAP)).trim_end().to_owned()
        };
        let rows = self.rows.iter().map(|row| line(&row.iter().map(String::as_str).collect::<Vec<_>>()));
        [line(&self.titles)].into_iter().chain(rows).collect()
    }
}

/// How long ago something was, for people.
pub(super) fn age(then: WallTime, now: WallTime) -> String {
    lasting(now.since(then))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new(&["KONG", "HASH", "BYTES"]).with_numbers_in(&["BYTES"]);
        table.add(vec!["3.9.1".into(), "5d41402abc4b2a76b9719d911017c592".into(), "58".into()]);
        table.add(vec!["3.9.1".into(), "none".into()]);
        table
    }

    const CONCESSIONS: [Concession; 2] = [Concession::Shorten("HASH", 8), Concession::Drop("BYTES")];

    #[test]
    fn a_table_gives_up_only_what_it_must_to_fit() {
        let (whole, is_shortened) = table().fitted(None, &CONCESSIONS);
        assert!(whole.contains("5d41402abc4b2a76b9719d911017c592     58") && !is_shortened, "{whole}");
        let (fits, is_shortened) = table().fitted(Some(46), &CONCESSIONS);
        assert_eq!((fits, is_shortened), (whole, false));
        let (short, is_shortened) = table().fitted(Some(30), &CONCESSIONS);
        assert_eq!(short, "KONG   HASH      BYTES\n3.9.1  5d41402a     58\n3.9.1  none");
        assert!(is_shortened);
        let (narrow, is_shortened) = table().fitted(Some(18), &CONCESSIONS);
        assert_eq!((narrow.as_str(), is_shortened), ("KONG   HASH\n3.9.1  5d41402a\n3.9.1  none", true));
    }

    #[test]
    fn text_is_folded_beside_or_below_the_table_and_not_at_all_elsewhere() {
        let mut checks = Table::new(&["CHECK", "RESULT"]);
        checks.add(vec!["store: list".into(), "fail".into()]);
        let seen = ["nobody may list the bucket, says the store".to_owned()];
        let elsewhere = checks.clone().with_text("SEEN", &seen, None);
        let row = "store: list  fail    nobody may list the bucket, says the store";
        assert_eq!(elsewhere, format!("CHECK        RESULT  SEEN\n{row}"));
        let beside = checks.clone().with_text("SEEN", &seen, Some(57));
        let rows = "store: list  fail    nobody may list the bucket, says the\n                     store";
        assert_eq!(beside, format!("CHECK        RESULT  SEEN\n{rows}"));
        let below = checks.with_text("SEEN", &seen, Some(40));
        assert_eq!(below, "CHECK        RESULT\nstore: list  fail\n  nobody may list the bucket, says the\n  store");
    }

    #[test]
    fn wide_letters_take_two_columns() {
        let mut table = Table::new(&["A", "B"]);
        table.add(vec!["中文".into(), "x".into()]);
        table.add(vec!["abcd".into(), "y".into()]);
        assert_eq!(table.fitted(None, &[]).0, "A     B\n中文  x\nabcd  y");
    }
}
