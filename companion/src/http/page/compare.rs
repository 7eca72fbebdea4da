//! *Compare*: what differs between two configurations. It is computed in the reader's browser; here is what to choose from,
//! what the browser reads, and the command that does the same where that is not possible.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::http::header::{self, HeaderName};
use axum::response::{IntoResponse, Response};
use lifeboat_core::kong::version::KongVersion;
use serde::Deserialize;

use super::files;
use super::frame::{View, document};
use super::html::Html;
use super::listing::{Listing, Seen};
use super::masked::{LARGEST, Masked, Problem, Wanted};
use crate::archive::{History, Listed};
use crate::http::Program;
use crate::settings::Compares;

/// How many bytes the masked configuration has, for the one who shows progress.
const BYTES: HeaderName = HeaderName::from_static("lifeboat-bytes");

/// What a link has chosen already.
#[derive(Clone, Debug, Default, Deserialize)]
pub(super) struct Chosen {
    version: Option<String>,
    before: Option<u64>,
    after: Option<u64>,
}

/// The whole page.
pub(super) fn page(seen: &Seen, compares: Compares, chosen: &Chosen) -> Html {
    let mut main = Html::default();
    let why_not = match (compares, files::COMPARISON) {
        (Compares::Off, _) => {
            Some("This process compares nothing: LIFEBOAT_HTTP_PAGE=on (--http-page on) switches it on.")
        }
        (Compares::On, None) => {
            Some("This lifeboat was built without comparison: ./wasm-build.sh before the build adds it.")
        }
        (Compares::On, Some(_)) => None,
    };

    if let Some(why_not) = why_not {
        main.put("<p id=\"standing\" class=\"standing warning\" role=\"status\">").text(why_not);
        main.put("</p><p>This command does the same, wherever Lifeboat's settings are:</p>");
        command(&mut main, chosen);
        return document(View::Compare, &main);
    }
    match &seen.listing {
        Some(listing) => choice(&mut main, listing, chosen),
        None => {
            main.put("<p id=\"standing\" class=\"standing warning\" role=\"status\">The store can't be listed: ");
            main.text(seen.problem.as_deref().unwrap_or("it has not answered yet; load this page again in a moment"));
            main.put("</p>");
        }
    }
    document(View::Compare, &main)
}

/// Where a reader chooses. The browser's worker does the rest.
fn choice(main: &mut Html, listing: &Listing, chosen: &Chosen) {
    main.put("<noscript><p class=\"standing warning\">Comparing needs JavaScript and WebAssembly. This command does the same:</p>");
    command(main, chosen);
    main.put("</noscript><p>Snapshots come with a tag in the place of each secret: equal secrets have equal tags. A file stays in ");
    main.put("this browser; its secrets are not compared with a snapshot's.</p>");
    main.put("<form id=\"choice\" data-largest=\"").text(LARGEST).put("\"><div class=\"sides\">");
    side(main, listing, chosen, Side::Before);
    side(main, listing, chosen, Side::After);
    main.put("</div><p><button id=\"go\">Compare</button></p></form>");
    main.put(
        "<p id=\"progress\" role=\"status\"></p><progress id=\"bar\" aria-labelledby=\"progress\" hidden></progress>",
    );
    main.put("<p>The same as a command:</p>");
    main.put("<pre class=\"command\" tabindex=\"0\"><code id=\"command\">lifeboat diff NUMBER</code></pre>");
    main.put("<section id=\"result\" aria-live=\"polite\"></section>");
}

#[derive(Clone, Copy)]
enum Side {
    Before,
    After,
}

fn side(main: &mut Html, listing: &Listing, chosen: &Chosen, side: Side) {
    let (id, legend, number) = match side {
        Side::Before => ("before", "Earlier", chosen.before),
        Side::After => ("after", "Later", chosen.after),
    };
    main.put("<fieldset><legend>")
        .put(legend)
        .put("</legend><label for=\"")
        .put(id)
        .put("\">Snapshot</label> <select id=\"");
    main.put(id).put("\">");

    for (index, history) in listing.versions.iter().enumerate() {
        let preferred = number.or(match side {
            Side::Before => before_the_published(history),
            Side::After => history.published,
        });
        let is_version = match &chosen.version {
            Some(version) => *version == history.version.to_string(),
            None => index == 0,
        };
        for listed in history.snapshots.iter().filter(|listed| listed.manifest.is_some()) {
            option(main, history, listed, is_version && preferred == Some(listed.id.sequence));
        }
    }

    main.put("<option value=\"file\">A file on this computer</option></select> ");
    main.put("<span class=\"file\" hidden><label for=\"")
        .put(id)
        .put("-file\">File</label> <input type=\"file\" id=\"");
    main.put(id).put("-file\"></span></fieldset>");
}

fn option(main: &mut Html, history: &History, listed: &Listed, is_chosen: bool) {
    let (version, sequence) = (history.version, listed.id.sequence);
    let bytes = listed.manifest.as_ref().map_or(0, |manifest| manifest.config.bytes);
    main.put("<option value=\"").text(version).put("/").text(sequence).put("\" data-bytes=\"").text(bytes);
    main.put(if is_chosen { "\" selected>" } else { "\">" });
    main.put("Kong ").text(version).put(": ").text(sequence).put(" (").text(history.state_of(listed));
    main.put(if history.is_published(listed) { ", published)</option>" } else { ")</option>" });
}

/// The one that was published before: a reader most often wants to know what has changed.
fn before_the_published(history: &History) -> Option<u64> {
    let published = history.published?;
    let earlier = history.snapshots.iter().filter(|listed| listed.manifest.is_some() && !listed.state.is_held());
    earlier.map(|listed| listed.id.sequence).filter(|sequence| *sequence < published).max()
}

/// The command that compares what was chosen.
fn command(main: &mut Html, chosen: &Chosen) {
    let name = |number: Option<u64>, otherwise: &str| number.map_or(otherwise.to_owned(), |number| number.to_string());
    let (before, after) = (name(chosen.before, "NUMBER"), name(chosen.after, "published"));
    match chosen.version.as_ref().and_then(|version| version.parse::<KongVersion>().ok()) {
        Some(version) => main.command(format_args!("lifeboat diff {before} {after} --kong-version {version}")),
        None => main.command(format_args!("lifeboat diff {before} {after}")),
    };
}

/// A snapshot's configuration with a tag in the place of each secret.
pub(super) async fn configuration(
    State(program): State<Arc<Program>>,
    Path((version, sequence)): Path<(String, u64)>,
) -> Response {
    let page = &program.page.0;
    let Some(snapshots) = &page.masked else {
        let off = "comparing is switched off here: LIFEBOAT_HTTP_PAGE=on (--http-page on) switches it on\n";
        return (StatusCode::NOT_FOUND, off).into_response();
    };
    let Ok(version) = version.parse() else {
        return (StatusCode::NOT_FOUND, "there is no such version of Kong\n").into_response();
    };

    match snapshots.get(Wanted { version, sequence }).await {
        Ok(Masked { gzip, bytes }) => {
            let json = [(header::CONTENT_TYPE, "application/json"), (header::CONTENT_ENCODING, "gzip")];
            (json, [(BYTES, bytes.to_string())], gzip.into_inner()).into_response()
        }
        Err(problem) => {
            let status = match problem {
                Problem::Busy => StatusCode::TOO_MANY_REQUESTS,
                Problem::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
                Problem::Missing(_) => StatusCode::NOT_FOUND,
                Problem::Unreadable(_) => StatusCode::BAD_GATEWAY,
            };
            (status, [(header::RETRY_AFTER, "1")], format!("{problem}\n")).into_response()
        }
    }
}
