//! Which request is what. What can be answered from the world is answered under its lock; what waits or asks the
//! application service is done here.

use super::Shared;
use super::call::{Call, Outcome, done, refuse};
use super::config::Ping;
use super::rooms::Said;
use super::world::{Requester, World};
use axum::http::Method;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// Answers a request.
pub(super) async fn serve(shared: &Shared, call: &Call) -> Outcome {
    let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
    match (call.method.as_str(), path.as_slice()) {
        ("GET", ["_matrix", "client", "v3" | "r0", "sync"]) => sync(shared, call).await,
        ("POST", ["_matrix", "client", "v1", "appservice", id, "ping"]) => ping(shared, call, id).await,
        ("GET", ["_matrix", "client", "v3" | "r0", "thirdparty", rest @ ..]) => {
            third_party(shared, call, rest).await
        }
        ("GET", ["_matrix", "client", "v3" | "r0", "directory", "room", alias]) => {
            ask_for_alias(shared, alias).await;
            shared.act(|world| world.answer(call))
        }
        ("POST", ["_matrix", "client", "v3" | "r0", "join", alias]) if alias.starts_with('#') => {
            ask_for_alias(shared, alias).await;
            shared.act(|world| world.answer(call))
        }
        _ => shared.act(|world| world.answer(call)),
    }
}

async fn sync(shared: &Shared, call: &Call) -> Outcome {
    let timeout = call
        .query("timeout")
        .and_then(|text| text.parse().ok())
        .unwrap_or(0);
    let until = Instant::now() + Duration::from_millis(timeout);
    let mut changes = shared.changes();
    loop {
        changes.borrow_and_update();
        let (found, quiet) = {
            let world = shared.lock();
            let who = world.who(call)?;
            (world.sync(call, &who)?, world.quiet_sync())
        };
        if let Some(found) = found {
            return done(found);
        }
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() || tokio::time::timeout(left, changes.changed()).await.is_err() {
            return done(quiet);
        }
    }
}

/// `POST /_matrix/client/v1/appservice/{id}/ping` (Client-Server API, "Application service ping").
async fn ping(shared: &Shared, call: &Call, id: &str) -> Outcome {
    let quirk = {
        let world = shared.lock();
        if world.config.quirks.ping == Ping::Unrecognised {
            return refuse(404, "M_UNRECOGNIZED", "Unrecognized request");
        }
        let who = world.who(call)?;
        if !who.is_service || id != world.registration().id {
            return refuse(403, "M_FORBIDDEN", "Mismatching application service ID in path");
        }
        if world.registration().url.is_none() {
            return refuse(
                400,
                "M_URL_NOT_SET",
                "The application service does not have a URL set",
            );
        }
        world.config.quirks.ping
    };
    let body = call.object(true)?;
    if quirk == Ping::BadGateway {
        return refuse(
            502,
            "M_CONNECTION_FAILED",
            "the application service was not reached",
        );
    }
    let begin = Instant::now();
    match shared
        .service
        .ping(body.get("transaction_id").and_then(Value::as_str))
        .await
    {
        Ok((200..=299, _)) => {
            shared.pinged.notify_one();
            done(json!({"duration_ms": begin.elapsed().as_millis() as u64}))
        }
        Ok((status, _)) => refuse(502, "M_BAD_STATUS", format!("HTTP {status}")),
        Err(_) => refuse(
            502,
            "M_CONNECTION_FAILED",
            "the application service was not reached",
        ),
    }
}

async fn third_party(shared: &Shared, call: &Call, rest: &[&str]) -> Outcome {
    let protocols = {
        let world = shared.lock();
        world.who(call)?;
        world.registration().protocols.clone()
    };
    let query: Vec<(String, String)> = call
        .query
        .iter()
        .filter(|(name, _)| !matches!(name.as_str(), "user_id" | "device_id" | "access_token"))
        .cloned()
        .collect();
    let ask = async |kind: &str, protocol: &str| {
        let known = protocols.iter().any(|known| known == protocol);
        if known {
            shared.service.ask(&["thirdparty", kind, protocol], &query).await
        } else {
            None
        }
    };
    match rest {
        ["protocols"] => {
            let mut all = json!({});
            for protocol in &protocols {
                if let Some(found) = ask("protocol", protocol).await.filter(Value::is_object) {
                    all[protocol.as_str()] = found;
                }
            }
            done(all)
        }
        ["protocol", protocol] => match ask("protocol", protocol).await.filter(Value::is_object) {
            Some(found) => done(found),
            None => refuse(404, "M_NOT_FOUND", "Unknown protocol"),
        },
        [kind @ ("user" | "location"), protocol] => {
            let found = ask(kind, protocol).await.unwrap_or_default();
            let needed = if *kind == "user" { "userid" } else { "alias" };
            let whole = |item: &&Value| {
                item[needed].is_string() && item["protocol"].is_string() && item["fields"].is_object()
            };
            done(
                found
                    .as_array()
                    .into_iter()
                    .flatten()
                    .filter(whole)
                    .cloned()
                    .collect(),
            )
        }
        _ => refuse(404, "M_UNRECOGNIZED", "Unrecognized request"),
    }
}

/// Asks the application service for an alias of its namespace that nobody knows; it may make the room.
async fn ask_for_alias(shared: &Shared, alias: &str) {
    let ask = {
        let world = shared.lock();
        !world.aliases.contains_key(alias) && world.registration().owns_alias(alias)
    };
    if ask && world_has_url(shared) {
        let _ = shared.service.ask(&["rooms", alias], &[]).await;
    }
}

fn world_has_url(shared: &Shared) -> bool {
    shared.lock().registration().url.is_some()
}

impl World {
    fn who(&self, call: &Call) -> Result<Requester, super::call::Refusal> {
        self.requester(
            call.token.as_deref(),
            call.query("user_id"),
            call.query("device_id"),
        )
    }

    /// Everything that neither waits nor asks.
    pub(super) fn answer(&mut self, call: &Call) -> Outcome {
        let path: Vec<&str> = call.path.iter().map(String::as_str).collect();
        match path.as_slice() {
            ["_matrix", "client", "versions"] => {
                done(json!({"versions": self.config.quirks.versions, "unstable_features": {}}))
            }
            ["_matrix", "client", "v3" | "r0", rest @ ..] => self.client_api(call, rest),
            ["_matrix", "client", "v1", "media", rest @ ..] => {
                let who = self.who(call)?;
                match rest {
                    ["config"] => done(json!({"m.upload.size": self.config.max_upload})),
                    ["download", server, id] | ["download", server, id, _] => self.download(server, id),
                    _ => self.no_route(call, Some(&who)),
                }
            }
            ["_matrix", "media", rest @ ..] => match (call.method.as_str(), rest) {
                ("POST", ["v3" | "r0", "upload"]) => {
                    let who = self.who(call)?;
                    self.upload(call, &who)
                }
                ("POST", ["v1", "create"]) => {
                    let who = self.who(call)?;
                    self.create_media(&who)
                }
                ("PUT", ["v3" | "r0", "upload", _, id]) => {
                    let who = self.who(call)?;
                    self.fill_media(call, &who, id)
                }
                // Media of today are served to authenticated clients only.
                ("GET", ["v3" | "r0", "download", ..]) => refuse(404, "M_NOT_FOUND", "Not found"),
                _ => self.no_route(call, None),
            },
            _ => self.no_route(call, None),
        }
    }

    fn client_api(&mut self, call: &Call, path: &[&str]) -> Outcome {
        // These can be asked without a token.
        match (call.method.as_str(), path) {
            ("POST", ["register"]) => return self.register(call),
            ("GET", ["profile", rest @ ..]) => return self.profile(call, None, rest),
            ("GET", ["directory", "room", alias]) => return self.directory(call, None, alias),
            _ => {}
        }
        let who = self.who(call)?;
        match (call.method.as_str(), path) {
            ("GET", ["account", "whoami"]) => self.whoami(&who),
            ("GET", ["capabilities"]) => done(self.capabilities()),
            (_, ["devices", rest @ ..]) => self.devices(call, &who, rest),
            (_, ["profile", rest @ ..]) => self.profile(call, Some(&who), rest),
            (_, ["user", rest @ ..]) => self.user_data(call, &who, rest),
            ("POST", ["createRoom"]) => self.create_room(call, &who),
            (_, ["directory", "room", alias]) => self.directory(call, Some(&who), alias),
            ("POST", ["join", room]) => self.join_any(call, &who, room),
            ("GET", ["joined_rooms"]) => done(json!({"joined_rooms": self.joined_rooms(&who.user)})),
            (_, ["rooms", room, rest @ ..]) => self.room_api(call, &who, room, rest),
            _ => self.no_route(call, Some(&who)),
        }
    }

    fn room_api(&mut self, call: &Call, who: &Requester, room: &str, rest: &[&str]) -> Outcome {
        if who.is_service {
            self.watch("a path", &rest.join("/"));
        }
        match (call.method.as_str(), rest) {
            ("PUT", ["send", kind, _]) => self.send(call, who, room, Said::Message(kind)),
            ("PUT", ["redact", event, _]) => self.send(call, who, room, Said::Redaction(event)),
            (_, ["state", rest @ ..]) => {
                // A trailing slash is the empty state key.
                let rest = rest.strip_suffix(&[""]).unwrap_or(rest);
                self.room_state(call, who, room, rest)
            }
            ("POST", [verb @ ("invite" | "join" | "leave" | "kick" | "ban" | "unban" | "forget")]) => {
                self.change_member(call, who, room, verb)
            }
            ("GET", ["messages"]) => self.messages(call, who, room),
            ("GET", ["event", id]) => self.event(who, room, id),
            ("GET", ["members"]) => self.members(who, room, false),
            ("GET", ["joined_members"]) => self.members(who, room, true),
            ("POST", ["receipt", rest @ ..]) => self.receipt(call, who, room, rest),
            ("POST", ["read_markers"]) => self.receipt(call, who, room, &[]),
            ("PUT", ["typing", user]) => self.typing(call, who, room, user),
            _ => self.no_route(call, Some(who)),
        }
    }

    fn capabilities(&self) -> Value {
        json!({"capabilities": {
            "m.room_versions": {"default": self.config.quirks.room_version, "available": {"11": "stable", "12": "stable"}},
            "m.change_password": {"enabled": false},
            "m.set_displayname": {"enabled": true},
            "m.set_avatar_url": {"enabled": true},
        }})
    }

    fn no_route(&self, call: &Call, _who: Option<&Requester>) -> Outcome {
        let wrong_method = !matches!(
            call.method,
            Method::GET | Method::POST | Method::PUT | Method::DELETE
        );
        refuse(
            if wrong_method { 405 } else { 404 },
            "M_UNRECOGNIZED",
            "Unrecognized request",
        )
    }
}
