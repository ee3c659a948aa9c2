//! How much a message is, as far as that can be told before it leaves.

use crate::render;
use crate::site::Site;
use crate::state::Talk;
use swingbridge_domain::capability::Support;
use swingbridge_domain::limits::LongTexts;
use swingbridge_domain::message::{Body, Message};
use swingbridge_wire::segments::{Options, segment};

/// What RCS counts as a short text, in bytes of UTF-8: Google's basic message, and the segment of carriers in the US.
const SHORT: usize = 160;

/// What is counted of a message. An estimate: what is quoted or linked is not there yet, and an account may have tables of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Measure {
    pub parts: u32,
    /// It has the price of a message with a file, as a whole.
    pub media: bool,
}

impl Default for Measure {
    fn default() -> Self {
        Self {
            parts: 1,
            media: false,
        }
    }
}

impl Measure {
    /// Measures `message` as the line of `talk` carries it.
    pub fn of(site: &Site, talk: &Talk, message: &Message, quotes: bool, writer: &str) -> Self {
        /// As long as a quote may be, and a link.
        const QUOTE: usize = 66;
        const LINK: usize = 100;
        let able = site.capabilities_of(&talk.line);
        let mut text = match message.parts.first().map(|part| &part.body) {
            Some(Body::Text(text)) => text.plain.clone(),
            Some(Body::Media(media)) if able.media == Support::Absent => {
                let caption = media.caption.as_deref().unwrap_or(&media.name);
                format!("{caption}\n{}", "x".repeat(LINK))
            }
            // What the network carries itself: an MMS, a file or a card by RCS.
            Some(Body::Media(_) | Body::RichCard(_)) => {
                return Self {
                    parts: 1,
                    media: true,
                };
            }
            _ => return Self::default(),
        };
        if quotes {
            text.insert_str(0, &"x".repeat(QUOTE));
        }
        if let Some(signature) = &talk.line.signature {
            let signed = render::signed(Message::text(text.clone()), signature, writer);
            text = signed.first_text().map_or(text, |signed| signed.plain.clone());
        }
        match able.networks.first().is_none_or(|network| network == "sms") {
            true => {
                let cut = segment(&text, &Options::default());
                Self::parts(cut.map_or_else(|long| long.parts, |cut| cut.segments))
            }
            false => Self::elsewhere(&text, talk.line.limits.long_texts),
        }
    }

    /// A text where nothing is cut into segments by SMS.
    fn elsewhere(text: &str, rule: LongTexts) -> Self {
        let long = text.len() > SHORT;
        match rule {
            LongTexts::Parts => Self::parts(text.len().div_ceil(SHORT).max(1)),
            LongTexts::Media => Self {
                parts: 1,
                media: long,
            },
            LongTexts::One => Self::default(),
        }
    }

    fn parts(count: usize) -> Self {
        Self {
            parts: u32::try_from(count).unwrap_or(u32::MAX),
            media: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_count_as_the_provider_says() {
        let letters = |count: usize| "x".repeat(count);
        for (text, rule, parts, media) in [
            (letters(1000), LongTexts::One, 1, false),
            (letters(160), LongTexts::Parts, 1, false),
            (letters(161), LongTexts::Parts, 2, false),
            // Google's own example: 300 bytes are two segments. It counts bytes, and not letters.
            (letters(300), LongTexts::Parts, 2, false),
            ("ж".repeat(81), LongTexts::Parts, 2, false),
            (String::new(), LongTexts::Parts, 1, false),
            (letters(160), LongTexts::Media, 1, false),
            (letters(161), LongTexts::Media, 1, true),
        ] {
            assert_eq!(
                Measure::elsewhere(&text, rule),
                Measure { parts, media },
                "{} {rule:?}",
                text.len()
            );
        }
    }
}
