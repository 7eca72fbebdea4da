//! Bodies of functions: a long one has paragraphs. Counted over the product's code, so that it can't creep back.

use super::{Tracked, tracked};

/// A body of so many lines needs a breath.
const LONG: usize = 15;
/// So many of a hundred long bodies may have none: a table, one expression, one `match`.
const MOST_WITHOUT: usize = 20;

/// The folders of the product's code.
const PRODUCT: [&str; 8] = [
    "companion/src/",
    "core/src/",
    "fakes/src/",
    "filter/",
    "link/src/",
    "node-cache/src/",
    "runtime/src/",
    "storage/src/",
];

fn product() -> impl Iterator<Item = &'static Tracked> {
    let is_test = |path: &str| path.contains("/tests/") || path.ends_with("/tests.rs");
    tracked().iter().filter(move |file| {
        file.is_rust() && !is_test(&file.path) && PRODUCT.iter().any(|folder| file.path.starts_with(folder))
    })
}

/// The bodies of a file's functions, modules of tests aside, each with the function's name.
fn bodies(source: &str) -> Vec<(&str, Vec<&str>)> {
    let product = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let lines: Vec<&str> = product.lines().collect();
    let mut bodies = Vec::new();

    for (start, line) in lines.iter().enumerate() {
        let Some(name) = function_name(line) else { continue };
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends = |line: &&str| line.strip_prefix(indent) == Some("}");

        // rustfmt ends a body with a brace as far to the left as the function begins.
        let Some(length) = lines[start..].iter().position(ends) else { continue };
        let Some(opening) = lines[start..start + length].iter().position(|line| line.ends_with('{')) else { continue };
        bodies.push((name, lines[start + opening + 1..start + length].to_vec()));
    }
    bodies
}

fn function_name(line: &str) -> Option<&str> {
    let (before, after) = line.split_once("fn ")?;
    let is_modifier = |word: &str| matches!(word, "pub" | "const" | "async" | "unsafe") || word.starts_with("pub(");
    let name = after.split(['(', '<']).next()?;
    (before.split_whitespace().all(is_modifier) && !line.ends_with('}')).then_some(name)
}

#[test]
fn long_functions_have_paragraphs() {
    let mut long = 0;
    let mut without = Vec::new();
    for file in product() {
        for (name, body) in bodies(file.text().unwrap_or_default()) {
            if body.len() >= LONG {
                long += 1;
                if !body.iter().any(|line| line.is_empty()) {
                    without.push(format!("{}: {name}, {} lines", file.path, body.len()));
                }
            }
        }
    }

    assert!(long > 100, "the sources are read wrongly: only {long} functions of {LONG} lines");
    let share = 100 * without.len() / long;
    assert!(
        share < MOST_WITHOUT,
        "{share} % of the functions of {LONG} lines and more have no blank line (at most {MOST_WITHOUT} % may): put one \
         where the thought changes\n{}",
        without.join("\n")
    );
}

#[test]
fn a_body_without_a_breath_is_told_from_one_with_paragraphs() {
    let source = "pub(super) async fn first(\n    a: u8,\n) -> u8 {\n    a\n}\n\nimpl X {\n    fn second(&self) {\n        a();\n\n        \
                  b();\n    }\n}\n#[cfg(test)]\nmod tests {\n    fn third() {\n    }\n}\n";
    let found: Vec<(&str, usize, bool)> =
        bodies(source).iter().map(|(name, body)| (*name, body.len(), body.contains(&""))).collect();
    assert_eq!(found, [("first", 1, false), ("second", 3, true)]);
}
