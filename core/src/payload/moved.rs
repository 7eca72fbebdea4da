//! A message's deflate blocks, moved to where a payload can take them over: what a control plane has compressed isn't
//! compressed again. Which part of the message the configuration is, is found out elsewhere.
//!
//! Deflate refers backwards at most 32 KiB (RFC 1951 section 2), so a block that begins later than that in the
//! configuration needs nothing that stands before it, and the same bits produce the same text in a payload. What is
//! before the first such block and after the last whole one is compressed anew.
//!
//! Nothing of a payload is taken on trust, and yet no text is decompressed twice: the blocks are moved first, and the
//! message's text is what comes out of them at their new place. What is put around them is decompressed and compared.

use std::ops::Range;

use zlib_rs::crc32::crc32;
use zlib_rs::{Inflate, InflateFlush, Status};

use super::{END, HEADER, Payload, TAG_BYTES, TRAILER, bits, deflate_blocks};

/// How far deflate refers backwards, in bytes.
const WINDOW: usize = 32 * 1024;
/// The first block that is taken over begins after so much text: a window, and the members before the configuration.
const LEAD: usize = WINDOW + 16 * 1024;
/// In shorter texts there is nothing to win.
const SHORTEST: usize = 4 * LEAD;
/// Room before the blocks for what is compressed anew.
const ROOM: usize = 128 * 1024;
/// How much text tells the place at which a block begins from the seven beside it.
const PROOF: usize = 4 * 1024;
/// One boundary of eight is one between two bytes.
const MOST_SEARCHED: usize = 64;
/// Deflate can't expand anything more than this (<https://zlib.net/zlib_tech.html>, "Maximum Compression Factor").
const MAX_EXPANSION: usize = 1032;
/// Gzip's header without any of its optional fields (RFC 1952 section 2.3), and its length.
const PLAIN_HEADER: ([u8; 4], usize) = ([0x1f, 0x8b, 8, 0], 10);
/// Compressors write a block for some ten or hundred kilobytes of text. More than so many are not gone through.
const MOST_BOUNDARIES: usize = 1 << 16;

/// Blocks at their new place.
pub(crate) struct Moved {
    /// Room, and then the blocks.
    bytes: Vec<u8>,
    /// How much of the text stands before them.
    lead: usize,
    /// Where one of them ends and the next begins.
    boundaries: Vec<Boundary>,
}

/// A place between two blocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Boundary {
    /// How many bytes a decompressor has read here. Of the last one up to seven bits belong to the next block.
    read: usize,
    /// How many bytes of text stand before it.
    text: usize,
}

impl Moved {
    /// Decompresses gzip of one member of at most `limit` bytes, and moves its blocks. `None` if there is anything unusual
    /// about it, a mistake for example: then it has to be read in another way.
    pub(crate) fn inflate(gzip: &[u8], limit: usize) -> Option<(Vec<u8>, Self)> {
        let (magic, header) = PLAIN_HEADER;
        let blocks = gzip.get(header..gzip.len().checked_sub(TRAILER)?).filter(|_| gzip.starts_with(&magic))?;
        let (crc, length) = trailer(gzip)?;
        if length > limit || length < SHORTEST || length > gzip.len() * MAX_EXPANSION {
            return None;
        }
        let mut text = vec![0; length];
        let first = inflate_lead(blocks, &mut text)?;
        let from = first_bit(blocks, &text, first)?;
        let mut bytes = Vec::with_capacity(ROOM + blocks.len() + ROOM);
        bytes.resize(ROOM, 0);
        bits::append(blocks, from..8 * blocks.len(), &mut bytes);
        let boundaries = inflate_rest(&bytes[ROOM..], &mut text, first.text)?;
        (crc32(0, &text) == crc).then_some((text, Self { bytes, lead: first.text, boundaries }))
    }

    /// The part `place` of the text as a payload. `None` if the blocks don't lend themselves to that.
    pub(crate) fn payload(mut self, text: &[u8], place: Range<usize>) -> Option<Payload> {
        let is_inside = |boundary: &Boundary| boundary.text <= place.end && boundary.text + PROOF <= text.len();
        if self.lead < place.start + WINDOW {
            return None;
        }
        let head = Self::head(&text[place.start..self.lead])?;
        let inside = self.boundaries.iter().take_while(|boundary| is_inside(boundary)).count();
        let (last, before) = self.boundaries[..inside].split_last()?;
        let end = first_bit(&self.bytes[ROOM..], text, *last)?;
        let (begin, seen) = self.seen(text, before);

        self.end_after(end, &text[last.text..place.end]);
        if !produces(&self.bytes[begin..], &text[..seen], &text[seen..place.end]) {
            return None;
        }
        let json = &text[place];
        self.bytes.extend_from_slice(&crc32(0, json).to_le_bytes());
        self.bytes.extend_from_slice(&(json.len() as u32).to_le_bytes());
        self.bytes.shrink_to(self.bytes.len() + TAG_BYTES);
        let begin = ROOM - head.len();
        self.bytes[begin..ROOM].copy_from_slice(&head);
        Some(Payload(bytes::Bytes::from(self.bytes).slice(begin..).into()))
    }

    /// A place in the bytes up to which it has been seen that they produce the text, and how much text that is: the last
    /// boundary at which a byte begins, or where all the blocks do.
    fn seen(&self, text: &[u8], boundaries: &[Boundary]) -> (usize, usize) {
        let blocks = &self.bytes[ROOM..];
        let begins_a_byte = |boundary: &&Boundary| begins_at(8 * boundary.read, blocks, text, **boundary);
        let found = boundaries.iter().rev().take(MOST_SEARCHED).find(begins_a_byte);
        found.map_or((ROOM, self.lead), |boundary| (ROOM + boundary.read, boundary.text))
    }

    /// What stands before the blocks: a payload's header, and the text before them.
    fn head(text: &[u8]) -> Option<Vec<u8>> {
        let mut head = HEADER.to_vec();
        deflate_blocks(text, &mut head);
        let mut alone = head[HEADER.len()..].to_vec();
        alone.extend_from_slice(&END[4..]);
        (head.len() <= ROOM && produces(&alone, b"", text)).then_some(head)
    }

    /// Replaces what comes after so many bits of the blocks by this text, and ends it as a payload's blocks end.
    fn end_after(&mut self, bits: usize, text: &[u8]) {
        bits::truncate(&mut self.bytes, 8 * ROOM + bits);
        // An empty stored block, after which a byte begins, as after a sync flush: three bits of its header, all zero, and
        // zeros up to the next byte. What a byte has no room for begins another.
        if matches!(bits % 8, 0 | 6 | 7) {
            self.bytes.push(0);
        }
        self.bytes.extend_from_slice(&END[..4]);
        deflate_blocks(text, &mut self.bytes);
        self.bytes.extend_from_slice(&END[4..]);
    }
}

/// What gzip's trailer says: CRC-32, and the length modulo 2^32.
fn trailer(gzip: &[u8]) -> Option<(u32, usize)> {
    let [a, b, c, d, e, f, g, h] = *gzip.last_chunk::<TRAILER>()?;
    Some((u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h]) as usize))
}

/// Decompresses so much that the first block which may be taken over is found, and the text after it that tells where it
/// begins.
fn inflate_lead(blocks: &[u8], text: &mut [u8]) -> Option<Boundary> {
    let mut inflate = Inflate::new(false, 15);
    // With normal blocks it is found long before.
    let end = text.len().min(ROOM + SHORTEST);
    let first = loop {
        let boundary = next_boundary(&mut inflate, blocks, &mut text[..end])?;
        if boundary.text >= LEAD {
            break boundary;
        }
    };
    let proof = text.get_mut(..first.text + PROOF)?;

    while (inflate.total_out() as usize) < proof.len() {
        let (read, written) = (inflate.total_in() as usize, inflate.total_out() as usize);
        inflate.decompress(&blocks[read..], &mut proof[written..], InflateFlush::NoFlush).ok()?;
        if inflate.total_out() as usize == written && inflate.total_in() as usize == read {
            return None;
        }
    }
    Some(first)
}

/// Decompresses to where the next block begins; `None` if there is no such place in the text.
fn next_boundary(inflate: &mut Inflate, blocks: &[u8], text: &mut [u8]) -> Option<Boundary> {
    let (read, written) = (inflate.total_in() as usize, inflate.total_out() as usize);
    let status = inflate.decompress(&blocks[read..], &mut text[written..], InflateFlush::Block);
    let boundary = Boundary { read: inflate.total_in() as usize, text: inflate.total_out() as usize };
    // It stops elsewhere only for want of data or room.
    (status == Ok(Status::Ok) && boundary.read < blocks.len() && boundary.text < text.len()).then_some(boundary)
}

/// Decompresses moved blocks into what is left of the text, and all of it.
fn inflate_rest(blocks: &[u8], text: &mut [u8], lead: usize) -> Option<Vec<Boundary>> {
    let (before, rest) = text.split_at_mut(lead);
    let mut inflate = Inflate::new(false, 15);
    inflate.set_dictionary(&before[before.len() - WINDOW..]).ok()?;

    let mut boundaries = Vec::new();
    // What ends a block may have been read with its last text: a step that reads and writes nothing isn't yet the end,
    // but two are.
    let mut was_idle = false;

    loop {
        let (read, written) = (inflate.total_in() as usize, inflate.total_out() as usize);
        let status = inflate.decompress(&blocks[read..], &mut rest[written..], InflateFlush::Block).ok()?;
        let boundary = Boundary { read: inflate.total_in() as usize, text: inflate.total_out() as usize };
        if status == Status::StreamEnd {
            // Zeros that filled the last byte may have become a byte of their own.
            let is_all = boundary.text == rest.len() && boundary.read + 1 >= blocks.len();
            return is_all.then_some(boundaries);
        }
        let is_idle = boundary == Boundary { read, text: written };
        if is_idle && was_idle || boundaries.len() == MOST_BOUNDARIES {
            return None;
        }
        was_idle = is_idle;
        if boundary.text < rest.len() && boundary.read < blocks.len() {
            boundaries.push(Boundary { text: lead + boundary.text, ..boundary });
        }
    }
}

/// Where the block after a boundary begins, in bits. The decompressor doesn't say how many bits of the last byte it has
/// left over: there are eight possibilities, and from one of them the same text comes.
fn first_bit(blocks: &[u8], text: &[u8], boundary: Boundary) -> Option<usize> {
    (0..8).map_while(|left| (8 * boundary.read).checked_sub(left)).find(|bit| begins_at(*bit, blocks, text, boundary))
}

/// Whether the block after a boundary begins with this bit.
fn begins_at(bit: usize, blocks: &[u8], text: &[u8], boundary: Boundary) -> bool {
    let before = &text[boundary.text.saturating_sub(WINDOW)..boundary.text];
    let after = text.get(boundary.text..boundary.text + PROOF);
    // The most that so much text takes, with the codes of its block.
    let end = (bit + 8 * (2 * PROOF + 1024)).min(8 * blocks.len());
    let mut bytes = Vec::new();
    bits::append(blocks, bit..end, &mut bytes);
    let mut inflate = Inflate::new(false, 15);
    let mut produced = vec![0; PROOF];
    inflate.set_dictionary(before).is_ok()
        && inflate.decompress(&bytes, &mut produced, InflateFlush::NoFlush).is_ok()
        && Some(&produced[..]) == after
}

/// Whether these blocks, the last of them final, produce exactly this text after another.
fn produces(blocks: &[u8], before: &[u8], text: &[u8]) -> bool {
    let mut inflate = Inflate::new(false, 15);
    let window = &before[before.len().saturating_sub(WINDOW)..];
    // One byte more, for a text that goes on.
    let mut produced = vec![0; text.len() + 1];
    let is_set = window.is_empty() || inflate.set_dictionary(window).is_ok();
    is_set
        && inflate.decompress(blocks, &mut produced, InflateFlush::Finish) == Ok(Status::StreamEnd)
        && inflate.total_in() as usize == blocks.len()
        && inflate.total_out() as usize == text.len()
        && produced.starts_with(text)
}

#[cfg(test)]
mod tests;
