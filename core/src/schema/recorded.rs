//! The schemas that are in the program, recorded from real control planes. The filter never asks for them, so they are no
//! part of `lifeboat.wasm`.

use std::sync::LazyLock;

use super::language::Type;
use super::{SchemaSet, SchemaSource, read};
use crate::kong::inflate::inflate;
use crate::kong::version::KongVersion;

/// What a recorded set takes, decompressed, at the most.
const LIMIT: usize = 1 << 20;

static RECORDED: [(KongVersion, LazyLock<SchemaSet>); 3] = [
    (
        KongVersion::new(3, 9, 1),
        LazyLock::new(|| set(KongVersion::new(3, 9, 1), include_bytes!("../../data/kong-3.9.1-schemas.json.gz"))),
    ),
    (
        KongVersion::new(3, 4, 2),
        LazyLock::new(|| set(KongVersion::new(3, 4, 2), include_bytes!("../../data/kong-3.4.2-schemas.json.gz"))),
    ),
    (
        KongVersion::new(2, 8, 5),
        LazyLock::new(|| set(KongVersion::new(2, 8, 5), include_bytes!("../../data/kong-2.8.5-schemas.json.gz"))),
    ),
];

/// The recorded schemas of open-source Kong's minor version.
pub(super) fn of(version: KongVersion) -> Option<&'static SchemaSet> {
    if version.is_enterprise() {
        return None;
    }
    let (_, set) = RECORDED.iter().find(|(recorded, _)| recorded.major_minor() == version.major_minor())?;
    Some(set)
}

/// All of them.
pub(super) fn all() -> impl Iterator<Item = &'static SchemaSet> {
    RECORDED.iter().map(|(_, set)| &**set)
}

fn set(version: KongVersion, gzip: &[u8]) -> SchemaSet {
    let json = inflate(gzip, LIMIT).expect("a test reads what is in the program");
    let mut set = read::set(&json, SchemaSource::Recorded(version)).expect("a test reads what is in the program");
    // The control plane on which these were recorded had two Wasm filters, which Kong calls plugins. Other nodes have
    // others.
    if let Some(filters) = set.entities.get_mut("filter_chains").and_then(|chains| chains.fields.get_mut("filters"))
        && let Type::Array(filter) = &mut filters.of_type
        && let Type::Record(filter) = &mut filter.of_type
        && let Some(name) = filter.fields.get_mut("name")
    {
        name.rules.clear();
    }
    set.plugins.retain(|_, plugin| plugin.fields.get("config").is_some_and(|config| config.record().is_some()));
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(version: &str) -> Option<SchemaSource> {
        of(version.parse().unwrap()).map(SchemaSet::source)
    }

    #[test]
    fn schemas_stand_for_their_own_minor_version_of_open_source_kong() {
        for (version, recorded) in [
            ("3.9.1", Some(KongVersion::new(3, 9, 1))),
            ("3.9.0", Some(KongVersion::new(3, 9, 1))),
            ("3.4.9", Some(KongVersion::new(3, 4, 2))),
            ("2.8.0", Some(KongVersion::new(2, 8, 5))),
            ("3.8.1", None),
            ("3.9.1.1", None),
            ("3.4.3.0-enterprise-edition", None),
        ] {
            assert_eq!(source(version), recorded.map(SchemaSource::Recorded), "{version}");
        }
    }

    #[test]
    fn all_bundled_plugins_have_a_schema_and_the_recorder_s_own_filters_none() {
        for (version, plugins) in [("3.9.1", 45), ("3.4.2", 37), ("2.8.5", 36)] {
            let set = of(version.parse().unwrap()).unwrap();
            assert_eq!(set.plugins.len(), plugins, "{version}");
            assert!(set.has_plugin("rate-limiting") && !set.has_plugin("lifeboat") && !set.has_plugin("tinyfilter"));
            assert!(set.has_entity("services") && !set.has_entity("consumer_groups"));
        }
    }
}
