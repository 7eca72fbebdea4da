//! Where a table is shown again and again. On a terminal it stays in its place; elsewhere it is written again only when it says
//! something new.

use std::io::{self, ErrorKind, Write};

use crate::terminal::terminal_height;

/// The terminal's other screen, which leaves what was there before as it was (xterm, "Alternate Screen Buffer"), without a
/// cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l";
const LEAVE: &str = "\x1b[?1049l\x1b[?25h";
const HOME: &str = "\x1b[H";
const REST_OF_LINE: &str = "\x1b[K";
const REST_OF_SCREEN: &str = "\x1b[J";

/// What is shown, until this is dropped.
#[derive(Debug)]
pub(super) struct Screen {
    is_terminal: bool,
    /// What was last shown.
    last: String,
    /// What that says apart from ages.
    last_ageless: Option<String>,
}

impl Screen {
    /// One on standard output. A terminal that can't move its cursor is none.
    pub(super) fn open(is_terminal: bool) -> Self {
        let is_terminal = is_terminal && std::env::var_os("TERM").is_none_or(|term| term != "dumb");
        if is_terminal {
            // What can't be written is noticed with the first table.
            let _ = write(ENTER);
        }
        Self { is_terminal, last: String::new(), last_ageless: None }
    }

    /// Shows this. `ageless` is the same without what changes all the time. Tells whether somebody still reads it.
    ///
    /// # Errors
    /// When it can't be written.
    pub(super) fn show(&mut self, text: impl FnOnce() -> String, ageless: impl FnOnce() -> String) -> io::Result<bool> {
        if self.is_terminal {
            let text = text();
            let frame = frame(&text, terminal_height());
            self.last = text;
            return write(&frame);
        }

        let ageless = ageless();
        if self.last_ageless.as_ref() == Some(&ageless) {
            return Ok(true);
        }
        let gap = if self.last_ageless.is_some() { "\n" } else { "" };
        self.last_ageless = Some(ageless);
        write(&format!("{gap}{}\n", text()))
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        if self.is_terminal {
            // What it showed last stays to be read.
            let _ = write(&format!("{LEAVE}{}\n", self.last));
        }
    }
}

// The whole screen in one piece, without a blank one in between: that would flicker. A line more would scroll it.
fn frame(text: &str, height: Option<usize>) -> String {
    let lines: Vec<&str> = text.lines().collect();
    let height = height.unwrap_or(usize::MAX).max(2);
    let mut shown: Vec<String> = lines.iter().map(|line| (*line).to_owned()).collect();
    if lines.len() > height {
        shown.truncate(height - 1);
        shown.push(format!("({} more lines: shortened to fit this terminal)", lines.len() - shown.len()));
    }
    format!("{HOME}{}{REST_OF_LINE}{REST_OF_SCREEN}", shown.join(&format!("{REST_OF_LINE}\r\n")))
}

fn write(text: &str) -> io::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        written => written.map(|()| true),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_screen_is_never_taller_than_the_terminal() {
        let text = "a\nb\nc\nd";
        assert_eq!(frame(text, Some(4)).matches("\r\n").count(), 3);
        let short = frame(text, Some(3));
        assert_eq!(short.matches("\r\n").count(), 2, "{short:?}");
        assert!(short.contains("(2 more lines: shortened"), "{short:?}");
        assert!(frame(text, None).contains('d'));
    }
}
