//! A path in a few characters, as it stands with each message's record: `u[em,o]g[t,o]c[n,n]p` is a text from a client in an
//! encrypted room (`em`: Megolm, known from our own end) by the gateway and, over TLS, a carrier to a phone.

use super::{Evidence, Leg, Path, Place, Protection, Scheme};

impl Path {
    /// The path in short; [`Path::from_code`] reads it.
    pub fn code(&self) -> String {
        let mut code = String::new();
        for (at, leg) in self.legs.iter().enumerate() {
            // A gap in the way: the leg does not begin where the one before ended.
            match at.checked_sub(1).and_then(|before| self.legs.get(before)) {
                Some(before) if before.to == leg.from => {}
                Some(_) => {
                    code.push('/');
                    push_place(&mut code, &leg.from);
                }
                None => push_place(&mut code, &leg.from),
            }
            code.push('[');
            code.push_str(protection(leg.protection));
            code.push(',');
            code.push(evidence(leg.evidence));
            code.push(']');
            push_place(&mut code, &leg.to);
        }
        code
    }

    /// Reads what [`Path::code`] wrote.
    pub fn from_code(code: &str) -> Option<Self> {
        let mut legs = Vec::new();
        for run in code.split('/') {
            let mut rest = run;
            if rest.is_empty() && code.is_empty() {
                break;
            }
            let mut from = place(&mut rest)?;
            while let Some(inner) = rest.strip_prefix('[') {
                let (kind, after) = inner.split_once(']')?;
                let (word, known) = kind.split_once(',')?;
                rest = after;
                let to = place(&mut rest)?;
                legs.push(Leg {
                    from,
                    to: to.clone(),
                    protection: PROTECTIONS.into_iter().find(|p| protection(*p) == word)?,
                    evidence: EVIDENCES.into_iter().find(|e| known.chars().eq([evidence(*e)]))?,
                });
                from = to;
            }
            if !rest.is_empty() {
                return None;
            }
        }
        Some(Self { legs })
    }
}

const PROTECTIONS: [Protection; 6] = [
    Protection::None,
    Protection::Transport,
    Protection::EndToEnd(Scheme::Megolm),
    Protection::EndToEnd(Scheme::Mls),
    Protection::EndToEnd(Scheme::Imessage),
    Protection::Unknown,
];

const EVIDENCES: [Evidence; 6] = [
    Evidence::CiphertextOnly,
    Evidence::OurOwnEnd,
    Evidence::ReportedByProvider,
    Evidence::ServiceColumn,
    Evidence::NetworkCannot,
    Evidence::None,
];

fn protection(protection: Protection) -> &'static str {
    match protection {
        Protection::None => "n",
        Protection::Transport => "t",
        Protection::EndToEnd(Scheme::Megolm) => "em",
        Protection::EndToEnd(Scheme::Mls) => "el",
        Protection::EndToEnd(Scheme::Imessage) => "ei",
        Protection::Unknown => "?",
    }
}

fn evidence(evidence: Evidence) -> char {
    match evidence {
        Evidence::CiphertextOnly => 'c',
        Evidence::OurOwnEnd => 'o',
        Evidence::ReportedByProvider => 'r',
        Evidence::ServiceColumn => 's',
        Evidence::NetworkCannot => 'n',
        Evidence::None => '-',
    }
}

/// Letters for all but a provider, whose name stands in parentheses, with what has a meaning here left out of it.
fn push_place(code: &mut String, place: &Place) {
    match place {
        Place::Provider(name) => {
            code.push('(');
            code.extend(name.chars().filter(|c| !"()[]/".contains(*c)));
            code.push(')');
        }
        place => code.push(letter(place)),
    }
}

fn letter(place: &Place) -> char {
    match place {
        Place::Phone => 'p',
        Place::Carrier | Place::Provider(_) => 'c',
        Place::Device => 'd',
        Place::Gateway => 'g',
        Place::Homeserver => 'h',
        Place::Client => 'u',
    }
}

fn place(rest: &mut &str) -> Option<Place> {
    if let Some(inner) = rest.strip_prefix('(') {
        let (name, after) = inner.split_once(')')?;
        *rest = after;
        return Some(Place::Provider(name.to_owned()));
    }
    let first = rest.chars().next()?;
    *rest = &rest[first.len_utf8()..];
    [
        Place::Phone,
        Place::Carrier,
        Place::Device,
        Place::Gateway,
        Place::Homeserver,
        Place::Client,
    ]
    .into_iter()
    .find(|place| letter(place) == first)
}
