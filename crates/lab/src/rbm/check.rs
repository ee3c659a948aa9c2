//! Whether an agent message is as the REST reference wants it.

use serde_json::Value;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

/// What is wrong, and where.
#[derive(Debug, PartialEq, Eq)]
pub struct Wrong {
    pub field: String,
    pub message: &'static str,
}

type Checked = Result<(), Wrong>;

const CONTENT: &str = "agent_message.content_message";
const TRAFFIC: [&str; 5] = [
    "AUTHENTICATION",
    "TRANSACTION",
    "PROMOTION",
    "SERVICEREQUEST",
    "ACKNOWLEDGEMENT",
];
const LONGEST_TTL: u64 = 15 * 24 * 60 * 60;

fn wrong<T>(field: &str, message: &'static str) -> Result<T, Wrong> {
    Err(Wrong {
        field: field.to_owned(),
        message,
    })
}

/// Gives back when its time is over. `uploaded`: whether there is a file of this name.
pub fn message(
    message: &Value,
    features: &[String],
    now: Timestamp,
    uploaded: impl Fn(&str) -> bool,
) -> Result<Option<Timestamp>, Wrong> {
    let known = ["contentMessage", "messageTrafficType", "ttl", "expireTime"];
    only(message, &known, "agent_message")?;
    let Some(content) = message.get("contentMessage") else {
        return wrong(CONTENT, "is required");
    };
    content_message(content, features, &uploaded)?;
    if let Some(kind) = message.get("messageTrafficType")
        && !kind.as_str().is_some_and(|kind| TRAFFIC.contains(&kind))
    {
        return wrong("agent_message.message_traffic_type", "is no such type");
    }
    match (message.get("ttl"), message.get("expireTime")) {
        (None, None) => Ok(None),
        (Some(ttl), None) => {
            let seconds = ttl
                .as_str()
                .and_then(|ttl| ttl.strip_suffix('s')?.parse::<f64>().ok());
            match seconds {
                Some(seconds) if seconds > 0.0 && seconds <= LONGEST_TTL as f64 => {
                    Ok(Some(now + Duration::from_secs_f64(seconds)))
                }
                _ => wrong(
                    "agent_message.ttl",
                    "must be more than 0 seconds and at most 15 days",
                ),
            }
        }
        _ => wrong("agent_message.expiration", "only a ttl is understood here"),
    }
}

fn content_message(content: &Value, features: &[String], uploaded: &impl Fn(&str) -> bool) -> Checked {
    let kinds = ["text", "fileName", "uploadedRbmFile", "richCard", "contentInfo"];
    let mut known = kinds.to_vec();
    known.push("suggestions");
    only(content, &known, CONTENT)?;
    if kinds.iter().filter(|kind| content.get(**kind).is_some()).count() != 1 {
        return wrong(CONTENT, "must have exactly one content");
    }
    if let Some(text) = content.get("text") {
        within(text, 3072, &format!("{CONTENT}.text"))?;
    }
    if let Some(name) = content.get("fileName")
        && !name.as_str().is_some_and(uploaded)
    {
        return wrong(&format!("{CONTENT}.file_name"), "there is no such file");
    }
    if let Some(info) = content.get("contentInfo") {
        content_info(info, &format!("{CONTENT}.content_info"))?;
    }
    if let Some(card) = content.get("richCard") {
        rich_card(card, features, uploaded)?;
    }
    suggestions(content, 11, CONTENT)
}

fn rich_card(card: &Value, features: &[String], uploaded: &impl Fn(&str) -> bool) -> Checked {
    let place = format!("{CONTENT}.rich_card");
    only(card, &["standaloneCard", "carouselCard"], &place)?;
    let shows = |feature: &str| features.iter().any(|known| known == feature);
    match (card.get("standaloneCard"), card.get("carouselCard")) {
        (Some(one), None) => {
            only(
                one,
                &["cardOrientation", "thumbnailImageAlignment", "cardContent"],
                &place,
            )?;
            if !matches!(one["cardOrientation"].as_str(), Some("VERTICAL" | "HORIZONTAL")) {
                return wrong(
                    &format!("{place}.standalone_card.card_orientation"),
                    "is required",
                );
            }
            if !shows("RICHCARD_STANDALONE") {
                return wrong(&place, "the user's device does not support it");
            }
            card_content(&one["cardContent"], &format!("{place}.standalone_card"), uploaded)
        }
        (None, Some(several)) => {
            only(several, &["cardWidth", "cardContents"], &place)?;
            if !matches!(several["cardWidth"].as_str(), Some("SMALL" | "MEDIUM")) {
                return wrong(&format!("{place}.carousel_card.card_width"), "is required");
            }
            if !shows("RICHCARD_CAROUSEL") {
                return wrong(&place, "the user's device does not support it");
            }
            let cards = several["cardContents"]
                .as_array()
                .map(Vec::as_slice)
                .unwrap_or_default();
            if !(2..=10).contains(&cards.len()) {
                return wrong(&format!("{place}.carousel_card"), "must have from 2 to 10 cards");
            }
            cards
                .iter()
                .try_for_each(|card| card_content(card, &format!("{place}.carousel_card"), uploaded))
        }
        _ => wrong(&place, "must be one card or a carousel"),
    }
}

fn card_content(card: &Value, place: &str, uploaded: &impl Fn(&str) -> bool) -> Checked {
    only(card, &["title", "description", "media", "suggestions"], place)?;
    if ["title", "description", "media"]
        .iter()
        .all(|name| card.get(*name).is_none())
    {
        return wrong(place, "must have a title, a description or media");
    }
    for (name, most) in [("title", 200), ("description", 2000)] {
        if let Some(text) = card.get(name) {
            within(text, most, &format!("{place}.{name}"))?;
        }
    }
    if let Some(media) = card.get("media") {
        let place = format!("{place}.media");
        only(media, &["height", "fileName", "contentInfo"], &place)?;
        if !matches!(media["height"].as_str(), Some("SHORT" | "MEDIUM" | "TALL")) {
            return wrong(&place, "must have a height");
        }
        match (media.get("fileName"), media.get("contentInfo")) {
            (Some(name), None) if name.as_str().is_some_and(uploaded) => {}
            (None, Some(info)) => content_info(info, &place)?,
            _ => return wrong(&place, "there is no such file"),
        }
    }
    suggestions(card, 4, place)
}

fn content_info(info: &Value, place: &str) -> Checked {
    only(info, &["fileUrl", "thumbnailUrl", "forceRefresh"], place)?;
    match info["fileUrl"]
        .as_str()
        .is_some_and(|url| url.starts_with("https://"))
    {
        true => Ok(()),
        false => wrong(place, "must have a public fileUrl"),
    }
}

fn suggestions(holder: &Value, most: usize, place: &str) -> Checked {
    let Some(suggestions) = holder.get("suggestions") else {
        return Ok(());
    };
    let place = format!("{place}.suggestions");
    let suggestions = suggestions.as_array().map(Vec::as_slice).unwrap_or_default();
    if suggestions.is_empty() || suggestions.len() > most {
        return wrong(&place, "are none or too many");
    }
    suggestions.iter().try_for_each(|one| suggestion(one, &place))
}

fn suggestion(one: &Value, place: &str) -> Checked {
    only(one, &["reply", "action"], place)?;
    let inner = match (one.get("reply"), one.get("action")) {
        (Some(reply), None) => {
            only(reply, &["text", "postbackData"], place)?;
            reply
        }
        (None, Some(action)) => {
            does(action, place)?;
            action
        }
        _ => return wrong(place, "must be a reply or an action"),
    };
    within(&inner["text"], 25, &format!("{place}.text"))?;
    within(&inner["postbackData"], 2048, &format!("{place}.postback_data"))
}

/// What an action does; its fields, and whether they are filled in.
type Deed = (&'static str, &'static [&'static str], fn(&Value) -> bool);

const DEEDS: [Deed; 5] = [
    ("openUrlAction", &["url"], |deed| {
        deed["url"].as_str().is_some_and(|url| url.contains("://"))
    }),
    ("dialAction", &["phoneNumber"], |deed| {
        let number = deed["phoneNumber"].as_str();
        number.is_some_and(|number| number.starts_with('+'))
    }),
    ("viewLocationAction", &["latLong", "label", "query"], |deed| {
        let place = deed["latLong"].is_object();
        place != deed["query"].is_string()
    }),
    (
        "createCalendarEventAction",
        &["startTime", "endTime", "title", "description"],
        |deed| {
            ["startTime", "endTime", "title"]
                .iter()
                .all(|name| deed[*name].is_string())
        },
    ),
    ("shareLocationAction", &[], |_| true),
];

fn does(action: &Value, place: &str) -> Checked {
    let mut known = vec!["text", "postbackData", "fallbackUrl"];
    known.extend(DEEDS.iter().map(|(name, ..)| *name));
    only(action, &known, place)?;
    let mut deeds = DEEDS.iter().filter_map(|deed| Some((deed, action.get(deed.0)?)));
    let (Some(((name, fields, filled), deed)), None) = (deeds.next(), deeds.next()) else {
        return wrong(place, "an action does exactly one thing");
    };
    only(deed, fields, &format!("{place}.{name}"))?;
    match filled(deed) {
        true => Ok(()),
        false => wrong(&format!("{place}.{name}"), "is not filled in"),
    }
}

fn within(text: &Value, most: usize, place: &str) -> Checked {
    match text.as_str().map(|text| text.chars().count()) {
        Some(count) if (1..=most).contains(&count) => Ok(()),
        _ => wrong(place, "is empty or exceeds the maximum allowed length"),
    }
}

/// Google refuses names that it does not know.
fn only(value: &Value, known: &[&str], place: &str) -> Checked {
    let Some(object) = value.as_object() else {
        return wrong(place, "must be an object");
    };
    match object.keys().find(|name| !known.contains(&name.as_str())) {
        Some(name) => wrong(&format!("{place}.{name}"), "Unknown name: Cannot find field."),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn field(content: Value) -> Option<String> {
        let message_ = json!({ "contentMessage": content });
        message(
            &message_,
            &["RICHCARD_STANDALONE".to_owned()],
            Timestamp(0),
            |name| name == "files/1",
        )
        .err()
        .map(|wrong| wrong.field)
    }

    #[test]
    fn bounds_and_required_fields_are_kept() {
        assert_eq!(field(json!({ "text": "hi" })), None);
        assert_eq!(field(json!({})).as_deref(), Some(CONTENT));
        assert_eq!(
            field(json!({ "text": "hi", "fileName": "files/1" })).as_deref(),
            Some(CONTENT)
        );
        assert!(field(json!({ "text": "x".repeat(3073) })).is_some());
        assert!(field(json!({ "txt": "hi" })).is_some());
        assert!(field(json!({ "fileName": "files/2" })).is_some());
        let reply = json!({ "reply": { "text": "Yes", "postbackData": "y" } });
        assert_eq!(
            field(json!({ "text": "hi", "suggestions": vec![reply.clone(); 11] })),
            None
        );
        assert!(field(json!({ "text": "hi", "suggestions": vec![reply.clone(); 12] })).is_some());
        let card = |count: usize| {
            let content = json!({ "title": "A", "suggestions": vec![reply.clone(); count] });
            let one = json!({ "cardOrientation": "VERTICAL", "cardContent": content });
            json!({ "richCard": { "standaloneCard": one } })
        };
        assert_eq!(field(card(4)), None);
        assert!(field(card(5)).is_some());
        let ttl = |ttl: &str| {
            let timed = json!({ "contentMessage": { "text": "hi" }, "ttl": ttl });
            message(&timed, &[], Timestamp(0), |_| false)
        };
        assert_eq!(ttl("10s"), Ok(Some(Timestamp(10_000))));
        assert!(ttl("1296001s").is_err());
        assert!(ttl("10").is_err());
    }

    /// The names of all fields that Google's own generated client has for what an agent sends (`v1` for Node.js; payments, which Google has
    /// given up, left out), each with a value that the reference allows.
    #[test]
    fn it_knows_each_field_of_googles_generated_client_and_no_other() {
        let info =
            json!({ "fileUrl": "https://x/a.png", "thumbnailUrl": "https://x/b.png", "forceRefresh": true });
        let action = |name: &str, deed: Value| json!({ "action": { "text": "Go", "postbackData": "go", "fallbackUrl": "https://x", name: deed } });
        let at = json!({ "latLong": { "latitude": 51.5, "longitude": -0.1 }, "label": "Here" });
        let event = json!({
            "startTime": "2026-01-01T10:00:00Z", "endTime": "2026-01-01T11:00:00Z", "title": "A", "description": "B",
        });
        let suggestions = [
            json!({ "reply": { "text": "Yes", "postbackData": "y" } }),
            action("openUrlAction", json!({ "url": "https://x" })),
            action("dialAction", json!({ "phoneNumber": "+447700900123" })),
            action("viewLocationAction", at),
            action("viewLocationAction", json!({ "query": "a bank" })),
            action("createCalendarEventAction", event),
            action("shareLocationAction", json!({})),
        ];
        let card = |media: Value| json!({ "title": "A", "description": "B", "media": media, "suggestions": suggestions[..4] });
        let by_name = card(json!({ "height": "TALL", "fileName": "files/1" }));
        let by_address = card(json!({ "height": "SHORT", "contentInfo": info }));
        let standalone = json!({
            "cardOrientation": "HORIZONTAL", "thumbnailImageAlignment": "LEFT", "cardContent": by_name,
        });
        let carousel = json!({ "cardWidth": "SMALL", "cardContents": [by_name, by_address] });
        let contents = [
            json!({ "text": "hi", "suggestions": suggestions }),
            json!({ "fileName": "files/1", "suggestions": suggestions }),
            json!({ "contentInfo": info }),
            json!({ "richCard": { "standaloneCard": standalone } }),
            json!({ "richCard": { "carouselCard": carousel } }),
        ];
        let features = ["RICHCARD_STANDALONE", "RICHCARD_CAROUSEL"].map(str::to_owned);
        let checked = |content: &Value| {
            let whole = json!({ "contentMessage": content });
            message(&whole, &features, Timestamp(0), |name| name == "files/1").map(drop)
        };
        for content in &contents {
            assert_eq!(checked(content), Ok(()), "{content}");
            // One more name anywhere in it is refused.
            for path in objects(content, String::new()) {
                // The reference says nothing of more in a place's coordinates.
                if path.ends_with("/latLong") {
                    continue;
                }
                let mut more = content.clone();
                more.pointer_mut(&path).unwrap()["colour"] = json!("red");
                assert!(checked(&more).is_err(), "{path} of {content}");
            }
        }
        for undone in [
            action("openUrlAction", json!({ "url": "x" })),
            action("viewLocationAction", json!({})),
            action("createCalendarEventAction", json!({ "title": "A" })),
            json!({ "action": { "text": "Go", "postbackData": "go" } }),
        ] {
            assert!(checked(&json!({ "text": "hi", "suggestions": [undone] })).is_err());
        }
    }

    /// Where objects stand in a value.
    fn objects(value: &Value, at: String) -> Vec<String> {
        let inner: Vec<String> = match value {
            Value::Object(fields) => fields
                .iter()
                .flat_map(|(name, field)| objects(field, format!("{at}/{name}")))
                .collect(),
            Value::Array(values) => values
                .iter()
                .enumerate()
                .flat_map(|(n, one)| objects(one, format!("{at}/{n}")))
                .collect(),
            _ => return Vec::new(),
        };
        let own = value.is_object().then_some(at);
        own.into_iter().chain(inner).collect()
    }
}
