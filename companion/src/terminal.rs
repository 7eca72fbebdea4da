//! The terminal that standard output may be.

use std::io::stdout;

use rustix::termios::{isatty, tcgetwinsize};

/// How many columns the terminal has that standard output is; `None` if it is none.
pub(crate) fn terminal_width() -> Option<usize> {
    let size = tcgetwinsize(stdout()).ok().filter(|_| isatty(stdout()))?;
    // Some terminals don't know.
    Some(usize::from(size.ws_col)).filter(|width| *width > 0)
}
