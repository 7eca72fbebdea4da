//! The pages of a file that nobody else changes, each read at most once on one way through the tables: a page belongs to
//! one place in one tree, so a file in which pages lead in a circle is refused instead of followed.

use std::fs::File;
use std::io::ErrorKind;
use std::os::unix::fs::FileExt;

use super::meta::{Meta, MetaPages};
use super::page::{Page, check_overflow};
use super::{LmdbError, PAGE_HEADER, damaged};

/// A private file's pages.
#[derive(Debug)]
pub(crate) struct Pages<'f> {
    file: &'f File,
    meta: Meta,
    seen: Vec<bool>,
}

impl<'f> Pages<'f> {
    /// The pages of the newest state in `file`.
    pub(crate) fn open(file: &'f File) -> Result<Self, LmdbError> {
        let meta = MetaPages::read(file)?.newest()?;
        // LMDB may leave the last pages unwritten when they are free: what counts is which ones are used.
        let there = file.metadata()?.len() / meta.page_size as u64;
        let count = there.min(meta.last_page.saturating_add(1));
        Ok(Self { file, meta, seen: vec![false; count as usize] })
    }

    /// The state.
    pub(crate) fn meta(&self) -> &Meta {
        &self.meta
    }

    pub(super) fn page(&mut self, number: u64) -> Result<Page, LmdbError> {
        self.take(number, 1)?;
        let mut bytes = vec![0; self.meta.page_size];
        self.read(&mut bytes, number)?;
        Page::parse(bytes, number)
    }

    /// A value of `length` bytes that has pages of its own.
    pub(super) fn overflow(&mut self, first: u64, length: usize) -> Result<Vec<u8>, LmdbError> {
        let pages = self.overflow_pages(length);
        self.take(first, pages)?;
        let mut bytes = vec![0; PAGE_HEADER + length];
        self.read(&mut bytes, first)?;
        check_overflow(&bytes, first, pages)?;
        bytes.drain(..PAGE_HEADER);
        Ok(bytes)
    }

    /// How many pages a value of `length` bytes has.
    pub(super) fn overflow_pages(&self, length: usize) -> u64 {
        (PAGE_HEADER + length).div_ceil(self.meta.page_size) as u64
    }

    // The first two are the meta pages.
    fn take(&mut self, first: u64, count: u64) -> Result<(), LmdbError> {
        let missing = || damaged(format!("page {first} is missing: the file is cut off"));
        let end = first.checked_add(count).ok_or_else(missing)?;
        if first < 2 || end > self.meta.last_page.saturating_add(1) {
            return Err(damaged(format!("it refers to page {first}, which it can't have")));
        }
        for number in first..end {
            let seen = self.seen.get_mut(number as usize).ok_or_else(missing)?;
            if std::mem::replace(seen, true) {
                return Err(damaged(format!("page {number} is used in two places")));
            }
        }
        Ok(())
    }

    fn read(&self, bytes: &mut [u8], number: u64) -> Result<(), LmdbError> {
        self.file.read_exact_at(bytes, number * self.meta.page_size as u64).map_err(|error| match error.kind() {
            ErrorKind::UnexpectedEof => damaged(format!("page {number} is cut off")),
            _ => LmdbError::Io(error),
        })
    }
}
