//! What stands in a file beside its entities: Kong's `_format_version` and `_transform`, decK's `_info`,
//! `_plugin_configs` and the like. What decK alone knows is understood where nodes can be given what it means.

use serde_json::{Map, Value};

use super::finding::{Finding, Severity};
use crate::kong::schema::Kind;
use crate::kong::version::KongVersion;

type Members = Map<String, Value>;

/// What is harmless to leave out, since it says nothing of what nodes run.
const SAY_NOTHING: [&str; 3] = ["_comment", "_ignore", "_konnect"];

/// What a file says beside its entities.
#[derive(Default)]
pub(super) struct Meta {
    /// Whether nodes are to hash what is plain; none where the file doesn't say.
    pub(super) transform: Option<bool>,
    /// decK's: basic-auth passwords are hashes already.
    pub(super) passwords_are_hashes: bool,
    /// decK's: configurations that several plugins share, by name.
    pub(super) shared_plugin_configs: Members,
    /// decK's: by kind, what an entity has that doesn't say otherwise.
    pub(super) defaults: Vec<(String, Members)>,
    /// What is passed on as it is: the format, and what isn't understood.
    pub(super) kept: Members,
    pub(super) findings: Vec<Finding>,
}

impl Meta {
    /// Takes what it knows out of the document.
    pub(super) fn take_from(document: &mut Members, version: KongVersion) -> Self {
        let mut meta = Self::default();
        let names: Vec<String> = document.keys().filter(|name| name.starts_with('_')).cloned().collect();
        for name in names {
            if let Some(value) = document.remove(&name) {
                meta.read(&name, value, version);
            }
        }
        // A dump with hashes in it holds no other secret that Kong would make a hash of either.
        if meta.transform.is_none() && meta.passwords_are_hashes {
            meta.transform = Some(false);
        }
        meta
    }

    fn read(&mut self, name: &str, value: Value, version: KongVersion) {
        match (name, value) {
            ("_format_version", format) => drop(self.kept.insert(name.to_owned(), format)),
            ("_transform", Value::Bool(transform)) => self.transform = Some(transform),
            ("_transform", Value::Null) => {}
            ("_transform", other) => self.refuse(name, other, "it must be true or false"),
            ("_plugin_configs", Value::Object(shared)) => self.shared_plugin_configs = shared,
            ("_info", Value::Object(info)) => self.info(info),
            ("_workspace", Value::Null) => {}
            ("_workspace", Value::String(workspace)) if workspace == "default" => {}
            ("_workspace", _) if version.is_enterprise() => {
                let reason =
                    "it is left out: these entities are the nodes' whole configuration, in their default workspace";
                self.findings.push(Finding::of_member(Severity::Warning, name, reason));
            }
            ("_workspace", other) => {
                let reason = "open-source Kong knows no workspace but default: take it out if these entities are all that \
                              nodes are to run";
                self.refuse(name, other, reason);
            }
            (known, _) if SAY_NOTHING.contains(&known) => {}
            ("_info" | "_plugin_configs", Value::Null) => {}
            (_, other) => {
                let reason = "neither Kong nor decK knows it, and Kong refuses a file with it: take it out (notes go below \
                              _comment or _ignore)";
                self.refuse(name, other, reason);
            }
        }
    }

    fn info(&mut self, mut info: Members) {
        self.passwords_are_hashes = info.get("skip_hash_for_basic_auth") == Some(&Value::Bool(true));
        let Some(Value::Object(defaults)) = info.remove("defaults") else { return };
        for (singular, fields) in defaults {
            match (Kind::named(&format!("{singular}s")), fields) {
                (Some(kind), Value::Object(fields)) => self.defaults.push((kind.name.to_owned(), fields)),
                (_, Value::Null) => {}
                (_, _) => {
                    let reason = format!("its defaults of {singular:?} are of no entity: write them into the entities");
                    self.findings.push(Finding::of_member(Severity::Refused, "_info", reason));
                }
            }
        }
    }

    fn refuse(&mut self, name: &str, value: Value, reason: &str) {
        self.findings.push(Finding::of_member(Severity::Refused, name, reason));
        self.kept.insert(name.to_owned(), value);
    }
}

/// Gives an entity the defaults that it doesn't overrule, those inside of an object too.
pub(super) fn fill(entity: &mut Members, defaults: &Members) {
    for (name, default) in defaults {
        match (entity.get_mut(name), default) {
            (None, _) => drop(entity.insert(name.clone(), default.clone())),
            (Some(Value::Object(own)), Value::Object(default)) => fill(own, default),
            (Some(_), _) => {}
        }
    }
}
