//! Secrets don't print: a type that derives `Debug` and holds plain bytes or JSON values says here what they are, or wraps
//! them in `Sensitive`.

use super::walls::code;
use super::{assert_none, tracked};

/// Types whose bytes or values anybody may see, and what these are.
const HARMLESS: [(&str, &str); 14] = [
    ("Answer", "what the Status API and the companion answer: hashes and counters"),
    ("AnswerBody", "likewise"),
    ("Call", "a report, signed: hashes and counters"),
    ("Document", "a manifest"),
    ("FetchedSchemas", "Kong's schemas"),
    ("Field", "a default of Kong's schemas, or a difference with its secrets masked"),
    ("Headless", "what the exporter says of itself to the control plane"),
    ("Issuer", "a certificate's issuer"),
    ("Picked", "a manifest"),
    ("Published", "a manifest"),
    ("Question", "an OCSP request"),
    ("Rule", "what Kong's schemas compare with"),
    ("Said", "a running lifeboat's status, which has no secrets"),
    ("Values", "a difference with its secrets masked"),
];

/// What may hold a configuration, a key or a credential.
const HOLDERS: [&str; 6] = ["Bytes", "BytesMut", "Map<String, Value>", "RawValue", "Value", "Vec<u8>"];

/// The types of a source that derive `Debug`, each with its fields or variants.
fn printed(source: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut lines = source.lines().peekable();
    while let Some(line) = lines.next() {
        let indent = line.len() - line.trim_start().len();
        if !line.trim_start().starts_with("#[derive(") || !line.contains("Debug") {
            continue;
        }
        let Some(head) = lines.find(|line| !line.trim_start().starts_with("#[") && !line.trim().is_empty()) else {
            break;
        };
        let mut words = head.split_whitespace().skip_while(|word| !matches!(*word, "struct" | "enum")).skip(1);
        let name = words.next().unwrap_or_default();
        let name = name.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default().to_owned();

        // The fields of a tuple stand on the line of the name, all others up to the brace below it.
        let mut body = head.find('(').map(|at| head[at..].to_owned()).unwrap_or_default();
        if head.ends_with('{') {
            let end = format!("{}}}", " ".repeat(indent));
            for line in lines.by_ref().take_while(|line| *line != end) {
                body.push_str(line);
                body.push('\n');
            }
        }
        found.push((name, body));
    }
    found
}

/// Whether a type's fields hold what may be secret, as it is.
fn holds_plain(body: &str) -> bool {
    let bare = body.split("Sensitive<").enumerate().map(|(index, part)| match index {
        0 => part,
        // What follows on the same line is inside of the wrapper.
        _ => part.split_once('\n').map_or("", |(_, rest)| rest),
    });
    let bare: String = bare.collect();
    HOLDERS.iter().any(|holder| {
        bare.match_indices(holder).any(|(at, _)| {
            let after = bare[at + holder.len()..].chars().next();
            let before = bare[..at].trim_end_matches(' ').chars().next_back();
            // A type, not a variant's name.
            matches!(before, Some(':' | '<' | '(' | '[' | ',')) && !after.is_some_and(char::is_alphanumeric)
        })
    })
}

/// The product's types that derive `Debug` and hold such things plainly: file and name. The fakes hold no real secrets.
fn leaking() -> Vec<(&'static str, String)> {
    let product =
        |path: &str| path.contains("src/") && !["tests/", "fakes/"].iter().any(|folder| path.starts_with(folder));
    let sources =
        tracked().iter().filter(|file| file.is_rust() && product(&file.path) && !file.path.contains("/tests"));
    let leaking = sources.flat_map(|file| {
        let types = printed(&code(file.text().unwrap_or_default())).into_iter();
        types.filter(|(_, body)| holds_plain(body)).map(|(name, _)| (file.path.as_str(), name))
    });
    leaking.collect()
}

#[test]
fn what_may_be_secret_does_not_print() {
    let leaking = leaking();
    let offences: Vec<_> = leaking
        .iter()
        .filter(|(_, name)| HARMLESS.iter().all(|(harmless, _)| harmless != name))
        .map(|(path, name)| format!("{path}: {name}"))
        .collect();
    assert_none(
        &offences,
        "these print their bytes: wrap them in Sensitive, or say in tests/suite/tidy/secrets.rs what they are",
    );

    let gone = HARMLESS.iter().filter(|(harmless, _)| leaking.iter().all(|(_, name)| name != harmless));
    assert_none(
        &gone.map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>(),
        "these hold nothing of that kind: take them out of tests/suite/tidy/secrets.rs",
    );
}

#[test]
fn a_leak_is_seen_in_each_form() {
    let leaking = [
        "#[derive(Debug)]\nstruct A {\n    number: u64,\n    json: Bytes,\n}",
        "#[derive(Clone, Debug)]\n#[must_use]\npub struct B(Arc<Vec<u8>>);",
        "#[derive(Debug)]\nenum C {\n    None,\n    Keep(Option<Value>),\n}",
        "    #[derive(Debug)]\n    pub(super) enum D {\n        Keep {\n            json: Box<RawValue>,\n        },\n    }",
    ];
    for source in leaking {
        assert!(printed(source).iter().any(|(_, body)| holds_plain(body)), "{source}");
    }
    let silent = [
        "#[derive(Clone)]\nstruct A {\n    json: Bytes,\n}",
        "#[derive(Debug)]\nstruct B {\n    json: Sensitive<Bytes>,\n    number: u64,\n}",
        "#[derive(Debug)]\nenum C {\n    Bytes,\n    Value,\n}\nfn c(json: Bytes) {}",
    ];
    for source in silent {
        assert!(!printed(source).iter().any(|(_, body)| holds_plain(body)), "{source}");
    }
}
