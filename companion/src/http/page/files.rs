//! The page's own files, which are part of the program. Those for comparing are there only if wasm-build.sh had made them
//! before the program was built.

use std::sync::Arc;

use axum::Router;
use axum::http::header::{self, HeaderValue};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::http::Program;

/// What the worker may do, which has this policy of its own: run its script and the comparison, and read snapshots here.
const WORKER_POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// The comparison: the module that calls it, and the WebAssembly.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    script: &'static str,
    wasm: &'static [u8],
}

// What build.rs has found.
include!(concat!(env!("OUT_DIR"), "/comparison.rs"));

const STYLE: &str = include_str!("../../../../web/page/style.css");
const SCRIPT: &str = include_str!("../../../../web/page/page.js");
const WORKER: &str = include_str!("../../../../web/page/worker.js");
const ICON: &str = include_str!("../../../../web/page/icon.svg");

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn routes() -> Router<Arc<Program>> {
    let router = Router::new()
        .route("/page/style.css", get(|| async { of_type("text/css; charset=utf-8", STYLE) }))
        .route("/page/page.js", get(|| async { of_type(JAVASCRIPT, SCRIPT) }))
        .route("/page/worker.js", get(|| async { for_worker(JAVASCRIPT, WORKER) }))
        .route("/page/icon.svg", get(|| async { of_type("image/svg+xml", ICON) }));
    let Some(Comparison { script, wasm }) = COMPARISON else { return router };
    router
        .route("/page/comparison.js", get(move || async move { for_worker(JAVASCRIPT, script) }))
        .route("/page/comparison_bg.wasm", get(move || async move { of_type("application/wasm", wasm) }))
}

fn of_type(media_type: &'static str, content: impl IntoResponse) -> Response {
    ([(header::CONTENT_TYPE, HeaderValue::from_static(media_type))], content).into_response()
}

fn for_worker(media_type: &'static str, content: impl IntoResponse) -> Response {
    ([(header::CONTENT_SECURITY_POLICY, WORKER_POLICY)], of_type(media_type, content)).into_response()
}
