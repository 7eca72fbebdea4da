//! Writing a file anew with only what is used, as `mdb_copy -c` does: children before their parents, so that each page
//! is written once, and nothing of what was deleted.

use std::fs::File;
use std::io::{BufWriter, Seek, SeekFrom, Write};

use super::meta::Meta;
use super::page::{NodeValue, Page, overflow_header};
use super::pages::Pages;
use super::table::Table;
use super::{LmdbError, NO_PAGE, PAGE_HEADER, damaged};

/// Writes the newest state of `source`, which nobody else may change, to `target`, which is empty.
pub(crate) fn compact(source: &File, target: &File) -> Result<(), LmdbError> {
    let pages = Pages::open(source)?;
    let meta = *pages.meta();
    let mut writing =
        Writing { pages, target: BufWriter::with_capacity(1 << 20, target), next: 2, inside_table: false };
    // The meta pages come last: before them it is no LMDB file at all.
    writing.target.write_all(&vec![0; 2 * meta.page_size])?;
    let main = writing.table(meta.main)?;
    let last_page = writing.next - 1;
    let mut target = writing.target.into_inner().map_err(std::io::IntoInnerError::into_error)?;
    target.seek(SeekFrom::Start(0))?;
    target.write_all(&Meta { main, last_page, transaction: 1, ..meta }.encode_as_only_state())?;
    Ok(())
}

struct Writing<'f> {
    pages: Pages<'f>,
    target: BufWriter<&'f File>,
    next: u64,
    inside_table: bool,
}

impl Writing<'_> {
    fn table(&mut self, table: Table) -> Result<Table, LmdbError> {
        if table.root == NO_PAGE {
            return Ok(table);
        }
        let root = self.tree(table.root, table.height())?;
        Ok(table.with_root(root))
    }

    // Writes what is below a page, then the page; gives its new number.
    fn tree(&mut self, number: u64, height: u16) -> Result<u64, LmdbError> {
        let page = self.pages.page(number)?;
        if page.is_branch() != (height > 1) {
            return Err(damaged(format!("page {number} is on the wrong level")));
        }
        // Numbered in the end, when what is below has its numbers.
        let mut copy = page.renumbered(0);
        for index in 0..page.count() {
            if page.is_branch() {
                let child = self.tree(page.child(index)?, height - 1)?;
                page.put_child(&mut copy, index, child)?;
            } else {
                self.value(&page, index, &mut copy)?;
            }
        }

        let number = self.take(1);
        copy[..8].copy_from_slice(&number.to_le_bytes());
        self.target.write_all(&copy)?;
        Ok(number)
    }

    fn value(&mut self, page: &Page, index: usize, copy: &mut [u8]) -> Result<(), LmdbError> {
        match page.node(index)?.value {
            NodeValue::Inline(_) => {}
            NodeValue::Overflow { number_at, first, length } => {
                let value = self.pages.overflow(first, length)?;
                let number = self.overflow(&value)?;
                copy[number_at..number_at + 8].copy_from_slice(&number.to_le_bytes());
            }
            NodeValue::Table { record, table } => {
                // The main table's rows may be tables; theirs never are, and so this goes no deeper.
                if std::mem::replace(&mut self.inside_table, true) {
                    return Err(LmdbError::Unsupported("a table within a table"));
                }
                let table = self.table(table)?;
                self.inside_table = false;
                copy[record].copy_from_slice(&table.encode());
            }
        }
        Ok(())
    }

    fn overflow(&mut self, value: &[u8]) -> Result<u64, LmdbError> {
        let pages = self.pages.overflow_pages(value.len());
        let number = self.take(pages);
        let count = u32::try_from(pages).map_err(|_| damaged("a value has more pages than there can be"))?;
        self.target.write_all(&overflow_header(number, count))?;
        self.target.write_all(value)?;
        let rest = pages as usize * self.pages.meta().page_size - PAGE_HEADER - value.len();
        self.target.write_all(&vec![0; rest])?;
        Ok(number)
    }

    fn take(&mut self, pages: u64) -> u64 {
        let number = self.next;
        self.next += pages;
        number
    }
}
