//! The provisioning API: starting chats by number from a client or a tool, in the shape that mautrix bridges have.
//!
//! Lines are logins here. They are the operator's: there is nothing to log in to and nothing to log out of, so `login/flows` is
//! empty and what would change logins answers 501.

mod guard;
mod origins;

use crate::homeserver::Matrix;
use crate::routes::{error, query, unrecognized, wrong_method};
use axum::extract::{Path, Request, State};
use axum::http::{StatusCode, Uri};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use guard::Guard;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::directory::{Directory, DirectoryError, LineSummary, Resolved};
use swingbridge_domain::id::{LineId, UserId};
use swingbridge_domain::line::Permissions;
use swingbridge_domain::secret::Secret;

/// How long `create_dm` waits for the room that it asked for.
const ROOM_WAIT: Duration = Duration::from_secs(15);
const ROOM_LOOK: Duration = Duration::from_millis(200);

/// What the router works with.
#[derive(Clone)]
pub struct Provisioning {
    pub matrix: Arc<Matrix>,
    pub directory: Arc<dyn Directory>,
    pub permissions: Permissions,
    /// With it and `?user_id=` a tool acts for any user; `None` leaves only people's own access tokens.
    pub shared_secret: Option<Secret>,
    pub network: Network,
    /// What commands begin with outside the management room: `!sms`.
    pub command_prefix: String,
}

/// The network as clients show it.
#[derive(Clone, Debug)]
pub struct Network {
    pub id: String,
    pub name: String,
    pub url: String,
}

/// Everything below `/_matrix/provision/v3`.
pub fn router(parts: Provisioning) -> Router {
    let guard = Arc::new(Guard::new(
        parts.matrix.clone(),
        parts.permissions.clone(),
        parts.shared_secret.as_ref(),
    ));
    let routes = Router::new()
        .route("/whoami", get(whoami))
        .route("/login/flows", get(flows))
        .route("/logins", get(logins))
        .route("/contacts", get(contacts))
        .route("/resolve_identifier/{identifier}", get(resolve))
        .route("/create_dm/{identifier}", post(create_dm))
        .route("/login/start/{flow}", post(not_here))
        .route("/logout/{login}", post(not_here))
        .route("/search_users", post(not_here))
        .route("/create_group", post(not_here))
        .method_not_allowed_fallback(wrong_method)
        .route_layer(middleware::from_fn(move |request: Request, next: Next| {
            let guard = guard.clone();
            async move { admit(&guard, request, next).await }
        }))
        .fallback(unrecognized)
        .layer(middleware::from_fn(origins::open))
        .with_state(parts);
    Router::new().nest("/_matrix/provision/v3", routes)
}

/// Lets in who may use the bridge, and says who it is.
async fn admit(guard: &Guard, mut request: Request, next: Next) -> Response {
    match guard.user(request.headers(), request.uri()).await {
        Ok(user) => {
            request.extensions_mut().insert(user);
            next.run(request).await
        }
        Err(refusal) => refusal,
    }
}

type Parts = State<Provisioning>;
type User = Extension<UserId>;

async fn whoami(State(parts): Parts, Extension(user): User) -> Response {
    let lines = match parts.directory.lines(&user).await {
        Ok(lines) => lines,
        Err(failure) => return refusal(&failure),
    };
    let now = parts.matrix.clock.now();
    let mut logins = Vec::new();
    for line in &lines {
        let space = room(&parts, "space", line.id.as_str()).await;
        logins.push(login(line, space, now));
    }
    let names = parts.matrix.names();
    let mut answer = json!({
        "network": {
            "displayname": parts.network.name,
            "network_url": parts.network.url,
            "network_icon": parts.matrix.config.bot_avatar.as_deref().unwrap_or_default(),
            "network_id": parts.network.id,
            "beeper_bridge_type": "dev.swingbridge",
        },
        "login_flows": [],
        "homeserver": names.server(),
        "bridge_bot": names.bot(),
        "command_prefix": parts.command_prefix,
        "logins": logins,
    });
    if let Some(room) = room(&parts, "management", user.as_str()).await {
        answer["management_room"] = json!(room);
    }
    Json(answer).into_response()
}

/// The room that the engine had made for a user or a line, by the alias that it gives to rooms of that `kind`. A nicety: where the homeserver
/// cannot be asked it is left out, like one that there is not.
async fn room(parts: &Provisioning, kind: &str, of: &str) -> Option<String> {
    let alias = parts.matrix.keys.pseudonym(kind, of);
    match parts.matrix.room_of(&alias).await {
        Ok(room) => room.map(|room| room.to_string()),
        Err(failure) => {
            tracing::debug!(kind, %failure, "a room cannot be looked up");
            None
        }
    }
}

/// A line as a login. Times are in seconds here, unlike in the rest of Matrix.
fn login(line: &LineSummary, space: Option<String>, now: Timestamp) -> Value {
    let state = if line.connected {
        "CONNECTED"
    } else {
        "TRANSIENT_DISCONNECT"
    };
    let profile = if line.address.starts_with('+') {
        "phone"
    } else {
        "username"
    };
    let mut login = json!({
        "state": { "state_event": state, "timestamp": now.millis() / 1000 },
        "id": line.id,
        "name": line.name,
        "profile": { profile: line.address },
    });
    if let Some(space) = space {
        login["space_room"] = json!(space);
    }
    login
}

async fn flows() -> Response {
    Json(json!({ "flows": [] })).into_response()
}

async fn logins(State(parts): Parts, Extension(user): User) -> Response {
    match parts.directory.lines(&user).await {
        Ok(lines) => {
            let ids: Vec<&LineId> = lines.iter().map(|line| &line.id).collect();
            Json(json!({ "login_ids": ids })).into_response()
        }
        Err(failure) => refusal(&failure),
    }
}

async fn contacts(State(parts): Parts, Extension(user): User, uri: Uri) -> Response {
    let line = line(&uri);
    match parts.directory.contacts(&user).await {
        Ok(contacts) => {
            let wanted = |contact: &&Resolved| line.as_ref().is_none_or(|line| contact.line == *line);
            let contacts: Vec<Value> = contacts
                .iter()
                .filter(wanted)
                .map(|contact| contact_of(&parts, contact))
                .collect();
            Json(json!({ "contacts": contacts })).into_response()
        }
        Err(failure) => refusal(&failure),
    }
}

async fn resolve(
    State(parts): Parts,
    Extension(user): User,
    Path(identifier): Path<String>,
    uri: Uri,
) -> Response {
    match parts
        .directory
        .resolve(Some(&user), line(&uri).as_ref(), &identifier, false)
        .await
    {
        Ok(resolved) => Json(contact_of(&parts, &resolved)).into_response(),
        Err(failure) => refusal(&failure),
    }
}

async fn create_dm(
    State(parts): Parts,
    Extension(user): User,
    Path(identifier): Path<String>,
    uri: Uri,
) -> Response {
    let line = line(&uri);
    let ask = |create| {
        parts
            .directory
            .resolve(Some(&user), line.as_ref(), &identifier, create)
    };
    let mut resolved = match ask(true).await {
        Ok(resolved) => resolved,
        Err(failure) => return refusal(&failure),
    };
    // The room is made by the queue, like everything; callers expect it in the answer.
    let room = async {
        while resolved.room.is_none() {
            tokio::time::sleep(ROOM_LOOK).await;
            resolved = ask(false).await?;
        }
        Ok(resolved)
    };
    match tokio::time::timeout(ROOM_WAIT, room).await {
        Ok(Ok(resolved)) => Json(contact_of(&parts, &resolved)).into_response(),
        Ok(Err(failure)) => refusal(&failure),
        Err(_) => error(
            StatusCode::GATEWAY_TIMEOUT,
            "M_UNKNOWN",
            "the room is still being made; ask again in a while",
        ),
    }
}

async fn not_here() -> Response {
    error(
        StatusCode::NOT_IMPLEMENTED,
        "M_UNRECOGNIZED",
        "this bridge does not have it: its lines are set by the operator",
    )
}

fn contact_of(parts: &Provisioning, resolved: &Resolved) -> Value {
    let whole = resolved
        .identifier
        .strip_prefix('+')
        .is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()));
    let identifiers: Vec<String> = whole
        .then(|| format!("tel:{}", resolved.identifier))
        .into_iter()
        .collect();
    let mut contact = json!({
        "id": resolved.ghost.pseudonym,
        "name": resolved.ghost.name,
        "identifiers": identifiers,
        "mxid": parts.matrix.names().ghost(&resolved.ghost.pseudonym),
    });
    if let Some(room) = &resolved.room {
        contact["dm_room_mxid"] = json!(room);
    }
    contact
}

/// The line that the caller names; the query calls it a login, in both spellings that clients send.
fn line(uri: &Uri) -> Option<LineId> {
    query(uri, "login_id")
        .or_else(|| query(uri, "loginID"))
        .filter(|id| !id.is_empty())
        .map(LineId::new)
}

fn refusal(failure: &DirectoryError) -> Response {
    let (status, code) = match failure {
        DirectoryError::NotReachable(_) | DirectoryError::NoSuchLine => {
            (StatusCode::NOT_FOUND, "M_NOT_FOUND")
        }
        DirectoryError::NotAllowed => (StatusCode::FORBIDDEN, "M_FORBIDDEN"),
        DirectoryError::Unavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "M_UNKNOWN"),
    };
    error(status, code, &failure.to_string())
}
