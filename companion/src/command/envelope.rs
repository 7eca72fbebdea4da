//! What all JSON of `--output json` has in common: it is one object, with the command that printed it and the number of its
//! format. docs/schemas/outputs.json describes what else is in it, command by command.

use lifeboat_core::manifest::Manifest;
use serde::Serialize;

/// The format of all outputs so far. Members may be added to one; another number means that one has changed or gone, and
/// belongs to the one command that has it.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Envelope<'a, T> {
    command: &'a str,
    format: u32,
    #[serde(flatten)]
    members: T,
}

/// A manifest has its own number.
#[derive(Serialize)]
struct ManifestEnvelope<'a> {
    command: &'a str,
    #[serde(flatten)]
    manifest: &'a Manifest,
}

/// What `command` prints, by name without `lifeboat`: an object's members.
pub(super) fn enveloped(command: &str, members: impl Serialize) -> String {
    printed(&Envelope { command, format: FORMAT, members })
}

/// What a command prints that has published, or written, the snapshot of a manifest.
pub(super) fn manifest_of(command: &str, manifest: &Manifest) -> String {
    printed(&ManifestEnvelope { command, manifest })
}

fn printed(whole: &impl Serialize) -> String {
    serde_json::to_string_pretty(whole).expect("what commands print always has a JSON form")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn members_stand_beside_the_command_and_the_format() {
        let whole: Value = serde_json::from_str(&enveloped("list", json!({ "versions": [] }))).unwrap();
        assert_eq!(whole, json!({ "command": "list", "format": 1, "versions": [] }));
    }

    #[test]
    fn a_manifest_keeps_all_of_its_members() {
        let manifest: Value = serde_json::from_str(include_str!("../../../tests/data/manifest-format-1.json")).unwrap();
        let read: Manifest = serde_json::from_value(manifest.clone()).unwrap();
        let mut whole: Value = serde_json::from_str(&manifest_of("export", &read)).unwrap();
        assert_eq!(whole.as_object_mut().unwrap().remove("command"), Some(json!("export")));
        assert_eq!(whole, manifest);
    }
}
