//! The terminal that standard output may be, and text in lines that fit it.

use std::io::stdout;

use rustix::termios::{Winsize, isatty, tcgetwinsize};
use unicode_width::UnicodeWidthStr;

/// How many columns the terminal has that standard output is; `None` if it is none.
pub(crate) fn terminal_width() -> Option<usize> {
    known(size()?.ws_col)
}

/// How many lines it has.
pub(crate) fn terminal_height() -> Option<usize> {
    known(size()?.ws_row)
}

/// A text in lines that fit, of which the first begins at column `first` and all others at column `rest`. A word that is
/// longer than a line stays whole: it may be copied.
pub(crate) fn folded(text: &str, width: Option<usize>, first: usize, rest: usize) -> String {
    let Some(width) = width else { return text.to_owned() };
    let mut lines = vec![String::new()];
    let mut room = width.saturating_sub(first);

    for word in text.split(' ') {
        let line = lines.last_mut().expect("there is one from the beginning");
        if line.is_empty() || line.width() + 1 + word.width() <= room {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
            room = width.saturating_sub(rest);
        }
    }
    lines.join(&format!("\n{}", " ".repeat(rest)))
}

/// Each of these lines in lines that fit; further ones begin at the column at which the text of the first does, and two more.
pub(crate) fn folded_lines(text: &str, width: Option<usize>) -> String {
    let folded = text.lines().map(|line| {
        let indent = line.len() - line.trim_start().len();
        format!("{}{}", &line[..indent], folded(&line[indent..], width, indent, indent + 2))
    });
    folded.collect::<Vec<_>>().join("\n")
}

fn size() -> Option<Winsize> {
    tcgetwinsize(stdout()).ok().filter(|_| isatty(stdout()))
}

// Some terminals don't know.
fn known(length: u16) -> Option<usize> {
    Some(usize::from(length)).filter(|length| *length > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_folded_fits_and_a_long_word_stays_whole() {
        assert_eq!(folded("one two three", Some(9), 2, 4), "one two\n    three");
        assert_eq!(
            folded("see s3://bucket/with/a/long/name now", Some(12), 0, 0),
            "see\ns3://bucket/with/a/long/name\nnow"
        );
        assert_eq!(
            folded_lines("+ routes  a\n    paths: one → two", Some(16)),
            "+ routes  a\n    paths: one →\n      two"
        );
    }
}
