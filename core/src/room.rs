//! How much of what a node takes a configuration needs. One that outgrows a limit is refused by each node that is created
//! or changes its configuration from then on; nodes that run show nothing of it before.

pub use crate::kong::limits::{DEFAULT_MAP_SIZE, NodeLimits, size};
use crate::kong::version::KongVersion;
use crate::manifest::Manifest;

/// The share of a limit from which on somebody should raise it.
pub const NEAR: f64 = 0.8;
/// How much of its cache a node fills for each byte of JSON. 50,000 services and routes, 58 MB, took 258 MB.
const CACHE_FOR_EACH_BYTE: f64 = 258.0 / 58.0;
const MEBIBYTE: f64 = 1_048_576.0;

/// One of the limits, by Kong's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NodeLimit {
    /// `cluster_max_payload`.
    MaxPayload,
    /// `lmdb_map_size`.
    MapSize,
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

/// How large a configuration is, which is what the limits are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sizes {
    /// Of which version the nodes are.
    pub version: KongVersion,
    /// Its JSON, in bytes.
    pub json: u64,
    /// The same, compressed; 0 where that is not known.
    pub compressed: u64,
}

impl Sizes {
    /// What a manifest says.
    pub fn of(manifest: &Manifest) -> Self {
        Self { version: manifest.kong_version, json: manifest.config.bytes, compressed: manifest.snapshot.bytes }
    }
}

impl NodeLimits {
    /// Which share of each limit a configuration needs; more than 1 is too much. Before Kong 3 there is no LMDB.
    pub fn used_by(&self, sizes: Sizes) -> Vec<(NodeLimit, f64)> {
        let share = |bytes: f64, of: u64| bytes / of.max(1) as f64;
        let mut used = vec![(NodeLimit::MaxPayload, share(sizes.compressed as f64, self.max_payload))];
        if sizes.version.major_minor().0 >= 3 {
            let cache = sizes.json as f64 * CACHE_FOR_EACH_BYTE;
            used.push((NodeLimit::MapSize, share(cache, self.map_size)));
        }
        used
    }

    /// What a limit of which this share is needed would have to be so that no more than [`NEAR`] is, as Kong's settings say it.
    pub fn ample(&self, limit: NodeLimit, share: f64) -> String {
        match limit {
            NodeLimit::MaxPayload => format!("{:.0}", (self.max_payload as f64 * share / NEAR).ceil()),
            NodeLimit::MapSize => format!("{:.0}m", (self.map_size as f64 * share / NEAR / MEBIBYTE).ceil()),
        }
    }

    /// Those of which more than [`NEAR`] is needed.
    pub fn near(&self, sizes: Sizes) -> Vec<(NodeLimit, f64)> {
        self.used_by(sizes).into_iter().filter(|(_, share)| *share > NEAR).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn used(version: &str, bytes: u64, compressed: u64, limits: NodeLimits) -> Vec<(NodeLimit, f64)> {
        let sizes = Sizes { version: version.parse().unwrap(), json: bytes, compressed };
        limits.used_by(sizes).into_iter().map(|(limit, share)| (limit, (share * 100.0).round())).collect()
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

    #[test]
    fn a_limit_is_near_above_four_fifths() {
        let limits = NodeLimits { max_payload: 10_000, ..NodeLimits::default() };
        let sizes = |compressed| Sizes { version: "3.9.1".parse().unwrap(), json: 0, compressed };
        assert_eq!(limits.near(sizes(8_000)), []);
        assert_eq!(limits.near(sizes(8_001)), [(NodeLimit::MaxPayload, 0.8001)]);
    }

    #[test]
    fn what_is_ample_is_not_near_any_more_and_little_less_is() {
        let sizes = Sizes { version: "3.9.1".parse().unwrap(), json: 525_000_000, compressed: 137_000_000 };
        let limits = NodeLimits::default();
        let needed = limits.near(sizes);
        let ample = |index: usize| limits.ample(needed[index].0, needed[index].1);
        assert_eq!((needed.len(), ample(0), ample(1)), (2, "171250000".to_owned(), "2784m".to_owned()));

        let set = NodeLimits { max_payload: size(&ample(0)).unwrap(), map_size: size(&ample(1)).unwrap() };
        assert_eq!(set.near(sizes), []);
        let less = NodeLimits { max_payload: set.max_payload - 1, map_size: set.map_size - (1 << 20) };
        assert_eq!(less.near(sizes).len(), 2);
    }

    #[test]
    fn sizes_are_read_as_kong_and_nginx_read_them() {
        let read = [("2048m", Some(2048 << 20)), ("1G", Some(1 << 30)), ("64k", Some(65_536)), ("4096", Some(4096))];
        for (text, bytes) in read {
            assert_eq!(size(text), bytes, "{text}");
        }
        assert_eq!(size(DEFAULT_MAP_SIZE), Some(NodeLimits::default().map_size));
        for wrong in ["", "m", "0", "-1", "+1m", "2 g", "12t", "99999999999999999999g", "é"] {
            assert_eq!(size(wrong), None, "{wrong}");
        }
    }
}
