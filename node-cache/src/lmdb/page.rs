//! One page of a table: a branch with its children, or a leaf with its rows. Every offset in it is checked before use.

use std::ops::Range;

use super::table::Table;
use super::{LmdbError, PAGE_HEADER, damaged, u16_at, u32_at, u64_at};

const BRANCH: u16 = 0x01;
const LEAF: u16 = 0x02;
const OVERFLOW: u16 = 0x04;
/// What only tables with several values per key have (`P_LEAF2`, `P_SUBP`).
const OF_DUPLICATES: u16 = 0x20 | 0x40;
const NODE_HEADER: usize = 8;

const BIG_DATA: u16 = 0x01;
const SUB_TABLE: u16 = 0x02;
const DUPLICATES: u16 = 0x04;

/// A branch or a leaf.
pub(super) struct Page {
    bytes: Vec<u8>,
    branch: bool,
}

/// A row of a leaf.
pub(super) struct Node {
    pub key: Range<usize>,
    pub value: NodeValue,
}

/// Where a row's value is.
pub(super) enum NodeValue {
    /// Here.
    Inline(Range<usize>),
    /// On pages of its own; where the number of the first one stands here.
    Overflow { number_at: usize, first: u64, length: usize },
    /// It is a table; where its record stands here.
    Table { record: Range<usize>, table: Table },
}

impl Page {
    pub(super) fn parse(bytes: Vec<u8>, number: u64) -> Result<Self, LmdbError> {
        let flags = u16_at(&bytes, 10);
        if u64_at(&bytes, 0) != number {
            return Err(damaged(format!("page {number} is not there, but something else")));
        }
        if flags & OF_DUPLICATES != 0 {
            return Err(LmdbError::Unsupported("several values under one key"));
        }
        let branch = match flags & (BRANCH | LEAF | OVERFLOW) {
            BRANCH => true,
            LEAF => false,
            _ => return Err(damaged(format!("page {number} is neither branch nor leaf"))),
        };

        let page = Self { bytes, branch };
        let (lower, upper) = (page.lower(), page.upper());
        if lower < PAGE_HEADER || lower % 2 != 0 || lower > upper || upper > page.bytes.len() {
            return Err(damaged(format!("page {number} has wrong bounds")));
        }
        // A branch divides at least once, a leaf that is in a tree has at least one row.
        if page.count() < if branch { 2 } else { 1 } {
            return Err(damaged(format!("page {number} is empty")));
        }
        Ok(page)
    }

    pub(super) fn is_branch(&self) -> bool {
        self.branch
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn count(&self) -> usize {
        (self.lower() - PAGE_HEADER) / 2
    }

    /// The page that a branch's `index`th node leads to.
    pub(super) fn child(&self, index: usize) -> Result<u64, LmdbError> {
        let at = self.node_at(index, 0)?;
        let number = u64::from(u16_at(&self.bytes, at))
            | u64::from(u16_at(&self.bytes, at + 2)) << 16
            | u64::from(u16_at(&self.bytes, at + 4)) << 32;
        Ok(number)
    }

    /// The `index`th row of a leaf.
    pub(super) fn node(&self, index: usize) -> Result<Node, LmdbError> {
        let at = self.node_at(index, 0)?;
        let length = u16_at(&self.bytes, at) as usize | (u16_at(&self.bytes, at + 2) as usize) << 16;
        let (flags, key_length) = (u16_at(&self.bytes, at + 4), u16_at(&self.bytes, at + 6) as usize);
        let value_at = at + NODE_HEADER + key_length;
        let key = at + NODE_HEADER..value_at;

        if flags & DUPLICATES != 0 {
            return Err(LmdbError::Unsupported("several values under one key"));
        }
        let stored = if flags & BIG_DATA != 0 { 8 } else { length };
        self.node_at(index, key_length + stored)?;
        let value = match flags & (BIG_DATA | SUB_TABLE) {
            0 => NodeValue::Inline(value_at..value_at + length),
            BIG_DATA => NodeValue::Overflow { number_at: value_at, first: u64_at(&self.bytes, value_at), length },
            SUB_TABLE if length == Table::BYTES => {
                let record = value_at..value_at + length;
                NodeValue::Table { table: Table::parse(&self.bytes[record.clone()])?, record }
            }
            _ => return Err(damaged("a row's flags contradict each other")),
        };
        Ok(Node { key, value })
    }

    /// A copy of this page as page `number`, with nothing left between its offsets and its rows of what was deleted.
    pub(super) fn renumbered(&self, number: u64) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        bytes[..8].copy_from_slice(&number.to_le_bytes());
        bytes[self.lower()..self.upper()].fill(0);
        bytes
    }

    /// Puts another number into the `index`th node of a copy of this branch.
    pub(super) fn put_child(&self, copy: &mut [u8], index: usize, number: u64) -> Result<(), LmdbError> {
        let at = self.node_at(index, 0)?;
        copy[at..at + 6].copy_from_slice(&number.to_le_bytes()[..6]);
        Ok(())
    }

    // Where a node begins that has `content` bytes after its header, all of which lie on this page.
    fn node_at(&self, index: usize, content: usize) -> Result<usize, LmdbError> {
        let at = u16_at(&self.bytes, PAGE_HEADER + 2 * index) as usize;
        if at < self.upper() || at + NODE_HEADER + content > self.bytes.len() {
            return Err(damaged(format!("a row of page {} lies outside of it", u64_at(&self.bytes, 0))));
        }
        Ok(at)
    }

    fn lower(&self) -> usize {
        u16_at(&self.bytes, 12) as usize
    }

    fn upper(&self) -> usize {
        u16_at(&self.bytes, 14) as usize
    }
}

/// Checks the header of the first of `expected` pages that hold a long value.
pub(super) fn check_overflow(header: &[u8], number: u64, expected: u64) -> Result<(), LmdbError> {
    let flags = u16_at(header, 10) & (BRANCH | LEAF | OVERFLOW);
    if u64_at(header, 0) != number || flags != OVERFLOW || u64::from(u32_at(header, 12)) < expected {
        return Err(damaged(format!("page {number} does not begin a long value")));
    }
    Ok(())
}

/// The header of the first of `pages` pages that hold a long value.
pub(super) fn overflow_header(number: u64, pages: u32) -> [u8; PAGE_HEADER] {
    let mut header = [0; PAGE_HEADER];
    header[..8].copy_from_slice(&number.to_le_bytes());
    header[10..12].copy_from_slice(&OVERFLOW.to_le_bytes());
    header[12..].copy_from_slice(&pages.to_le_bytes());
    header
}
