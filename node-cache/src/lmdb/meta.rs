//! The two meta pages at a data file's beginning: which state of the tables is the newest. A writer that commits changes
//! exactly one of them, so what was copied between two equal looks at both is one state.

use std::fs::File;
use std::os::unix::fs::FileExt;

use super::table::Table;
use super::{LmdbError, PAGE_HEADER, damaged, u16_at, u32_at, u64_at};

const MAGIC: u32 = 0xBEEF_C0DE;
const DATA_VERSION: u32 = 1;
/// `P_META`.
const META_FLAG: u16 = 0x08;
/// The page header and the fields of `MDB_meta`.
const META_BYTES: usize = PAGE_HEADER + 136;
const MAP_SIZE: usize = PAGE_HEADER + 16;
const FREE_TABLE: usize = PAGE_HEADER + 24;
const MAIN_TABLE: usize = FREE_TABLE + Table::BYTES;
const LAST_PAGE: usize = MAIN_TABLE + Table::BYTES;
const TRANSACTION: usize = LAST_PAGE + 8;
// MDB_INTEGERKEY, which the table of free pages always has.
const INTEGER_KEY: u16 = 0x08;

/// Both meta pages, byte for byte.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct MetaPages {
    bytes: Vec<u8>,
    page_size: usize,
}

/// One state of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    /// The bytes of a page.
    pub(crate) page_size: usize,
    /// The most that the file may grow to, in bytes, as its writer has set it.
    pub(crate) map_size: u64,
    /// The table of everything; its rows may be tables themselves.
    pub(crate) main: Table,
    /// The highest page that is in use or has been.
    pub(crate) last_page: u64,
    /// The transaction that committed this state.
    pub(crate) transaction: u64,
}

impl MetaPages {
    /// Reads both, and checks that they are meta pages.
    pub(crate) fn read(file: &File) -> Result<Self, LmdbError> {
        let mut first = [0; META_BYTES];
        read_exactly(file, &mut first, 0)?;
        let page_size = Meta::parse(&first)?.page_size;
        let mut bytes = vec![0; 2 * page_size];
        read_exactly(file, &mut bytes, 0)?;
        let pages = Self { bytes, page_size };
        if pages.parse(1)?.page_size != page_size {
            return Err(damaged("its two meta pages disagree about the size of a page"));
        }
        Ok(pages)
    }

    /// The newest state.
    pub(crate) fn newest(&self) -> Result<Meta, LmdbError> {
        let (first, second) = (self.parse(0)?, self.parse(1)?);
        // As LMDB picks it: of two that are equally old, the first.
        Ok(if first.transaction < second.transaction { second } else { first })
    }

    /// Their bytes, with which the file begins.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn parse(&self, index: usize) -> Result<Meta, LmdbError> {
        Meta::parse(&self.bytes[index * self.page_size..][..META_BYTES])
    }
}

impl std::fmt::Debug for MetaPages {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "MetaPages({:?})", self.newest())
    }
}

impl Meta {
    fn parse(bytes: &[u8]) -> Result<Self, LmdbError> {
        if u32_at(bytes, PAGE_HEADER) != MAGIC || u16_at(bytes, 10) & META_FLAG == 0 {
            return Err(LmdbError::NotLmdb);
        }
        match u32_at(bytes, PAGE_HEADER + 4) {
            DATA_VERSION => {}
            other => return Err(LmdbError::OtherDataVersion(other)),
        }
        let page_size = u32_at(bytes, FREE_TABLE) as usize;
        if !page_size.is_power_of_two() || !(512..=32_768).contains(&page_size) {
            return Err(damaged(format!("its pages have {page_size} bytes")));
        }

        Ok(Self {
            page_size,
            map_size: u64_at(bytes, MAP_SIZE),
            main: Table::parse(&bytes[MAIN_TABLE..])?,
            last_page: u64_at(bytes, LAST_PAGE),
            transaction: u64_at(bytes, TRANSACTION),
        })
    }

    /// Writes the two meta pages of a file that has this as its only state.
    pub(super) fn encode_as_only_state(&self) -> Vec<u8> {
        let empty = Self { main: Table::EMPTY, last_page: 1, transaction: 0, ..*self };
        let mut bytes = empty.encode(0);
        bytes.extend(self.encode(1));
        bytes
    }

    fn encode(&self, number: u64) -> Vec<u8> {
        let mut page = vec![0; self.page_size];
        let mut put = |at: usize, value: &[u8]| page[at..at + value.len()].copy_from_slice(value);

        put(0, &number.to_le_bytes());
        put(10, &META_FLAG.to_le_bytes());
        put(PAGE_HEADER, &MAGIC.to_le_bytes());
        put(PAGE_HEADER + 4, &DATA_VERSION.to_le_bytes());
        put(MAP_SIZE, &self.map_size.to_le_bytes());
        put(FREE_TABLE, &Table::EMPTY.encode());
        // In this table's record LMDB keeps the size of a page and the environment's flags.
        put(FREE_TABLE, &(self.page_size as u32).to_le_bytes());
        put(FREE_TABLE + 4, &INTEGER_KEY.to_le_bytes());
        put(MAIN_TABLE, &self.main.encode());
        put(LAST_PAGE, &self.last_page.to_le_bytes());
        put(TRANSACTION, &self.transaction.to_le_bytes());
        page
    }
}

// A file that ends before its meta pages do is none of LMDB's.
fn read_exactly(file: &File, bytes: &mut [u8], at: u64) -> Result<(), LmdbError> {
    file.read_exact_at(bytes, at).map_err(|error| match error.kind() {
        std::io::ErrorKind::UnexpectedEof => LmdbError::NotLmdb,
        _ => LmdbError::Io(error),
    })
}
