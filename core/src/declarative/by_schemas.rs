//! What Kong's schemas say of a configuration, beside what `examine` sees without them.

use std::collections::HashSet;

use serde_json::{Map, Value};

use super::examine::{Links, examine};
use super::finding::{Authority, Finding, Severity, TWICE};
use crate::kong::Configuration;
use crate::schema::{CheckScope, SchemaSet, Unchecked};
use crate::time::WallTime;

/// How Kong's message about two entities with the same id reads, in part.
const SAME_ID: &str = "with primary key set to";

const NO_SUCH_KIND: &str = ": this version of Kong has no entities of this kind. If a plugin of yours brings them, \
                            name it in LIFEBOAT_PLUGINS";

/// What a configuration is checked with.
#[derive(Clone, Copy, Debug, Default)]
pub struct Yardstick<'a> {
    /// Kong's own schemas, if there are some for this version.
    pub schemas: Option<&'a SchemaSet>,
    /// Plugins that nodes have besides those of the schemas.
    pub plugins: &'a [String],
    /// What time it is, for certificates.
    pub now: Option<WallTime>,
}

/// What was found in a configuration.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Examined {
    /// What is wrong or odd.
    pub findings: Vec<Finding>,
    /// What nobody could look at; empty where there are no schemas at all.
    pub unchecked: Vec<Unchecked>,
    /// How many more mistakes there are than are listed.
    pub further: usize,
}

impl Examined {
    /// Everything that can be found in a configuration in its final form.
    pub fn of(configuration: &Configuration, by: &Yardstick<'_>) -> Self {
        Self::beside(&[], configuration, by)
    }

    /// The same, where something has been noticed already.
    pub(super) fn beside(noticed: &[Finding], configuration: &Configuration, by: &Yardstick<'_>) -> Self {
        let Some(schemas) = by.schemas else {
            return Self { findings: examine(configuration, Links::Checked), ..Self::default() };
        };
        // `serde_json` can't read it, because it is nested too deeply for any schema: it is examined without schemas.
        let Ok(document) = serde_json::from_slice::<Map<String, Value>>(configuration.json()) else {
            return Self { findings: examine(configuration, Links::Checked), ..Self::default() };
        };

        let plugins = with_unknown_ones(by.plugins, &document, schemas);
        let scope = CheckScope { plugins: &plugins, now: by.now, ..CheckScope::default() };
        let found = schemas.check(&document, &scope);
        drop(document);

        let mut findings = examine(configuration, Links::LeftToSchemas);
        // What `examine` has found already is reported once, in our words, with its cure.
        let known: HashSet<_> = findings
            .iter()
            .chain(noticed)
            .filter(|finding| finding.severity == Severity::Refused)
            .map(|finding| (finding.kind.clone(), finding.name.clone(), finding.field.clone()))
            .collect();

        let named_twice: HashSet<_> = found
            .violations
            .iter()
            .filter(|violation| violation.reason.starts_with(TWICE) && !violation.reason.contains(SAME_ID))
            .map(|violation| (violation.kind.clone(), violation.entity.clone()))
            .collect();

        for violation in found.violations {
            // Entities of the same name get the same derived id, which nobody wrote. Kong reports name and id; only the
            // name is reported.
            let entity = (violation.kind.clone(), violation.entity.clone());
            if violation.reason.contains(SAME_ID) && named_twice.contains(&entity) {
                continue;
            }

            let finding = if violation.kind.is_empty() {
                let is_kind = has_list(configuration, &violation.field);
                let cure = if is_kind && violation.reason == "unknown field" { NO_SUCH_KIND } else { "" };
                let reason = format!("{}{cure}", violation.reason);
                Finding {
                    authority: Authority::Kong,
                    ..Finding::of_member(Severity::Refused, &violation.field, reason)
                }
            } else {
                Finding {
                    severity: Severity::Refused,
                    identity: violation.entity.clone(),
                    kind: violation.kind,
                    name: violation.entity,
                    field: violation.field,
                    reason: violation.reason,
                    authority: Authority::Kong,
                }
            };
            let place = (finding.kind.clone(), finding.name.clone(), without_indices(&finding.field));
            if !known.contains(&place) {
                findings.push(finding);
            }
        }

        let impossible_names = found.unchecked.iter().filter_map(|one| match one {
            Unchecked::Plugin(name) if !is_a_plugins_name(name) => Some(name),
            _ => None,
        });
        findings.extend(impossible_names.map(|name| Finding {
            severity: Severity::Refused,
            kind: "plugins".to_owned(),
            name: name.clone(),
            identity: name.clone(),
            field: "name".to_owned(),
            reason: "plugin not enabled: no plugin can have this name".to_owned(),
            authority: Authority::Kong,
        }));
        Self { findings, unchecked: found.unchecked, further: found.further }
    }
}

/// A plugin's name is that of a module of Lua.
fn is_a_plugins_name(name: &str) -> bool {
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.starts_with(|c: char| c.is_ascii_alphabetic()) && name.chars().all(is_part)
}

fn has_list(configuration: &Configuration, name: &str) -> bool {
    configuration.counts().iter().any(|(kind, _)| kind == name)
}

/// A plugin that nothing is known of may bring kinds of entities with it, whether `LIFEBOAT_PLUGINS` names it or not.
fn with_unknown_ones(plugins: &[String], document: &Map<String, Value>, schemas: &SchemaSet) -> Vec<String> {
    let used = document.get("plugins").and_then(Value::as_array).into_iter().flatten();
    let names: HashSet<&str> = used.filter_map(|plugin| plugin.get("name")?.as_str()).collect();
    let unknown = names.into_iter().filter(|name| !schemas.has_plugin(name)).map(str::to_owned);
    plugins.iter().cloned().chain(unknown).collect()
}

/// The path without list indices: `config.add.headers[1]` becomes `config.add.headers`.
fn without_indices(field: &str) -> String {
    let mut plain = String::with_capacity(field.len());
    let mut depth = 0_u32;
    for character in field.chars() {
        match character {
            '[' => depth += 1,
            ']' => depth = depth.saturating_sub(1),
            _ if depth == 0 => plain.push(character),
            _ => {}
        }
    }
    plain
}
