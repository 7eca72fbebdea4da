//! What nodes take, by Kong's own settings, which operators give to this program as they do to their nodes.

use lifeboat_core::kong::basic_info::DEFAULT_MAX_PAYLOAD;
use lifeboat_core::room::{DEFAULT_MAP_SIZE, NodeLimits};

use super::{Reader, names, units};

/// What nodes take, as far as the settings say it; Kong's defaults otherwise.
pub(super) fn node_limits(reader: &mut Reader<'_>) -> NodeLimits {
    NodeLimits { max_payload: max_payload(reader), map_size: map_size(reader) }
}

/// The longest message in bytes, compressed.
pub(super) fn max_payload(reader: &mut Reader<'_>) -> u64 {
    reader.size(names::KONG_CLUSTER_MAX_PAYLOAD, DEFAULT_MAX_PAYLOAD, 1024..=4 * 1024 * 1024 * 1024)
}

fn map_size(reader: &mut Reader<'_>) -> u64 {
    let default = NodeLimits::default().map_size;
    let Some(given) = reader.text(names::KONG_LMDB_MAP_SIZE) else { return default };
    units::size(&given.value).unwrap_or_else(|| {
        reader.wrong(format!("{}: {:?} is not a size (valid: {DEFAULT_MAP_SIZE})", given.name, given.value));
        default
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Source;

    fn read(pairs: &[(&str, &str)]) -> Result<NodeLimits, String> {
        let source = Source::from_environment(pairs.iter().map(|(name, value)| ((*name).into(), (*value).into())));
        let mut reader = Reader::new(&source);
        let limits = node_limits(&mut reader);
        if reader.problems().list().is_empty() { Ok(limits) } else { Err(reader.into_problems().to_string()) }
    }

    #[test]
    fn limits_are_kongs_own_unless_they_are_set() {
        assert_eq!(read(&[]), Ok(NodeLimits::default()));
        let set = read(&[("KONG_CLUSTER_MAX_PAYLOAD", "33554432"), ("KONG_LMDB_MAP_SIZE", "4g")]);
        assert_eq!(set, Ok(NodeLimits { max_payload: 32 << 20, map_size: 4 << 30 }));
        assert_eq!(read(&[("KONG_CLUSTER_MAX_PAYLOAD", "32m"), ("KONG_LMDB_MAP_SIZE", "4GiB")]), set);
        let error = read(&[("KONG_LMDB_MAP_SIZE", "much")]).unwrap_err();
        assert!(error.contains("KONG_LMDB_MAP_SIZE") && error.contains("2048m"), "{error}");
    }
}
