//! Who has agreed that others can read what passes.

use crate::site::Site;
use crate::state::Talk;
use crate::step::Scene;
use crate::words;
use swingbridge_domain::consent::{Consent, Rule, Terms};
use swingbridge_domain::id::UserId;
use swingbridge_domain::line::Line;
use swingbridge_domain::path::{Path, Place, Protection, Summary};

/// Where somebody stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stand {
    Agreed,
    /// Never asked, or asked something else.
    Open,
    Declined,
}

/// What is agreed to for a message by `path`.
pub(crate) fn terms(site: &Site, line: &Line, path: &Path) -> Terms {
    let mut readers: Vec<String> = path
        .readers()
        .into_iter()
        .map(|place| words::place(site, place))
        .collect();
    if is_unknown_beyond(path) {
        readers.push(words::WHOEVER_CARRIES.to_owned());
    }
    Terms::new(&subject(site, line), readers)
}

/// The version of a line's terms, whoever can read.
pub(crate) fn version(site: &Site, line: &Line) -> String {
    Terms::new(&subject(site, line), Vec::new()).version
}

fn subject<'a>(site: &'a Site, line: &'a Line) -> [&'a str; 2] {
    let network = site
        .capabilities
        .get(&line.connector)
        .and_then(|able| able.networks.first())
        .map_or("", String::as_str);
    [network, site.privacy.operator.as_deref().unwrap_or_default()]
}

/// Whether `user` has agreed to the terms of a message by `path`.
pub(crate) fn stand(scene: &Scene<'_>, talk: &Talk, user: &UserId, path: &Path) -> Stand {
    if is_not_asked(talk, path) {
        return Stand::Agreed;
    }
    let terms = terms(scene.site, &talk.line, path);
    of(
        scene
            .state
            .consents
            .iter()
            .filter(|consent| &consent.user == user),
        talk,
        &terms,
    )
}

/// Whether anybody has who may use the conversation's line, by whichever line it came.
pub(super) fn somebody_agreed(scene: &Scene<'_>, talk: &Talk, path: &Path) -> bool {
    // What came to the user's own device was readable there before, and nobody else reads it on its way from there.
    if is_not_asked(talk, path) || path.summary() == Summary::EndsAtDevice {
        return true;
    }
    let terms = terms(scene.site, &talk.line, path);
    let own = scene.site.line(&talk.conversation.line).unwrap_or(&talk.line);
    let consents = &scene.state.consents;
    consents.iter().any(|consent| {
        let user = &consent.user;
        let theirs = consents.iter().filter(|other| &other.user == user);
        of(theirs, talk, &terms) == Stand::Agreed && scene.may_use(user, own)
    })
}

/// Nobody need agree where nobody else can read, or where the organisation has decided.
fn is_not_asked(talk: &Talk, path: &Path) -> bool {
    let to_device_alone = || {
        let readers = path.readers();
        path.summary() == Summary::EndsAtDevice
            && readers.iter().all(|place| **place == Place::Device)
            && !is_unknown_beyond(path)
    };
    talk.line.consent == Rule::Policy || path.summary() == Summary::EndToEnd || to_device_alone()
}

/// Nothing is known of what protects it beside the contact's phone: it may be readable by others than those whom the path names.
pub(crate) fn is_unknown_beyond(path: &Path) -> bool {
    let beside_phone = path
        .legs
        .iter()
        .filter(|leg| leg.from == Place::Phone || leg.to == Place::Phone);
    beside_phone
        .into_iter()
        .any(|leg| leg.protection == Protection::Unknown)
}

/// What was said of the conversation itself goes before what was said of its line.
fn of<'a>(consents: impl Iterator<Item = &'a Consent>, talk: &Talk, terms: &Terms) -> Stand {
    let here = Some(talk.conversation.id);
    let said = consents
        .filter(|consent| consent.line == talk.line.id)
        .filter(|consent| consent.conversation == here || is_enough(consent, talk.line.consent))
        .max_by_key(|consent| consent.conversation.is_some());
    match said {
        Some(said) if said.given && said.terms.cover(terms) => Stand::Agreed,
        Some(said) if !said.given && said.terms.cover(terms) => Stand::Declined,
        _ => Stand::Open,
    }
}

/// Whether what was said of the whole line counts. No counts always.
fn is_enough(consent: &Consent, rule: Rule) -> bool {
    consent.conversation.is_none() && (rule == Rule::Line || !consent.given)
}
