//! The homeserver as the engine sees it, by way of an ordinary client.

use super::say::Reaction;
use super::{Puppet, failure};
use crate::rooms::upkeep;
use async_trait::async_trait;
use swingbridge_domain::homeserver::{Action, Homeserver, Missed, PerformError, Performed};
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_domain::message::Media;

#[async_trait]
impl Homeserver for Puppet {
    async fn perform(&self, action: &Action, transaction: &str) -> Result<Performed, PerformError> {
        match action {
            Action::CreateRoom(new) => self.create_room(new).await.map_err(failure::perform),
            Action::Post(post) => self.post(post, transaction).await,
            Action::Status(status) => self.status(status, transaction).await,
            Action::MarkRead { room, event } => self.mark_read(room, event).await,
            Action::React {
                room,
                event,
                key,
                by,
                way,
            } => {
                let reaction = Reaction {
                    room,
                    target: event,
                    key,
                    by,
                    way,
                };
                self.react(reaction, transaction).await
            }
            Action::Redact { room, event, by } => self.redact(by, room, event, transaction).await,
            Action::Typing { room, by, active } => self.typing(by, room, *active).await,
            Action::Join { room } => self.join(room).await,
            // There is no ghost to leave, and no alias to take away.
            Action::Leave { room, space, .. } => {
                self.leave(room, space.as_ref()).await.map_err(failure::perform)
            }
            Action::Invite { room, users } => self.invite(room, users).await.map_err(failure::perform),
            Action::Shelve { room, from, to } => {
                let shelved = upkeep::shelve(self, room, from.as_ref(), to);
                shelved.await.map_err(failure::perform)
            }
            Action::Describe { room, about, ghost } => self.describe(room, about, ghost.as_ref()).await,
        }
    }

    async fn text_of(&self, room: &RoomId, event: &EventId) -> Result<Option<String>, PerformError> {
        self.text(room, event).await.map_err(failure::perform)
    }

    /// Nothing: [`Puppet::run`] goes on where it stopped, by a place of its own.
    async fn missed(&self, _: Option<&str>) -> Result<Missed, PerformError> {
        Ok(Missed {
            arrivals: Vec::new(),
            token: "puppet".to_owned(),
            more: false,
        })
    }

    async fn fetch(&self, media: &Media) -> Result<Media, PerformError> {
        self.bring(media).await.map_err(failure::perform)
    }

    async fn release(&self, media: &Media) {
        self.spool.release(media).await;
    }
}
