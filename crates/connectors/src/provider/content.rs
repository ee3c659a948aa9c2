//! A message of ours as providers take it: words, and links to files.

use super::http::rejected;
use sha2::{Digest, Sha256};
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::{Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::{Body, Message};

/// Words and links; at least one of both is there.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Content {
    pub text: String,
    /// `https:` links, which end by themselves.
    pub links: Vec<String>,
}

/// Reads `message`. `plain`: links may be `http:`, because the provider itself is spoken to without TLS.
///
/// # Errors
/// Final: it cannot be carried.
pub fn content(message: &Message, plain: bool) -> Result<Content, SendError> {
    let bad = |detail| Err(rejected(Reason::BadContent, detail));
    let mut words: Vec<String> = Vec::new();
    let mut links = Vec::new();
    for part in &message.parts {
        match &part.body {
            Body::Text(text) => words.push(text.plain.clone()),
            Body::Media(media) => {
                if !(media.uri.starts_with("https://") || plain && media.uri.starts_with("http://")) {
                    return bad("a file needs an https link that the provider can fetch, and there is none");
                }
                links.push(media.uri.clone());
                words.extend(media.caption.clone());
            }
            Body::RichCard(card) => words.push(card.words()),
            Body::Location { geo_uri, description } => {
                words.push(format!("{description}\n{geo_uri}").trim().to_owned())
            }
            Body::Other {
                fallback: Some(fallback),
                ..
            } => words.push(fallback.clone()),
            Body::Null | Body::Poll { .. } | Body::Other { fallback: None, .. } => {
                return bad("this provider carries texts and files only");
            }
        }
    }
    words.retain(|words| !words.is_empty());
    let content = Content {
        text: words.join("\n"),
        links,
    };
    match content.text.is_empty() && content.links.is_empty() {
        true => bad("there is nothing in it"),
        false => Ok(content),
    }
}

/// The one number or short code that a message goes to.
///
/// # Errors
/// Final: it is something else.
pub fn number(to: &[Address]) -> Result<&str, SendError> {
    match to {
        [Address::Number(number) | Address::Short(number)] => Ok(number),
        [Address::Group(_)] => Err(rejected(Reason::BadAddress, "this connector writes to no groups")),
        [_] => Err(rejected(Reason::BadAddress, "this connector texts numbers only")),
        _ => Err(rejected(
            Reason::BadAddress,
            "this connector sends to one number at a time",
        )),
    }
}

/// Names a message for good: the same for a repetition of the same.
pub fn key(outbound: &Outbound) -> String {
    if !outbound.key.is_empty() {
        return outbound.key.clone();
    }
    // It was lined up by a version that gave no key.
    let mut digest = Sha256::new();
    let said = serde_json::to_vec(outbound).unwrap_or_default();
    digest.update(said);
    data_encoding::BASE32_NOPAD
        .encode(&digest.finalize()[..15])
        .to_lowercase()
}
