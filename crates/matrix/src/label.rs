//! The label of a bridged event: which way it took, and what protected it (`docs/specs/path-label.md`).

use crate::homeserver::Matrix;
use serde_json::{Value, json};
use swingbridge_domain::path::{Leg, Path, Place, Protection, VERSION};

/// Under which the label stands in an event's content.
pub(crate) const KEY: &str = "dev.swingbridge.path";

pub(crate) fn label(path: &Path) -> Value {
    json!({
        "version": VERSION,
        "summary": path.summary().word(),
        "legs": path.legs,
    })
}

impl Matrix {
    /// The whole way of what came by `legs` and goes into a room whose events `room` protects.
    pub(crate) fn way_into_room(&self, legs: &[Leg], room: Protection) -> Path {
        let to_homeserver = match self.config.homeserver.scheme() {
            "https" => Protection::Transport,
            _ => Protection::None,
        };
        let ours = legs.last().map_or(Place::Gateway, |leg| leg.to.clone());
        let end = Path::to_client(ours, room, to_homeserver);
        Path::new(legs.iter().cloned().chain(end))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_domain::path::{Evidence, Scheme};

    #[test]
    fn a_label_is_as_it_is_documented() {
        let path = Path::new([
            Leg::new(
                Place::Phone,
                Place::Provider("Example".into()),
                Protection::None,
                Evidence::NetworkCannot,
            ),
            Leg::new(
                Place::Provider("Example".into()),
                Place::Gateway,
                Protection::Transport,
                Evidence::OurOwnEnd,
            ),
            Leg::new(
                Place::Gateway,
                Place::Client,
                Protection::EndToEnd(Scheme::Megolm),
                Evidence::OurOwnEnd,
            ),
        ]);
        assert_eq!(
            label(&path),
            json!({
                "version": 1,
                "summary": "ends_at_gateway",
                "legs": [
                    {"from": "phone", "to": {"provider": "Example"}, "protection": "none", "evidence": "network_cannot"},
                    {"from": {"provider": "Example"}, "to": "gateway", "protection": "transport", "evidence": "our_own_end"},
                    {"from": "gateway", "to": "client", "protection": {"end_to_end": "megolm"}, "evidence": "our_own_end"},
                ],
            })
        );
    }
}
