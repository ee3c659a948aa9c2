//! The owner's second session: what they say on the phone itself appears as theirs.

use super::Puppet;
use futures_util::FutureExt;
use matrix_sdk::Client;
use matrix_sdk::RoomState;
use matrix_sdk::ruma::RoomId as MatrixRoomId;
use std::sync::atomic::Ordering;
use swingbridge_domain::homeserver::Sender;

/// Marks what was said in the owner's name here, so that it is not taken for their own word when it comes back.
pub(super) const SOURCE: &str = "fi.mau.double_puppet_source";

impl Puppet {
    /// Whose client says it: the owner's for what they said themselves, where there is one and it can be in the room.
    pub(super) async fn client_for(&self, sender: &Sender, room: &MatrixRoomId) -> &Client {
        let (Sender::Owner(_), Some(double)) = (sender, &self.double) else {
            return &self.client;
        };
        if self.double_ended.load(Ordering::Relaxed) {
            return &self.client;
        }
        if double
            .get_room(room)
            .is_some_and(|room| room.state() == RoomState::Joined)
        {
            return double;
        }
        match double.join_room_by_id(room).boxed().await {
            Ok(_) => double,
            Err(error) => {
                let failure = super::failure::any(error);
                tracing::warn!(%failure, "the owner's second session cannot enter a room; the device speaks for it");
                &self.client
            }
        }
    }

    pub(super) fn is_double(&self, client: &Client) -> bool {
        client.user_id() == Some(&self.owner)
    }
}
