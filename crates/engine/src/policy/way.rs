//! The way of a message, put together from what both sides report.

use crate::effect::Effect;
use crate::site::Site;
use crate::state::Talk;
use swingbridge_domain::line::Line;
use swingbridge_domain::path::{Evidence, Leg, Path, Place, Protection};

/// The legs from the phone to us. `reported`: what the connector told of this very message, if anything.
pub(crate) fn to_us(site: &Site, line: &Line, reported: &[Leg]) -> Vec<Leg> {
    let known = site.capabilities.get(&line.connector);
    let legs = match reported {
        [] => known.map_or(&[][..], |able| &able.way),
        reported => reported,
    };
    if legs.is_empty() {
        // Nobody says anything about it.
        return vec![Leg::new(
            Place::Phone,
            site.here.clone(),
            Protection::Unknown,
            Evidence::None,
        )];
    }
    legs.to_vec()
}

/// Remembers the legs that a message took, where its connector says so of each: the next one is thought to take the same.
pub(crate) fn went(talk: &Talk, way: &[Leg]) -> Option<Effect> {
    let news = !way.is_empty() && talk.conversation.trust.way != way;
    news.then(|| Effect::SetWay {
        conversation: talk.conversation.id,
        way: way.to_vec(),
    })
}

/// The way of a text from a phone. `room`: what protects the room's events.
pub(crate) fn inward(site: &Site, line: &Line, reported: &[Leg], room: Protection) -> Path {
    let mut legs = to_us(site, line, reported);
    let ours = legs
        .last()
        .map_or_else(|| site.here.clone(), |leg| leg.to.clone());
    legs.extend(Path::to_client(ours, room, site.privacy.homeserver));
    Path { legs }
}

/// The way of a text to a phone: the same, the other way round.
pub(crate) fn outward(site: &Site, line: &Line, reported: &[Leg], room: Protection) -> Path {
    inward(site, line, reported, room).reversed()
}

/// What protects the events of the conversation's room now, or would if it were made now.
pub(crate) fn room_now(site: &Site, talk: &Talk) -> Protection {
    talk.conversation.trust.room.unwrap_or(site.privacy.new_rooms)
}

/// The way of a text to a phone that went other legs than was thought: our own end stays as it was.
pub(crate) fn rerouted(site: &Site, line: &Line, thought: Option<&Path>, reported: &[Leg]) -> Path {
    let first = thought.and_then(|path| path.legs.first());
    let room = first.map_or(Protection::Unknown, |leg| match leg.to {
        Place::Homeserver => Protection::None,
        _ => leg.protection,
    });
    outward(site, line, reported, room)
}
