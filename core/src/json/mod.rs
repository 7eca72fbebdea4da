//! Strict JSON (RFC 8259) read in place: where its values begin and end, and whether all of it is well-formed. No
//! document is built and no value converted here; what Kong's hash needs of values is in [`crate::kong`].
//!
//! `serde_json` skips over a value just as fast, but refuses more than 128 levels where Kong allows 1000, lets through
//! what lua-cjson refuses in strings that it skips (half of a surrogate pair), and finds the places of nested values
//! only by reading them once per level. Here one pass gives places, counts and what Kong's hash is made of.

mod grammar;
mod lexer;
mod text;

pub use grammar::{Container, Visitor};
pub use lexer::{Lexer, Number, Text};

/// How deeply arrays and objects may be nested: what Kong's own decoder allows (lua-cjson's `decode_max_depth`).
pub const MAX_DEPTH: usize = 1000;

/// What is wrong with a text that should be JSON, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{problem} at byte {offset}")]
pub struct Error {
    /// How many bytes stand before the mistake.
    pub offset: usize,
    /// What the mistake is.
    pub problem: Problem,
}

/// The mistakes that a JSON text can contain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// The text ends inside a value.
    #[error("unexpected end")]
    End,
    /// Something else stands where a value should begin.
    #[error("expected a value")]
    Value,
    /// Something else stands where a member's name should begin.
    #[error("expected a member name in double quotes")]
    Name,
    /// A member's name is not followed by a colon.
    #[error("expected ':'")]
    Colon,
    /// An array's element is followed by neither a comma nor the end of the array.
    #[error("expected ',' or ']'")]
    EndOfArray,
    /// An object's member is followed by neither a comma nor the end of the object.
    #[error("expected ',' or '}}'")]
    EndOfObject,
    /// A number has a leading zero, or lacks digits.
    #[error("malformed number")]
    Number,
    /// A string contains a control character that must be escaped.
    #[error("unescaped control character in a string")]
    Control,
    /// A backslash is followed by what is no escape, or by half of a surrogate pair.
    #[error("malformed escape in a string")]
    Escape,
    /// The bytes are not UTF-8.
    #[error("malformed UTF-8")]
    Utf8,
    /// Arrays and objects are nested more deeply than [`MAX_DEPTH`].
    #[error("more than {MAX_DEPTH} nested arrays and objects")]
    Depth,
    /// Something follows the document.
    #[error("something follows the end of the document")]
    Trailing,
}

/// Checks that `text` is one JSON document and nothing else.
///
/// # Errors
/// The first mistake.
pub fn check(text: &[u8]) -> Result<(), Error> {
    let mut lexer = Lexer::new(text)?;
    lexer.value(&mut ())?;
    lexer.end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_json_is_accepted() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "\t{ }\r\n",
            "null",
            "true",
            "false",
            "0",
            "-0",
            "-0.0e-0",
            "1E+2",
            "12.5e3",
            "\"\"",
            r#""\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00""#,
            "\"é€😀\u{7f}\"",
            r#"{"a":[1,{"b":[[],{}]}],"a":null}"#,
            r#" { "a" : [ 1 , 2 ] , "b" : { } } "#,
            r#""12345678\u000012345678""#,
        ] {
            assert_eq!(check(text.as_bytes()), Ok(()), "{text}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused_with_its_place() {
        use Problem::*;
        for (text, offset, problem) in [
            ("", 0, End),
            ("  ", 2, End),
            ("nul", 0, Value),
            ("nulL", 0, Value),
            ("truefalse", 4, Trailing),
            ("{} {}", 3, Trailing),
            ("'a'", 0, Value),
            ("[1,]", 3, Value),
            ("[1 2]", 3, EndOfArray),
            ("[1}", 2, EndOfArray),
            ("[", 1, End),
            ("[1", 2, End),
            ("{", 1, End),
            ("{\"a\":1]", 6, EndOfObject),
            ("{\"a\":1,}", 7, Name),
            ("{a:1}", 1, Name),
            ("{\"a\" 1}", 5, Colon),
            ("{\"a\"", 4, End),
            ("01", 1, Trailing),
            ("-", 1, Number),
            ("1.", 2, Number),
            (".5", 0, Value),
            ("1e", 2, Number),
            ("1e+", 3, Number),
            ("+1", 0, Value),
            ("NaN", 0, Value),
            ("0x10", 1, Trailing),
            ("\"a", 2, End),
            ("\"12345678901", 12, End),
            ("\"a\nb\"", 2, Control),
            ("\"123456789\u{0}\"", 10, Control),
            (r#""\x""#, 1, Escape),
            (r#""\"#, 1, Escape),
            (r#""\u12g4""#, 1, Escape),
            (r#""\u12""#, 1, Escape),
            (r#""\ud800""#, 1, Escape),
            (r#""\ud800\u0041""#, 1, Escape),
            (r#""\udc00""#, 1, Escape),
            ("// no\n1", 0, Value),
        ] {
            assert_eq!(check(text.as_bytes()), Err(Error { offset, problem }), "{text}");
        }
        assert_eq!(check(b"\"ab\xff\""), Err(Error { offset: 3, problem: Utf8 }));
        assert_eq!(check(b"\"\xed\xa0\x80\"").unwrap_err().problem, Utf8);
    }

    #[test]
    fn a_mistake_names_its_place() {
        assert_eq!(check(b"[1,]").unwrap_err().to_string(), "expected a value at byte 3");
        assert_eq!(check(b"{\"a\":1]").unwrap_err().to_string(), "expected ',' or '}' at byte 6");
    }

    #[test]
    fn nesting_is_bounded_without_using_the_stack() {
        for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
            let nested = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
            assert_eq!(check(nested(MAX_DEPTH).as_bytes()), Ok(()));
            let too_deep = Err(Error { offset: MAX_DEPTH * open.len(), problem: Problem::Depth });
            assert_eq!(check(nested(MAX_DEPTH + 1).as_bytes()), too_deep);
            assert_eq!(check(nested(100_000).as_bytes()), too_deep);
        }
    }

    proptest! {
        #[test]
        fn what_serde_json_thinks_of_a_text_is_what_is_thought_here(text in r#"[\[\]{},:"\\a0-9eE.+ /tunl-]{0,12}"#) {
            // RawValue: Value would convert numbers too, and refuse those that no double can hold.
            let serde = serde_json::from_str::<&serde_json::value::RawValue>(&text).is_ok();
            prop_assert_eq!(check(text.as_bytes()).is_ok(), serde, "{}", text);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let serde = serde_json::from_slice::<serde_json::Value>(&bytes).is_ok();
            prop_assert!(!serde || check(&bytes).is_ok());
        }
    }
}
