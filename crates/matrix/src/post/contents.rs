//! What the events say that the bridge sends.

use crate::label;
use crate::media::{self, Uploaded};
use serde_json::{Value, json};
use swingbridge_domain::delivery::State;
use swingbridge_domain::homeserver::{Post, SendStatus};
use swingbridge_domain::message::{Media, Text, Tone};

/// The content of `m.room.message` for a post.
pub(super) fn message(post: &Post, file: Option<&Uploaded>) -> Value {
    let mut content = media::said(post, file);
    if let Some(replaces) = &post.replaces {
        let new = content.clone();
        for field in ["body", "formatted_body"] {
            if let Some(text) = new[field].as_str() {
                content[field] = json!(format!("* {text}"));
            }
        }
        content["m.new_content"] = new;
        content["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": replaces });
    } else if let Some(target) = &post.in_reply_to {
        content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": target } });
    }
    content
}

/// The post with words in place of its file, and with the caption of that.
pub(super) fn instead(post: &Post, media: &Media, words: String) -> Post {
    let caption = match post.text.plain.as_str() {
        "" => media.caption.as_deref().unwrap_or_default(),
        text => text,
    };
    let plain = match caption {
        "" => words,
        caption => format!("{caption}\n{words}"),
    };
    Post {
        text: Text {
            plain,
            html: None,
            tone: Tone::Notice,
        },
        media: None,
        ..post.clone()
    }
}

pub(crate) fn words(text: &Text, mark: &str) -> Value {
    let kind = match text.tone {
        Tone::Plain => "m.text",
        Tone::Emote => "m.emote",
        Tone::Notice => "m.notice",
    };
    let mut content = json!({
        "msgtype": kind,
        "body": format!("{mark}{}", text.plain),
        // A text from a phone mentions nobody, whatever it says: no "@room", no name that pings.
        "m.mentions": {},
    });
    if let Some(html) = &text.html {
        content["format"] = json!("org.matrix.custom.html");
        content["formatted_body"] = json!(format!("{mark}{html}"));
    }
    content
}

/// The content of `com.beeper.message_send_status`. `delivered_to_users` is there from the hand-over on: empty says that a report
/// of delivery may follow.
pub(crate) fn send_status(status: &SendStatus, delivered_to: Option<String>) -> Value {
    let unsupported = status.reason.as_deref() == Some("unsupported");
    let word = match status.state {
        State::Held | State::Queued | State::Sending => "PENDING",
        State::Accepted | State::Sent | State::Delivered | State::Read => "SUCCESS",
        State::Uncertain => "FAIL_RETRIABLE",
        State::Rejected | State::Expired if status.retriable && !unsupported => "FAIL_RETRIABLE",
        State::Rejected | State::Expired => "FAIL_PERMANENT",
    };
    let mut content = json!({
        "m.relates_to": { "rel_type": "m.reference", "event_id": status.event },
        "network": status.network,
        "status": word,
        "dev.swingbridge.state": status.state.word(),
    });
    match word {
        "SUCCESS" => {
            let delivered = delivered_to.filter(|_| matches!(status.state, State::Delivered | State::Read));
            content["delivered_to_users"] = json!(Vec::from_iter(delivered));
        }
        "PENDING" => {}
        _ => {
            content["reason"] = json!(reason(status.state, status.reason.as_deref()));
            if let Some(reason) = &status.reason {
                content["internal_error"] = json!(reason);
            }
        }
    }
    if let Some(message) = &status.message {
        content["message"] = json!(message);
    }
    if let Some(path) = &status.path {
        content[label::KEY] = label::label(path);
    }
    content
}

/// The reason in the words that clients know.
fn reason(state: State, reason: Option<&str>) -> &'static str {
    match (state, reason) {
        (_, Some("unsupported" | "bad_content" | "empty")) => "com.beeper.unsupported_event",
        (_, Some("undecryptable")) => "com.beeper.undecryptable_event",
        (_, Some("not_allowed")) => "m.no_permission",
        (State::Expired, _) | (_, Some("expired")) => "m.event_too_old",
        _ => "m.foreign_network_error",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_domain::homeserver::Ghost;
    use swingbridge_domain::id::{EventId, RoomId};

    fn status(state: State, reason: Option<&str>, retriable: bool) -> Value {
        let status = SendStatus {
            room: RoomId::new("!r"),
            event: EventId::new("$e"),
            state,
            message: None,
            reason: reason.map(str::to_owned),
            retriable,
            delivered_to: Some(Ghost::new("abc", "A")),
            network: "sms".into(),
            path: None,
        };
        send_status(&status, Some("@sms_abc:x".into()))
    }

    #[test]
    fn each_state_has_its_word() {
        let word = |state, reason, retriable| status(state, reason, retriable)["status"].clone();
        assert_eq!(word(State::Queued, None, false), "PENDING");
        assert_eq!(word(State::Sending, None, false), "PENDING");
        assert_eq!(word(State::Accepted, None, false), "SUCCESS");
        assert_eq!(
            word(State::Rejected, Some("network_fault"), true),
            "FAIL_RETRIABLE"
        );
        assert_eq!(
            word(State::Rejected, Some("bad_address"), false),
            "FAIL_PERMANENT"
        );
        assert_eq!(word(State::Expired, None, true), "FAIL_RETRIABLE");
        assert_eq!(word(State::Uncertain, None, false), "FAIL_RETRIABLE");
        assert_eq!(word(State::Rejected, Some("unsupported"), true), "FAIL_PERMANENT");
    }

    #[test]
    fn delivery_is_told_only_once_it_is_known() {
        assert_eq!(
            status(State::Accepted, None, false)["delivered_to_users"],
            json!([])
        );
        assert_eq!(
            status(State::Delivered, None, false)["delivered_to_users"],
            json!(["@sms_abc:x"])
        );
        assert_eq!(status(State::Queued, None, false).get("delivered_to_users"), None);
        assert_eq!(
            status(State::Uncertain, None, false).get("delivered_to_users"),
            None
        );
    }

    #[test]
    fn reasons_are_those_that_clients_know() {
        assert_eq!(
            status(State::Rejected, Some("unsupported"), false)["reason"],
            "com.beeper.unsupported_event"
        );
        assert_eq!(
            status(State::Rejected, Some("not_allowed"), false)["reason"],
            "m.no_permission"
        );
        assert_eq!(
            status(State::Rejected, Some("empty"), false)["reason"],
            "com.beeper.unsupported_event"
        );
        assert_eq!(
            status(State::Rejected, Some("undecryptable"), false)["reason"],
            "com.beeper.undecryptable_event"
        );
        assert_eq!(status(State::Expired, None, false)["reason"], "m.event_too_old");
        assert_eq!(
            status(State::Rejected, Some("network_refused"), false)["reason"],
            "m.foreign_network_error"
        );
        assert_eq!(status(State::Accepted, None, false).get("reason"), None);
    }

    fn post(replaces: Option<&str>, in_reply_to: Option<&str>) -> Value {
        let text = Text {
            plain: "hi @room".into(),
            html: Some("<b>hi</b>".into()),
            tone: Tone::Notice,
        };
        let post = Post {
            replaces: replaces.map(EventId::new),
            in_reply_to: in_reply_to.map(EventId::new),
            ..Post::by_bot(RoomId::new("!r"), text)
        };
        message(&post, None)
    }

    #[test]
    fn an_edit_has_the_new_text_and_a_marked_fallback() {
        let content = post(Some("$old"), None);
        assert_eq!(content["body"], "* hi @room");
        assert_eq!(content["m.new_content"]["body"], "hi @room");
        assert_eq!(content["m.new_content"]["formatted_body"], "<b>hi</b>");
        assert_eq!(
            content["m.relates_to"],
            json!({"rel_type": "m.replace", "event_id": "$old"})
        );
    }

    #[test]
    fn a_text_mentions_nobody_and_keeps_its_tone() {
        let content = post(None, Some("$it"));
        assert_eq!(content["m.mentions"], json!({}));
        assert_eq!(content["msgtype"], "m.notice");
        assert_eq!(content["m.relates_to"]["m.in_reply_to"]["event_id"], "$it");
    }
}
