//! A table: its record, and its rows in the order of their keys. What a row is beyond key and value is not known here.

use super::page::NodeValue;
use super::pages::Pages;
use super::{LmdbError, NO_PAGE, damaged, u16_at, u32_at, u64_at};

/// LMDB's own limit (`CURSOR_STACK`).
const DEEPEST: u16 = 32;

/// A table's record (`MDB_db`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Table {
    depth: u16,
    branch_pages: u64,
    leaf_pages: u64,
    overflow_pages: u64,
    rows: u64,
    pub(super) root: u64,
}

/// What stands under a key.
#[derive(Debug)]
pub(crate) enum Row<'a> {
    /// A value.
    Value(&'a [u8]),
    /// A table.
    Table(Table),
}

impl Table {
    pub(super) const BYTES: usize = 48;
    /// A table without rows.
    pub(crate) const EMPTY: Self =
        Self { depth: 0, branch_pages: 0, leaf_pages: 0, overflow_pages: 0, rows: 0, root: NO_PAGE };

    pub(super) fn parse(bytes: &[u8]) -> Result<Self, LmdbError> {
        // MDB_REVERSEKEY, MDB_DUPSORT and so on. The first field is the size of such duplicates.
        if u16_at(bytes, 4) != 0 || u32_at(bytes, 0) != 0 {
            return Err(LmdbError::Unsupported("a table with a special order"));
        }
        let table = Self {
            depth: u16_at(bytes, 6),
            branch_pages: u64_at(bytes, 8),
            leaf_pages: u64_at(bytes, 16),
            overflow_pages: u64_at(bytes, 24),
            rows: u64_at(bytes, 32),
            root: u64_at(bytes, 40),
        };
        if table.depth > DEEPEST || (table.depth == 0) != (table.root == NO_PAGE) {
            return Err(damaged("a table's depth is wrong"));
        }

        Ok(table)
    }

    pub(super) fn encode(&self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[6..8].copy_from_slice(&self.depth.to_le_bytes());
        let fields = [self.branch_pages, self.leaf_pages, self.overflow_pages, self.rows, self.root];
        for (index, field) in fields.iter().enumerate() {
            bytes[8 + 8 * index..][..8].copy_from_slice(&field.to_le_bytes());
        }
        bytes
    }

    /// How many levels it has.
    pub(super) fn height(&self) -> u16 {
        self.depth
    }

    /// The same table with its first page elsewhere.
    pub(super) fn with_root(self, root: u64) -> Self {
        Self { root, ..self }
    }

    /// Goes through all rows in order. Every page and every value is read; that keys ascend and that there are as many
    /// as the record says is checked.
    pub(crate) fn for_each(
        &self,
        pages: &mut Pages<'_>,
        each: &mut dyn FnMut(&[u8], Row<'_>),
    ) -> Result<(), LmdbError> {
        let mut reading = Reading { pages, each, last_key: None, rows: 0 };
        if self.root != NO_PAGE {
            reading.descend(self.root, self.depth)?;
        }
        if reading.rows != self.rows {
            return Err(damaged(format!("a table has {} rows instead of {}", reading.rows, self.rows)));
        }
        Ok(())
    }
}

struct Reading<'a, 'f> {
    pages: &'a mut Pages<'f>,
    each: &'a mut dyn FnMut(&[u8], Row<'_>),
    last_key: Option<Vec<u8>>,
    rows: u64,
}

impl Reading<'_, '_> {
    // `height` counts the levels from here to the leaves, so it bounds how deep this goes.
    fn descend(&mut self, number: u64, height: u16) -> Result<(), LmdbError> {
        let page = self.pages.page(number)?;
        if page.is_branch() != (height > 1) {
            return Err(damaged(format!("page {number} is on the wrong level")));
        }
        for index in 0..page.count() {
            if page.is_branch() {
                self.descend(page.child(index)?, height - 1)?;
                continue;
            }
            let node = page.node(index)?;
            let key = &page.bytes()[node.key];
            if self.last_key.as_deref().is_some_and(|last| last >= key) {
                return Err(damaged(format!("the keys of page {number} are out of order")));
            }
            match node.value {
                NodeValue::Inline(value) => (self.each)(key, Row::Value(&page.bytes()[value])),
                NodeValue::Overflow { first, length, .. } => {
                    (self.each)(key, Row::Value(&self.pages.overflow(first, length)?));
                }
                NodeValue::Table { table, .. } => (self.each)(key, Row::Table(table)),
            }
            self.last_key = Some(key.to_vec());
            self.rows += 1;
        }

        Ok(())
    }
}
