//! Webhooks, signed.

use super::groups::{Conversation, Participant, Said};
use super::state::{Incoming, Sent, Shared};
use super::{ACCOUNT, AUTH_TOKEN, CONVERSATIONS, SERVICE};
use crate::trouble::Hook;
use hmac::{Hmac, Mac};
use sha1::Sha1;
use std::sync::Arc;

/// `X-Twilio-Signature` of a form.
#[must_use]
pub fn signature(url: &str, parameters: &[(String, String)]) -> String {
    let mut sorted: Vec<_> = parameters.iter().collect();
    sorted.sort();
    sorted.dedup();
    let mut mac = <Hmac<Sha1> as Mac>::new_from_slice(AUTH_TOKEN.as_bytes()).expect("a key of any length");
    mac.update(url.as_bytes());
    for (name, value) in sorted {
        mac.update(name.as_bytes());
        mac.update(value.as_bytes());
    }
    data_encoding::BASE64.encode(&mac.finalize().into_bytes())
}

fn tell(shared: &Shared, url: &str, parameters: Vec<(String, String)>) {
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(&parameters)
        .finish();
    let signed = signature(url, &parameters);
    let hook = Hook {
        url: url.to_owned(),
        mime: "application/x-www-form-urlencoded; charset=utf-8",
        body,
        // There is no time in it.
        sign: Arc::new(move |_| vec![("x-twilio-signature", signed.clone())]),
        tries: 1,
    };
    shared.troubles.tell(hook);
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

pub fn tell_of(shared: &Shared, incoming: &Incoming) {
    let url = shared.world().webhook.clone();
    let mut parameters = vec![
        pair("ToCountry", "US"),
        pair("ToState", ""),
        pair("SmsMessageSid", &incoming.sid),
        pair("NumMedia", incoming.files.len().to_string()),
        pair("SmsSid", &incoming.sid),
        pair("SmsStatus", "received"),
        pair("Body", &incoming.text),
        pair("To", &incoming.to),
        pair("From", &incoming.from),
        pair("NumSegments", "1"),
        pair("MessageSid", &incoming.sid),
        pair("AccountSid", ACCOUNT),
        pair("ApiVersion", "2010-04-01"),
    ];
    if let Some(word) = &incoming.opt_out {
        parameters.push(pair("OptOutType", word));
    }
    if shared.world().groups.names_others {
        for (at, other) in incoming.others.iter().enumerate() {
            parameters.push(pair(&format!("OtherRecipients{at}"), other));
        }
    }
    if let Some((label, id)) = &incoming.button {
        parameters.push(pair("ButtonText", label));
        parameters.push(pair("ButtonPayload", id));
    }
    for (at, (mime, _)) in incoming.files.iter().enumerate() {
        let address = format!(
            "{}/2010-04-01/Accounts/{ACCOUNT}/Messages/{}/Media/{}",
            shared.api,
            incoming.sid,
            incoming.file_sid(at)
        );
        parameters.push(pair(&format!("MediaContentType{at}"), mime));
        parameters.push(pair(&format!("MediaUrl{at}"), address));
    }
    tell(shared, &url, parameters);
}

pub fn tell_state(shared: &Shared, sent: &Sent) {
    let Some(url) = &sent.callback else {
        return;
    };
    let mut parameters = vec![
        pair("SmsSid", &sent.sid),
        pair("SmsStatus", &sent.status),
        pair("MessageStatus", &sent.status),
        pair("To", &sent.to),
        pair("MessageSid", &sent.sid),
        pair("AccountSid", ACCOUNT),
        pair("From", &sent.from),
        pair("ApiVersion", "2010-04-01"),
    ];
    if sent.status == "read" {
        parameters.push(pair("EventType", "READ"));
    }
    if let Some(error) = sent.error {
        parameters.push(pair("ErrorCode", error.to_string()));
    }
    tell(shared, url, parameters);
}

fn tell_event(shared: &Shared, kind: &str, conversation: &str, more: Vec<(String, String)>) {
    let url = shared.world().webhook.clone();
    let mut parameters = vec![
        pair("AccountSid", ACCOUNT),
        pair("EventType", kind),
        pair("ChatServiceSid", CONVERSATIONS),
        pair("ConversationSid", conversation),
        pair("RetryCount", "0"),
    ];
    parameters.extend(more);
    tell(shared, &url, parameters);
}

fn moment(at: i64) -> String {
    let text = swingbridge_domain::clock::Timestamp(at * 1000).to_string();
    text.replace('Z', ".000Z")
}

/// A conversation was made of what a phone wrote.
pub fn tell_conversation(shared: &Shared, made: &Conversation, author: &str) {
    let addresses: Vec<&str> = made.phones().into_iter().collect();
    tell_event(
        shared,
        "onConversationAdded",
        &made.sid,
        vec![
            pair("Source", "SMS"),
            pair("State", "active"),
            pair("Attributes", "{}"),
            pair("MessagingServiceSid", SERVICE),
            pair("MessagingBinding.Address", addresses.join(",")),
            pair("MessagingBinding.AuthorAddress", author),
            pair("DateCreated", moment(made.at)),
        ],
    );
    for one in &made.participants {
        tell_participant(shared, &made.sid, "onParticipantAdded", one);
    }
}

pub fn tell_participant(shared: &Shared, conversation: &str, kind: &str, one: &Participant) {
    let mut more = vec![
        pair("Source", "SMS"),
        pair("ParticipantSid", &one.sid),
        pair("Attributes", "{}"),
        pair("MessagingBinding.Type", "SMS"),
        pair("DateCreated", moment(one.at)),
    ];
    if let Some(address) = &one.address {
        more.push(pair("MessagingBinding.Address", address));
    }
    if let Some(projected) = &one.projected {
        more.push(pair("MessagingBinding.ProjectedAddress", projected));
    }
    tell_event(shared, kind, conversation, more);
}

/// Something was said in a conversation.
pub fn tell_said(shared: &Shared, conversation: &str, said: &Said) {
    let media: Vec<serde_json::Value> = {
        let world = shared.world();
        let media = |file: &String| {
            let (mime, octets) = world.media.get(file)?;
            Some(
                serde_json::json!({ "Sid": file, "ContentType": mime, "Filename": "", "Size": octets.len() }),
            )
        };
        said.media.iter().filter_map(media).collect()
    };
    let mut more = vec![
        pair("Source", "SMS"),
        pair("MessageSid", &said.sid),
        pair("MessagingServiceSid", SERVICE),
        pair("Index", said.index.to_string()),
        pair("DateCreated", moment(said.at)),
        pair("Author", &said.author),
        pair("ParticipantSid", &said.participant),
        pair("Attributes", "{}"),
    ];
    if !said.text.is_empty() {
        more.push(pair("Body", &said.text));
    }
    if !media.is_empty() {
        more.push(pair("Media", serde_json::Value::from(media).to_string()));
    }
    tell_event(shared, "onMessageAdded", conversation, more);
}

/// What became of a message for one of the group.
pub fn tell_delivery(
    shared: &Shared,
    conversation: &str,
    message: &str,
    participant: &str,
    (status, error): (&str, Option<u32>),
) {
    let mut more = vec![
        pair("MessageSid", message),
        pair("ParticipantSid", participant),
        pair("DeliveryReceiptSid", participant.replacen("MB", "DY", 1)),
        pair("ChannelMessageSid", participant.replacen("MB", "SM", 1)),
        pair("Status", status),
    ];
    if let Some(error) = error {
        more.push(pair("ErrorCode", error.to_string()));
    }
    tell_event(shared, "onDeliveryUpdated", conversation, more);
}
