use super::duration::Span;
use super::problem::Problem;
use super::validate::http_url;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What is done with messages where there is a choice.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Messages {
    /// A text that did not reach the phone within this time is given up, and its sender is told. The network gets it as
    /// the validity period.
    pub validity: Span,
    /// How many times a text is tried when the network reports a passing fault, before its sender is told.
    pub attempts: u32,
    /// How long the parts of a long message are waited for before it is shown with a gap.
    pub assembly_timeout: Span,
    /// How long a late part may still fill the gap.
    pub assembly_keep: Span,
    /// What becomes of a reaction, which SMS cannot carry: `text` sends it in words, `refuse` tells the sender.
    pub reactions: Fallback,
    /// What becomes of an edit: `text` sends the corrected text as a new message, `refuse` tells the sender.
    pub edits: Fallback,
    /// What becomes of pictures, files and voice messages: `link` sends an expiring link, `refuse` tells the sender.
    pub media: Media,
    /// How long such a link works.
    pub link_ttl: Span,
    /// Where phones reach the gateway's media links, such as `https://sms.example.org`. A proxy must pass
    /// `/_swingbridge/media/` on to the application service's port.
    pub public_url: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Fallback {
    Text,
    Refuse,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Media {
    Refuse,
    Link,
}

impl Default for Messages {
    fn default() -> Self {
        Self {
            validity: Span::hours(24),
            attempts: 5,
            assembly_timeout: Span::seconds(120),
            assembly_keep: Span::hours(24),
            reactions: Fallback::Refuse,
            edits: Fallback::Refuse,
            media: Media::Refuse,
            link_ttl: Span::days(7),
            public_url: None,
        }
    }
}

impl Messages {
    /// What holds for a device that is told nothing else: a phone may be away for a weekend, and must not lose what was written meanwhile.
    #[cfg(feature = "device")]
    pub fn of_device() -> Self {
        Self {
            validity: Span::days(7),
            ..Self::default()
        }
    }

    pub fn check(&self, problems: &mut Vec<Problem>) {
        for (path, span) in [
            ("messages.validity", self.validity),
            ("messages.assembly_timeout", self.assembly_timeout),
            ("messages.link_ttl", self.link_ttl),
        ] {
            if span < Span::seconds(1) {
                problems.push(Problem::new(path, "must be at least 1s"));
            }
        }
        if self.attempts == 0 {
            problems.push(Problem::new("messages.attempts", "must be at least 1"));
        }
        if self.assembly_keep < self.assembly_timeout {
            problems.push(
                Problem::new("messages.assembly_keep", "is shorter than `assembly_timeout`")
                    .cure("a late part can only fill a gap that was shown before: make it longer"),
            );
        }
        match (&self.public_url, self.media) {
            (None, Media::Link) => problems.push(
                Problem::new("messages.public_url", "is not set, and `media` is `link`")
                    .cure("give the address at which phones reach the links, or set `media: refuse`"),
            ),
            (Some(url), _) => http_url(
                "messages.public_url",
                url,
                "give the address at which phones reach the links, such as https://sms.example.org",
                problems,
            ),
            (None, Media::Refuse) => {}
        }
    }
}
