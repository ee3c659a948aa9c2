//! What people read of messages that go by another line.

use super::capital;
use crate::event::Cause;
use crate::policy;
use crate::site::Site;
use crate::state::Talk;
use swingbridge_domain::connector::Reach;
use swingbridge_domain::line::Line;

fn network(site: &Site, line: &Line) -> String {
    site.network_of(line).to_uppercase()
}

/// Why a message goes by the line `to`.
pub fn diverted(site: &Site, talk: &Talk, to: &Line, cause: Cause) -> String {
    let (first, other) = (network(site, &talk.line), network(site, to));
    match cause {
        Cause::Unreachable => format!("This phone has no {first} now: it goes by {other} instead."),
        Cause::Refused => format!("{first} did not take it: it goes by {other} instead."),
        Cause::Overdue => {
            format!(
                "It did not reach the phone by {first} and was taken back there: it goes by {other} instead."
            )
        }
        Cause::Swapped => format!("It goes by {} now, as this conversation does.", to.name),
    }
}

/// A message does not go by the line `to` either; what is said after it is why.
pub fn not_diverted(site: &Site, talk: &Talk, to: &Line, cause: Cause) -> String {
    let (first, other) = (network(site, &talk.line), network(site, to));
    match cause {
        Cause::Unreachable => format!("This phone has no {first} now, and it does not go by {other} either."),
        Cause::Refused => format!("{first} did not take it, and it does not go by {other} either."),
        Cause::Overdue => format!(
            "It did not reach the phone by {first} and was taken back there, and it does not go by {other} either."
        ),
        Cause::Swapped => format!(
            "This conversation goes by {} now, and this message does not.",
            to.name
        ),
    }
}

/// A message that has not arrived is left where it is, since it would not go by the line `to`; `refused` says why.
pub fn stays(site: &Site, talk: &Talk, to: &Line, refused: &str) -> String {
    let (first, other) = (network(site, &talk.line), network(site, to));
    let why = refused.strip_prefix("Not sent: ").unwrap_or(refused);
    format!(
        "It has not reached the phone by {first} yet. It is not taken back there, and may still arrive, since by {other} it would not be \
         sent: {why}"
    )
}

/// A message can not be taken back, so it goes no other way.
pub fn not_taken_back(site: &Site, talk: &Talk) -> String {
    let first = network(site, &talk.line);
    format!(
        "It has not reached the phone by {first} yet, and cannot be taken back for certain. It is not sent another way, or the \
         phone might get it twice."
    )
}

/// It arrived by the first way while it was about to go by the other.
pub fn arrived_after_all(site: &Site, line: &Line) -> String {
    format!("It reached the phone by {} after all.", network(site, line))
}

/// It arrived by the first way after it had gone by the other.
pub fn arrived_twice(site: &Site, line: &Line) -> String {
    format!(
        "It reached the phone by {} after all, although the network had said otherwise: the phone may have it twice.",
        network(site, line)
    )
}

/// What a network says of whether it reaches the contact.
pub fn reach(site: &Site, talk: &Talk, line: &Line, reach: Reach) -> String {
    let (network, shown) = (network(site, line), talk.shown());
    match reach {
        Reach::Yes => format!("{network} ({}): reaches {shown}.", line.name),
        Reach::No => format!("{network} ({}): does not reach {shown} now.", line.name),
        Reach::Unknown => format!(
            "{network} ({}): cannot be asked before something is sent.",
            line.name
        ),
    }
}

/// The conversation belongs to another line now.
pub fn swapped(site: &Site, talk: &Talk) -> String {
    let path = policy::outward(site, &talk.line, &[], policy::room_now(site, talk));
    format!(
        "From now on this conversation goes by {} ({}, {}). {}",
        talk.line.name,
        network(site, &talk.line),
        talk.line.address.full(),
        capital(&super::summary(site, &path))
    )
}
