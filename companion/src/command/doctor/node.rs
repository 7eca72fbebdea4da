//! Checks of a node's prefix, where it is on this host: whether something of ours lies there that a reload would load.

use lifeboat_node_cache::NodePrefix;

use super::check::Check;

const FILE: &str = "node: declarative file";

/// Names the file that `lifeboat exec` started a node with, while it lies there.
pub(super) fn declarative_file(prefix: &NodePrefix) -> Option<Check> {
    let path = prefix.declarative_file();
    let cure = "start the node anew with lifeboat exec, which removes it once the node has a configuration of its own; kong \
                reload would load this file over it";
    path.try_exists()
        .unwrap_or_default()
        .then(|| Check::warn(FILE, format!("{} is what the node was started with in an outage", path.display()), cure))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_of_an_outage_is_named_while_it_lies_there() {
        let folder = tempfile::tempdir().unwrap();
        let prefix = NodePrefix::new(folder.path());
        assert_eq!(declarative_file(&prefix), None);
        std::fs::write(prefix.declarative_file(), "{}").unwrap();
        let seen = declarative_file(&prefix).unwrap().seen;
        assert!(seen.contains("lifeboat-declarative.json"), "{seen}");
    }
}
