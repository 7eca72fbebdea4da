//! How many connections the HTTP listeners take. No setting: what the relay leaves room for.

/// How many may be open without a whole request. More than the runtime accepts before it looks for what has arrived, so
/// that a request that is already there is always seen before its connection could be the oldest.
pub(crate) const MOST_WAITING: usize = 128;
/// How many may ask for health at the same time. Its answers fit every socket's buffer: a place is free at once.
pub(crate) const MOST_HEALTH: usize = 16;
/// How many may ask for anything else.
pub(crate) const MOST_PAGES: usize = 64;

/// How many files these connections may take.
pub(crate) const MOST_CONNECTIONS: usize = MOST_WAITING + MOST_HEALTH + MOST_PAGES;
