//! The relay's nodes: how many run what, and each by itself, a hundred at a time.

use std::collections::BTreeMap;

use lifeboat_core::time::WallTime;
use serde::Deserialize;

use crate::http::page::html::{Html, counted};
use crate::http::status::{Node, Relay};
use crate::relay::{ConfigurationFrom, ControlPlaneLink};

/// How many nodes are shown at once.
const AT_ONCE: usize = 100;
/// How many configurations are named of those that nodes run.
const CONFIGURATIONS: usize = 12;

/// Which nodes a reader wants to see.
#[derive(Clone, Debug, Default, Deserialize)]
pub(in crate::http::page) struct Shown {
    /// A part of the host's name, the id or the address.
    #[serde(default)]
    node: String,
    /// Which hundred of them, counted from 1.
    #[serde(default)]
    part: Option<usize>,
}

pub(super) fn write(main: &mut Html, relay: &Relay, shown: &Shown, now: WallTime) {
    main.put("<section><h2>Relay</h2><dl><dt>Ready</dt><dd>");
    match &relay.reason {
        Some(reason) => main.put("<strong class=\"critical\">no</strong>: ").text(reason),
        None => main.put("yes"),
    };
    main.put("</dd><dt>Listens on</dt><dd>");
    match &relay.listens {
        Some(address) => main.put("<code>").text(address).put("</code>"),
        None => main.put("nothing"),
    };
    main.put("</dd><dt>Nodes connected</dt><dd>").text(relay.nodes_connected);
    main.put("</dd><dt>Run a configuration from the store</dt><dd>")
        .text(relay.nodes_served_from_store)
        .put("</dd></dl>");

    for warning in &relay.warnings {
        main.put("<p class=\"warning\">").text(warning).put("</p>");
    }
    if !relay.only_incremental.is_empty() {
        let nodes = counted(relay.only_incremental.len() as u64, "node asks", "nodes ask");
        main.put("<p class=\"warning\">").text(nodes).put(" for /v2/outlet only: the relay can't restore them.</p>");
    }
    if !relay.nodes.is_empty() {
        configurations(main, &relay.nodes);
        each(main, &relay.nodes, shown, now);
    }
    main.put("</section>");
}

/// What nodes run, as groups: thousands of nodes usually run one thing.
fn configurations(main: &mut Html, nodes: &[Node]) {
    let mut groups: BTreeMap<(String, String, &'static str), u64> = BTreeMap::new();
    for node in nodes {
        let version = node.status.version.map_or("not known".to_owned(), |version| version.to_string());
        *groups.entry((version, runs(node), from(node.status.config_from))).or_default() += 1;
    }
    let mut groups: Vec<_> = groups.into_iter().collect();
    groups.sort_by_key(|(_, count)| std::cmp::Reverse(*count));

    main.put("<h3 id=\"runs\">What they run</h3><table><thead><tr><th scope=\"col\" class=\"number\">Nodes</th>");
    main.put("<th scope=\"col\">Kong</th><th scope=\"col\">Configuration</th><th scope=\"col\">From</th></tr></thead><tbody>");
    for ((version, configuration, from), count) in groups.iter().take(CONFIGURATIONS) {
        main.put("<tr><td class=\"number\">").text(count).put("</td><td>").text(version).put("</td><td><code>");
        main.text(configuration).put("</code></td><td>").text(from).put("</td></tr>");
    }
    main.put("</tbody></table>");
    if let Some(more) = groups.len().checked_sub(CONFIGURATIONS).filter(|more| *more > 0) {
        main.put("<p>And ").text(more).put(" further configurations: <code>/status</code> has each node.</p>");
    }
}

fn each(main: &mut Html, nodes: &[Node], shown: &Shown, now: WallTime) {
    let wanted = shown.node.trim();
    let mut found: Vec<&Node> = nodes.iter().filter(|node| is_wanted(node, wanted)).collect();
    // Those that something is wrong with come first.
    found.sort_by_key(|node| node.status.trouble.is_none());

    main.put("<h3 id=\"nodes\">Each node</h3><form action=\"/#nodes\" role=\"search\"><label for=\"node\">");
    main.put("Host name, id or address contains</label> <input id=\"node\" name=\"node\" value=\"").text(wanted);
    main.put("\"> <button>Find</button></form>");

    let parts = found.len().div_ceil(AT_ONCE).max(1);
    let part = shown.part.unwrap_or(1).clamp(1, parts);
    let first = (part - 1) * AT_ONCE;
    let visible = &found[first..found.len().min(first + AT_ONCE)];
    if visible.is_empty() {
        main.put("<p>No connected node is called so.</p>");
        return;
    }

    main.put("<p>").text(first + 1).put(" to ").text(first + visible.len()).put(" of ").text(found.len());
    if parts > 1 {
        main.put(" <span class=\"parts\">");
        link(main, part.checked_sub(1).filter(|part| *part > 0), "Previous", wanted);
        link(main, Some(part + 1).filter(|part| *part <= parts), "Next", wanted);
        main.put("</span>");
    }
    main.put("</p><div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"nodes\"><table><thead><tr>");
    main.put(
        "<th scope=\"col\">Host</th><th scope=\"col\">Kong</th><th scope=\"col\">Runs</th><th scope=\"col\">From</th>",
    );
    main.put("<th scope=\"col\">Control plane</th><th scope=\"col\">Connected</th><th scope=\"col\">Address</th>");
    main.put("</tr></thead><tbody>");
    for node in visible {
        row(main, node, now);
    }
    main.put("</tbody></table></div>");
}

fn link(main: &mut Html, part: Option<usize>, name: &'static str, wanted: &str) {
    let Some(part) = part else { return };
    main.put("<a href=\"/?part=").text(part);
    if !wanted.is_empty() {
        let wanted = percent_encoding::utf8_percent_encode(wanted, percent_encoding::NON_ALPHANUMERIC);
        main.put("&amp;node=").text(wanted);
    }
    main.put("#nodes\">").text(name).put("</a> ");
}

fn row(main: &mut Html, node: &Node, now: WallTime) {
    let status = &node.status;
    main.put("<tr><th scope=\"row\" title=\"").text(&status.id).put("\">").text(&status.hostname).put("</th><td>");
    match status.version {
        Some(version) => main.text(version),
        None => main.put("not known"),
    };
    main.put("</td><td><code>").text(runs(node)).put("</code>");
    if let Some(trouble) = &status.trouble {
        main.put("<p class=\"critical\">").text(trouble).put("</p>");
    }
    main.put("</td><td>").text(from(status.config_from)).put("</td><td>").text(link_state(status.control_plane));
    main.put("</td><td>").time(status.since, now).put("</td><td>").text(status.address).put("</td></tr>");
}

fn is_wanted(node: &Node, part: &str) -> bool {
    let status = &node.status;
    part.is_empty()
        || status.hostname.contains(part)
        || status.id.contains(part)
        || status.address.to_string().contains(part)
}

fn runs(node: &Node) -> String {
    match node.status.config_hash {
        None => "not known yet".to_owned(),
        Some(hash) if hash.is_empty() => "nothing".to_owned(),
        Some(hash) => hash.to_string(),
    }
}

fn from(from: ConfigurationFrom) -> &'static str {
    match from {
        ConfigurationFrom::Nowhere => "nowhere",
        ConfigurationFrom::OwnCache => "its own cache",
        ConfigurationFrom::ControlPlane => "the control plane",
        ConfigurationFrom::Store => "the store",
    }
}

fn link_state(link: ControlPlaneLink) -> &'static str {
    match link {
        ControlPlaneLink::Connecting => "connecting",
        ControlPlaneLink::Linked => "linked",
        ControlPlaneLink::Gone => "gone",
        ControlPlaneLink::Refused => "refused",
    }
}
