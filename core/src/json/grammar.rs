//! How JSON's tokens nest: one loop without recursion, so no text can exhaust the stack.

use super::{Error, Lexer, MAX_DEPTH, Number, Problem, Text};

/// Is told what a value consists of, in the order of the text. The names of an object's members come as strings
/// before their values.
pub trait Visitor<'a> {
    /// A string, or the name of a member.
    fn string(&mut self, text: Text<'a>);
    /// A number.
    fn number(&mut self, number: Number<'a>);
    /// `null`, `true` or `false`.
    fn literal(&mut self, literal: &'static [u8]);
    /// An array or an object begins.
    fn open(&mut self, container: Container);
    /// The array or object that began last ends.
    fn close(&mut self);
}

/// What can contain values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Container {
    /// `[…]`
    Array,
    /// `{…}`
    Object,
}

/// Looks at nothing: for texts that are only to be checked.
impl<'a> Visitor<'a> for () {
    #[inline(always)]
    fn string(&mut self, _: Text<'a>) {}
    #[inline(always)]
    fn number(&mut self, _: Number<'a>) {}
    #[inline(always)]
    fn literal(&mut self, _: &'static [u8]) {}
    #[inline(always)]
    fn open(&mut self, _: Container) {}
    #[inline(always)]
    fn close(&mut self) {}
}

/// Which of the open containers are objects: one bit per level.
struct Open([u64; MAX_DEPTH.div_ceil(64)]);

impl Open {
    #[inline(always)]
    fn set(&mut self, level: usize, container: Container) {
        let bit = 1 << (level % 64);
        match container {
            Container::Array => self.0[level / 64] &= !bit,
            Container::Object => self.0[level / 64] |= bit,
        }
    }

    #[inline(always)]
    fn is_object(&self, level: usize) -> bool {
        self.0[level / 64] >> (level % 64) & 1 == 1
    }
}

impl<'a> Lexer<'a> {
    /// Consumes one value and returns its bytes.
    ///
    /// # Errors
    /// The first mistake in it.
    pub fn value(&mut self, visitor: &mut impl Visitor<'a>) -> Result<&'a [u8], Error> {
        self.peek()?;
        let start = self.at;
        let floor = self.depth;
        let mut open = Open([0; MAX_DEPTH.div_ceil(64)]);

        loop {
            match self.peek()? {
                b'"' => visitor.string(self.string()?),
                b'0'..=b'9' | b'-' => visitor.number(self.number()?),
                b'{' => {
                    self.enter()?;
                    visitor.open(Container::Object);
                    if self.peek()? != b'}' {
                        open.set(self.depth - 1, Container::Object);
                        visitor.string(self.name()?);
                        continue;
                    }
                    self.leave();
                    visitor.close();
                }
                b'[' => {
                    self.enter()?;
                    visitor.open(Container::Array);
                    if self.peek()? != b']' {
                        open.set(self.depth - 1, Container::Array);
                        continue;
                    }
                    self.leave();
                    visitor.close();
                }
                _ => visitor.literal(self.literal()?),
            }
            loop {
                if self.depth == floor {
                    return Ok(&self.bytes[start..self.at]);
                }
                let in_object = open.is_object(self.depth - 1);
                match self.peek()? {
                    b',' => {
                        self.at += 1;
                        if in_object {
                            visitor.string(self.name()?);
                        }
                        break;
                    }
                    b'}' if in_object => {}
                    b']' if !in_object => {}
                    _ if in_object => return Err(self.error(Problem::EndOfObject)),
                    _ => return Err(self.error(Problem::EndOfArray)),
                }
                self.leave();
                visitor.close();
            }
        }
    }

    /// Consumes an object, calling `member` with the name of each member; `member` consumes the value.
    ///
    /// # Errors
    /// What stands here is no object, or the first mistake in it.
    pub fn members(&mut self, mut member: impl FnMut(&mut Self, Text<'a>) -> Result<(), Error>) -> Result<(), Error> {
        if self.peek()? != b'{' {
            return Err(self.error(Problem::Value));
        }

        self.enter()?;
        if self.peek()? != b'}' {
            loop {
                let name = self.name()?;
                member(self, name)?;
                match self.peek()? {
                    b',' => self.at += 1,
                    b'}' => break,
                    _ => return Err(self.error(Problem::EndOfObject)),
                }
            }
        }
        self.leave();
        Ok(())
    }

    /// Consumes an array, calling `element` before each element; `element` consumes it. Returns how many there were.
    ///
    /// # Errors
    /// What stands here is no array, or the first mistake in it.
    pub fn elements(&mut self, mut element: impl FnMut(&mut Self) -> Result<(), Error>) -> Result<u64, Error> {
        if self.peek()? != b'[' {
            return Err(self.error(Problem::Value));
        }
        self.enter()?;
        let mut count = 0;

        if self.peek()? != b']' {
            loop {
                element(self)?;
                count += 1;
                match self.peek()? {
                    b',' => self.at += 1,
                    b']' => break,
                    _ => return Err(self.error(Problem::EndOfArray)),
                }
            }
        }
        self.leave();
        Ok(count)
    }

    /// Consumes the bracket that opens an array or an object.
    #[inline(always)]
    fn enter(&mut self) -> Result<(), Error> {
        if self.depth == MAX_DEPTH {
            return Err(self.error(Problem::Depth));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    /// Consumes the bracket that closes it.
    #[inline(always)]
    fn leave(&mut self) {
        self.depth -= 1;
        self.at += 1;
    }
}
