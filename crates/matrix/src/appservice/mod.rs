//! What the homeserver asks of us: the application service API (Matrix v1.19, "Application Service API").

mod lookup;
mod transaction;

pub(crate) use transaction::Numbers;

use crate::homeserver::Matrix;
use crate::routes::{Expected, bearer, error, query, unrecognized, wrong_method};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::StatusCode;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{get, post, put};
use std::sync::Arc;
use swingbridge_domain::directory::Directory;
use swingbridge_domain::inbox::Inbox;

/// A transaction of 100 events of 64 KiB and 100 to-device messages fits many times over.
const BODY_LIMIT: usize = 64 << 20;

/// What the router works with.
#[derive(Clone)]
pub struct AppService {
    pub matrix: Arc<Matrix>,
    pub inbox: Arc<dyn Inbox>,
    pub directory: Arc<dyn Directory>,
}

/// All that a homeserver calls, below `/_matrix/app/v1` and at the paths that it had before Matrix 1.4.
pub fn router(parts: AppService) -> Router {
    let expected = Expected::new(&parts.matrix.config.hs_token);
    let legacy = Router::new()
        .route("/transactions/{txn}", put(transaction::take))
        .route("/users/{user}", get(lookup::user))
        .route("/rooms/{alias}", get(lookup::alias));
    let third_party = Router::new()
        .route("/protocol/{protocol}", get(lookup::protocol))
        .route("/user/{protocol}", get(lookup::third_party_user))
        .route("/location/{protocol}", get(lookup::third_party_location))
        .route("/user", get(lookup::nothing))
        .route("/location", get(lookup::nothing));
    let current = legacy
        .clone()
        .route("/ping", post(lookup::ping))
        .nest("/thirdparty", third_party.clone())
        .fallback(unrecognized);
    Router::new()
        .merge(legacy)
        .nest("/_matrix/app/unstable/thirdparty", third_party)
        .nest("/_matrix/app/v1", current)
        .method_not_allowed_fallback(wrong_method)
        .layer(DefaultBodyLimit::max(BODY_LIMIT))
        .route_layer(middleware::from_fn(move |request: Request, next: Next| {
            let refusal = refusal(&expected, &request);
            async move {
                match refusal {
                    Some(refusal) => refusal,
                    None => next.run(request).await,
                }
            }
        }))
        .with_state(parts)
}

/// Checks the hs_token, in the header or, as older homeservers send it, in the query.
fn refusal(expected: &Expected, request: &Request) -> Option<Response> {
    let header = bearer(request.headers());
    let in_query = query(request.uri(), "access_token");
    if header.is_some_and(|token| expected.is(token))
        || in_query.as_deref().is_some_and(|token| expected.is(token))
    {
        return None;
    }
    metrics::counter!("swingbridge_homeserver_requests_refused_total").increment(1);
    if header.is_none() && in_query.is_none() {
        return Some(error(
            StatusCode::UNAUTHORIZED,
            "M_MISSING_TOKEN",
            "the hs_token is missing",
        ));
    }
    tracing::warn!(
        "a request came with another hs_token than the configuration's: if it was the homeserver, the registration that it has \
         read is not ours"
    );
    Some(error(
        StatusCode::FORBIDDEN,
        "M_FORBIDDEN",
        "this is not the hs_token",
    ))
}
