//! The Content API (v1): templates of cards.

use super::ACCOUNT;
use super::routes::error;
use super::state::{Shared, World};
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Json, Response};
use axum::routing::{get, post};
use serde_json::{Value, json};
use std::sync::Arc;

type Twilio = State<Arc<Shared>>;

pub fn routes() -> Router<Arc<Shared>> {
    Router::new()
        .route("/v1/Content", post(create))
        .route("/v1/Content/{sid}", get(template).delete(remove))
}

fn shown(sid: &str, template: &Value) -> Value {
    let mut shown = template.clone();
    for (name, value) in [
        ("sid", json!(sid)),
        ("account_sid", json!(ACCOUNT)),
        ("date_created", json!("2027-01-15T08:00:00Z")),
        ("date_updated", json!("2027-01-15T08:00:00Z")),
        ("url", json!("")),
        ("links", json!({})),
    ] {
        shown[name] = value;
    }
    shown
}

async fn create(State(shared): Twilio, body: Bytes) -> Response {
    let Ok(template @ Value::Object(_)) = serde_json::from_slice::<Value>(&body) else {
        return error(400, 20001, "The body is no JSON object");
    };
    if let Err(words) = check(&template) {
        return error(400, 20001, &words);
    }
    let mut world = shared.world();
    let sid = world.sid("HX");
    let answer = shown(&sid, &template);
    world.templates.insert(sid, template);
    (StatusCode::CREATED, Json(answer)).into_response()
}

async fn template(State(shared): Twilio, Path(sid): Path<String>) -> Response {
    match shared.world().templates.get(&sid) {
        Some(template) => Json(shown(&sid, template)).into_response(),
        None => error(404, 20404, "The requested resource was not found"),
    }
}

async fn remove(State(shared): Twilio, Path(sid): Path<String>) -> Response {
    match shared.world().templates.remove(&sid) {
        Some(_) => StatusCode::NO_CONTENT.into_response(),
        None => error(404, 20404, "The requested resource was not found"),
    }
}

/// What the reference says of `twilio/card`.
fn check(template: &Value) -> Result<(), String> {
    let known = ["friendly_name", "language", "variables", "types"];
    if let Some(name) = template
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, _)| name)
        .find(|name| !known.contains(&name.as_str()))
    {
        return Err(format!("Unknown field {name}"));
    }
    if template["language"].as_str().is_none_or(str::is_empty) {
        return Err("language is required".to_owned());
    }
    let card = &template["types"]["twilio/card"];
    let Some(fields) = card.as_object() else {
        return Err("types must have twilio/card here".to_owned());
    };
    let known = ["title", "body", "subtitle", "media", "actions", "orientation"];
    if let Some(name) = fields.keys().find(|name| !known.contains(&name.as_str())) {
        return Err(format!("Unknown field {name} of twilio/card"));
    }
    if !(card["title"].is_string() || card["body"].is_string()) || fields.len() < 2 {
        return Err("A card has a title or a body, and one field more".to_owned());
    }
    if card["media"].as_array().is_some_and(|media| media.len() > 1) {
        return Err("A card has one file".to_owned());
    }
    for action in card["actions"].as_array().into_iter().flatten() {
        let has = |name: &str| action[name].as_str().is_some_and(|text| !text.is_empty());
        let fits = match action["type"].as_str() {
            Some("QUICK_REPLY") => has("id"),
            Some("URL") => has("url"),
            Some("PHONE_NUMBER") => has("phone"),
            _ => false,
        };
        let short = action["title"]
            .as_str()
            .is_some_and(|title| (1..=25).contains(&title.chars().count()));
        if !fits || !short {
            return Err("An action is not as it must be".to_owned());
        }
    }
    match template.to_string().contains("{{") {
        true => Err("A placeholder has no sample in variables".to_owned()),
        false => Ok(()),
    }
}

impl World {
    /// The card of a template.
    pub fn card(&self, sid: &str) -> Option<&Value> {
        self.templates
            .get(sid)
            .map(|template| &template["types"]["twilio/card"])
    }
}
