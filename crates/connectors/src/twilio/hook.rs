//! Twilio's webhooks: who sent them, and when they are answered.

use super::arrivals::{Form, arrival, is_receipt, receipt, status};
use super::codes;
use super::connector::Shared;
use super::conversations::hook as conversations;
use super::signature::{Algorithm, body_matches, verify};
use crate::webhook::{Request, Response};
use std::borrow::Cow;

/// Nothing is texted back.
const TAKEN: Response = Response {
    status: 200,
    content_type: "text/xml; charset=utf-8",
    body: Cow::Borrowed("<?xml version=\"1.0\" encoding=\"UTF-8\"?><Response></Response>"),
};

const LATER: Response = Response::new(503, "not now, come again");

pub async fn receive(shared: &Shared, request: &Request) -> Response {
    if request.method != "POST" {
        return Response::new(405, "POST only: choose it where the webhook is configured");
    }
    let form = match verified(shared, request) {
        Ok(form) => form,
        Err(response) => {
            tracing::warn!(connector = %shared.account.id, status = response.status, "a webhook is refused: {}", response.body);
            return response;
        }
    };
    if conversations::is_of_conversation(&form) {
        return conversations::receive(shared, &form).await;
    }
    let sid = form.get("MessageSid").or_else(|| form.get("SmsSid"));
    let Some(sid) = sid.filter(|sid| !sid.is_empty()) else {
        return Response::new(400, "it names no message: MessageSid is missing");
    };
    let arrivals = match is_receipt(&form) {
        true => receipt(shared, sid, status(&form)).into_iter().collect(),
        false => {
            if shared.kept.look(|memory| memory.has_seen(sid)) {
                return TAKEN;
            }
            match arrival(shared, sid, &form).await {
                Ok(arrivals) => arrivals,
                Err(error) => {
                    tracing::warn!(connector = %shared.account.id, %error, "a message cannot be taken in now");
                    return later(shared, sid);
                }
            }
        }
    };
    match shared.account.deliver(arrivals).await {
        Ok(()) => {
            let (state, _) = status(&form);
            shared.kept.change(|memory| match is_receipt(&form) {
                true => memory.reached(sid, state, codes::is_last(state)),
                false => memory.saw(sid),
            });
            TAKEN
        }
        Err(_) => later(shared, sid),
    }
}

/// Twilio may not come again: it is read a little later.
fn later(shared: &Shared, sid: &str) -> Response {
    shared.kept.change(|memory| memory.missed(sid));
    shared.gap.notify_one();
    LATER
}

/// The parameters, once the signature says that they are Twilio's.
fn verified(shared: &Shared, request: &Request) -> Result<Form, Response> {
    let refuse = |words| Err(Response::new(403, words));
    let Some(signature) = request.header("x-twilio-signature") else {
        return refuse("it is not signed");
    };
    let settings = request.header("x-twilio-webhooks-signature-settings");
    let (algorithm, key) = match Algorithm::of_settings(settings) {
        Some(Algorithm::Sha1) => (Algorithm::Sha1, &shared.config.auth_token),
        Some(Algorithm::Sha256) if !shared.config.shared_key.is_empty() => {
            (Algorithm::Sha256, &shared.config.shared_key)
        }
        Some(Algorithm::Sha256) => {
            return refuse("it is signed with a SharedKey, and no shared_key is configured");
        }
        None => return refuse("it is signed in a way that is not known"),
    };
    let base = shared
        .config
        .public_url
        .split(['?', '#'])
        .next()
        .unwrap_or_default();
    let url = match request.query.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", request.query),
    };
    let mime = request.header("content-type").unwrap_or_default();
    let is_form = mime.is_empty() || mime.starts_with("application/x-www-form-urlencoded");
    let form = match is_form {
        true => Form::read(&request.body),
        false => Form::default(),
    };
    let wrong =
        "its signature is wrong: compare auth_token, and public_url with the address that Twilio calls";
    if !verify(key.expose(), algorithm, &url, form.pairs(), signature) {
        return refuse(wrong);
    }
    if is_form {
        return Ok(form);
    }
    // The signature covers the body by its digest in the address.
    if !body_matches(&request.query, &request.body) {
        return refuse(wrong);
    }
    Form::read_json(&request.body).ok_or_else(|| Response::new(400, "the body is neither a form nor JSON"))
}
