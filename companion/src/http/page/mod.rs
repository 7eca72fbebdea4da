//! The page for people: *Now*, *History* and *Compare*, made here as HTML that needs no script. It shows and changes nothing:
//! what an operator may decide is shown as the command for it.

mod compare;
mod files;
mod frame;
mod history;
mod html;
mod listing;
mod masked;
mod now;

use std::sync::Arc;

use axum::Router;
use axum::extract::{Query, State};
use axum::http::header::{self, HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use lifeboat_runtime::clock::Clock;

use self::html::Html;
use self::listing::Listings;
use self::masked::MaskedSnapshots;
use super::Program;
use crate::archive::ArchiveReader;
use crate::settings::{Compares, PageSettings};

/// What a browser may do with a view: show it with its style, run its one script, which may ask this server for more, and send
/// its one form here. A worker is started by *Compare* alone.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; worker-src 'self'; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
     trusted-types lifeboat",
);

/// How many snapshots of a version *Now* has to know of: the published one, and what is held.
const NEWEST: usize = 20;
/// How many *History* lists: as many as stay in a store unless `LIFEBOAT_HISTORY` says more.
const LISTED: usize = 500;

/// What all readers of the page share. Clones are one.
#[derive(Clone, Debug)]
pub struct Page(Arc<Parts>);

#[derive(Debug)]
struct Parts {
    settings: PageSettings,
    newest: Listings,
    history: Listings,
    /// Where configurations are compared.
    masked: Option<MaskedSnapshots>,
}

impl Page {
    /// A page about these stores, of which the first that answers is listed.
    pub fn new(settings: PageSettings, archives: Vec<ArchiveReader>, clock: Clock) -> Self {
        let masked = (settings.compares == Compares::On).then(|| MaskedSnapshots::new(archives.clone()));
        let newest = Listings::new(archives.clone(), NEWEST, clock);
        let history = Listings::new(archives, LISTED, clock);
        Self(Arc::new(Parts { settings, newest, history, masked }))
    }

    /// Names under which it may be asked for, besides addresses.
    pub(super) fn hosts(&self) -> &[String] {
        &self.0.settings.hosts
    }
}

/// Everything that the page consists of.
pub(super) fn routes() -> Router<Arc<Program>> {
    Router::new()
        .route("/", get(now))
        .route("/history", get(history))
        .route("/compare", get(compare))
        .route("/page/configuration/{version}/{sequence}", get(compare::configuration))
        .merge(files::routes())
}

async fn now(State(program): State<Arc<Program>>, Query(shown): Query<now::Shown>) -> Response {
    // Nobody waits for a store here: what is not known yet is there when the page is loaded again.
    let seen = program.page.0.newest.glance();
    view(now::page(&program, seen, &shown))
}

async fn history(State(program): State<Arc<Program>>) -> Response {
    let seen = program.page.0.history.look().await;
    view(history::page(&seen, program.page.0.settings.compares, program.observation.now()))
}

async fn compare(State(program): State<Arc<Program>>, Query(chosen): Query<compare::Chosen>) -> Response {
    let seen = program.page.0.history.look().await;
    view(compare::page(&seen, program.page.0.settings.compares, &chosen))
}

fn view(html: Html) -> Response {
    let policy: [(HeaderName, HeaderValue); 1] = [(header::CONTENT_SECURITY_POLICY, POLICY)];
    (policy, html).into_response()
}

#[cfg(test)]
mod tests;
