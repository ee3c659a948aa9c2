//! What a message becomes: one or more of FNW.11's messages.

use crate::provider::http::rejected;
use crate::rcs::buttons::{Chip, chips};
use crate::rcs::content::{ON_CARD, Piece, below, face, pieces};
use serde_json::{Value, json};
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::{Deed, Media, MediaKind, Message, RichCard};

/// One `RCSMessage`, but for its files.
pub struct Draft {
    pub message: Value,
    /// Files, by the JSON pointer of the object that tells of each.
    pub files: Vec<(String, Media)>,
    pub has_buttons: bool,
}

/// Makes the messages of a message, in order. `name` is ours for it; taps bring it back.
///
/// # Errors
/// [`SendError::Rejected`]: it cannot be carried; nothing of it is sent.
pub fn drafts(message: &Message, name: &str) -> Result<Vec<Draft>, SendError> {
    let draft = |piece| match piece {
        Piece::Text(text) => Ok(plain(json!({ "textMessage": text }))),
        Piece::File(media) => Ok(file(media)),
        Piece::Place(point, words) => {
            let mut place = json!({ "pos": point });
            if !words.is_empty() {
                place["label"] = words.into();
            }
            Ok(plain(json!({ "geolocationPushMessage": place })))
        }
        Piece::Cards(cards) => carded(&cards, name),
    };
    pieces(message)?.into_iter().map(draft).collect()
}

fn plain(message: Value) -> Draft {
    Draft {
        message,
        files: Vec::new(),
        has_buttons: false,
    }
}

fn file(media: &Media) -> Draft {
    let (kind, mut about) = match media.kind {
        MediaKind::Audio | MediaKind::Voice => ("audioMessage", json!({})),
        _ => ("fileMessage", json!({})),
    };
    if let Some(length) = media.duration.filter(|_| kind == "audioMessage") {
        about["playingLength"] = length.div_ceil(1000).into();
    }
    Draft {
        message: json!({ kind: about }),
        files: vec![(format!("/{kind}"), media.clone())],
        has_buttons: false,
    }
}

fn carded(cards: &[&RichCard], name: &str) -> Result<Draft, SendError> {
    let (mut contents, mut files, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    let carousel = cards.len() > 1;
    for (index, card) in cards.iter().enumerate() {
        // Words with buttons need no card.
        let worded = !carousel && card.media.is_none() && card.title.is_none();
        let mut own = chips(&card.buttons, &format!("{name}/{index}"))?;
        rest.extend(own.split_off(if worded { 0 } else { own.len().min(ON_CARD) }));
        if worded {
            let Some(text) = card.text.as_deref().filter(|text| !text.trim().is_empty()) else {
                return Err(rejected(Reason::BadContent, "there is nothing above the buttons"));
            };
            let mut draft = plain(json!({ "textMessage": text }));
            put_below(&mut draft, &rest)?;
            return Ok(draft);
        }
        contents.push(face(card, "MEDIUM_HEIGHT", own.iter().map(suggestion).collect())?);
        if let Some(media) = &card.media {
            let pointer = match carousel {
                true => format!("/richcardMessage/message/generalPurposeCardCarousel/content/{index}/media"),
                false => "/richcardMessage/message/generalPurposeCard/content/media".to_owned(),
            };
            files.push((pointer, media.clone()));
        }
    }
    let card = match carousel {
        true => json!({ "generalPurposeCardCarousel": {
            "layout": { "cardWidth": "MEDIUM_WIDTH" }, "content": contents } }),
        false => json!({ "generalPurposeCard": {
            "layout": { "cardOrientation": "VERTICAL" }, "content": contents.remove(0) } }),
    };
    let mut draft = Draft {
        message: json!({ "richcardMessage": { "message": card } }),
        files,
        has_buttons: cards.iter().any(|card| !card.buttons.is_empty()),
    };
    put_below(&mut draft, &rest)?;
    Ok(draft)
}

fn put_below(draft: &mut Draft, chips: &[Chip<'_>]) -> Result<(), SendError> {
    below(chips)?;
    if !chips.is_empty() {
        let suggestions: Vec<Value> = chips.iter().map(suggestion).collect();
        draft.message["suggestedChipList"] = json!({ "suggestions": suggestions });
        draft.has_buttons = true;
    }
    Ok(())
}

fn suggestion(chip: &Chip<'_>) -> Value {
    let mut inner = json!({ "displayText": chip.label, "postback": { "data": chip.postback } });
    match chip.deed {
        Deed::Reply => return json!({ "reply": inner }),
        Deed::Open(address) => inner["urlAction"] = json!({ "openUrl": { "url": address } }),
        Deed::Dial(number) => inner["dialerAction"] = json!({ "dialPhoneNumber": { "phoneNumber": number } }),
    }
    json!({ "action": inner })
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_domain::message::{Body, Button, Disposition, Part};

    fn card(title: Option<&str>, buttons: usize) -> RichCard {
        let button = |n| Button {
            label: format!("Choice {n}"),
            deed: Deed::Reply,
        };
        RichCard {
            title: title.map(str::to_owned),
            text: Some("Which?".into()),
            media: None,
            buttons: (0..buttons).map(button).collect(),
        }
    }

    fn of(cards: Vec<RichCard>) -> Message {
        let part = |card| Part {
            disposition: Disposition::Render,
            body: Body::RichCard(card),
        };
        Message {
            parts: cards.into_iter().map(part).collect(),
            ..Message::default()
        }
    }

    #[test]
    fn cards_and_their_buttons_take_the_forms_of_the_api() {
        let one = &drafts(&of(vec![card(Some("A"), 5)]), "m").unwrap()[0];
        let content = one
            .message
            .pointer("/richcardMessage/message/generalPurposeCard/content")
            .unwrap();
        assert_eq!(content["suggestions"].as_array().unwrap().len(), 4);
        let below = one
            .message
            .pointer("/suggestedChipList/suggestions/0/reply/postback/data")
            .unwrap();
        assert_eq!(below, "swingbridge:m/0:4");
        let two = &drafts(&of(vec![card(Some("A"), 1), card(Some("B"), 1)]), "m").unwrap()[0];
        assert!(
            two.message
                .pointer("/richcardMessage/message/generalPurposeCardCarousel/content/1/title")
                .is_some()
        );
        let worded = &drafts(&of(vec![card(None, 2)]), "m").unwrap()[0];
        assert_eq!(worded.message["textMessage"], "Which?");
        assert!(worded.has_buttons);
        assert!(drafts(&of(vec![card(None, 12)]), "m").is_err());
    }
}
