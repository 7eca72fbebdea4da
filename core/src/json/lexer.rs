//! The tokens of JSON: strings, numbers, literals and what stands between them. How they nest is in `grammar.rs`.

use super::{Error, Problem};

/// A place in a JSON text, moved forward value by value.
#[derive(Debug, Clone)]
pub struct Lexer<'a> {
    pub(super) bytes: &'a [u8],
    pub(super) at: usize,
    /// How many arrays and objects are open here.
    pub(super) depth: usize,
}

/// A JSON string as it stands in the text, known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text<'a> {
    /// What stands between the quotes.
    pub raw: &'a [u8],
    /// Whether that contains escapes: without them it is the string's content.
    pub escaped: bool,
}

/// A JSON number as it stands in the text, known to be well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Number<'a> {
    /// Sign, digits, fraction and exponent.
    pub raw: &'a [u8],
    /// Whether it has neither fraction nor exponent.
    pub integer: bool,
}

impl<'a> Lexer<'a> {
    /// At the beginning of `text`.
    ///
    /// # Errors
    /// `text` is not UTF-8. This is checked in one go, since that is several times faster than string by string.
    pub fn new(text: &'a [u8]) -> Result<Self, Error> {
        match std::str::from_utf8(text) {
            Ok(_) => Ok(Self { bytes: text, at: 0, depth: 0 }),
            Err(error) => Err(Error { offset: error.valid_up_to(), problem: Problem::Utf8 }),
        }
    }

    /// How many bytes stand before this place.
    pub fn offset(&self) -> usize {
        self.at
    }

    /// The next byte that is not white space; it is not consumed.
    ///
    /// # Errors
    /// The text ends.
    #[inline(always)]
    pub fn peek(&mut self) -> Result<u8, Error> {
        loop {
            match self.bytes.get(self.at) {
                Some(&byte) if byte > b' ' => return Ok(byte),
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                Some(&byte) => return Ok(byte),
                None => return Err(self.error(Problem::End)),
            }
        }
    }

    /// That nothing but white space is left.
    ///
    /// # Errors
    /// Something is.
    pub fn end(&mut self) -> Result<(), Error> {
        match self.peek() {
            Ok(_) => Err(self.error(Problem::Trailing)),
            Err(_) => Ok(()),
        }
    }

    pub(super) fn error(&self, problem: Problem) -> Error {
        Error { offset: self.at, problem }
    }

    /// Consumes the name of a member and the colon behind it.
    #[inline(always)]
    pub(super) fn name(&mut self) -> Result<Text<'a>, Error> {
        if self.peek()? != b'"' {
            return Err(self.error(Problem::Name));
        }
        let name = self.string()?;
        if self.peek()? != b':' {
            return Err(self.error(Problem::Colon));
        }
        self.at += 1;
        Ok(name)
    }

    /// Consumes the string that begins here.
    #[inline(always)]
    pub(super) fn string(&mut self) -> Result<Text<'a>, Error> {
        let start = self.at + 1;
        let mut at = start;
        let mut escaped = false;

        loop {
            at = self.plain_until(at);
            match self.bytes.get(at) {
                Some(b'"') => {
                    self.at = at + 1;
                    return Ok(Text { raw: &self.bytes[start..at], escaped });
                }
                Some(b'\\') => {
                    escaped = true;
                    let length = super::text::escape_length(&self.bytes[at..]);
                    at += length.ok_or(Error { offset: at, problem: Problem::Escape })?;
                }
                Some(_) => {
                    return Err(Error { offset: at, problem: Problem::Control });
                }
                None => {
                    return Err(Error { offset: at, problem: Problem::End });
                }
            }
        }
    }

    /// Where, from `at` on, the first quote, backslash or control character stands, or else the end of the text.
    #[inline(always)]
    fn plain_until(&self, mut at: usize) -> usize {
        while let Some(word) = self.bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
            let marks = marks(u64::from_le_bytes(*word));
            if marks != 0 {
                return at + (marks.trailing_zeros() / 8) as usize;
            }
            at += 8;
        }
        while self.bytes.get(at).is_some_and(|&byte| byte != b'"' && byte != b'\\' && byte >= b' ') {
            at += 1;
        }
        at
    }

    /// Consumes the number that begins here: a minus sign or a digit has been seen.
    #[inline(always)]
    pub(super) fn number(&mut self) -> Result<Number<'a>, Error> {
        let start = self.at;
        self.at += usize::from(self.bytes[self.at] == b'-');
        if self.bytes.get(self.at) == Some(&b'0') {
            self.at += 1;
        } else {
            self.digits()?;
        }
        let mut integer = true;

        if self.bytes.get(self.at) == Some(&b'.') {
            integer = false;
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            integer = false;
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Number { raw: &self.bytes[start..self.at], integer })
    }

    /// Consumes one digit or more.
    #[inline(always)]
    fn digits(&mut self) -> Result<(), Error> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { Err(self.error(Problem::Number)) } else { Ok(()) }
    }

    /// Consumes `true`, `false` or `null`.
    #[inline(always)]
    pub(super) fn literal(&mut self) -> Result<&'static [u8], Error> {
        let rest = &self.bytes[self.at..];
        let literals: [&'static [u8]; 3] = [b"null", b"true", b"false"];
        for literal in literals {
            if rest.starts_with(literal) {
                self.at += literal.len();
                return Ok(literal);
            }
        }
        Err(self.error(Problem::Value))
    }
}

/// Eight bytes at a time: the high bit of every byte that is a quote, a backslash or a control character. Only the
/// lowest mark is exact (a borrow can mark bytes above it too), and only the lowest is used.
#[inline(always)]
fn marks(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let control = word.wrapping_sub(ONES * b' ' as u64) & !word;
    (zero(quote) | zero(backslash) | control) & HIGH
}
