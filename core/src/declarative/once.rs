//! Whether each name stands once in each object of a JSON text. What stands twice is read in two ways by two readers, and
//! a person who wrote it meant one of them.

use std::collections::HashSet;

use crate::json::{Error, Lexer};

/// Looks at all of a text that is known to be JSON.
///
/// # Errors
/// Where the first name stands that is there twice, from the top: `services[3].name`.
pub(super) fn check(json: &[u8]) -> Result<(), String> {
    let mut twice = None;
    let read = Lexer::new(json).and_then(|mut lexer| value(&mut lexer, &mut Vec::new(), &mut twice));
    match (read, twice) {
        (_, Some(path)) => Err(path),
        // That it isn't JSON is said by whoever reads it.
        (_, None) => Ok(()),
    }
}

fn value(lexer: &mut Lexer<'_>, path: &mut Vec<String>, twice: &mut Option<String>) -> Result<(), Error> {
    match lexer.peek()? {
        b'{' => {
            let mut names = HashSet::new();
            lexer.members(|lexer, name| {
                let content = name.content();
                path.push(format!(".{}", String::from_utf8_lossy(&content)));
                if !names.insert(content) && twice.is_none() {
                    *twice = Some(path.concat().trim_start_matches('.').to_owned());
                }

                value(lexer, path, twice)?;
                path.pop();
                Ok(())
            })
        }
        b'[' => {
            let mut at = 0;
            lexer
                .elements(|lexer| {
                    path.push(format!("[{at}]"));
                    at += 1;
                    value(lexer, path, twice)?;
                    path.pop();
                    Ok(())
                })
                .map(drop)
        }
        _ => lexer.value(&mut ()).map(drop),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_that_stands_twice_is_found_wherever_it_is() {
        for (json, path) in [
            (r#"{"a":1,"a":2}"#, "a"),
            (r#"{"services":[{},{"name":"s","n\u0061me":"t"}]}"#, "services[1].name"),
            (r#"{"plugins":[{"config":{"x":{"y":1,"y":1}}}]}"#, "plugins[0].config.x.y"),
        ] {
            assert_eq!(check(json.as_bytes()), Err(path.to_owned()), "{json}");
        }
        assert_eq!(check(br#"{"a":{"b":1},"c":{"b":1},"d":[{"b":1},{"b":1}]}"#), Ok(()));
    }
}
