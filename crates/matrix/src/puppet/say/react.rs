//! Reactions. The account reacts for all contacts, and a homeserver lets it do so only once with the same key: whoever reacts like another
//! before them is shown in words.

use super::{PROFILE, SOURCE, label};
use crate::failure::Failure;
use crate::homeserver::{event_id, room_id};
use crate::puppet::{Puppet, failure};
use matrix_sdk::Client;
use ruma::api::client::relations::get_relating_events_with_rel_type_and_event_type;
use ruma::events::TimelineEventType;
use ruma::events::relation::RelationType;
use ruma::{RoomId as MatrixRoomId, UInt};
use serde_json::{Value, json};
use swingbridge_domain::homeserver::{PerformError, Performed, Post, Sender};
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_domain::message::{Text, Tone};
use swingbridge_domain::path::{Leg, Protection};

/// As many reactions to one message are looked through.
const MOST: u32 = 500;

/// A reaction, to be shown.
#[derive(Clone, Copy)]
pub(in crate::puppet) struct Reaction<'a> {
    pub room: &'a RoomId,
    pub target: &'a EventId,
    pub key: &'a str,
    pub by: &'a Sender,
    pub way: &'a [Leg],
}

impl Puppet {
    pub(in crate::puppet) async fn react(
        &self,
        reaction: Reaction<'_>,
        transaction: &str,
    ) -> Result<Performed, PerformError> {
        let id = room_id(reaction.room)?;
        let client = self.client_for(reaction.by, &id).await;
        let shown = match self.annotate(client, &id, reaction, transaction).await {
            Err(failure) if failure.refused_as("M_DUPLICATE_ANNOTATION") => {
                self.say_alike(client, &id, reaction, transaction).await
            }
            other => other,
        };
        match shown {
            Ok(performed) => Ok(performed),
            Err(failure) => Err(self.refusal(&id, failure).await),
        }
    }

    async fn annotate(
        &self,
        client: &Client,
        id: &MatrixRoomId,
        reaction: Reaction<'_>,
        transaction: &str,
    ) -> Result<Performed, Failure> {
        let (target, key) = (reaction.target, reaction.key);
        let mut content =
            json!({ "m.relates_to": { "rel_type": "m.annotation", "event_id": target, "key": key } });
        if !reaction.way.is_empty() {
            content[label::KEY] = label::label(&self.way(reaction.way, Protection::None));
        }
        if self.is_double(client) {
            content[SOURCE] = json!("dev.swingbridge");
        }
        // A reaction goes in the clear: only a pseudonym says whose it is.
        if let Some(pseudonym) = pseudonym(reaction.by) {
            content[PROFILE] = json!({ "id": pseudonym });
        }
        let room = self.enter(client, id).await?;
        self.send(&room, "m.reaction", &content, transaction).await
    }

    /// The reaction is there already. Where it is the same person's, as after a crash, it is theirs; else it is said in words, which go
    /// encrypted and can be taken back like a reaction.
    async fn say_alike(
        &self,
        client: &Client,
        id: &MatrixRoomId,
        reaction: Reaction<'_>,
        transaction: &str,
    ) -> Result<Performed, Failure> {
        if let Some(event) = self.annotated(client, id, reaction).await? {
            return Ok(Performed {
                event: Some(event),
                protection: Some(Protection::None),
                ..Performed::default()
            });
        }
        let post = Post {
            room: reaction.room.clone(),
            sender: reaction.by.clone(),
            text: Text {
                plain: format!("reacted {}", reaction.key),
                tone: Tone::Notice,
                ..Text::default()
            },
            media: None,
            quiet: true,
            replaces: None,
            in_reply_to: Some(reaction.target.clone()),
            sent_at: None,
            way: reaction.way.to_vec(),
        };
        self.say(&post, id, transaction).await
    }

    /// The reaction with this key that shows the same person.
    async fn annotated(
        &self,
        client: &Client,
        id: &MatrixRoomId,
        reaction: Reaction<'_>,
    ) -> Result<Option<EventId>, Failure> {
        use get_relating_events_with_rel_type_and_event_type::v1::Request;
        let mut request = Request::new(
            id.to_owned(),
            event_id(reaction.target)?,
            RelationType::Annotation,
            TimelineEventType::Reaction,
        );
        request.limit = Some(UInt::from(MOST));
        let answer = client.send(request).await.map_err(failure::http)?;
        let us = client.user_id().map(|user| user.as_str());
        let same = answer.chunk.iter().find_map(|raw| {
            let event: Value = serde_json::from_str(raw.json().get()).ok()?;
            let content = &event["content"];
            let theirs = event["sender"].as_str() == us
                && content["m.relates_to"]["key"] == reaction.key
                && content[PROFILE]["id"].as_str() == pseudonym(reaction.by);
            theirs.then(|| event["event_id"].as_str().map(EventId::new))?
        });
        Ok(same)
    }
}

fn pseudonym(by: &Sender) -> Option<&str> {
    match by {
        Sender::Ghost(ghost) => Some(&ghost.pseudonym),
        Sender::Owner(_) | Sender::Bot => None,
    }
}
