//! The content of messages: whose words they are, and when they were said, where the event itself cannot say so.

use crate::media::{Uploaded, said};
use crate::puppet::quiet::QUIET;
use serde_json::{Value, json};
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::homeserver::Post;

/// From this age on the time of a message is said in words: an ordinary client cannot set it.
const LATE: Duration = Duration::from_secs(10 * 60);
/// The true time of what was said earlier, in milliseconds, beside the content.
const SENT_AT: &str = "dev.swingbridge.sent_at";
pub(super) const PROFILE: &str = "com.beeper.per_message_profile";

/// Who says something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Profile {
    pub id: String,
    pub name: String,
    /// An `mxc:` URI.
    pub picture: Option<String>,
    /// The name stands in the text, too.
    pub fallback: bool,
}

/// The content of `m.room.message` for a post.
pub(super) fn content(
    post: &Post,
    file: Option<&Uploaded>,
    profile: Option<&Profile>,
    now: Timestamp,
) -> Value {
    let told_late = post.sent_at.filter(|at| post.quiet || now.since(*at) >= LATE);
    let time = told_late.map(in_words);
    let whole = |mark: &str| {
        let mut content = said(post, file);
        decorate(&mut content, profile, time.as_deref(), mark);
        content
    };
    let mut content;
    if let Some(replaces) = &post.replaces {
        content = whole("* ");
        content["m.new_content"] = whole("");
        content["m.relates_to"] = json!({ "rel_type": "m.replace", "event_id": replaces });
    } else {
        content = whole("");
        if let Some(target) = &post.in_reply_to {
            content["m.relates_to"] = json!({ "m.in_reply_to": { "event_id": target } });
        }
    }
    if let Some(at) = post.sent_at {
        content[SENT_AT] = json!(at.millis());
    }
    if post.quiet {
        content[QUIET] = json!(true);
    }
    content
}

/// Puts before the text what clients without the profile could not know: who says it, and when they did.
fn decorate(content: &mut Value, profile: Option<&Profile>, time: Option<&str>, mark: &str) {
    let mut plain = String::new();
    let mut html = String::new();
    if let Some(profile) = profile {
        let mut shown = json!({ "id": profile.id, "displayname": profile.name });
        if let Some(picture) = &profile.picture {
            shown["avatar_url"] = json!(picture);
        }
        if profile.fallback {
            shown["has_fallback"] = json!(true);
            plain = format!("{}: ", profile.name);
            html = format!(
                "<strong data-mx-profile-fallback>{}: </strong>",
                escape(&profile.name)
            );
        }
        content[PROFILE] = shown;
    }
    if let Some(time) = time {
        plain.push_str(&format!("({time}) "));
        html.push_str(&format!("<em>({time})</em> "));
    }
    if plain.is_empty() && mark.is_empty() {
        return;
    }
    let body = content["body"].as_str().unwrap_or_default().to_owned();
    let formatted = match content["formatted_body"].as_str() {
        Some(formatted) => Some(formatted.to_owned()),
        None if html.is_empty() => None,
        None => Some(escape(&body).replace('\n', "<br>")),
    };
    if let Some(formatted) = formatted {
        content["format"] = json!("org.matrix.custom.html");
        content["formatted_body"] = json!(format!("{mark}{html}{formatted}"));
    }
    content["body"] = json!(format!("{mark}{plain}{body}"));
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

/// `2026-01-31 12:00 UTC`.
fn in_words(at: Timestamp) -> String {
    let text = at.to_string();
    let minute = text.get(..16).unwrap_or(&text).replace('T', " ");
    format!("{minute} UTC")
}

#[cfg(test)]
mod tests;
