//! What people read of who can read their messages.

use crate::policy::{is_unknown_beyond, terms};
use crate::site::Site;
use crate::state::Talk;
use std::fmt::Write as _;
use swingbridge_domain::line::Line;
use swingbridge_domain::path::{Evidence, Leg, Path, Place, Protection, Scheme, Summary};
use swingbridge_domain::store::Pin;

pub const YES: &str = "✅";
pub const NO: &str = "❌";
pub const DECIDED: &str = " Who runs this line has decided so for all its users.";
pub const WEAKER_DECLINED: &str =
    "Then it does not go: what waited is refused, and nothing less protected leaves.";
pub const ANSWERED_ALREADY: &str = "That is answered already, or no longer asked.";
pub const NO_ANSWER: &str = "React with ✅ for yes or with ❌ for no.";
pub const NOBODY_AGREED: &str =
    "A text from the phone waited for your consent until its time was over. It was not shown, and is erased.";
pub const HELD_TOO_LONG: &str =
    "Not sent: it waited for your word until its time was over. Write it again if it still matters.";

/// A place, with who runs the gateway where that is known.
pub fn place(site: &Site, place: &Place) -> String {
    match (place, &site.privacy.operator) {
        (Place::Gateway, Some(operator)) => format!("this gateway (run by {operator})"),
        (place, _) => place.to_string(),
    }
}

/// `a, b and c`.
fn listed(site: &Site, places: &[&Place]) -> String {
    let mut text = String::new();
    for (at, reader) in places.iter().enumerate() {
        match at {
            0 => {}
            _ if at + 1 == places.len() => text.push_str(" and "),
            _ => text.push_str(", "),
        }
        text.push_str(&place(site, reader));
    }
    text
}

fn network(site: &Site, talk: &Talk) -> String {
    site.network_of(&talk.line).to_uppercase()
}

/// "not end-to-end encrypted", and who can read it: for topics and in sentences.
pub fn summary(site: &Site, path: &Path) -> String {
    let readers = path.readers();
    let what = match path.summary() {
        Summary::EndToEnd => return "end-to-end encrypted".to_owned(),
        Summary::Unknown => "it is not known whether this is encrypted",
        Summary::EndsAtDevice => "encryption ends at your device",
        _ => "not end-to-end encrypted",
    };
    if readers.is_empty() {
        return what.to_owned();
    }
    format!("{what}; readable by {}", listed(site, &readers))
}

/// The summary alone.
pub fn in_short(path: &Path) -> &'static str {
    match path.summary() {
        Summary::EndToEnd => "end-to-end encrypted",
        Summary::EndsAtDevice => "encryption ends at your device",
        Summary::EndsAtGateway => "encryption ends at the gateway",
        Summary::None => "not end-to-end encrypted",
        Summary::Unknown => "encryption unknown",
    }
}

/// How well messages are protected, said in a room when it is news.
pub fn standing(site: &Site, talk: &Talk, path: &Path) -> String {
    let network = network(site, talk);
    let readers = path.readers();
    let by = listed(site, &readers);
    match path.summary() {
        Summary::EndToEnd => format!("{network}: end-to-end encrypted between the phone and your client."),
        Summary::EndsAtDevice => format!(
            "{network} through your device: encrypted between your client and your device, and from there as {network} is. \
             Readable by {by}."
        ),
        Summary::EndsAtGateway => format!(
            "{network} through this gateway: not end-to-end encrypted; readable by {by}. Between your client and this gateway it is \
             encrypted: the homeserver cannot read it."
        ),
        Summary::None => {
            format!("{network} through this gateway: not end-to-end encrypted; readable by {by}.")
        }
        Summary::Unknown => format!(
            "{network}: it is not known whether messages are encrypted on their way. Take them for readable by others{}.",
            if by.is_empty() {
                String::new()
            } else {
                format!(", at least by {by}")
            }
        ),
    }
}

/// Who can read what goes by a way of which nothing is known.
pub const WHOEVER_CARRIES: &str = "whoever carries it";

pub fn consent_question(site: &Site, talk: &Talk, path: &Path) -> String {
    let all = match talk.line.consent {
        swingbridge_domain::consent::Rule::Conversation => format!("Texts with {}", talk.shown()),
        _ => format!("Texts on {}", talk.line.name),
    };
    let readers = listed(site, &path.readers());
    let case = match is_unknown_beyond(path) {
        true => format!(
            "{all}: what protects them on their way to the phone is not known. Take them for readable by whoever carries them, \
             beside {readers}."
        ),
        false => format!(
            "{all} go by {}. They are not end-to-end encrypted: {readers} can read them.",
            network(site, talk)
        ),
    };
    let version = terms(site, &talk.line, path).version;
    format!(
        "{case} Do you agree to that? React with {YES} if you do, with {NO} if not. Until then nothing is sent and nothing is shown; \
         texts wait, sealed. (Terms {version})"
    )
}

pub fn waiting_text(contact: &str, question: &str) -> String {
    format!("A text from {contact} waits to be shown. {question}")
}

pub fn one_more_waits() -> String {
    "One more text waits for your consent, as asked above.".to_owned()
}

pub fn held_for_consent(prefix: &str) -> String {
    format!("It waits for your consent: answer the question here, or write `{prefix} consent give`.")
}

pub fn held_for_downgrade(prefix: &str) -> String {
    format!(
        "It waits: it would go less protected than before. Answer the question here; `{prefix} policy` shows the rule."
    )
}

pub fn held_for_key(prefix: &str) -> String {
    format!("It waits: the contact's key has changed. `{prefix} pins` shows both.")
}

pub fn declined(prefix: &str) -> String {
    format!(
        "Not sent: you have not agreed that others can read it on its way. `{prefix} consent give` agrees; `{prefix} path` says who \
         can."
    )
}

fn scope(line: &Line, conversation: bool) -> String {
    match conversation {
        true => "this conversation".to_owned(),
        false => format!("all conversations on {}", line.name),
    }
}

pub fn consent_given(line: &Line, conversation: bool, prefix: &str) -> String {
    format!(
        "You agreed, for {}. What waited goes now. `{prefix} consent withdraw` takes it back at any time.",
        scope(line, conversation)
    )
}

pub fn consent_withdrawn(line: &Line, conversation: bool, prefix: &str) -> String {
    format!(
        "You do not agree, for {}: from now on nothing of yours is sent there. `{prefix} consent give` agrees again.",
        scope(line, conversation)
    )
}

pub fn weaker_question(site: &Site, talk: &Talk, path: &Path) -> String {
    format!(
        "This would go less protected than the messages before it. {} Shall it go all the same? React with {YES} if so, with {NO} if \
         not. Until then it waits.",
        standing(site, talk, path)
    )
}

/// It turned out after a message had left.
pub fn left_weaker(site: &Site, path: &Path) -> String {
    format!(
        "This message left less protected than those before it, and cannot be called back: {}. The next one waits for your word.",
        summary(site, path)
    )
}

pub fn weaker_refused(site: &Site, talk: &Talk, path: &Path) -> String {
    format!(
        "Not sent: it would go less protected than the messages before it, which this conversation's rule refuses. {}",
        standing(site, talk, path)
    )
}

fn scheme(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Megolm => "Matrix",
        Scheme::Mls => "MLS",
        Scheme::Imessage => "iMessage",
    }
}

pub fn key_question(prefix: &str, talk: &Talk, pin: &Pin) -> String {
    format!(
        "The {} key of {} has changed. Known since {}: {}. Now: {}. It may be a new phone, or somebody in between. Compare it with them by \
         another way. React with {YES} (or `{prefix} pins accept`) to trust it, with {NO} (or `{prefix} pins reject`) if not. Until then \
         nothing is sent.",
        scheme(pin.scheme),
        talk.shown(),
        pin.at,
        pin.fingerprint,
        pin.changed.as_deref().unwrap_or("the same"),
    )
}

pub fn pin(pin: &Pin) -> String {
    let mut text = format!(
        "{}: {}, first seen {} by {}",
        scheme(pin.scheme),
        pin.fingerprint,
        pin.at,
        pin.connector
    );
    if let Some(new) = &pin.changed {
        let judged = if pin.rejected {
            "not trusted"
        } else {
            "not judged yet"
        };
        let _ = write!(text, "; now {new}, {judged}");
    }
    text
}

pub fn key_accepted(pin: &Pin) -> String {
    format!("Trusted from now on: {}. What waited goes now.", pin.fingerprint)
}

pub fn key_rejected(prefix: &str) -> String {
    format!(
        "The contact's new key is not trusted: nothing is sent until the old one is seen again, or you write `{prefix} pins accept`."
    )
}

pub fn key_is_back(talk: &Talk) -> String {
    format!(
        "{} is back with the key that is trusted. What waited goes now.",
        talk.shown()
    )
}

/// What each leg is, what protects it, and how that is known.
pub fn path(site: &Site, path: &Path) -> String {
    let mut text = format!("{}.", capital(&summary(site, path)));
    for leg in &path.legs {
        let _ = write!(text, "\n• {}", leg_in_words(site, leg));
    }
    text
}

/// With a capital letter at its beginning.
pub fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}

fn leg_in_words(site: &Site, leg: &Leg) -> String {
    let protection = match leg.proven() {
        Protection::None => "not encrypted".to_owned(),
        Protection::Transport => "encrypted on the way (TLS), readable at both ends".to_owned(),
        Protection::EndToEnd(kind) => format!("end-to-end encrypted ({})", scheme(kind)),
        Protection::Unknown => "not known".to_owned(),
    };
    let evidence = match leg.evidence {
        Evidence::CiphertextOnly => "only ciphertext passed here",
        Evidence::OurOwnEnd => "seen at our own end of it",
        Evidence::ReportedByProvider => "as the provider reports",
        Evidence::ServiceColumn => "as the device's records name the service",
        Evidence::NetworkCannot => "the network has nothing else",
        Evidence::None => "there is no evidence",
    };
    format!(
        "{} → {}: {protection}; {evidence}",
        place(site, &leg.from),
        place(site, &leg.to)
    )
}
