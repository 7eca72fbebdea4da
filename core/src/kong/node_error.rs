//! The message in which a newer node tells its control plane that it could not apply a configuration: plain JSON of type
//! `error` in one binary frame. What else it says may quote the configuration, so it is neither kept nor shown; the node's
//! own `error.log` has it.

use serde::Deserialize;

/// Whether a message of a node, after its basic_info, is one.
pub fn is_node_error(message: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Wanted<'a> {
        #[serde(borrow)]
        r#type: &'a str,
    }
    serde_json::from_slice::<Wanted<'_>>(message).is_ok_and(|wanted| wanted.r#type == "error")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_message_of_this_type_is_one() {
        assert!(is_node_error(br#"{"type":"error","error":{"name":"invalid declarative configuration"}}"#));
        for other in [&br#"{"type":"basic_info","plugins":[]}"#[..], b"error", br#"{"error":"type"}"#, b"", b"\x1f\x8b"]
        {
            assert!(!is_node_error(other));
        }
    }
}
