//! A Matrix client of one page, for those who try the demo without a client of their own.

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;

/// What the page needs to be a user. It holds an access token: serve it on the loopback interface only.
#[derive(Clone, Serialize)]
pub struct Session {
    /// The base URL of the homeserver's client-server API.
    pub homeserver: String,
    /// The full id of the user.
    pub user: String,
    /// The user's access token.
    pub token: String,
    /// The full id of the bridge's bot, who starts chats.
    pub bot: String,
}

/// The page with its session.
pub fn router(session: Session) -> Router {
    Router::new()
        .route("/", get(|| file("text/html", include_str!("index.html"))))
        .route("/chat.css", get(|| file("text/css", include_str!("chat.css"))))
        .route(
            "/chat.js",
            get(|| file("text/javascript", include_str!("chat.js"))),
        )
        .route("/session", get(give_session))
        .with_state(session)
}

async fn file(kind: &'static str, content: &'static str) -> impl IntoResponse {
    ([(header::CONTENT_TYPE, kind)], content)
}

/// Only to a page that came from here: another site whose name leads here is shown nothing.
async fn give_session(State(session): State<Session>, headers: HeaderMap) -> Response {
    let host = headers
        .get(header::HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or_default();
    match host.rsplit_once(':').map_or(host, |(name, _)| name) {
        "127.0.0.1" | "localhost" => Json(session).into_response(),
        _ => StatusCode::FORBIDDEN.into_response(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> Session {
        let text = |text: &str| text.to_owned();
        Session {
            homeserver: text("http://hs"),
            user: text("@a:b"),
            token: text("secret"),
            bot: text("@bot:b"),
        }
    }

    async fn status(host: &str) -> StatusCode {
        let headers = HeaderMap::from_iter([(header::HOST, host.parse().unwrap())]);
        give_session(State(session()), headers).await.status()
    }

    #[tokio::test]
    async fn the_session_is_given_to_the_loopback_alone() {
        assert_eq!(status("127.0.0.1:8080").await, StatusCode::OK);
        assert_eq!(status("localhost:8080").await, StatusCode::OK);
        assert_eq!(status("rebound.example:8080").await, StatusCode::FORBIDDEN);
        assert_eq!(status("").await, StatusCode::FORBIDDEN);
    }
}
