//! Which line a message goes by, and whether one that did not arrive may go by another.

use crate::event::Cause;
use crate::site::Site;
use crate::state::Talk;
use std::borrow::Cow;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::LineId;
use swingbridge_domain::line::Line;

/// The conversation by the line that a message of now goes by: its own, or the one that stands in for it for a while.
pub(crate) fn routed<'a>(site: &Site, talk: &'a Talk, now: Timestamp) -> Cow<'a, Talk> {
    let detour = talk.conversation.trust.detour.as_ref();
    let line = detour
        .filter(|detour| detour.until > now)
        .filter(|detour| {
            site.fallback_of(&talk.line)
                .is_some_and(|(_, other)| other.id == detour.line)
        })
        .and_then(|detour| site.line(&detour.line));
    match line {
        Some(line) => Cow::Owned(talk.by(line)),
        None => Cow::Borrowed(talk),
    }
}

/// The conversation by the line that a message went or came by: its own, the one that stands in for it, or the one that it was on before.
pub(crate) fn by_way_of<'a>(site: &Site, talk: &'a Talk, line: Option<&LineId>) -> Cow<'a, Talk> {
    let other = line.filter(|line| **line != talk.line.id);
    match other.and_then(|other| site.line(other)) {
        Some(other) => Cow::Owned(talk.by(other)),
        None => Cow::Borrowed(talk),
    }
}

/// The line that a message goes by which its network refused for `reason`, and why. Only what went by the conversation's own line does.
pub(crate) fn instead<'a>(
    site: &'a Site,
    talk: &'a Talk,
    sent_by: &LineId,
    reason: Reason,
) -> Option<(&'a Line, Cause)> {
    let (fallback, other) = site.fallback_of(&talk.line)?;
    if &talk.line.id != sent_by {
        return None;
    }
    match reason {
        Reason::NotReachable => fallback.unreachable.then_some((other, Cause::Unreachable)),
        Reason::BadContent | Reason::NotAllowed | Reason::NetworkFault | Reason::NetworkRefused => {
            fallback.refused.then_some((other, Cause::Refused))
        }
        // No network may, or can, do better; and what the phone has in part it would have twice.
        Reason::BadAddress | Reason::Emergency | Reason::Expired | Reason::InPart => None,
    }
}
