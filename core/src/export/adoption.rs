//! Whether nodes adopt a configuration, by the pings of the nodes that are connected through the relay.
//!
//! One node that runs the configuration confirms it. The configuration is refused only if every node that was given it
//! still runs another one after the loading time: one broken node among others changes nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::digest::ConfigHash;
use crate::time::Moment;

/// How long a configuration waits for a node that confirms it.
pub const CONFIRMATION_WAIT: Duration = Duration::from_secs(5 * 60);

// The control plane sends to all its nodes at about the same time: a node may have been given a configuration shortly
// before the backup node has decoded the same one.
const ABOUT_THE_SAME_TIME: Duration = Duration::from_secs(10);
// A node took 12 s for 58 MB (KONG.md section 1). This is a third of that speed; LEAST_LOADING comes on top, for a busy
// machine.
const LOADED_PER_SECOND: f64 = 1.6e6;
const LEAST_LOADING: Duration = Duration::from_secs(10);

/// One node's link through the relay, for as long as it lasts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NodeLink(pub u64);

/// Something that a node of the exported version did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NodeNews {
    /// It is connected: it can tell what it runs.
    Joined,
    /// The control plane has sent it a configuration.
    Given,
    /// Its ping says that it runs this.
    Runs(ConfigHash),
    /// Its link is gone.
    Left,
}

/// The connected nodes of the exported version.
#[derive(Clone, Debug, Default)]
pub struct Nodes(BTreeMap<NodeLink, Node>);

#[derive(Clone, Copy, Debug, Default)]
struct Node {
    given: Option<Moment>,
    runs: Option<(ConfigHash, Moment)>,
}

/// What the nodes say of a configuration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adoption {
    /// No node is connected that could tell.
    NobodyCanTell,
    /// A node runs it.
    Confirmed,
    /// No node has told yet.
    Open,
    /// Every node that was given it still runs another one after its loading time.
    Refused,
}

impl Nodes {
    /// Takes note of what a node did.
    pub fn note(&mut self, link: NodeLink, news: NodeNews, now: Moment) {
        match news {
            NodeNews::Left => {
                self.0.remove(&link);
            }
            NodeNews::Joined => {
                self.0.insert(link, Node::default());
            }
            NodeNews::Given => self.0.entry(link).or_default().given = Some(now),
            NodeNews::Runs(hash) => self.0.entry(link).or_default().runs = Some((hash, now)),
        }
    }

    /// How many of them say that they run another configuration than this one, or none.
    pub fn running_another(&self, hash: ConfigHash) -> usize {
        self.0.values().filter(|node| node.runs.is_some_and(|(runs, _)| runs != hash)).count()
    }

    /// What the nodes say of the configuration `hash` of so many bytes, which the backup node received at `received`.
    pub fn adoption(&self, hash: ConfigHash, bytes: u64, received: Moment) -> Adoption {
        if self.0.is_empty() {
            return Adoption::NobodyCanTell;
        }
        if self.0.values().any(|node| node.runs.is_some_and(|(runs, _)| runs == hash)) {
            return Adoption::Confirmed;
        }
        let given = |node: &&Node| node.given.is_some_and(|given| given + ABOUT_THE_SAME_TIME >= received);
        let mut given = self.0.values().filter(given).peekable();
        if given.peek().is_some() && given.all(|node| node.has_refused(loading_time(bytes))) {
            return Adoption::Refused;
        }
        Adoption::Open
    }
}

impl Node {
    // While a configuration is being loaded, pings still carry the old hash: only a later one is an answer.
    fn has_refused(&self, loading: Duration) -> bool {
        let (Some(given), Some((_, pinged))) = (self.given, self.runs) else { return false };
        pinged >= given + loading
    }
}

fn loading_time(bytes: u64) -> Duration {
    LEAST_LOADING + Duration::from_secs_f64(bytes as f64 / LOADED_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: NodeLink = NodeLink(1);
    const SECOND: NodeLink = NodeLink(2);
    const SMALL: u64 = 10_000;

    fn hash(digit: u8) -> ConfigHash {
        ConfigHash::from_bytes([digit; 16])
    }

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn nodes(news: &[(NodeLink, NodeNews, u64)]) -> Nodes {
        let mut nodes = Nodes::default();
        for (link, news, seconds) in news {
            nodes.note(*link, *news, at(*seconds));
        }
        nodes
    }

    fn adoption(news: &[(NodeLink, NodeNews, u64)]) -> Adoption {
        nodes(news).adoption(hash(7), SMALL, at(100))
    }

    #[test]
    fn without_a_node_nobody_can_tell() {
        assert_eq!(adoption(&[]), Adoption::NobodyCanTell);
        assert_eq!(adoption(&[(FIRST, NodeNews::Joined, 0), (FIRST, NodeNews::Left, 1)]), Adoption::NobodyCanTell);
    }

    #[test]
    fn nodes_that_run_another_one_are_counted_and_those_that_say_nothing_are_not() {
        let news = [
            (FIRST, NodeNews::Runs(hash(6)), 1),
            (SECOND, NodeNews::Runs(hash(7)), 1),
            (NodeLink(3), NodeNews::Joined, 1),
        ];
        assert_eq!(nodes(&news).running_another(hash(7)), 1);
        assert_eq!(nodes(&news).running_another(hash(8)), 2);
    }

    #[test]
    fn one_node_that_runs_it_confirms_it_even_if_another_refuses() {
        let refused = [(FIRST, NodeNews::Given, 100), (FIRST, NodeNews::Runs(hash(6)), 130)];
        let confirmed = [(SECOND, NodeNews::Runs(hash(7)), 99)];
        assert_eq!(adoption(&[&refused[..], &confirmed[..]].concat()), Adoption::Confirmed);
    }

    #[test]
    fn every_node_that_was_given_it_must_refuse_it() {
        let first = [(FIRST, NodeNews::Given, 100), (FIRST, NodeNews::Runs(hash(6)), 130)];
        assert_eq!(adoption(&first), Adoption::Refused);
        let second_loads = [(SECOND, NodeNews::Given, 101)];
        assert_eq!(adoption(&[&first[..], &second_loads[..]].concat()), Adoption::Open);
        // A node that was not given anything says nothing about it.
        let second_waits = [(SECOND, NodeNews::Joined, 0), (SECOND, NodeNews::Runs(hash(6)), 130)];
        assert_eq!(adoption(&[&first[..], &second_waits[..]].concat()), Adoption::Refused);
    }

    #[test]
    fn a_ping_while_it_is_being_loaded_is_no_answer() {
        let news = [(FIRST, NodeNews::Given, 100), (FIRST, NodeNews::Runs(hash(6)), 130)];
        assert_eq!(nodes(&news).adoption(hash(7), 58_000_000, at(100)), Adoption::Open);
        let early = [(FIRST, NodeNews::Given, 100), (FIRST, NodeNews::Runs(hash(6)), 109)];
        assert_eq!(adoption(&early), Adoption::Open);
    }

    #[test]
    fn what_a_node_was_given_long_before_was_another_one() {
        let news = [(FIRST, NodeNews::Given, 80), (FIRST, NodeNews::Runs(hash(6)), 130)];
        assert_eq!(adoption(&news), Adoption::Open);
        let shortly_before = [(FIRST, NodeNews::Given, 95), (FIRST, NodeNews::Runs(hash(6)), 130)];
        assert_eq!(adoption(&shortly_before), Adoption::Refused);
    }
}
