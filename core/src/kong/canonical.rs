//! The text of a value that Kong hashes: members sorted by name, strings as they are, numbers as Lua prints them. How
//! a configuration is divided into sections is in `config_hash.rs`.
//!
//! A value is read once into a flat list of nodes, then written in order of names, so that however deeply it is
//! nested no byte is read twice. The memory for that is reused from value to value: what is hashed entity by entity
//! needs room for one entity only.

use super::config_hash::List;
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
    /// The arrays and objects that are being written, the innermost last.
    writing: Vec<Writing>,
    /// The members of those that are objects, sorted.
    members: Vec<Member<'a>>,
}

/// How far the writing of an array or an object is.
enum Writing {
    /// Indices of the next element's node and of the one after the last, and how many elements have been written.
    Array { next: usize, end: usize, count: usize },
    /// Indices of its first and its next member in [`Canonical::members`]; they go on to the end of it.
    Object { first: usize, next: usize },
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

impl Node<'_> {
    /// The index after the nodes of the value whose first is this one, at `index`.
    #[inline(always)]
    fn end(self, index: usize) -> usize {
        match self {
            Node::Array { end } | Node::Object { end } => end,
            Node::Written(_) | Node::Converted { .. } => index + 1,
        }
    }
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
        self.write_nodes(fold);
        Ok(())
    }

    /// Consumes an array, writing it element by element; returns the number of elements.
    pub(super) fn write_array(&mut self, lexer: &mut Lexer<'a>, fold: &mut Fold) -> Result<List, Error> {
        fold.enter();
        let (mut count, mut has_null) = (0, false);
        lexer.elements(|lexer| {
            if count > 0 {
                fold.put(b";");
            }
            count += 1;
            has_null |= lexer.peek()? == b'n';
            self.write(lexer, fold)
        })?;
        end_array(count, fold);
        Ok(List { length: count as u64, has_null })
    }

    /// Writes the value that has been read. One loop without recursion, so no text can exhaust the stack.
    fn write_nodes(&mut self, fold: &mut Fold) {
        let mut index = 0;
        loop {
            fold.enter();
            match self.nodes[index] {
                Node::Array { end } | Node::Object { end } if end == index + 1 => fold.put(b"{}"),
                Node::Array { end } => self.writing.push(Writing::Array { next: index + 1, end, count: 0 }),
                Node::Object { end } => {
                    let first = self.members.len();
                    self.collect_members(index + 1, end);
                    self.writing.push(Writing::Object { first, next: first });
                }
                text => fold.put(self.text(text)),
            }

            index = match self.next_node(fold) {
                Some(index) => index,
                None => return,
            };
        }
    }

    /// Writes what stands between the value that was just written, or begun, and the next, whose node it returns.
    #[inline(always)]
    fn next_node(&mut self, fold: &mut Fold) -> Option<usize> {
        loop {
            match self.writing.last_mut()? {
                Writing::Array { next, end, count } if *next < *end => {
                    if *count > 0 {
                        fold.put(b";");
                    }
                    let index = *next;
                    *count += 1;
                    *next = self.nodes[index].end(index);
                    return Some(index);
                }
                Writing::Array { count, .. } => end_array(*count, fold),
                Writing::Object { first, next } => {
                    let (first, at) = (*first, *next);
                    *next += 1;
                    if at > first {
                        fold.put(b";");
                    }

                    if let Some(&member) = self.members.get(at) {
                        fold.put(self.text(member.name));
                        fold.put(b":");
                        return Some(member.value);
                    }
                    self.members.truncate(first);
                }
            }
            self.writing.pop();
        }
    }

    /// Appends the members whose names and values are the nodes from `start` to `end` to `self.members`, sorted by
    /// name. Of members with the same name only the last one, as lua-cjson has it.
    fn collect_members(&mut self, start: usize, end: usize) {
        let first = self.members.len();
        let mut next = start;

        while next < end {
            let name = self.nodes[next];
            let value = next + 1;
            self.members.push(Member { prefix: prefix(self.text(name)), name, value });
            next = self.nodes[value].end(value);
        }
        let converted = &self.converted;
        let compare = |a: &Member<'_>, b: &Member<'_>| {
            let names = || resolve(a.name, converted).cmp(resolve(b.name, converted));
            a.prefix.cmp(&b.prefix).then_with(names)
        };
        self.members[first..].sort_unstable_by(|a, b| compare(a, b).then(b.value.cmp(&a.value)));
        // The last one comes first here, and the others go.
        let mut last = first;
        for at in first + 1..self.members.len() {
            if compare(&self.members[at], &self.members[last]).is_ne() {
                last += 1;
                self.members[last] = self.members[at];
            }
        }
        self.members.truncate(last + 1);
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
