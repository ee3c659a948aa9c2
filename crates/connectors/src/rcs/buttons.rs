//! Buttons on their way out, and what a tap tells on the way back.

use crate::provider::http::rejected;
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::{Button, Deed};

/// The most characters on a button (Universal Profile; Google and FNW.11 alike).
pub const LONGEST_LABEL: usize = 25;
/// Before what comes back with a tap.
const MARK: &str = "swingbridge";

/// A button that fits.
#[derive(Clone)]
pub struct Chip<'a> {
    pub label: String,
    pub deed: &'a Deed,
    /// Comes back with a tap: which message, which button.
    pub postback: String,
}

/// Brings the buttons of the message `id` into their form. A label that is too long loses its end, visibly.
///
/// # Errors
/// [`SendError::Rejected`]: a button without a label, two that would look the same, or a deed that no phone can do.
pub fn chips<'a>(
    buttons: impl IntoIterator<Item = &'a Button>,
    id: &str,
) -> Result<Vec<Chip<'a>>, SendError> {
    let mut chips: Vec<Chip<'a>> = Vec::new();
    for (index, button) in buttons.into_iter().enumerate() {
        let bad = |detail: &str| {
            Err(rejected(
                Reason::BadContent,
                format!("button {}: {detail}", index + 1),
            ))
        };
        let label = cut(button.label.trim());
        if label.is_empty() {
            return bad("nothing stands on it");
        }
        if chips.iter().any(|chip| chip.label == label) {
            return bad("it looks like another one; at most 25 characters of a label are shown");
        }
        match &button.deed {
            Deed::Open(address) if !is_link(address) => return bad("it opens no https address"),
            Deed::Dial(number) if !is_number(number) => {
                return bad("the number that it calls is not written with + and the country code");
            }
            _ => {}
        }
        chips.push(Chip {
            label,
            deed: &button.deed,
            postback: format!("{MARK}:{id}:{index}"),
        });
    }
    Ok(chips)
}

/// The message of ours that a tap answers.
pub fn answered(postback: &str) -> Option<NetworkId> {
    let (id, index) = postback.strip_prefix(MARK)?.strip_prefix(':')?.rsplit_once(':')?;
    let fits = !id.is_empty() && id.len() <= 128 && index.parse::<u32>().is_ok();
    fits.then(|| NetworkId::new(id))
}

fn cut(label: &str) -> String {
    match label.chars().count() <= LONGEST_LABEL {
        true => label.to_owned(),
        false => {
            let kept: String = label.chars().take(LONGEST_LABEL - 1).collect();
            format!("{}…", kept.trim_end())
        }
    }
}

fn is_link(address: &str) -> bool {
    url::Url::parse(address).is_ok_and(|url| matches!(url.scheme(), "https" | "http") && url.has_host())
}

fn is_number(number: &str) -> bool {
    number.strip_prefix('+').is_some_and(|digits| {
        (6..=15).contains(&digits.len()) && digits.bytes().all(|octet| octet.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn button(label: &str, deed: Deed) -> Button {
        Button {
            label: label.to_owned(),
            deed,
        }
    }

    #[test]
    fn a_tap_names_the_message_that_it_answers() {
        let buttons = [button("Yes", Deed::Reply), button("No", Deed::Reply)];
        let chips = chips(&buttons, "0b5c-1").unwrap();
        assert_ne!(chips[0].postback, chips[1].postback);
        assert_eq!(answered(&chips[1].postback), Some(NetworkId::new("0b5c-1")));
        for foreign in ["", "yes", "swingbridge:", "swingbridge::1", "swingbridge:a:b"] {
            assert_eq!(answered(foreign), None, "{foreign}");
        }
    }

    #[test]
    fn long_labels_lose_their_end_and_equal_ones_are_refused() {
        let long = "A label that is a good deal too long";
        let cut = chips(&[button(long, Deed::Reply)], "m").unwrap()[0].label.clone();
        assert_eq!(
            (cut.chars().count(), cut.as_str()),
            (25, "A label that is a good d…")
        );
        let alike = [
            button(long, Deed::Reply),
            button(&format!("{long}!"), Deed::Reply),
        ];
        assert!(chips(&alike, "m").is_err());
        assert!(chips(&[button("x", Deed::Open("javascript:1".into()))], "m").is_err());
        assert!(chips(&[button("x", Deed::Dial("911".into()))], "m").is_err());
    }
}
