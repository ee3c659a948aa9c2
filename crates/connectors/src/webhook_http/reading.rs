//! Finds in a webhook what the settings name.

use super::config::{Format, Receive};
use crate::sms_gateway::time;
use serde_json::Value;
use sha2::{Digest, Sha256};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Outcome;

/// The most messages and receipts of one webhook.
const MANY: usize = 1000;

/// One thing that a webhook brings.
pub struct Item {
    value: Value,
    format: Format,
}

/// What it is.
pub enum Kind {
    Message,
    Receipt,
    /// It says that it is what the settings do not name; what it says, where that can be shown.
    Strange(Option<String>),
    /// A state that says nothing.
    Other,
}

impl Item {
    /// Reads a body.
    ///
    /// # Errors
    /// What is wrong, in words that hold nothing of it.
    pub fn all(receive: &Receive, body: &[u8]) -> Result<Vec<Item>, &'static str> {
        let format = receive.format;
        let whole = match format {
            Format::Json => serde_json::from_slice(body).map_err(|_| "the body is no JSON")?,
            Format::Form => url::form_urlencoded::parse(body)
                .map(|(name, value)| (name.into_owned(), Value::String(value.into_owned())))
                .collect::<serde_json::Map<_, _>>()
                .into(),
        };
        let item = |value| Item { value, format };
        let Some(each) = receive.each.as_deref().filter(|_| format == Format::Json) else {
            return Ok(vec![item(whole)]);
        };
        match whole.pointer(each) {
            Some(Value::Array(list)) if list.len() <= MANY => Ok(list.iter().cloned().map(item).collect()),
            Some(Value::Array(_)) => Err("it brings too many at once"),
            _ => Err("there is no list where receive.each says"),
        }
    }

    pub fn kind(&self, receive: &Receive) -> Kind {
        if let Some(place) = &receive.kind {
            let said = self.get(place).unwrap_or_default();
            return match () {
                () if receive.message_kinds.contains(&said) => Kind::Message,
                () if receive.receipt_kinds.contains(&said) => Kind::Receipt,
                // Words with spaces between may be somebody's text.
                () => Kind::Strange(
                    shown(&said).filter(|said| said.bytes().all(|octet| octet.is_ascii_graphic())),
                ),
            };
        }
        let state = receive
            .receipt_status
            .as_deref()
            .and_then(|place| self.get(place));
        let named = receive.receipt_id.as_deref().and_then(|place| self.get(place));
        match () {
            () if named.is_some()
                && state
                    .as_ref()
                    .is_some_and(|state| receive.statuses.contains_key(state)) =>
            {
                Kind::Receipt
            }
            // Without a sender it may be the text of ours that the state is of.
            () if self.has_content(receive) && (state.is_none() || self.get(&receive.from).is_some()) => {
                Kind::Message
            }
            () if state.is_some() && !self.has_content(receive) => Kind::Other,
            () => Kind::Strange(None),
        }
    }

    fn has_content(&self, receive: &Receive) -> bool {
        self.get(&receive.text).is_some() || !self.files(receive).is_empty()
    }

    /// The text or number at a place.
    pub fn get(&self, place: &str) -> Option<String> {
        words(self.at(place)?)
    }

    pub fn get_of(&self, place: &Option<String>) -> Option<String> {
        self.get(place.as_deref()?)
    }

    fn at(&self, place: &str) -> Option<&Value> {
        match self.format {
            Format::Json => self.value.pointer(place),
            Format::Form => self.value.get(place),
        }
    }

    /// The id that the provider gives, or one that is equal for a repetition.
    pub fn identity(&self, receive: &Receive) -> String {
        let given = self.get_of(&receive.id).filter(|id| !id.is_empty());
        given.unwrap_or_else(|| {
            let mut digest = Sha256::new();
            let places = [
                Some(&receive.from),
                receive.to.as_ref(),
                Some(&receive.text),
                receive.time.as_ref(),
            ];
            for place in places.into_iter().flatten() {
                let said = self.get(place).unwrap_or_default();
                digest.update((said.len() as u64).to_be_bytes());
                digest.update(said);
            }
            data_encoding::HEXLOWER.encode(&digest.finalize()[..16])
        })
    }

    pub fn moment(&self, receive: &Receive) -> Option<Timestamp> {
        let said = self.get_of(&receive.time)?;
        match said.parse::<f64>() {
            // Milliseconds since 1970 have more digits than seconds will have for long.
            Ok(number) if number > 1e11 && number < 1e16 => Some(Timestamp(number as i64)),
            Ok(number) if number > 0.0 && number <= 1e11 => Some(Timestamp((number * 1000.0) as i64)),
            Ok(_) => None,
            Err(_) => time::read(&said),
        }
    }

    /// The addresses of its files.
    pub fn files(&self, receive: &Receive) -> Vec<String> {
        let Some(found) = receive.media.as_deref().and_then(|place| self.at(place)) else {
            return Vec::new();
        };
        let list = match found {
            Value::Array(list) => list.as_slice(),
            one => std::slice::from_ref(one),
        };
        let address = |item: &Value| match &receive.media_item {
            Some(place) if item.is_object() => words(item.pointer(place)?),
            _ => words(item),
        };
        list.iter()
            .filter_map(address)
            .filter(|address| !address.is_empty())
            .collect()
    }

    pub fn outcome(&self, receive: &Receive) -> Option<Outcome> {
        let said = self.get_of(&receive.receipt_status)?;
        receive.statuses.get(&said).map(|status| status.outcome())
    }

    /// The provider's code for a failure, short and without what looks like a number.
    pub fn error(&self, receive: &Receive) -> Option<String> {
        let said = self.get_of(&receive.receipt_error)?;
        shown(&said)
    }
}

/// A provider's word, short; `None` when it looks as if it held a number.
fn shown(said: &str) -> Option<String> {
    let digits = said.chars().filter(char::is_ascii_digit).count();
    (!said.is_empty() && digits < 7).then(|| said.chars().take(60).collect())
}

/// A text, or what a number or a truth is written as.
pub fn words(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

/// Whether a place can be one.
pub fn is_place(format: Format, place: &str) -> bool {
    match format {
        Format::Json => place.starts_with('/'),
        Format::Form => !place.is_empty() && !place.starts_with('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn receive() -> Receive {
        Receive {
            time: Some("/at".into()),
            media: Some("/files".into()),
            media_item: Some("/url".into()),
            ..Receive::default()
        }
    }

    fn one(body: &str) -> Item {
        Item::all(&receive(), body.as_bytes()).unwrap().remove(0)
    }

    #[test]
    fn each_form_of_a_moment_and_of_files_is_read() {
        for at in [
            "1800000000",
            "\"1800000000\"",
            "1800000000000",
            "1800000000.0",
            "\"2027-01-15T08:00:00Z\"",
        ] {
            let item = one(&format!(r#"{{"at":{at}}}"#));
            assert_eq!(
                item.moment(&receive()),
                Some(Timestamp(1_800_000_000_000)),
                "{at}"
            );
        }
        assert_eq!(one(r#"{"at":"soon"}"#).moment(&receive()), None);
        for files in [
            r#""x""#,
            r#"["x"]"#,
            r#"[{"url":"x"}]"#,
            r#"[{"url":"x"},{"link":"y"},7.5,""]"#,
        ] {
            let found = one(&format!(r#"{{"files":{files}}}"#)).files(&receive());
            assert_eq!(found[0], "x", "{files}");
        }
        assert!(one("{}").files(&receive()).is_empty());
    }

    #[test]
    fn without_an_id_a_repetition_is_known_by_what_it_says() {
        let (a, b) = (
            one(r#"{"from":"1","text":"ok","at":5,"try":1}"#),
            one(r#"{"from":"1","text":"ok","at":5,"try":2}"#),
        );
        assert_eq!(a.identity(&receive()), b.identity(&receive()));
        let later = one(r#"{"from":"1","text":"ok","at":6}"#);
        assert_ne!(a.identity(&receive()), later.identity(&receive()));
        assert_eq!(one(r#"{"id":7}"#).identity(&receive()), "7");
    }

    #[test]
    fn what_lacks_only_its_sender_is_a_message_and_what_is_strange_is_named_once_it_can_be() {
        let named = Receive {
            kind: Some("/type".into()),
            message_kinds: vec!["sms".into()],
            ..receive()
        };
        assert!(matches!(one(r#"{"type":"sms"}"#).kind(&named), Kind::Message));
        for (body, expected) in [
            (r#"{"type":"sms.failed"}"#, Some("sms.failed")),
            (r#"{"type":"see you at eight"}"#, None),
            (r#"{"type":"+447700900123"}"#, None),
            (r#"{"text":"hi"}"#, None),
        ] {
            match one(body).kind(&named) {
                Kind::Strange(said) => assert_eq!(said.as_deref(), expected, "{body}"),
                _ => panic!("{body}"),
            }
        }
        let by_place = Receive {
            receipt_id: Some("/id".into()),
            receipt_status: Some("/status".into()),
            statuses: [("sent".to_owned(), crate::webhook_http::config::Status::Sent)].into(),
            ..receive()
        };
        let kind = |body: &str| one(body).kind(&by_place);
        assert!(matches!(kind(r#"{"text":"hi"}"#), Kind::Message));
        assert!(matches!(kind(r#"{"id":1,"status":"sent"}"#), Kind::Receipt));
        assert!(matches!(kind(r#"{"id":1,"status":"queued"}"#), Kind::Other));
        assert!(matches!(
            kind(r#"{"id":1,"from":"+1","text":"hi","status":"received"}"#),
            Kind::Message
        ));
        // The text of ours that is queued, or a message without a sender: nobody can tell.
        assert!(matches!(
            kind(r#"{"id":1,"text":"hi","status":"queued"}"#),
            Kind::Strange(None)
        ));
        assert!(matches!(kind("{}"), Kind::Strange(None)));
    }

    #[test]
    fn a_code_that_may_be_a_number_is_not_repeated() {
        let receive = Receive {
            receipt_error: Some("/error".into()),
            ..receive()
        };
        assert_eq!(
            one(r#"{"error":"E-404"}"#).error(&receive).as_deref(),
            Some("E-404")
        );
        assert_eq!(
            one(r#"{"error":"no route to +447700900123"}"#).error(&receive),
            None
        );
    }
}
