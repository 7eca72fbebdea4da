//! The terminal that standard output may be.

use std::io::stdout;

use rustix::termios::{Winsize, isatty, tcgetwinsize};

/// How many columns the terminal has that standard output is; `None` if it is none.
pub(crate) fn terminal_width() -> Option<usize> {
    known(size()?.ws_col)
}

/// How many lines it has.
pub(crate) fn terminal_height() -> Option<usize> {
    known(size()?.ws_row)
}

fn size() -> Option<Winsize> {
    tcgetwinsize(stdout()).ok().filter(|_| isatty(stdout()))
}

// Some terminals don't know.
fn known(length: u16) -> Option<usize> {
    Some(usize::from(length)).filter(|length| *length > 0)
}
