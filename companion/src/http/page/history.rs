//! *History*: which snapshots there are, those that an operator decides on first.

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::manifest::{Manifest, Pin};
use lifeboat_core::time::WallTime;

use super::frame::{View, document};
use super::html::{Html, size};
use super::listing::{Listing, Seen};
use crate::archive::snapshot_state::{RELEASED, UNPUBLISHED};
use crate::archive::{History, Listed};
use crate::settings::Compares;

/// The whole page.
pub(super) fn page(seen: &Seen, compares: Compares, now: WallTime) -> Html {
    let mut main = Html::default();
    match (&seen.listing, &seen.problem) {
        (Some(listing), problem) => {
            standing(&mut main, listing, problem.as_deref(), now);
            for history in &listing.versions {
                version(&mut main, history, compares, now);
            }
        }
        (None, Some(problem)) => {
            main.put("<p id=\"standing\" class=\"standing critical\" role=\"status\">The store can't be listed: ");
            main.text(problem).put("</p>");
        }
        (None, None) => {
            main.put("<p id=\"standing\" class=\"standing warning\" role=\"status\">");
            main.put("The store has not answered yet. Load this page again in a moment.</p>");
        }
    }

    document(View::History, &main)
}

fn standing(main: &mut Html, listing: &Listing, problem: Option<&str>, now: WallTime) {
    let class = if problem.is_some() || !listing.failed.is_empty() { "warning" } else { "good" };
    main.put("<p id=\"standing\" class=\"standing ").text(class).put("\" role=\"status\">");
    main.text(&listing.place).put(", as it was ").time(listing.at, now).put(".");
    for problem in listing.failed.iter().map(String::as_str).chain(problem) {
        main.put(" It can't be listed now: ").text(problem).put(".");
    }
    if listing.versions.is_empty() {
        main.put(" There is no backup in it.");
    }
    main.put("</p>");
}

fn version(main: &mut Html, history: &History, compares: Compares, now: WallTime) {
    main.put("<section><h2>Kong ").text(history.version).put("</h2>");
    if let Some(problem) = &history.problem {
        main.put("<p class=\"critical\">Which snapshot is published can't be told: ").text(problem).put("</p>");
    } else if history.published.is_none() {
        main.put("<p class=\"warning\">Nothing is published for this version.</p>");
    }
    for listed in &history.snapshots {
        decision(main, history, listed);
    }

    // What waits for a decision, or is one, comes first.
    let mut rows: Vec<&Listed> = history.snapshots.iter().collect();
    rows.sort_by_key(|listed| rank(history, listed));
    main.put("<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Snapshots of Kong ");
    main.text(history.version).put("\"><table><thead><tr><th scope=\"col\">Snapshot</th><th scope=\"col\">State</th>");
    main.put("<th scope=\"col\">Received</th><th scope=\"col\">Configuration</th>");
    for numbers in ["Services", "Routes", "Plugins", "Size"] {
        main.put("<th scope=\"col\" class=\"number\">").text(numbers).put("</th>");
    }
    main.put("<th scope=\"col\">Compare</th></tr></thead><tbody>");
    for listed in rows {
        row(main, history, listed, compares, now);
    }
    main.put("</tbody></table></div>");

    if let Some(older @ 1..) = history.older {
        main.put("<p>").text(older).put(" older snapshots are not shown. All of them:</p>");
        main.command(format_args!("lifeboat list --limit {}", older + history.snapshots.len()));
    }
    main.put("</section>");
}

/// Held before pinned before published before all others, which stay as they are: the newest first.
fn rank(history: &History, listed: &Listed) -> u8 {
    let is_pinned = listed.manifest.as_ref().is_some_and(|manifest| manifest.pin.is_some());
    match history.state_of(listed) {
        "held" => 0,
        _ if history.is_published(listed) && is_pinned => 1,
        _ if history.is_published(listed) => 2,
        _ => 3,
    }
}

fn row(main: &mut Html, history: &History, listed: &Listed, compares: Compares, now: WallTime) {
    let state = history.state_of(listed);
    let is_published = history.is_published(listed);
    main.put("<tr><th scope=\"row\">").text(listed.id.sequence).put("</th><td>");
    main.put("<span class=\"state ").text(state.replace(' ', "-")).put("\">").text(state).put("</span>");
    main.put(if is_published { " <strong>published</strong></td>" } else { "</td>" });

    match &listed.manifest {
        Some(Manifest { times, config_hash, counts, config, .. }) => {
            main.put("<td>").time(times.received, now).put("</td><td><code>").text(config_hash).put("</code></td>");
            for kind in ["services", "routes", "plugins"] {
                main.put("<td class=\"number\">").text(counts.get(kind)).put("</td>");
            }
            main.put("<td class=\"number\">").text(size(config.bytes)).put("</td><td>");
            compare(main, history, listed, compares);
            main.put("</td></tr>");
        }
        None => {
            main.put("<td></td><td><code>").text(listed.id.config_hash).put("</code></td><td colspan=\"5\">");
            match &listed.refused {
                Some(refused) => main.text(refused),
                None => main.put("a payload alone, being written or left by a crash"),
            };
            main.put("</td></tr>");
        }
    }
}

/// With what nodes would be restored from now: what would change for them.
fn compare(main: &mut Html, history: &History, listed: &Listed, compares: Compares) {
    let (sequence, version) = (listed.id.sequence, history.version);
    let Some(published) = history.published.filter(|published| *published != sequence) else { return };
    if compares == Compares::On {
        main.put("<a href=\"/compare?version=").text(version).put("&amp;before=").text(sequence);
        main.put("&amp;after=").text(published).put("\">with ").text(published).put("</a>");
    } else {
        main.put("<code>lifeboat diff ").text(sequence).text(of(version)).put("</code>");
    }
}

/// What an operator may decide about a snapshot, as the command for it.
fn decision(main: &mut Html, history: &History, listed: &Listed) {
    let (state, version, sequence) = (history.state_of(listed), history.version, listed.id.sequence);
    let Some(manifest) = &listed.manifest else { return };

    if let Some(why) = &manifest.held
        && state != RELEASED
        && state != UNPUBLISHED
    {
        main.put("<div class=\"decision critical\"><p>Snapshot ").text(sequence).put(" is held: ").text(why);
        main.put(". Look at what it would change:</p>");
        main.command(format_args!("lifeboat diff published {sequence}{}", of(version)));
        main.put("<p>If it is right, publish it:</p>");
        main.command(format_args!("lifeboat release {sequence}{}", of(version))).put("</div>");
    }
    if let Some(pin) = manifest.pin.filter(|_| history.is_published(listed)) {
        pinned(main, version, sequence, pin);
    }
}

fn pinned(main: &mut Html, version: KongVersion, sequence: u64, pin: Pin) {
    main.put("<div class=\"decision warning\"><p>Snapshot ").text(sequence).put(" is pinned");
    main.put(match pin {
        Pin::Unpin => ": whatever the control plane sends, nothing else is published. To end that:</p>",
        Pin::Change { .. } => " until the control plane's configuration changes. To end that now:</p>",
    });
    main.command(format_args!("lifeboat unpin{}", of(version))).put("</div>");
}

/// The flag by which a command knows which Kong is meant.
fn of(version: KongVersion) -> String {
    format!(" --kong-version {version}")
}
