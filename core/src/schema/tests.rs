//! Schemas against what a real Kong said.

use flate2::read::GzDecoder;
use serde::Deserialize;
use serde_json::{Map, Value};

use super::*;

/// A configuration with a real Kong's verdict.
#[derive(Deserialize)]
struct Judged {
    id: u64,
    config: Map<String, Value>,
    accepted: bool,
    message: Option<String>,
}

fn judged() -> Vec<Judged> {
    let gzip = include_bytes!("../../../tests/data/kong-3.9.1/acceptance.jsonl.gz");
    let text = std::io::read_to_string(GzDecoder::new(&gzip[..])).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn recorded(version: &str) -> &'static SchemaSet {
    SchemaSet::recorded(version.parse().unwrap()).unwrap()
}

#[test]
fn verdicts_are_those_of_a_real_kong() {
    let set = recorded("3.9.1");
    let scope = CheckScope { unknown_plugins: UnknownPlugins::Refused, ..CheckScope::default() };
    let mut agreed = 0;
    let mut wrongly_refused = Vec::new();
    let mut wrongly_taken = Vec::new();
    for judged in judged() {
        let findings = set.check(&judged.config, &scope);
        match (findings.is_accepted(), judged.accepted) {
            (ours, kongs) if ours == kongs => agreed += 1,
            (false, _) => wrongly_refused.push((judged.id, findings.violations)),
            (true, _) => wrongly_taken.push((judged.id, judged.message)),
        }
    }
    println!("{agreed} {wrongly_refused:#?} {wrongly_taken:#?}");
    assert_eq!((agreed, wrongly_refused.len(), wrongly_taken.len()), (300, 0, 0));
}
