//! `/health/live`, `/health/ready` and `/metrics`.

use crate::health::{Health, Report};
use crate::metrics::Exporter;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use std::sync::Arc;

#[derive(Clone)]
struct Served {
    health: Arc<Health>,
    exporter: Exporter,
}

/// The operator's pages. They ask for no password: serve them on loopback or a private network.
pub fn router(health: Arc<Health>, exporter: Exporter) -> Router {
    Router::new()
        .route("/health/live", get(live))
        .route("/health/ready", get(ready))
        .route("/metrics", get(metrics))
        .with_state(Served { health, exporter })
}

async fn live(State(served): State<Served>) -> Response {
    answer(served.health.live().await)
}

async fn ready(State(served): State<Served>) -> Response {
    answer(served.health.ready().await)
}

fn answer(report: Report) -> Response {
    let status = if report.ok {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    (status, Json(report)).into_response()
}

async fn metrics(State(served): State<Served>) -> Response {
    let kind = "text/plain; version=0.0.4; charset=utf-8";
    ([(header::CONTENT_TYPE, kind)], served.exporter.render()).into_response()
}
