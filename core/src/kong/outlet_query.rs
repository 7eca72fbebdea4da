//! What a data plane says of itself when it asks for its link: the query of `GET /v1/outlet` (KONG.md section 1).

use super::version::KongVersion;

/// How much of a name is taken, in characters.
const LONGEST: usize = 200;

/// A node, as it names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutletQuery {
    /// `node_id`: its UUID.
    pub id: String,
    /// `node_hostname`: its host's name.
    pub hostname: String,
    /// `node_version`, if it is a version.
    pub version: Option<KongVersion>,
}

impl OutletQuery {
    /// What a request's target, path and query, says of the node; none unless it says all three. Of what stands there twice
    /// the first counts.
    pub fn read(target: &str) -> Option<Self> {
        let query = target.split_once('?')?.1;
        let value = |name: &str| {
            let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
            pairs.find(|(key, _)| *key == name).map(|(_, value)| printable(value))
        };
        let (id, hostname) = (value("node_id")?, value("node_hostname")?);
        let version = value("node_version")?.parse().ok();
        Some(Self { id, hostname, version })
    }
}

// These go into logs: what a node calls itself must not be able to write lines of its own.
fn printable(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(LONGEST).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_is_known_by_its_query() {
        let node = OutletQuery::read("/v1/outlet?node_id=7c5d&node_hostname=dp-1&node_version=3.9.1").unwrap();
        assert_eq!((node.id.as_str(), node.hostname.as_str()), ("7c5d", "dp-1"));
        assert_eq!(node.version, Some(KongVersion::new(3, 9, 1)));
        assert_eq!(OutletQuery::read("/v1/outlet"), None);
        assert_eq!(OutletQuery::read("/v1/outlet?node_id=x"), None);
    }
}
