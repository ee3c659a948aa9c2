//! Webhooks, signed.

use super::state::{Incoming, Sent, Shared};
use super::{ACCOUNT, AUTH_TOKEN};
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
