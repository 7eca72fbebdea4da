//! What is answered to which path.

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Router, middleware};

use super::gate::gate;
use super::node_page::NodePage;
use super::{Program, Status, page};
use crate::metrics::Form;
use crate::observation::{ExportFacts, Lead};

const WHAT_THERE_IS: &str = "this is lifeboat. There is:\n/\n/history\n/compare\n/healthz\n/readyz\n/readyz/current\n/readyz/export\n/metrics\n/status\n";

/// What probes ask for.
pub(super) const HEALTH: [&str; 4] = ["/healthz", "/readyz", "/readyz/export", "/readyz/current"];

type Shared = State<Arc<Program>>;

/// Everything that there is to ask.
pub(super) fn routes(program: Program) -> Router {
    let program = Arc::new(program);
    let gate = middleware::from_fn_with_state(program.clone(), gate);
    let for_people = page::routes().route("/status", get(status)).route_layer(gate);
    health(Router::new())
        .route("/metrics", get(metrics))
        .merge(for_people)
        .fallback(|| async { (StatusCode::NOT_FOUND, WHAT_THERE_IS) })
        .with_state(program)
}

/// What probes ask for, alone.
pub(super) fn health_routes(program: Program) -> Router {
    let elsewhere = "this is lifeboat's health. There is:\n/healthz\n/readyz\n/readyz/current\n/readyz/export\n";
    let fallback = move || async move { (StatusCode::NOT_FOUND, elsewhere) };
    health(Router::new()).fallback(fallback).with_state(Arc::new(program))
}

fn health(router: Router<Arc<Program>>) -> Router<Arc<Program>> {
    let [process, relay, export, current] = HEALTH;
    let router = router.route(process, get(|| async { "ok\n" })).route(relay, get(ready));
    router.route(export, get(ready_export)).route(current, get(ready_current))
}

async fn ready(State(program): Shared) -> Response {
    let relay = program.observation.relay_facts();
    match relay.map(|facts| facts.check_ready(program.observation.now())) {
        None => "ready: there is no relay here, and the program runs\n".into_response(),
        Some(Ok(())) => "ready\n".into_response(),
        Some(Err(reason)) => not_ready(&[reason]),
    }
}

async fn ready_export(State(program): Shared) -> Response {
    let all = program.observation.export_facts();
    if all.is_empty() {
        return not_ready(&["nothing is kept here: KONG_CLUSTER_FALLBACK_CONFIG_EXPORT is off".to_owned()]);
    }
    let why_not = |facts: &ExportFacts| {
        let reason = facts.check_ready().err()?;
        Some(format!("Kong {}: {reason}", facts.version))
    };
    let reasons: Vec<String> = all.iter().filter_map(why_not).collect();
    if !reasons.is_empty() {
        return not_ready(&reasons);
    }

    let followed: String = all.iter().filter_map(leader_elsewhere).collect();
    format!("ready\n{followed}").into_response()
}

// Of all nodes of this relay: a pod's gateway has one of its own.
async fn ready_current(State(program): Shared) -> Response {
    let Some(relay) = &program.relay else {
        return not_ready(&["there is no relay here: KONG_CLUSTER_FALLBACK_CONFIG_IMPORT is off".to_owned()]);
    };
    match relay.check_current().await {
        Ok(said) => format!("ready: {said}\n").into_response(),
        Err(reasons) => not_ready(&reasons),
    }
}

// Ready says little of an exporter that follows: whoever asks it is told whom to ask.
fn leader_elsewhere(facts: &ExportFacts) -> Option<String> {
    let Lead::Others { leader } = &facts.lead else { return None };
    Some(format!(
        "Kong {}: the exporter on {leader} leads, and this one follows; ask that one whether the newest is published\n",
        facts.version
    ))
}

async fn metrics(State(program): Shared, headers: HeaderMap) -> Response {
    let form = Form::wanted(headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok()));
    ([(header::CONTENT_TYPE, form.content_type())], program.metrics.text(form)).into_response()
}

async fn status(State(program): Shared, uri: Uri) -> Response {
    let listed = match NodePage::of(uri.query().unwrap_or_default()) {
        Ok(listed) => listed,
        Err(problem) => return (StatusCode::BAD_REQUEST, problem).into_response(),
    };
    let status =
        serde_json::to_vec(&Status::of(&program, listed)).expect("its names are texts, and nothing in it fails");
    ([(header::CONTENT_TYPE, "application/json")], status).into_response()
}

fn not_ready(reasons: &[String]) -> Response {
    let lines: String = reasons.iter().map(|reason| format!("not ready: {reason}\n")).collect();
    (StatusCode::SERVICE_UNAVAILABLE, lines).into_response()
}
