//! The escapes in JSON strings: how long they are, and what they stand for.

use std::borrow::Cow;

use super::Text;

impl<'a> Text<'a> {
    /// The string's content, copied only if it contains escapes.
    pub fn content(&self) -> Cow<'a, [u8]> {
        if !self.escaped {
            return Cow::Borrowed(self.raw);
        }
        let mut content = Vec::with_capacity(self.raw.len());
        self.append_to(&mut content);
        Cow::Owned(content)
    }

    /// Appends the string's content to `content`.
    pub fn append_to(&self, content: &mut Vec<u8>) {
        let mut rest = self.raw;
        while let Some(backslash) = memchr::memchr(b'\\', rest) {
            content.extend_from_slice(&rest[..backslash]);
            rest = &rest[backslash..];
            let (character, length) = unescape(rest);
            content.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
            rest = &rest[length..];
        }
        content.extend_from_slice(rest);
    }
}

/// How many bytes the escape takes that `text` begins with, if it is well-formed.
#[inline(always)]
pub(super) fn escape_length(text: &[u8]) -> Option<usize> {
    match text.get(1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(2),
        b'u' => code_point(text).map(|(_, length)| length),
        _ => None,
    }
}

/// The character that the escape stands for that `text` begins with, and how many bytes it takes.
fn unescape(text: &[u8]) -> (char, usize) {
    let character = match text.get(1) {
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(b'n') => '\n',
        Some(b'r') => '\r',
        Some(b't') => '\t',
        // A `Text` is well-formed: the replacement is for the compiler, which doesn't know that.
        Some(b'u') => return code_point(text).unwrap_or((char::REPLACEMENT_CHARACTER, text.len())),
        Some(&other) => char::from(other),
        None => char::REPLACEMENT_CHARACTER,
    };
    (character, text.len().min(2))
}

/// The character of `\uXXXX`, or of the two that make a surrogate pair, and how many bytes that takes.
///
/// Half of a pair is no character: lua-cjson refuses it, and so does this.
fn code_point(text: &[u8]) -> Option<(char, usize)> {
    let first = four_digits(text)?;
    if !(0xd800..0xdc00).contains(&first) {
        return char::from_u32(first).map(|character| (character, 6));
    }
    let second = four_digits(&text[6..])?;
    if !(0xdc00..0xe000).contains(&second) {
        return None;
    }
    let point = 0x1_0000 + ((first - 0xd800) << 10) + (second - 0xdc00);
    char::from_u32(point).map(|character| (character, 12))
}

fn four_digits(text: &[u8]) -> Option<u32> {
    let digits = text.strip_prefix(b"\\u")?.first_chunk::<4>()?;
    digits.iter().try_fold(0, |value, &digit| Some(value * 16 + char::from(digit).to_digit(16)?))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::json::Lexer;

    fn content(json: &str) -> Vec<u8> {
        let text = Lexer::new(json.as_bytes()).unwrap().string().unwrap();
        text.content().into_owned()
    }

    #[test]
    fn escapes_stand_for_characters() {
        assert_eq!(content(r#""a\/b\"\\\b\f\n\r\t""#), b"a/b\"\\\x08\x0c\n\r\t");
        assert_eq!(content(r#""\u0000\u00e9\u20AC\uD83D\ude00!""#), "\0é€😀!".as_bytes());
    }

    #[test]
    fn a_string_without_escapes_is_not_copied() {
        let text = Lexer::new(b"\"plain\"").unwrap().string().unwrap();
        assert!(matches!(text.content(), Cow::Borrowed(b"plain")));
    }

    proptest! {
        #[test]
        fn any_string_reads_as_it_was_written(string: String) {
            let json = serde_json::to_string(&string).unwrap();
            prop_assert_eq!(content(&json), string.as_bytes());
        }
    }
}
