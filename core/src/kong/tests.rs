//! Kong's hash made in the plainest way, from a tree and in one buffer: what the fast way is compared with. Tests only.

use std::collections::BTreeMap;

use md5::{Digest, Md5};
use proptest::prelude::*;

use super::{Configuration, SectionHashes, number};
use crate::digest::ConfigHash;

fn hashes(json: String) -> SectionHashes {
    Configuration::from_json(json.into()).unwrap().hashes()
}

/// A JSON value of which text and hash are made in the plainest way, to compare with.
#[derive(Debug, Clone)]
enum Plain {
    Literal(&'static str),
    Number(String),
    Text(String),
    Array(Vec<Plain>),
    Object(Vec<(String, Plain)>),
}

impl Plain {
    fn json(&self) -> String {
        let quoted = |text: &str| serde_json::to_string(text).unwrap();
        match self {
            Plain::Literal(text) => (*text).to_owned(),
            Plain::Number(text) => text.clone(),
            Plain::Text(text) => quoted(text),
            Plain::Array(values) => format!("[{}]", values.iter().map(Plain::json).collect::<Vec<_>>().join(", ")),
            Plain::Object(members) => {
                let member = |(name, value): &(String, Plain)| format!("{}: {}", quoted(name), value.json());
                format!("{{{}}}", members.iter().map(member).collect::<Vec<_>>().join(",\n"))
            }
        }
    }

    fn append(&self, out: &mut Vec<u8>) {
        if out.len() > 1_000_000 {
            *out = Md5::digest(&out).to_vec();
        }

        match self {
            Plain::Literal("null") => out.extend(b"/null/"),
            Plain::Literal(text) => out.extend(text.bytes()),
            Plain::Number(text) => number::append(text.as_bytes(), out),
            Plain::Text(text) => out.extend(text.bytes()),
            Plain::Array(values) if values.is_empty() => out.extend(b"{}"),
            Plain::Object(members) if members.is_empty() => out.extend(b"{}"),
            Plain::Array(values) => {
                for (at, value) in values.iter().enumerate() {
                    value.append(out);
                    if at + 1 < values.len() || values.len() > 5 {
                        out.push(b';');
                    }
                }
            }
            Plain::Object(members) => {
                for (name, value) in members.iter().map(|(name, value)| (name, value)).collect::<BTreeMap<_, _>>() {
                    out.extend(name.bytes());
                    out.push(b':');
                    value.append(out);
                    out.push(b';');
                }
            }
        }
    }

    fn hash(&self) -> ConfigHash {
        let mut out = Vec::new();
        self.append(&mut out);
        ConfigHash::from_bytes(Md5::digest(out).into())
    }
}

fn plain() -> impl Strategy<Value = Plain> {
    let leaf = prop_oneof![
        prop_oneof![Just("null"), Just("true"), Just("false")].prop_map(Plain::Literal),
        r"-?(0|[1-9][0-9]{0,16})(\.[0-9]{1,5})?([eE][+-]?[0-9]{1,2})?".prop_map(Plain::Number),
        ".{0,20}".prop_map(Plain::Text),
        // So long that a few of them make a section fold.
        (0..300_000usize).prop_map(|length| Plain::Text("x".repeat(length))),
    ];

    leaf.prop_recursive(4, 60, 12, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..12).prop_map(Plain::Array),
            // With long common beginnings, so that the ninth byte decides too.
            proptest::collection::btree_map("(long_name_)?.{0,4}", inner, 0..12)
                .prop_map(|members| Plain::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn any_configuration_hashes_as_the_plainest_way_says(section in plain()) {
        let json = format!("{{\"services\": {}}}", section.json());
        prop_assert_eq!(hashes(json).services, section.hash());
    }

    #[test]
    fn the_order_of_members_does_not_change_the_hash(section in plain(), seed: u64) {
        fn shuffle(value: &mut Plain, seed: u64) {
            match value {
                Plain::Array(values) => values.iter_mut().for_each(|value| shuffle(value, seed)),
                Plain::Object(members) => {
                    let by = |name: &str| Md5::digest(format!("{seed}{name}")).to_vec();
                    members.sort_by_key(|(name, _)| by(name));
                    members.iter_mut().for_each(|(_, value)| shuffle(value, seed));
                }
                _ => {}
            }
        }
        let mut shuffled = section.clone();

        shuffle(&mut shuffled, seed);
        let before = format!("{{\"services\":[1],\"vaults\":{},\"meta\":{{}}}}", section.json());
        let after = format!("{{\"meta\":{{}},\"vaults\":{},\"services\":[1]}}", shuffled.json());
        prop_assert_eq!(hashes(before), hashes(after));
    }
}
