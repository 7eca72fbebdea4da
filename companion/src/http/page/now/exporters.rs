//! What is exported, for each version of Kong: what is published, what came last, who leads, and the last drill.

use lifeboat_core::time::WallTime;

use super::Facts;
use crate::archive::snapshot_state::state_word;
use crate::http::page::html::{Html, size};
use crate::http::status::{Drill, Export, Leadership, Newest, Published};

pub(super) fn write(main: &mut Html, facts: &Facts) {
    main.put("<section><h2>Export</h2>");
    if facts.status.export.is_empty() {
        main.put("<p>This process exports nothing: the snapshots are another one's.</p></section>");
        return;
    }
    for export in &facts.status.export {
        of_version(main, export, facts.now());
    }
    main.put("</section>");
}

fn of_version(main: &mut Html, export: &Export, now: WallTime) {
    main.put("<h3>Kong ").text(export.kong_version).put("</h3><dl>");
    main.put("<dt>Published</dt><dd>");
    match &export.published {
        Some(published) => self::published(main, published, now),
        None => {
            main.put("nothing, or not known yet");
        }
    }

    main.put("</dd><dt>Newest from the control plane</dt><dd>");
    match &export.newest {
        Some(newest) => self::newest(main, newest, now),
        None => {
            main.put("nothing since the start");
        }
    }
    main.put("</dd><dt>Ready</dt><dd>");
    match &export.reason {
        Some(reason) => main.put("<strong class=\"critical\">no</strong>: ").text(reason),
        None => main.put("yes"),
    };

    main.put("</dd><dt>Link to the control plane</dt><dd>");
    main.put(if export.control_plane_connected { "up" } else { "<strong class=\"critical\">down</strong>" });
    main.put("</dd><dt>Leader</dt><dd>");
    leader(main, &export.leadership);
    main.put("</dd><dt>Store</dt><dd>");
    match (&export.failing, export.last_success) {
        (Some(failing), _) => {
            main.put("<strong class=\"critical\">fails</strong> since ").time(failing.since, now).put(": ");
            main.text(&failing.reason)
        }
        (None, Some(success)) => main.put("last written ").time(success, now),
        (None, None) => main.put("nothing has been written since the start"),
    };
    main.put("</dd><dt>Last drill</dt><dd>");
    drill(main, export.drill.as_ref(), now);
    main.put("</dd></dl>");
}

fn published(main: &mut Html, published: &Published, now: WallTime) {
    let state = state_word(published.state, true);
    main.put("snapshot ").element("strong", published.sequence).put(" <span class=\"state ").text(state).put("\">");
    main.text(state).put("</span>, received ").time(published.received, now);
    if let Some(seen) = published.last_seen {
        main.put(", last seen at the control plane ").time(seen, now);
    }
    main.put("; ").text(published.counts.services()).put(", ").text(published.counts.routes()).put(", ");
    main.text(size(published.bytes)).put("; configuration <code>").text(published.config_hash).put("</code>");
    match published.pinned_until {
        Some("change") => main.put("; pinned until the control plane's configuration changes"),
        Some(_) => main.put("; pinned until <code>lifeboat unpin</code>"),
        None => main,
    };
}

fn newest(main: &mut Html, newest: &Newest, now: WallTime) {
    main.put("<code>").text(newest.config_hash).put("</code>, received ").time(newest.received, now);
    if let Some(standing) = newest.standing {
        main.put(", ").text(standing);
    }
    for ending in newest.ending.iter().flatten() {
        let ends = if ending.ends < now { " ended " } else { " ends " };
        main.put("; ").text(ending.of.replace('_', " ")).put(" ").text(&ending.name).put(ends).time(ending.ends, now);
    }
}

fn leader(main: &mut Html, leadership: &Leadership) {
    match (leadership.role, &leadership.leader) {
        ("leader", _) => main.put("this exporter"),
        (_, Some(leader)) => main.put("the exporter on ").text(leader),
        _ => main.put("<strong class=\"warning\">not known</strong>"),
    };
    if let Some(epoch) = leadership.epoch {
        main.put(", epoch ").text(epoch);
    }
    if let Some(strategy) = leadership.strategy {
        main.put(" (").text(strategy).put(")");
    }
}

fn drill(main: &mut Html, drill: Option<&Drill>, now: WallTime) {
    let Some(drill) = drill else {
        main.put("none by this exporter. To make one:").command("lifeboat drill");
        return;
    };
    match &drill.reason {
        Some(reason) => {
            main.put("<strong class=\"critical\">failed</strong> ").time(drill.ended, now).put(": ").text(reason)
        }
        None => main.put("passed ").time(drill.ended, now),
    };

    if let (Some(sequence), Some(seconds)) = (drill.sequence, drill.running_in_s) {
        main.put("; an empty node ran snapshot ").text(sequence).put(" after ").text(seconds).put(" s");
    }
    if let Some(warned) = drill.last_success.filter(|_| drill.reason.is_some()) {
        main.put("; the last that passed was ").time(warned, now);
    }
}
