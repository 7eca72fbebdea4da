//! What nodes take, by Kong's own settings. How much of that a configuration needs is in `room`.

use super::basic_info::DEFAULT_MAX_PAYLOAD;

/// What Kong's `lmdb_map_size` is unless it is set, as people write it.
pub const DEFAULT_MAP_SIZE: &str = "2048m";
const DEFAULT_MAP_BYTES: u64 = 2048 * 1024 * 1024;

/// What nodes of a version take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeLimits {
    /// `cluster_max_payload`: the longest message in bytes, compressed.
    pub max_payload: u64,
    /// `lmdb_map_size`: the largest cache in bytes.
    pub map_size: u64,
}

impl Default for NodeLimits {
    fn default() -> Self {
        Self { max_payload: DEFAULT_MAX_PAYLOAD, map_size: DEFAULT_MAP_BYTES }
    }
}

/// A size as Kong's settings say it: bytes, or with `k`, `m` or `g`, in capitals too.
pub fn size(text: &str) -> Option<u64> {
    let text = text.trim();
    let factor = match text.chars().last()?.to_ascii_lowercase() {
        'k' => 1 << 10,
        'm' => 1 << 20,
        'g' => 1 << 30,
        _ => 1,
    };
    let digits = if factor == 1 { text } else { &text[..text.len() - 1] };
    // A sign is none of Kong's.
    if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    digits.parse::<u64>().ok()?.checked_mul(factor).filter(|bytes| *bytes > 0)
}
