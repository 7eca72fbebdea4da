//! The walls between crates and between the modules of a crate: dependencies go one way. ARCHITECTURE.md draws them.

use std::collections::{BTreeMap, BTreeSet};

use super::{assert_none, tracked};

/// Each crate of the product: its folder, and which of our crates it may depend on.
const CRATES: [(&str, &[&str]); 8] = [
    ("core", &[]),
    ("runtime", &["core"]),
    ("fakes", &[]),
    ("storage", &["core", "runtime"]),
    ("link", &["core", "runtime"]),
    ("node-cache", &["core"]),
    ("companion", &["core", "runtime", "fakes", "storage", "link", "node-cache"]),
    ("web", &["core"]),
];

/// Which modules each module of a crate names, by the name after `crate::`.
type Arrows = BTreeMap<String, BTreeSet<String>>;

/// The code of a file without comments, and without the module of tests at its end.
pub(super) fn code(source: &str) -> String {
    let product = source.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    let without_comment = |line: &str| line.split("//").next().unwrap_or_default().to_owned();
    product.lines().map(without_comment).collect::<Vec<_>>().join("\n")
}

/// The names that follow `crate::`, alone or in braces.
fn named(code: &str) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for rest in code.split("crate::").skip(1) {
        let listed = rest.strip_prefix('{').and_then(|inside| inside.split('}').next());
        let parts = listed.map_or_else(|| vec![rest], |inside| inside.split(',').collect());
        for part in parts {
            let name: String = part.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect();
            names.insert(name);
        }
    }
    names
}

/// The top module that a path below `src/` belongs to.
fn module(path: &str) -> &str {
    let first = path.split('/').next().unwrap_or(path);
    first.strip_suffix(".rs").unwrap_or(first)
}

fn arrows<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Arrows {
    let mut arrows = Arrows::new();
    for (path, source) in files {
        let is_test = path.ends_with("/tests.rs") || path.contains("/tests/");
        if !is_test {
            arrows.entry(module(path).to_owned()).or_default().extend(named(&code(source)));
        }
    }
    // What is no module is an item of the crate's root, which may name anything.
    let modules: BTreeSet<String> = arrows.keys().cloned().collect();
    for (from, to) in &mut arrows {
        to.retain(|name| name != from && modules.contains(name));
    }
    arrows.retain(|from, _| from != "lib" && from != "main");
    arrows
}

/// Those modules that are on a circle: each can be reached from itself.
fn on_a_circle(arrows: &Arrows) -> Vec<String> {
    let reaches_itself = |start: &String| {
        let (mut open, mut seen) = (vec![start], BTreeSet::new());
        while let Some(module) = open.pop() {
            for next in arrows.get(module).into_iter().flatten() {
                if next == start {
                    return true;
                }
                if seen.insert(next) {
                    open.push(next);
                }
            }
        }
        false
    };
    arrows.keys().filter(|module| reaches_itself(module)).cloned().collect()
}

fn sources(folder: &str) -> Arrows {
    let root = format!("{folder}/src/");
    let files = tracked().iter().filter(|file| file.is_rust());
    arrows(files.filter_map(|file| Some((file.path.strip_prefix(&root)?, file.text()?))))
}

/// Our crates among the dependencies of a `Cargo.toml`, those for tests aside.
fn dependencies(manifest: &str) -> Vec<String> {
    let section = manifest.split("\n[dependencies]\n").nth(1).unwrap_or_default();
    let section = section.split("\n[").next().unwrap_or_default();
    let names = section.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
    names.filter_map(|name| name.strip_prefix("lifeboat-")).map(str::to_owned).collect()
}

#[test]
fn no_modules_of_a_crate_form_a_circle() {
    let circles = CRATES.iter().filter_map(|(folder, _)| {
        let on_a_circle = on_a_circle(&sources(folder));
        (!on_a_circle.is_empty()).then(|| format!("{folder}: {}", on_a_circle.join(", ")))
    });
    assert_none(&circles.collect::<Vec<_>>(), "let one of these modules know nothing of the others");
}

#[test]
fn each_crate_depends_only_on_those_below_it() {
    let mut forbidden = Vec::new();
    for (folder, allowed) in CRATES {
        let manifest = super::document(&format!("{folder}/Cargo.toml"));
        let others = dependencies(&manifest).into_iter().filter(|name| !allowed.contains(&name.as_str()));
        forbidden.extend(others.map(|name| format!("{folder} depends on {name}")));
    }
    assert_none(&forbidden, "no such arrow (tests/suite/tidy/walls.rs lists those that may be)");
}

#[test]
fn the_architectures_table_of_crates_draws_the_same_arrows() {
    let page = super::document("ARCHITECTURE.md");
    let wrong = CRATES.iter().filter_map(|(folder, allowed)| {
        let depends_on = if allowed.is_empty() { "–".to_owned() } else { allowed.join(", ") };
        let row = page.lines().find(|line| line.starts_with(&format!("| `{folder}/` |")));
        let is_so = row.is_some_and(|row| row.ends_with(&format!("| {depends_on} |")));
        (!is_so).then(|| format!("{folder}: {depends_on}"))
    });
    assert_none(&wrong.collect::<Vec<_>>(), "write into the table of crates in ARCHITECTURE.md what each depends on");
}

#[test]
fn every_crate_of_the_product_has_its_walls() {
    let members = super::document("Cargo.toml");
    let members = members.split("members = [").nth(1).and_then(|rest| rest.split(']').next()).unwrap_or_default();
    let others = ["filter", "filter/abi", "fuzz", "tests", "web/bindgen"];
    let unknown = members
        .split(',')
        .map(|name| name.trim().trim_matches('"'))
        .filter(|name| !others.contains(name) && CRATES.iter().all(|(folder, _)| folder != name));
    assert_none(
        &unknown.map(str::to_owned).collect::<Vec<_>>(),
        "say in tests/suite/tidy/walls.rs what these may depend on",
    );
}

#[test]
fn a_circle_over_three_modules_is_seen() {
    let files = [
        ("a/mod.rs", "use crate::b::B;"),
        ("b.rs", "use crate::{c::C, d};"),
        ("c/inner.rs", "fn c() { crate::a::a() }"),
        ("d.rs", "// crate::a is named in a comment alone\n#[cfg(test)]\nmod tests {\nuse crate::a;\n}"),
    ];
    assert_eq!(on_a_circle(&arrows(files)), ["a", "b", "c"]);
}

#[test]
fn dependencies_for_tests_are_no_arrow() {
    let manifest = "[package]\nname = \"lifeboat-x\"\n\n[dependencies]\nlifeboat-core.workspace = true\nbytes = \"1\"\n\n\
                    [dev-dependencies]\nlifeboat-fakes.workspace = true\n";
    assert_eq!(dependencies(manifest), ["core"]);
}

#[test]
fn core_does_no_io() {
    const IO: [&str; 6] = ["std::env", "std::fs", "std::io::stdout", "std::net::Tcp", "std::process", "std::thread"];
    let sources = tracked()
        .iter()
        .filter(|file| file.is_rust() && file.path.starts_with("core/src/") && !file.path.ends_with("tests.rs"));
    let offences = sources.flat_map(|file| {
        let code = code(file.text().unwrap_or_default());
        let found = IO.iter().filter(move |needle| code.contains(**needle));
        found.map(|needle| format!("{}: {needle}", file.path)).collect::<Vec<_>>()
    });
    assert_none(&offences.collect::<Vec<_>>(), "core only computes: do this where it is called from");
}
