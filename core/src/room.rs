//! How much of what a node takes a configuration needs. One that outgrows a limit is refused by each node that is created
//! or changes its configuration from then on; nodes that run show nothing of it before.

use crate::kong::basic_info::DEFAULT_MAX_PAYLOAD;
use crate::manifest::Manifest;

/// What Kong's `lmdb_map_size` is unless it is set: 2048m.
const DEFAULT_MAP_SIZE: u64 = 2048 * 1024 * 1024;
/// How much of its cache a node fills for each byte of JSON. 50,000 services and routes, 58 MB, took 258 MB.
const CACHE_FOR_EACH_BYTE: f64 = 258.0 / 58.0;

/// What nodes of a version take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// `cluster_max_payload`: the longest message in bytes, compressed.
    pub max_payload: u64,
    /// `lmdb_map_size`: the largest cache in bytes.
    pub map_size: u64,
}

/// One of them, by Kong's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeLimit {
    /// `cluster_max_payload`.
    MaxPayload,
    /// `lmdb_map_size`.
    MapSize,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self { max_payload: DEFAULT_MAX_PAYLOAD, map_size: DEFAULT_MAP_SIZE }
    }
}

impl NodeLimit {
    /// Kong's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::MaxPayload => "cluster_max_payload",
            Self::MapSize => "lmdb_map_size",
        }
    }
}

impl NodeLimits {
    /// Which share of each limit a snapshot needs; more than 1 is too much. Before Kong 3 there is no LMDB.
    pub fn used_by(&self, manifest: &Manifest) -> Vec<(NodeLimit, f64)> {
        let share = |bytes: f64, of: u64| bytes / of.max(1) as f64;
        let mut used = vec![(NodeLimit::MaxPayload, share(manifest.snapshot.bytes as f64, self.max_payload))];
        if manifest.kong_version.major_minor().0 >= 3 {
            let cache = manifest.config.bytes as f64 * CACHE_FOR_EACH_BYTE;
            used.push((NodeLimit::MapSize, share(cache, self.map_size)));
        }
        used
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(version: &str, bytes: u64, compressed: u64, limits: NodeLimits) -> Vec<(NodeLimit, f64)> {
        let mut manifest = Manifest::decode(include_bytes!("../../tests/data/manifest-format-1.json")).unwrap();
        manifest.kong_version = version.parse().unwrap();
        (manifest.config.bytes, manifest.snapshot.bytes) = (bytes, compressed);
        limits.used_by(&manifest).into_iter().map(|(limit, share)| (limit, (share * 100.0).round())).collect()
    }

    #[test]
    fn fifty_thousand_services_and_routes_need_as_much_as_was_measured() {
        let limits = NodeLimits::default();
        let measured = used("3.9.1", 58_000_000, 6_600_000, limits);
        assert_eq!(measured, [(NodeLimit::MaxPayload, 39.0), (NodeLimit::MapSize, 12.0)]);
    }

    #[test]
    fn a_limit_that_was_set_counts_and_kong_2_has_no_lmdb() {
        let limits = NodeLimits { max_payload: 10_000, ..NodeLimits::default() };
        assert_eq!(used("3.4.2", 0, 8_100, limits), [(NodeLimit::MaxPayload, 81.0), (NodeLimit::MapSize, 0.0)]);
        assert_eq!(used("2.8.5", 58_000_000, 12_000, limits), [(NodeLimit::MaxPayload, 120.0)]);
    }
}
