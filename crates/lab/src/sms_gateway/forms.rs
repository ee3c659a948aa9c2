//! What the app's OpenAPI file says of the objects that we and the app exchange: their fields, which must be there, and what they hold.

use serde_json::Value;

/// An object's fields.
pub struct Form(&'static [(&'static str, Has, Holds)]);

#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    Must,
    May,
    /// It may be `null` as well.
    Null,
}
use Has::{May, Must, Null};

enum Holds {
    Text,
    /// Of at most so many characters.
    Short(usize),
    Moment,
    Base64,
    Whole(i64, i64),
    Flag,
    Word(&'static [&'static str]),
    /// Texts by names that are free.
    Names,
    Object(&'static Form),
    /// At least so many.
    Texts(usize),
    Objects(&'static Form, usize),
    /// By names that are free.
    Each(&'static Form),
}
use Holds::{Base64, Each, Flag, Moment, Names, Object, Objects, Short, Text, Texts, Whole, Word};

const ANY: Holds = Whole(i64::MIN, i64::MAX);

const STATES: &[&str] = &[
    "Pending",
    "Cancelling",
    "Cancelled",
    "Processed",
    "Sent",
    "Delivered",
    "Failed",
];

const EVENTS: &[&str] = &[
    "sms:received",
    "sms:data-received",
    "sms:sent",
    "sms:delivered",
    "sms:failed",
    "sms:cancelled",
    "system:ping",
    "mms:received",
    "mms:downloaded",
    "app:started",
    "sms:batch:received",
    "sms:batch:data-received",
    "mms:batch:received",
    "mms:batch:downloaded",
];

const TEXT_MESSAGE: Form = Form(&[("text", Must, Short(65_535))]);
const DATA_MESSAGE: Form = Form(&[("data", Must, Base64), ("port", Must, Whole(1, 65_535))]);
const MMS_ATTACHMENT: Form = Form(&[
    ("contentType", Must, Text),
    ("name", Null, Text),
    ("data", Must, Base64),
]);
const MMS_MESSAGE: Form = Form(&[
    ("subject", Null, Text),
    ("text", Null, Text),
    ("attachments", May, Objects(&MMS_ATTACHMENT, 0)),
]);

/// What is sent to `POST /messages`.
pub const MESSAGE: Form = Form(&[
    ("id", May, Short(36)),
    ("deviceId", May, Short(21)),
    ("phoneNumbers", Must, Texts(1)),
    ("message", May, Short(65_535)),
    ("textMessage", May, Object(&TEXT_MESSAGE)),
    ("dataMessage", May, Object(&DATA_MESSAGE)),
    ("mmsMessage", May, Object(&MMS_MESSAGE)),
    ("simNumber", May, Whole(1, 3)),
    ("priority", May, Whole(-128, 127)),
    ("ttl", May, Whole(5, i64::MAX)),
    ("validUntil", May, Moment),
    ("scheduleAt", May, Moment),
    ("isEncrypted", May, Flag),
    ("withDeliveryReport", May, Flag),
]);

const RECIPIENT: Form = Form(&[
    ("phoneNumber", Must, Short(128)),
    ("state", Must, Word(STATES)),
    ("error", May, Text),
]);

/// What is answered about a message that goes.
pub const STATE: Form = Form(&[
    ("id", Must, Short(36)),
    ("deviceId", Must, Short(21)),
    ("state", Must, Word(STATES)),
    ("states", May, Names),
    ("recipients", Must, Objects(&RECIPIENT, 1)),
    ("isHashed", May, Flag),
    ("isEncrypted", May, Flag),
    ("createdAt", Must, Moment),
    ("textMessage", May, Object(&TEXT_MESSAGE)),
    ("dataMessage", May, Object(&DATA_MESSAGE)),
    ("mmsMessage", May, Object(&MMS_MESSAGE)),
]);

const INCOMING_ATTACHMENT: Form = Form(&[
    ("partId", Must, ANY),
    ("name", Must, Text),
    ("size", Must, ANY),
    ("contentType", Must, Text),
]);

/// What `GET /inbox` lists.
pub const INCOMING: Form = Form(&[
    ("id", Must, Text),
    ("type", Must, Word(&["SMS", "DATA_SMS", "MMS", "MMS_DOWNLOADED"])),
    ("sender", Must, Text),
    ("recipient", May, Text),
    ("simNumber", May, ANY),
    ("contentPreview", Must, Text),
    ("createdAt", Must, Moment),
    ("attachments", May, Objects(&INCOMING_ATTACHMENT, 0)),
]);

/// What is sent to `POST /inbox/refresh`.
pub const REFRESH: Form = Form(&[
    ("since", Must, Moment),
    ("until", Must, Moment),
    ("deviceId", May, Short(21)),
    ("messageTypes", May, Texts(1)),
    ("triggerWebhooks", May, Flag),
    ("webhookDelivery", May, Word(&["Disabled", "Individual", "Batch"])),
]);

/// A webhook, as it is registered and listed.
pub const WEBHOOK: Form = Form(&[
    ("id", May, Short(36)),
    ("deviceId", May, Short(21)),
    ("url", Must, Text),
    ("event", Must, Word(EVENTS)),
]);

/// What a webhook brings; its `payload` has a form for each event.
pub const EVENT: Form = Form(&[
    ("id", Must, Text),
    ("webhookId", Must, Text),
    ("deviceId", Must, Text),
    ("event", Must, Word(EVENTS)),
    ("payload", Must, Names),
]);

const DOWNLOADED: Form = Form(&[
    ("partId", Must, ANY),
    ("contentType", Must, Text),
    ("name", Null, Text),
    ("size", Null, ANY),
    ("data", Null, Base64),
]);

/// What the payload of `event` has beside what every one has.
#[must_use]
pub fn payload(event: &str) -> Option<Form> {
    Some(Form(match event {
        "sms:received" => &[("message", May, Text), ("receivedAt", May, Moment)],
        "sms:data-received" => &[("data", May, Base64), ("receivedAt", May, Moment)],
        "sms:sent" => &[("sentAt", May, Moment)],
        "sms:delivered" => &[("deliveredAt", May, Moment)],
        "sms:failed" => &[("failedAt", May, Moment), ("reason", May, Text)],
        // The file has no payload of it.
        "sms:cancelled" => &[],
        "mms:downloaded" => &[
            ("attachments", Must, Objects(&DOWNLOADED, 0)),
            ("body", Null, Text),
            ("receivedAt", Must, Moment),
            ("subject", Null, Text),
        ],
        _ => return None,
    }))
}

/// What every payload about a message has.
pub const ABOUT_A_MESSAGE: Form = Form(&[
    ("messageId", May, Text),
    ("phoneNumber", May, Text),
    ("recipient", Null, Text),
    // By its description, not by its type.
    ("sender", Null, Text),
    ("simNumber", Null, ANY),
]);

const CHECK: Form = Form(&[
    ("description", May, Text),
    ("observedUnit", May, Text),
    ("observedValue", May, ANY),
    ("status", May, Word(&["pass", "warn", "fail"])),
]);

/// What `GET /health` answers.
pub const HEALTH: Form = Form(&[
    ("status", May, Word(&["pass", "warn", "fail"])),
    ("version", May, Text),
    ("releaseId", May, ANY),
    ("checks", May, Each(&CHECK)),
]);

const SIM: Form = Form(&[
    ("carrierName", May, Text),
    ("iccid", May, Text),
    ("phoneNumber", May, Text),
    ("simNumber", May, ANY),
    ("slotIndex", May, ANY),
]);

/// What `GET /devices` lists.
pub const DEVICE: Form = Form(&[
    ("id", May, Text),
    ("name", May, Text),
    ("createdAt", May, Text),
    ("updatedAt", May, Text),
    ("deletedAt", May, Text),
    ("lastSeen", May, Text),
    ("simCards", May, Objects(&SIM, 0)),
]);

/// What of `value` is not as these forms together have it; nothing when all is.
#[must_use]
pub fn fault(value: &Value, forms: &[&Form]) -> Option<String> {
    let Some(object) = value.as_object() else {
        return Some("it is no object".to_owned());
    };
    let fields = || forms.iter().flat_map(|form| form.0);
    let unknown = object.keys().find(|key| fields().all(|(name, ..)| name != key));
    if let Some(unknown) = unknown {
        return Some(format!("{unknown} is not a field of it"));
    }
    fields().find_map(|(name, has, holds)| match object.get(*name) {
        None => (*has == Must).then(|| format!("{name} is missing")),
        Some(Value::Null) => (*has != Null).then(|| format!("{name} is null")),
        Some(value) => wrong(value, holds).map(|how| format!("{name}: {how}")),
    })
}

fn wrong(value: &Value, holds: &Holds) -> Option<String> {
    let text = |holds: &dyn Fn(&str) -> bool| value.as_str().is_some_and(holds);
    let fine = match holds {
        Text => value.is_string(),
        Short(most) => text(&|text| text.chars().count() <= *most),
        Moment => text(&is_moment),
        Base64 => text(&|text| data_encoding::BASE64.decode(text.as_bytes()).is_ok()),
        Whole(least, most) => value
            .as_i64()
            .is_some_and(|whole| (*least..=*most).contains(&whole)),
        Flag => value.is_boolean(),
        Word(words) => text(&|text| words.contains(&text)),
        Names => value.is_object(),
        Texts(least) => value
            .as_array()
            .is_some_and(|list| list.len() >= *least && list.iter().all(Value::is_string)),
        Object(form) => return fault(value, &[*form]),
        Objects(form, least) => match value.as_array() {
            Some(list) if list.len() >= *least => return list.iter().find_map(|one| fault(one, &[*form])),
            _ => false,
        },
        Each(form) => match value.as_object() {
            Some(named) => return named.values().find_map(|one| fault(one, &[*form])),
            None => false,
        },
    };
    (!fine).then(|| format!("{value} is not what it holds"))
}

/// RFC 3339: a date, a time, and an offset.
fn is_moment(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|character| {
            if character.is_ascii_digit() {
                '0'
            } else {
                character
            }
        })
        .collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else {
        return false;
    };
    let rest = match rest.strip_prefix('.') {
        Some(fraction) => fraction.trim_start_matches('0'),
        None => rest,
    };
    matches!(rest, "Z" | "+00:00" | "-00:00")
}
