//! What a message becomes: one or more of Google's agent messages (REST reference, `AgentContentMessage`).

use super::reachable::Has;
use crate::provider::http::rejected;
use crate::rcs::buttons::{Chip, chips};
use crate::rcs::content::{self, ON_CARD, Piece, below, pieces, within};
use serde_json::{Value, json};
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::{Button, Deed, Media, Message, RichCard};

/// The most characters in a text.
pub const LONGEST_TEXT: usize = 3072;

/// One agent message, but for its files.
#[derive(Clone, Debug)]
pub struct Draft {
    pub id: String,
    /// `contentMessage`.
    pub content: Value,
    /// What must be told of a file, by the JSON pointer of the object that it is told in.
    pub files: Vec<(String, Media)>,
}

/// Makes the agent messages of a message, in order. `name` gives the id of each by its place.
///
/// # Errors
/// [`SendError::Rejected`]: it cannot be carried; nothing of it is sent.
pub fn drafts(message: &Message, has: &Has, name: impl Fn(usize) -> String) -> Result<Vec<Draft>, SendError> {
    let mut drafts: Vec<Draft> = Vec::new();
    for piece in pieces(message)? {
        let id = name(drafts.len());
        match piece {
            Piece::Text(text) => drafts.push(plain(text, id)?),
            Piece::File(media) => drafts.push(file(media, id)),
            Piece::Place(point, words) => drafts.push(plain(&place(point, words), id)?),
            Piece::Cards(cards) => match cards.as_slice() {
                // Words with buttons need no card.
                [card] if card.media.is_none() && card.title.is_none() => drafts.push(with_chips(card, id)?),
                [card] if has.feature("RICHCARD_STANDALONE") => drafts.push(standalone(card, id)?),
                many if many.len() > 1 && has.feature("RICHCARD_CAROUSEL") => {
                    drafts.push(carousel(many, id)?);
                }
                cards => drafts.extend(without_card(cards, drafts.len(), &name)?),
            },
        }
    }
    Ok(drafts)
}

fn plain(text: &str, id: String) -> Result<Draft, SendError> {
    within(text, LONGEST_TEXT, "the text")?;
    Ok(Draft {
        id,
        content: json!({ "text": text }),
        files: Vec::new(),
    })
}

fn file(media: &Media, id: String) -> Draft {
    Draft {
        id,
        content: json!({}),
        files: vec![(String::new(), media.clone())],
    }
}

fn with_chips(card: &RichCard, id: String) -> Result<Draft, SendError> {
    let text = [&card.title, &card.text]
        .into_iter()
        .flatten()
        .cloned()
        .collect::<Vec<_>>()
        .join("\n");
    if text.trim().is_empty() {
        return Err(rejected(Reason::BadContent, "there is nothing above the buttons"));
    }
    let buttons = chips(&card.buttons, &id)?;
    let mut draft = plain(&text, id)?;
    put_below(&mut draft.content, &buttons)?;
    Ok(draft)
}

/// For phones that show no cards: the picture, and then the words with the buttons below.
fn without_card(
    cards: &[&RichCard],
    from: usize,
    name: &impl Fn(usize) -> String,
) -> Result<Vec<Draft>, SendError> {
    let mut drafts = Vec::new();
    for card in cards {
        if let Some(media) = &card.media {
            drafts.push(file(media, name(from + drafts.len())));
        }
        if card.title.is_some() || card.text.is_some() || !card.buttons.is_empty() {
            drafts.push(with_chips(card, name(from + drafts.len()))?);
        }
    }
    Ok(drafts)
}

fn standalone(card: &RichCard, id: String) -> Result<Draft, SendError> {
    let chips = chips(&card.buttons, &id)?;
    let (on, rest) = chips.split_at(chips.len().min(ON_CARD));
    let mut content = json!({ "richCard": { "standaloneCard": {
        "cardOrientation": "VERTICAL",
        "cardContent": face(card, on)?,
    } } });
    put_below(&mut content, rest)?;
    let media = |media: &Media| {
        (
            "/richCard/standaloneCard/cardContent/media".to_owned(),
            media.clone(),
        )
    };
    Ok(Draft {
        id,
        content,
        files: card.media.iter().map(media).collect(),
    })
}

fn carousel(cards: &[&RichCard], id: String) -> Result<Draft, SendError> {
    let all: Vec<&Button> = cards.iter().flat_map(|card| &card.buttons).collect();
    let mut numbered: Vec<Chip<'_>> = numbered(&all, &id)?;
    let (mut contents, mut rest, mut files) = (Vec::new(), Vec::new(), Vec::new());
    for (index, card) in cards.iter().enumerate() {
        let mut own: Vec<Chip<'_>> = numbered.drain(..card.buttons.len()).collect();
        rest.extend(own.split_off(own.len().min(ON_CARD)));
        contents.push(face(card, &own)?);
        if let Some(media) = &card.media {
            files.push((
                format!("/richCard/carouselCard/cardContents/{index}/media"),
                media.clone(),
            ));
        }
    }
    let mut content = json!({ "richCard": { "carouselCard": {
        "cardWidth": "MEDIUM",
        "cardContents": contents,
    } } });
    put_below(&mut content, &rest)?;
    Ok(Draft { id, content, files })
}

/// The buttons of all cards, numbered through. The same label may stand on several cards, so each is looked at by itself.
fn numbered<'a>(buttons: &[&'a Button], id: &str) -> Result<Vec<Chip<'a>>, SendError> {
    let mut all = Vec::new();
    for (index, button) in buttons.iter().enumerate() {
        for mut chip in chips([*button], id)? {
            chip.postback = format!("{}:{index}", chip.postback.trim_end_matches(":0"));
            all.push(chip);
        }
    }
    Ok(all)
}

/// `CardContent`, but for its file.
fn face(card: &RichCard, on: &[Chip<'_>]) -> Result<Value, SendError> {
    content::face(card, "MEDIUM", on.iter().map(suggestion).collect())
}

fn put_below(content: &mut Value, chips: &[Chip<'_>]) -> Result<(), SendError> {
    below(chips)?;
    if !chips.is_empty() {
        content["suggestions"] = chips.iter().map(suggestion).collect();
    }
    Ok(())
}

/// `Suggestion`.
fn suggestion(chip: &Chip<'_>) -> Value {
    let mut inner = json!({ "text": chip.label, "postbackData": chip.postback });
    match chip.deed {
        Deed::Reply => return json!({ "reply": inner }),
        Deed::Open(address) => inner["openUrlAction"] = json!({ "url": address }),
        Deed::Dial(number) => inner["dialAction"] = json!({ "phoneNumber": number }),
    }
    json!({ "action": inner })
}

/// A place as words that a phone makes a link of.
fn place(point: &str, words: &str) -> String {
    format!("{words}\nhttps://maps.google.com/maps?q={point}")
        .trim_start()
        .to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_domain::message::{Body, Disposition, Part};

    fn message(bodies: Vec<Body>) -> Message {
        let part = |body| Part {
            disposition: Disposition::Render,
            body,
        };
        Message {
            parts: bodies.into_iter().map(part).collect(),
            ..Message::default()
        }
    }

    fn card(title: Option<&str>, buttons: usize) -> RichCard {
        let button = |n| Button {
            label: format!("Choice {n}"),
            deed: Deed::Reply,
        };
        RichCard {
            title: title.map(str::to_owned),
            text: Some("Which one?".into()),
            media: None,
            buttons: (0..buttons).map(button).collect(),
        }
    }

    fn made(message: &Message, has: &Has) -> Result<Vec<Draft>, SendError> {
        drafts(message, has, |place| format!("m{place}"))
    }

    const ANY: Has = Has::Rcs(None);

    #[test]
    fn buttons_stand_on_the_card_and_the_rest_below_it() {
        let drafts = made(&message(vec![Body::RichCard(card(Some("Table"), 6))]), &ANY).unwrap();
        let content = &drafts[0].content;
        let on = content
            .pointer("/richCard/standaloneCard/cardContent/suggestions")
            .unwrap();
        assert_eq!(
            (
                on.as_array().unwrap().len(),
                content["suggestions"].as_array().unwrap().len()
            ),
            (4, 2)
        );
        assert_eq!(
            content["suggestions"][1]["reply"]["postbackData"],
            "swingbridge:m0:5"
        );
        let too_many = made(&message(vec![Body::RichCard(card(Some("Table"), 16))]), &ANY);
        assert!(matches!(
            too_many,
            Err(SendError::Rejected {
                reason: Reason::BadContent,
                ..
            })
        ));
    }

    #[test]
    fn words_with_buttons_are_a_text_and_several_cards_a_carousel() {
        let drafts = made(&message(vec![Body::RichCard(card(None, 11))]), &ANY).unwrap();
        assert_eq!(drafts[0].content["text"], "Which one?");
        assert_eq!(drafts[0].content["suggestions"].as_array().unwrap().len(), 11);
        let two = message(vec![
            Body::RichCard(card(Some("A"), 2)),
            Body::RichCard(card(Some("B"), 2)),
        ]);
        let drafts = made(&two, &ANY).unwrap();
        let last = "/richCard/carouselCard/cardContents/1/suggestions/1/reply/postbackData";
        assert_eq!(drafts[0].content.pointer(last).unwrap(), "swingbridge:m0:3");
        let none = Has::Rcs(Some(vec!["ACTION_DIAL".into()]));
        let drafts = made(&two, &none).unwrap();
        assert_eq!(drafts.len(), 2);
        assert_eq!(drafts[1].content["text"], "B\nWhich one?");
        assert_eq!(drafts[1].id, "m1");
    }

    #[test]
    fn a_text_of_the_greatest_length_goes_and_one_more_character_is_refused() {
        assert!(made(&Message::text("é".repeat(LONGEST_TEXT)), &ANY).is_ok());
        let long = made(&Message::text("é".repeat(LONGEST_TEXT + 1)), &ANY);
        assert!(
            matches!(&long, Err(SendError::Rejected { detail, .. }) if detail.contains("3072")),
            "{long:?}"
        );
        assert!(made(&Message::default(), &ANY).is_err());
    }

    #[test]
    fn a_place_is_words_with_a_link() {
        let body = Body::Location {
            geo_uri: "geo:51.5,-0.12;u=10".into(),
            description: "Here".into(),
        };
        let drafts = made(&message(vec![body]), &ANY).unwrap();
        assert_eq!(
            drafts[0].content["text"],
            "Here\nhttps://maps.google.com/maps?q=51.5,-0.12"
        );
    }
}
