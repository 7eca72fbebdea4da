//! What can't be a regular expression of Perl's kind, which Kong compiles with PCRE. Only what PCRE certainly refuses: most
//! of its syntax isn't read here.

/// What changes how the rest is to be read: quoting, verbs, comments, options.
const BEYOND: [&str; 6] = ["\\Q", "(*", "(?#", "(?x", "(?^", "(?["];

/// Why PCRE refuses a text, in its words; nothing where that isn't certain.
pub(super) fn mistake(regex: &str) -> Option<&'static str> {
    if BEYOND.iter().any(|beyond| regex.contains(beyond)) {
        return None;
    }

    let mut open = 0_usize;
    // At the beginning, after `(` and after `|` there is nothing to repeat.
    let mut is_beginning = true;
    let mut rest = regex.as_bytes();

    while let Some((first, after)) = rest.split_first() {
        rest = after;
        let was_beginning = std::mem::replace(&mut is_beginning, false);
        match first {
            b'\\' if rest.is_empty() => return Some("\\ at end of pattern"),
            b'\\' => rest = &rest[1..],
            b'[' => match after_class(rest) {
                Some(after) => rest = after,
                None => return Some("missing terminating ] for character class"),
            },
            b'(' => {
                open += 1;
                // What follows a question mark says what kind of group it is.
                match rest.strip_prefix(b"?") {
                    Some(kind) => rest = kind,
                    None => is_beginning = true,
                }
            }
            b')' if open == 0 => return Some("unmatched closing parenthesis"),
            b')' => open -= 1,
            b'|' => is_beginning = true,
            b'*' | b'+' | b'?' if was_beginning => return Some("quantifier does not follow a repeatable item"),
            _ => {}
        }
    }
    (open > 0).then_some("missing closing parenthesis")
}

/// What follows a character class, after its opening bracket; nothing if it isn't closed.
fn after_class(class: &[u8]) -> Option<&[u8]> {
    let mut rest = class.strip_prefix(b"^").unwrap_or(class);
    // Right after the opening bracket a closing one stands for itself.
    rest = rest.strip_prefix(b"]").unwrap_or(rest);
    loop {
        match rest {
            [] | [b'\\'] => return None,
            [b'\\', _, after @ ..] => rest = after,
            [b']', after @ ..] => return Some(after),
            // A named class inside of it: its own bracket doesn't close this one.
            [b'[', b':', after @ ..] => {
                let end = after.windows(2).position(|two| two == b":]");
                rest = end.map_or(after, |end| &after[end + 2..]);
            }
            [_, after @ ..] => rest = after,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_pcre_refuses_is_named_in_its_words() {
        for (regex, reason) in [
            ("/a(", "missing closing parenthesis"),
            ("a)", "unmatched closing parenthesis"),
            ("[a", "missing terminating ] for character class"),
            ("[]", "missing terminating ] for character class"),
            ("*", "quantifier does not follow a repeatable item"),
            ("(a|+)", "quantifier does not follow a repeatable item"),
            ("a\\", "\\ at end of pattern"),
        ] {
            assert_eq!(mistake(regex), Some(reason), "{regex}");
        }
    }

    #[test]
    fn what_pcre_takes_is_never_refused() {
        for regex in [
            "",
            "/a",
            "/users/(?<id>\\d+)/?$",
            "(?i)bot",
            "(?:a|b)*+",
            "[]a]",
            "[^]]+",
            "[[:alpha:]]",
            "a{2,3}",
            "{",
            "]",
            "}",
            "\\(",
            "[(]",
            "^/(a|b|)$",
            "(?=x)",
            "(?|(a)|(b))",
            "(a)(?+1)?",
            "\\Q(\\E",
            "(?#()",
            "(*UTF8)é",
            "^*",
            "$*",
        ] {
            assert_eq!(mistake(regex), None, "{regex}");
        }
    }
}
