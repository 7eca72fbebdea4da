//! A node's ping: 32 hexadecimal digits that say which configuration it runs.

use bytes::Bytes;

use crate::digest::ConfigHash;
use crate::frame::Frame;

/// The ping of a node that runs `hash`.
pub fn ping(hash: ConfigHash) -> Frame {
    Frame::ping(Bytes::from(hash.to_string()))
}

/// What a ping says that its node runs, if it says so in Kong's way.
pub fn hash_in_ping(payload: &[u8]) -> Option<ConfigHash> {
    std::str::from_utf8(payload).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_says_which_configuration_the_node_runs() {
        let hash = "3ff47162e7a7ce1344f336316b66484e".parse().unwrap();
        assert_eq!(hash_in_ping(&ping(hash).payload), Some(hash));
        assert_eq!(&ping(ConfigHash::EMPTY).payload[..], [b'0'; 32]);
        assert_eq!(hash_in_ping(b"hello"), None);
        // It was restored by incremental sync, which was switched off since (KONG.md section 7).
        let synced = hash_in_ping(b"-0000000000000000000000999999990").unwrap();
        assert_eq!((synced.is_empty(), &ping(synced).payload[..]), (false, &b"-0000000000000000000000999999990"[..]));
    }
}
