//! LMDB's data files, version 1, as 64-bit little-endian machines write them: read page by page, checked, and written
//! anew without what is free. No environment is ever opened and no `lock.mdb` made; what the rows mean is not known here.
//!
//! This is not the LMDB library, on purpose: that one maps the file and trusts it. On one that is truncated or damaged
//! it ends the whole process, with an assertion or by SIGBUS, and a companion serves nodes. Here a damaged file is an
//! error. The format is the one of `mdb.c` in LMDB 0.9.x (struct `MDB_meta`, `MDB_page`, `MDB_node`, `MDB_db`); what is
//! written here is read with LMDB itself in `tests/servers/`.

mod compact;
mod meta;
mod page;
mod pages;
mod table;

pub(crate) use compact::compact;
pub(crate) use meta::MetaPages;
pub(crate) use pages::Pages;
pub(crate) use table::{Row, Table};

/// Why a file can't be read as an LMDB data file.
#[derive(Debug, thiserror::Error)]
pub enum LmdbError {
    /// Something else, or garbage. Kong removes it at its next start.
    #[error("it is not an LMDB data file")]
    NotLmdb,
    /// Another version of the format: Kong 3.0 to 3.3 write one.
    #[error("it has LMDB's data version {0}, and this lifeboat knows version 1 (Kong 3.4 and later)")]
    OtherDataVersion(u32),
    /// A form that Kong's cache doesn't have.
    #[error("it has {0}, which no cache of Kong's has")]
    Unsupported(&'static str),
    /// Some of what it refers to isn't there, or is something else. A Kong that opens it may crash.
    #[error("it is damaged: {0}")]
    Damaged(String),
    /// The operating system.
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

fn damaged(what: impl Into<String>) -> LmdbError {
    LmdbError::Damaged(what.into())
}

/// No page: the root of an empty table.
const NO_PAGE: u64 = u64::MAX;
const PAGE_HEADER: usize = 16;

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes(bytes[at..at + 2].try_into().expect("two bytes"))
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes[at..at + 8].try_into().expect("eight bytes"))
}

#[cfg(test)]
mod tests;
