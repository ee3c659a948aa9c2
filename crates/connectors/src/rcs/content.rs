//! What a message says, as RCS services take it, and the bounds that they share (Universal Profile).

use super::buttons::Chip;
use crate::provider::http::rejected;
use serde_json::{Value, json};
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::{Body, Disposition, Media, Message, RichCard};

const LONGEST_TITLE: usize = 200;
const LONGEST_DESCRIPTION: usize = 2000;
/// The most buttons below a message, and on a card.
const BELOW: usize = 11;
pub const ON_CARD: usize = 4;
const MOST_CARDS: usize = 10;

/// One thing that is said.
pub enum Piece<'a> {
    Text(&'a str),
    File(&'a Media),
    /// `latitude,longitude`, and words.
    Place(&'a str, &'a str),
    /// Cards side by side; at least one.
    Cards(Vec<&'a RichCard>),
}

/// Takes a message apart, in order; there is at least one piece.
///
/// # Errors
/// [`SendError::Rejected`]: it cannot be carried.
pub fn pieces(message: &Message) -> Result<Vec<Piece<'_>>, SendError> {
    let mut pieces = Vec::new();
    for part in &message.parts {
        if part.disposition == Disposition::Reaction {
            return bad("this way has no reactions");
        }
        match &part.body {
            Body::RichCard(card) => match pieces.last_mut() {
                Some(Piece::Cards(cards)) => cards.push(card),
                _ => pieces.push(Piece::Cards(vec![card])),
            },
            Body::Text(text) => pieces.push(Piece::Text(&text.plain)),
            Body::Media(media) => {
                pieces.push(Piece::File(media));
                pieces.extend(media.caption.as_deref().map(Piece::Text));
            }
            Body::Location { geo_uri, description } => {
                let point = geo_uri.strip_prefix("geo:").unwrap_or(geo_uri);
                let point = point.split([';', '?']).next().unwrap_or_default();
                pieces.push(Piece::Place(point, description.trim()));
            }
            Body::Null | Body::Poll { .. } | Body::Other { .. } => {
                return bad("texts, files, places and cards are sent by RCS, and nothing else");
            }
        }
    }
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if text.trim().is_empty()));
    let too_many = |piece: &Piece<'_>| matches!(piece, Piece::Cards(cards) if cards.len() > MOST_CARDS);
    if pieces.iter().any(too_many) {
        return bad(&format!(
            "at most {MOST_CARDS} cards are looked through side by side"
        ));
    }
    match pieces.is_empty() {
        true => bad("there is nothing in it"),
        false => Ok(pieces),
    }
}

/// A card's face, in the names that both services have for it. `height`: the service's word for a picture of middle height.
///
/// # Errors
/// [`SendError::Rejected`]: too long, or empty.
pub fn face(card: &RichCard, height: &str, on: Vec<Value>) -> Result<Value, SendError> {
    let mut face = json!({});
    for (name, text, most) in [
        ("title", &card.title, LONGEST_TITLE),
        ("description", &card.text, LONGEST_DESCRIPTION),
    ] {
        let Some(text) = text else { continue };
        within(text, most, &format!("the {name} of a card"))?;
        face[name] = text.as_str().into();
    }
    if card.media.is_some() {
        face["media"] = json!({ "height": height });
    }
    if face.as_object().is_none_or(serde_json::Map::is_empty) {
        return bad("there is nothing on a card");
    }
    if !on.is_empty() {
        face["suggestions"] = on.into();
    }
    Ok(face)
}

/// Whether so many buttons fit below a message.
///
/// # Errors
/// [`SendError::Rejected`]: they do not.
pub fn below(chips: &[Chip<'_>]) -> Result<(), SendError> {
    match chips.len() <= BELOW {
        true => Ok(()),
        false => bad(&format!(
            "there are too many buttons: {ON_CARD} stand on a card and {BELOW} below a message"
        )),
    }
}

/// Whether a text is short enough; `what` it is.
///
/// # Errors
/// [`SendError::Rejected`]: it is not.
pub fn within(text: &str, most: usize, what: &str) -> Result<(), SendError> {
    match text.chars().count() <= most {
        true => Ok(()),
        false => bad(&format!(
            "{what} has more than {most} characters, which is the most that is carried"
        )),
    }
}

fn bad<T>(detail: &str) -> Result<T, SendError> {
    Err(rejected(Reason::BadContent, detail))
}
