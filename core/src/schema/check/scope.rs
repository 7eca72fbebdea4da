//! What a check knows beside schemas: what nodes have, and what they already run.

use std::collections::HashSet;

use serde_json::{Map, Value};

use crate::digest::Sha256Digest;
use crate::kong::Configuration;
use crate::kong::entities::Entities;
use crate::time::WallTime;

/// What a check knows beside schemas. The default knows nothing.
#[derive(Debug, Default)]
pub struct CheckScope<'a> {
    /// Plugins that nodes have besides those that there are schemas of: `LIFEBOAT_PLUGINS`.
    pub plugins: &'a [String],
    /// What becomes of a plugin that nothing is known of.
    pub unknown_plugins: UnknownPlugins,
    /// What nodes already run: an entity that equals one of it is not refused.
    pub published: Option<&'a Published>,
    /// What time it is, for certificates.
    pub now: Option<WallTime>,
}

/// What becomes of a plugin that there is no schema of and that nobody says nodes have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UnknownPlugins {
    /// It is noted: nodes may have it.
    #[default]
    Noted,
    /// It is refused, as a node does that has no other plugins than those of its version.
    Refused,
}

/// The entities of a published configuration, to recognise those that are unchanged.
#[derive(Debug, Default)]
pub struct Published(HashSet<Sha256Digest>);

impl Published {
    /// Those of this one.
    pub fn of(configuration: &Configuration) -> Self {
        let entities = Entities::of(configuration);
        let all = entities
            .kinds
            .iter()
            .flat_map(|(kind, of_kind)| of_kind.iter().map(move |entity| fingerprint(kind, &entity.members())));
        Self(all.collect())
    }

    pub(super) fn has(&self, kind: &str, entity: &Map<String, Value>) -> bool {
        self.0.contains(&fingerprint(kind, entity))
    }
}

/// The same for entities that Kong can't tell apart: a field that is null and one that is missing are the same.
fn fingerprint(kind: &str, entity: &Map<String, Value>) -> Sha256Digest {
    let mut text = kind.to_owned();
    write(&mut text, entity);
    Sha256Digest::of(text.as_bytes())
}

fn write(text: &mut String, members: &Map<String, Value>) {
    let mut sorted: Vec<_> = members.iter().filter(|(_, value)| !value.is_null()).collect();
    sorted.sort_unstable_by_key(|(name, _)| *name);
    text.push('{');
    for (name, value) in sorted {
        text.push_str(&Value::from(name.as_str()).to_string());
        match value {
            Value::Object(members) => write(text, members),
            value => text.push_str(&value.to_string()),
        }
    }
    text.push('}');
}
