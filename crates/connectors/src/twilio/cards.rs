//! Cards and buttons by RCS: each distinct card is a content template at Twilio (Content API, v1), made when it is needed, used again
//! for the same card, and removed a week after its last use.

use super::ask::{Refusal, ask, sid};
use super::connector::Shared;
use super::send::{envelope, hand_over, plain};
use super::templates::KEPT;
use crate::provider::content::number;
use crate::provider::http::{ANSWER, call, rejected};
use crate::rcs::buttons::{self, chips};
use hmac::{Hmac, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Accepted, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::{Body, Deed, Message, Part, RichCard};

/// Of the title and the text of a card, in characters.
const LONGEST_TITLE: usize = 200;
const LONGEST_TEXT: usize = 1600;
/// Buttons on a card with a title or a picture, and below a text.
const ON_CARD: usize = 4;
const BELOW: usize = 10;
/// Twilio: there is no such template.
const NO_TEMPLATE: u32 = 21655;

/// What is one message at Twilio.
enum Piece<'a> {
    Plain(Message),
    Card(&'a RichCard),
}

pub fn has_card(message: &Message) -> bool {
    message
        .parts
        .iter()
        .any(|part| matches!(part.body, Body::RichCard(_)))
}

/// Hands over a message with cards: each card, and what stands between them, is one message at Twilio.
pub async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    let now = shared.account.clock.now();
    let to = number(&outbound.to)?;
    let envelope = envelope(shared, outbound, now)?;
    // All that can be refused is refused before anything leaves.
    let mut ready = Vec::new();
    for piece in pieces(&outbound.message) {
        ready.push(match piece {
            Piece::Plain(message) => (plain(shared, &message)?, None),
            Piece::Card(card) => (Vec::new(), Some(template(shared, card)?)),
        });
    }
    let mut all = Accepted::default();
    for (content, template) in ready {
        let sent = match &template {
            None => hand_over(shared, [envelope.clone(), content].concat(), now).await,
            Some((key, types)) => by_template(shared, &envelope, key, types, to, now).await,
        };
        let begun = !all.network_ids.is_empty();
        match sent {
            Ok(accepted) => {
                all.network_ids.extend(accepted.network_ids);
                all.segments += accepted.segments.max(1);
            }
            // A part of it has left: that the rest did not is not all that is to be said.
            Err(SendError::RetryAfter { detail, .. }) if begun => return Err(SendError::Unknown { detail }),
            Err(SendError::Rejected { detail, .. }) if begun => {
                return Err(rejected(Reason::InPart, detail));
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

fn pieces(message: &Message) -> Vec<Piece<'_>> {
    let mut pieces = Vec::new();
    let mut between: Vec<Part> = Vec::new();
    let flush = |between: &mut Vec<Part>, pieces: &mut Vec<Piece<'_>>| {
        if !between.is_empty() {
            pieces.push(Piece::Plain(Message {
                parts: std::mem::take(between),
                ..Message::default()
            }));
        }
    };
    for part in &message.parts {
        match &part.body {
            Body::RichCard(card) if is_card(card) => {
                flush(&mut between, &mut pieces);
                pieces.push(Piece::Card(card));
            }
            _ => between.push(part.clone()),
        }
    }
    flush(&mut between, &mut pieces);
    pieces
}

/// Words alone are a text: a template wants something besides.
fn is_card(card: &RichCard) -> bool {
    let words = usize::from(card.title.is_some()) + usize::from(card.text.is_some());
    !card.buttons.is_empty() || card.media.is_some() || words > 1
}

async fn by_template(
    shared: &Shared,
    envelope: &[(&'static str, String)],
    key: &str,
    types: &Value,
    to: &str,
    now: Timestamp,
) -> Result<Accepted, SendError> {
    let mut anew = false;
    loop {
        let (template, known) = match shared.templates.sid(key).filter(|_| !anew) {
            Some(sid) => (sid, true),
            None => (
                create(shared, key, types)
                    .await
                    .map_err(|no| no.before_sending(shared))?,
                false,
            ),
        };
        // Before it is used: what is not remembered is not removed.
        if let Err(error) = shared.templates.uses(key, &template, now) {
            tracing::warn!(connector = %shared.account.id, %error, "a content template may stay at Twilio");
        }
        let mut form = envelope.to_vec();
        form.push(("ContentSid", template));
        match hand_over(shared, form, now).await {
            // Somebody removed it.
            Err(SendError::Rejected { detail, .. })
                if known && detail.contains(&format!("({NO_TEMPLATE})")) =>
            {
                shared.templates.forget(key);
                anew = true;
            }
            Ok(accepted) => {
                if let Some(id) = accepted.network_ids.first()
                    && let Err(error) = shared
                        .templates
                        .sent(key, &digest(shared, &["to", to]), id.as_str())
                {
                    tracing::warn!(connector = %shared.account.id, %error, "a button that is pressed after a restart may not name its card");
                }
                return Ok(accepted);
            }
            Err(error) => return Err(error),
        }
    }
}

async fn create(shared: &Shared, key: &str, types: &Value) -> Result<String, Refusal> {
    let body = json!({ "friendly_name": format!("swingbridge-{key}"), "language": "en", "variables": {}, "types": types });
    let request = shared
        .account
        .http
        .post(&url(shared, ""))
        .header("content-type", "application/json")
        .body(body.to_string());
    sid(&ask(shared, request).await?)
}

/// Removes templates that nobody used for long. What does not succeed is tried again.
pub async fn sweep(shared: &Shared, now: Timestamp) {
    for (key, sid) in shared.templates.old(now) {
        let request = shared
            .account
            .http
            .request(reqwest::Method::DELETE, &url(shared, &format!("/{sid}")));
        match call(shared.authorised(request), ANSWER).await {
            Ok(answer) if answer.is_success() || answer.status == 404 => shared.templates.forget(&key),
            _ => {
                let days = KEPT.as_secs() / 86_400;
                tracing::debug!(connector = %shared.account.id, "a content template that was not used for {days} days cannot be removed now");
                return;
            }
        }
    }
}

fn url(shared: &Shared, path: &str) -> String {
    format!(
        "{}/v1/Content{path}",
        shared.config.content_url.trim_end_matches('/')
    )
}

/// The key of a card and its content types.
fn template(shared: &Shared, card: &RichCard) -> Result<(String, Value), SendError> {
    let bad = |detail: &str| Err(rejected(Reason::BadContent, detail));
    if card.title.is_none() && card.text.is_none() {
        return bad("there are no words on the card");
    }
    let long = |text: &Option<String>, most| text.as_ref().is_some_and(|text| text.chars().count() > most);
    if long(&card.title, LONGEST_TITLE) {
        return bad("the title of a card has more than 200 characters");
    }
    if long(&card.text, LONGEST_TEXT) {
        return bad("the text of a card has more than 1,600 characters");
    }
    let most = match card.title.is_some() || card.media.is_some() {
        true => ON_CARD,
        false => BELOW,
    };
    if card.buttons.len() > most {
        return bad("there are too many buttons: four stand on a card, and ten below a text");
    }
    let mut face = json!({});
    if let Some(title) = &card.title {
        face["title"] = literal(title).into();
    }
    if let Some(text) = &card.text {
        face["body"] = literal(text).into();
    }
    if let Some(media) = &card.media {
        let plain = shared.config.url.starts_with("http:") && media.uri.starts_with("http://");
        if !media.uri.starts_with("https://") && !plain {
            return bad("a file needs an https link that the provider can fetch, and there is none");
        }
        face["media"] = json!([media.uri]);
    }
    let said = json!({ "card": face, "buttons": card.buttons }).to_string();
    let key = digest(shared, &["card", &said]);
    let actions: Vec<Value> = chips(&card.buttons, &key)?
        .into_iter()
        .map(|chip| match chip.deed {
            Deed::Reply => json!({ "type": "QUICK_REPLY", "title": chip.label, "id": chip.postback }),
            Deed::Open(address) => json!({ "type": "URL", "title": chip.label, "url": literal(address) }),
            Deed::Dial(number) => json!({ "type": "PHONE_NUMBER", "title": chip.label, "phone": number }),
        })
        .collect();
    if !actions.is_empty() {
        face["actions"] = actions.into();
    }
    Ok((key, json!({ "twilio/card": face })))
}

/// Two braces would begin a placeholder. A word joiner between them is not seen.
fn literal(text: &str) -> String {
    let mut text = text.to_owned();
    while text.contains("{{") {
        text = text.replace("{{", "{\u{2060}{");
    }
    text
}

/// The message of ours that a pressed button is on: the last one to this number with the button's card.
pub fn answered(shared: &Shared, from: &str, payload: &str) -> Option<String> {
    let key = buttons::answered(payload)?;
    let from = from.strip_prefix("rcs:").unwrap_or(from);
    shared
        .templates
        .message(key.as_str(), &digest(shared, &["to", from]))
}

/// It stands on the disk and at Twilio: without the auth token nothing is to be read from it.
fn digest(shared: &Shared, parts: &[&str]) -> String {
    let key = shared.config.auth_token.expose().as_bytes();
    let mut mac = <Hmac<Sha256> as Mac>::new_from_slice(key).expect("HMAC takes a key of any length");
    for part in parts {
        mac.update(part.as_bytes());
        mac.update(b"\0");
    }
    data_encoding::HEXLOWER.encode(&mac.finalize().into_bytes()[..12])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_in_braces_are_no_placeholders() {
        for text in ["{{1}}", "{{{x}}}", "{{{{"] {
            let made = literal(text);
            assert!(!made.contains("{{"), "{made}");
            assert_eq!(made.replace('\u{2060}', ""), text);
        }
        assert_eq!(literal("{1} {"), "{1} {");
    }
}
