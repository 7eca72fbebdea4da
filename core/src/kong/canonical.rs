//! The text of a value that Kong hashes: members sorted by name, strings as they are, numbers as Lua prints them. How
//! a configuration is divided into sections is in `config_hash.rs`.
//!
//! A value is read once into a flat list of nodes, then written in order of names, so that however deeply it is
//! nested no byte is read twice. The memory for that is reused from value to value: what is hashed entity by entity
//! needs room for one entity only.

use super::fold::Fold;
use super::number;
use crate::json::{Container, Error, Lexer, Number, Text, Visitor};

/// From how many elements on an array is written with a semicolon after the last one too.
const TRAILING_SEMICOLON: usize = 6;

/// Writes values, one after another.
#[derive(Default)]
pub(super) struct Canonical<'a> {
    nodes: Vec<Node<'a>>,
    /// Indices of the nodes whose array or object is still open.
    open: Vec<usize>,
    /// Strings with escapes and numbers, as they are to be written.
    converted: Vec<u8>,
    /// The members of the objects that are being written, sorted.
    members: Vec<Member<'a>>,
}

/// What is known of a value. Those of arrays and objects are followed by the nodes of what they contain (of an
/// object: name, value, name, value …), up to but without the node `end`.
#[derive(Clone, Copy)]
enum Node<'a> {
    Written(&'a [u8]),
    Converted { start: usize, end: usize },
    Array { end: usize },
    Object { end: usize },
}

/// A member of an object that is being written.
#[derive(Clone, Copy)]
struct Member<'a> {
    /// The first eight bytes of the name as a number: comparing these settles nearly all comparisons.
    prefix: u64,
    name: Node<'a>,
    /// Index of the value's node.
    value: usize,
}

impl<'a> Canonical<'a> {
    /// Consumes the value that stands next in `lexer` and writes it to `fold`.
    pub(super) fn write(&mut self, lexer: &mut Lexer<'a>, fold: &mut Fold) -> Result<(), Error> {
        self.nodes.clear();
        self.converted.clear();
        lexer.value(self)?;
        self.write_node(0, fold);
        Ok(())
    }

    /// Consumes an array, writing it element by element; returns the number of elements.
    pub(super) fn write_array(&mut self, lexer: &mut Lexer<'a>, fold: &mut Fold) -> Result<u64, Error> {
        fold.enter();
        let mut count = 0;
        lexer.elements(|lexer| {
            if count > 0 {
                fold.put(b";");
            }
            count += 1;
            self.write(lexer, fold)
        })?;
        end_array(count, fold);
        Ok(count as u64)
    }

    /// Writes the value whose node is at `index` and returns the index after it. It calls itself for each level of
    /// nesting, which the lexer has bounded.
    fn write_node(&mut self, index: usize, fold: &mut Fold) -> usize {
        fold.enter();
        match self.nodes[index] {
            Node::Array { end } => {
                let mut count = 0;
                let mut next = index + 1;
                while next < end {
                    if count > 0 {
                        fold.put(b";");
                    }
                    count += 1;
                    next = self.write_node(next, fold);
                }
                end_array(count, fold);
                end
            }
            Node::Object { end } => {
                self.write_object(index + 1, end, fold);
                end
            }
            text => {
                fold.put(self.text(text));
                index + 1
            }
        }
    }

    /// Writes the members whose names and values are the nodes from `start` to `end`.
    fn write_object(&mut self, start: usize, end: usize, fold: &mut Fold) {
        if start == end {
            return fold.put(b"{}");
        }
        let first = self.members.len();
        self.collect_members(start, end);
        let last = self.members.len();
        for at in first..last {
            let Member { prefix, name, value } = self.members[at];
            // Of members with the same name the last one counts, as it does for lua-cjson.
            let next = self.members[at + 1..last].first();
            if next.is_some_and(|next| next.prefix == prefix && self.text(next.name) == self.text(name)) {
                continue;
            }
            fold.put(self.text(name));
            fold.put(b":");
            self.write_node(value, fold);
            fold.put(b";");
        }
        self.members.truncate(first);
    }

    /// Appends the members to `self.members`, sorted by name and those of one name in the order of the text.
    fn collect_members(&mut self, start: usize, end: usize) {
        let first = self.members.len();
        let mut next = start;
        while next < end {
            let name = self.nodes[next];
            let value = next + 1;
            self.members.push(Member { prefix: prefix(self.text(name)), name, value });
            next = match self.nodes[value] {
                Node::Array { end } | Node::Object { end } => end,
                Node::Written(_) | Node::Converted { .. } => value + 1,
            };
        }
        let converted = &self.converted;
        self.members[first..].sort_unstable_by(|a, b| {
            let names = || resolve(a.name, converted).cmp(resolve(b.name, converted));
            a.prefix.cmp(&b.prefix).then_with(names).then(a.value.cmp(&b.value))
        });
    }

    fn text(&self, node: Node<'a>) -> &[u8] {
        resolve(node, &self.converted)
    }

    /// Adds a node for what `convert` appends to the converted texts.
    #[inline(always)]
    fn convert(&mut self, convert: impl FnOnce(&mut Vec<u8>)) {
        let start = self.converted.len();
        convert(&mut self.converted);
        self.nodes.push(Node::Converted { start, end: self.converted.len() });
    }
}

impl<'a> Visitor<'a> for Canonical<'a> {
    #[inline(always)]
    fn string(&mut self, text: Text<'a>) {
        if text.escaped {
            self.convert(|converted| text.append_to(converted));
        } else {
            self.nodes.push(Node::Written(text.raw));
        }
    }

    #[inline(always)]
    fn number(&mut self, number: Number<'a>) {
        if number.integer && number::is_printed_as_it_stands(number.raw) {
            self.nodes.push(Node::Written(number.raw));
        } else {
            self.convert(|converted| number::append(number.raw, converted));
        }
    }

    #[inline(always)]
    fn literal(&mut self, literal: &'static [u8]) {
        self.nodes.push(Node::Written(if literal == b"null" { b"/null/" } else { literal }));
    }

    #[inline(always)]
    fn open(&mut self, container: Container) {
        self.open.push(self.nodes.len());
        self.nodes.push(match container {
            Container::Array => Node::Array { end: 0 },
            Container::Object => Node::Object { end: 0 },
        });
    }

    #[inline(always)]
    fn close(&mut self) {
        let here = self.nodes.len();
        if let Some(Node::Array { end } | Node::Object { end }) = self.open.pop().map(|at| &mut self.nodes[at]) {
            *end = here;
        }
    }
}

/// Writes what comes after the last of `count` elements, each but the first of which had a semicolon before it.
fn end_array(count: usize, fold: &mut Fold) {
    match count {
        0 => fold.put(b"{}"),
        1..TRAILING_SEMICOLON => {}
        _ => fold.put(b";"),
    }
}

#[inline(always)]
fn resolve<'t>(node: Node<'t>, converted: &'t [u8]) -> &'t [u8] {
    match node {
        Node::Written(text) => text,
        Node::Converted { start, end } => &converted[start..end],
        Node::Array { .. } | Node::Object { .. } => &[],
    }
}

/// The first eight bytes, filled up with zeros. It never orders two names against their bytewise order.
#[inline(always)]
fn prefix(name: &[u8]) -> u64 {
    if let Some(word) = name.first_chunk::<8>() {
        return u64::from_be_bytes(*word);
    }
    let mut word = [0; 8];
    word[..name.len()].copy_from_slice(name);
    u64::from_be_bytes(word)
}
