//! The nodes of relays: each by itself where they are few. Of thousands, how many are alike, and by themselves those that need
//! somebody's attention.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::ages::Ages;
use super::answer::{Node, StatusAnswer};
use crate::command::table::{Concession, Table};

const NO_CONFIGURATION: &str = "nothing";
const NOT_YET: &str = "not known yet";

/// A status, and its lifeboat's name where there are several.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shown<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) status: &'a StatusAnswer,
}

/// What is shown of nodes.
pub(super) struct Tables {
    pub(super) table: Option<Table>,
    pub(super) concessions: &'static [Concession],
    pub(super) notes: Vec<String>,
}

const OF_EACH: [Concession; 5] = [
    Concession::Shorten("RUNS", 13),
    Concession::Drop("CONNECTED"),
    Concession::Drop("CONTROL PLANE"),
    Concession::Shorten("NODE", 20),
    Concession::Drop("KONG"),
];
const OF_KINDS: [Concession; 3] =
    [Concession::Shorten("RUN", 13), Concession::Drop("CONTROL PLANE"), Concession::Drop("KONG")];

/// The nodes of all these, in so many rows at most.
pub(super) fn tables(shown: &[Shown<'_>], most: usize, ages: Ages) -> Tables {
    let nodes: Vec<(Shown<'_>, &Node)> = shown
        .iter()
        .flat_map(|shown| shown.status.relay.iter().flat_map(|relay| &relay.nodes).map(|node| (*shown, node)))
        .collect();
    if nodes.is_empty() {
        return Tables { table: None, concessions: &[], notes: Vec::new() };
    }

    let mut notes = notes(&nodes, most);
    if nodes.len() <= most {
        return Tables { table: Some(each(&nodes, ages)), concessions: &OF_EACH, notes };
    }
    let (table, left_out) = kinds(&nodes, most);
    if left_out > 0 {
        notes.push(format!("{left_out} more nodes are not shown: --nodes N shows more rows"));
    }
    Tables { table: Some(table), concessions: &OF_KINDS, notes }
}

fn named(nodes: &[(Shown<'_>, &Node)], titles: &[&'static str]) -> Vec<&'static str> {
    let is_named = nodes.iter().any(|(shown, _)| shown.name.is_some());
    is_named.then_some("LIFEBOAT").into_iter().chain(titles.iter().copied()).collect()
}

fn each(nodes: &[(Shown<'_>, &Node)], ages: Ages) -> Table {
    let titles = named(nodes, &["NODE", "KONG", "RUNS", "FROM", "CONTROL PLANE", "CONNECTED"]);
    let mut table = Table::new(&titles);
    for (shown, node) in nodes {
        let kind = Kind::of(*shown, node);
        let name = kind.lifeboat.map(str::to_owned).into_iter();
        let own = [
            node.hostname.to_string(),
            kind.version.to_owned(),
            kind.runs.to_owned(),
            kind.from.clone(),
            kind.control_plane.to_owned(),
            ages.of(node.since, shown.status.now),
        ];
        table.add(name.chain(own).collect());
    }
    table
}

/// What nodes have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind<'a> {
    lifeboat: Option<&'a str>,
    version: &'a str,
    runs: &'a str,
    from: String,
    control_plane: &'a str,
}

impl<'a> Kind<'a> {
    fn of(shown: Shown<'a>, node: &'a Node) -> Self {
        let runs = match &node.config_hash {
            None => NOT_YET,
            Some(hash) if hash.chars().all(|digit| digit == '0') => NO_CONFIGURATION,
            Some(hash) => hash,
        };
        Self {
            lifeboat: shown.name,
            version: node.version.as_deref().unwrap_or("-"),
            runs,
            from: if *node.config_from == *"nowhere" { "-".to_owned() } else { node.config_from.replace('_', " ") },
            control_plane: &node.control_plane,
        }
    }
}

// The most frequent kinds, and how many nodes are of others.
fn kinds(nodes: &[(Shown<'_>, &Node)], most: usize) -> (Table, usize) {
    let mut counted: BTreeMap<Kind<'_>, usize> = BTreeMap::new();
    for (shown, node) in nodes {
        *counted.entry(Kind::of(*shown, node)).or_default() += 1;
    }
    let mut kinds: Vec<(Kind<'_>, usize)> = counted.into_iter().collect();
    kinds.sort_by_key(|(kind, count)| (kind.lifeboat, Reverse(*count)));

    let titles = named(nodes, &["NODES", "KONG", "RUN", "FROM", "CONTROL PLANE"]);
    let mut table = Table::new(&titles).with_numbers_in(&["NODES"]);
    let left_out = kinds.iter().skip(most).map(|(_, count)| count).sum();
    for (kind, count) in kinds.into_iter().take(most) {
        let name = kind.lifeboat.map(str::to_owned).into_iter();
        let own = [
            count.to_string(),
            kind.version.to_owned(),
            kind.runs.to_owned(),
            kind.from,
            kind.control_plane.to_owned(),
        ];
        table.add(name.chain(own).collect());
    }
    (table, left_out)
}

// Why nodes stay empty.
fn notes(nodes: &[(Shown<'_>, &Node)], most: usize) -> Vec<String> {
    let troubled: Vec<String> = nodes
        .iter()
        .filter_map(|(shown, node)| {
            let at = shown.name.map_or(String::new(), |name| format!("{name}: "));
            Some(format!("{at}node {}: {}", node.hostname, node.trouble.as_ref()?))
        })
        .collect();
    let more = troubled.len().saturating_sub(most);
    let mut notes: Vec<String> = troubled.into_iter().take(most).collect();
    if more > 0 {
        notes.push(format!("{more} more nodes have trouble: --output json names all of them"));
    }
    notes
}
