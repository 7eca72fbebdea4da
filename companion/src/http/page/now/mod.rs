//! *Now*: what new nodes get, who keeps it, which nodes run what, and what is wrong.

mod alarms;
mod exporters;
mod nodes;
mod standing;

use lifeboat_core::kong::version::KongVersion;
use lifeboat_core::time::WallTime;

use self::alarms::Alarm;
pub(super) use self::nodes::Shown;
use super::frame::{View, document};
use super::html::{Html, counted};
use super::listing::Seen;
use crate::http::Program;
use crate::http::node_page::NodePage;
use crate::http::status::Status;
use crate::observation::{ExportFacts, RelayFacts};

/// All that the view is made of.
struct Facts {
    status: Status,
    exports: Vec<ExportFacts>,
    relay: Option<RelayFacts>,
    seen: Seen,
}

/// The snapshot that new nodes of a version get in an outage.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Backup {
    version: KongVersion,
    sequence: u64,
    received: WallTime,
}

/// The whole page.
pub(super) fn page(program: &Program, seen: Seen, shown: &Shown) -> Html {
    let (exports, relay) = (program.observation.export_facts(), program.observation.relay_facts());
    render(&Facts { status: Status::of(program, NodePage::ALL), exports, relay, seen }, shown)
}

fn render(facts: &Facts, shown: &Shown) -> Html {
    let mut main = Html::default();
    let alarms = alarms::of(facts);
    standing::write(&mut main, facts, &alarms);
    alarm_list(&mut main, &alarms);
    exporters::write(&mut main, facts);
    if let Some(relay) = &facts.status.relay {
        nodes::write(&mut main, relay, shown, facts.now());
    }
    stores(&mut main, facts);
    certificates(&mut main, facts);
    reports(&mut main, facts);
    document(View::Now, &main)
}

impl Facts {
    fn now(&self) -> WallTime {
        self.status.now
    }

    /// What new nodes of each version get: as the exporters know it, else as it was listed last.
    fn backups(&self) -> Vec<Backup> {
        let of_exporters = self.exports.iter().filter_map(|facts| {
            let manifest = facts.published.as_ref()?;
            let (sequence, received) = (manifest.sequence, manifest.times.received);
            Some(Backup { version: facts.version, sequence, received })
        });
        let mut backups: Vec<Backup> = of_exporters.collect();

        let listed = self.seen.listing.iter().flat_map(|listing| &listing.versions);
        for history in listed.filter(|history| self.exports.iter().all(|facts| facts.version != history.version)) {
            let published = history.snapshots.iter().find(|listed| history.is_published(listed));
            if let Some(manifest) = published.and_then(|listed| listed.manifest.as_ref()) {
                let (sequence, received) = (manifest.sequence, manifest.times.received);
                backups.push(Backup { version: history.version, sequence, received });
            }
        }
        backups
    }
}

fn alarm_list(main: &mut Html, alarms: &[Alarm]) {
    main.put("<section><h2>What the alerts say</h2>");
    if alarms.is_empty() {
        main.put("<p>None of their conditions holds, as far as this process can see.</p></section>");
        return;
    }

    main.put("<p>Prometheus tells some of these only after they have lasted for a while.</p><ul class=\"alarms\">");
    for alarm in alarms {
        main.put("<li class=\"").text(alarm.severity.name()).put("\"><strong>").text(alarm.alert).put("</strong> ");
        main.put("<span class=\"severity\">")
            .text(alarm.severity.name())
            .put("</span><p>")
            .text(&alarm.says)
            .put("</p>");
        for command in &alarm.commands {
            main.command(command);
        }
        main.put("</li>");
    }
    main.put("</ul></section>");
}

fn stores(main: &mut Html, facts: &Facts) {
    main.put("<section><h2>Stores</h2><ul><li><code>").text(&facts.status.store).put("</code>");
    if let Some(listing) = &facts.seen.listing {
        main.put(" — listed ").time(listing.at, facts.now());
    }
    if let Some(problem) = &facts.seen.problem {
        main.put(" <strong class=\"critical\">can't be listed: ").text(problem).put("</strong>");
    }
    main.put("</li>");

    for of_version in &facts.exports {
        for (store, is_current) in &of_version.other_stores {
            main.put("<li><code>").text(store).put("</code> — Kong ").text(of_version.version);
            main.put(if *is_current {
                ": has what is published"
            } else {
                ": <strong class=\"warning\">does not have what is published</strong>"
            });
            main.put("</li>");
        }
    }
    main.put("</ul></section>");
}

fn certificates(main: &mut Html, facts: &Facts) {
    main.put("<section><h2>Certificates</h2>");
    if facts.status.certificates.is_empty() {
        main.put("<p>None is known yet.</p></section>");
        return;
    }
    main.put("<ul>");
    for certificate in &facts.status.certificates {
        let ended = if certificate.ends < facts.now() { ": ended " } else { ": ends " };
        main.put("<li>").text(certificate.certificate).put(ended).time(certificate.ends, facts.now()).put("</li>");
    }
    main.put("</ul></section>");
}

fn reports(main: &mut Html, facts: &Facts) {
    let nodes = &facts.status.reports.nodes;
    if nodes.reporting == 0 {
        return;
    }
    main.put("<section><h2>What the filter reports</h2><p>");
    main.text(counted(nodes.reporting as u64, "node reports", "nodes report")).put(" what it runs.");
    for (state, count) in &nodes.control_plane {
        main.put(" The control plane, seen by ").text(count).put(": ").text(words(&format!("{state:?}"))).put(".");
    }
    if nodes.without_configuration > 0 {
        main.put(" <strong class=\"critical\">Without a configuration: ").text(nodes.without_configuration);
        main.put("</strong>.");
    }
    main.put("</p></section>");
}

/// A name of the code's, such as `TimedOut`, as words.
fn words(name: &str) -> String {
    let mut words = String::new();
    for character in name.chars() {
        if character.is_uppercase() && !words.is_empty() {
            words.push(' ');
        }
        words.extend(character.to_lowercase());
    }
    words
}

#[cfg(test)]
mod tests;
