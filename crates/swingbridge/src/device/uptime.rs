//! How well the device has served, said in the direct chat when its owner asks there: the command `uptime`.
//!
//! The engine knows nothing of it: the question is heard on its way to the inbox. In the direct chat the word alone is the question; in a
//! conversation, where it would be a text to the contact, it needs the prefix of commands.

use super::sla::{Record, is_up, word};
use super::watch::span;
use async_trait::async_trait;
use std::path::PathBuf;
use std::sync::Arc;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::id::UserId;
use swingbridge_domain::inbox::{Arrival, Inbox, InboxError, RoomEvent, RoomEventKind, What};
use swingbridge_engine::Engine;
use swingbridge_matrix::puppet::Puppet;

const WORD: &str = "uptime";

/// The engine's inbox, which hears the question.
pub struct Uptime {
    pub folder: PathBuf,
    pub owner: UserId,
    /// What commands begin with outside the direct chat.
    pub prefix: String,
    pub puppet: Arc<Puppet>,
    pub engine: Engine,
    pub clock: Arc<dyn Clock>,
}

#[async_trait]
impl Inbox for Uptime {
    async fn deliver(&self, arrivals: Vec<Arrival>) -> Result<(), InboxError> {
        let mut rest = Vec::with_capacity(arrivals.len());
        let mut asked = false;
        for arrival in arrivals {
            let is_it = match &arrival.what {
                What::Room(event) => self.is_question(event).await,
                _ => false,
            };
            match is_it {
                true => asked = true,
                false => rest.push(arrival),
            }
        }
        if !rest.is_empty() {
            self.engine.deliver(rest).await?;
        }
        if asked {
            let answer = match Record::read(&self.folder) {
                Some(record) => told(&record, self.clock.now()),
                None => "Nothing was measured yet: ask again in a minute.".to_owned(),
            };
            let told = self.engine.tell(&self.owner, &answer).await;
            told.map_err(|error| InboxError::Unavailable(error.to_string()))?;
        }
        Ok(())
    }
}

impl Uptime {
    async fn is_question(&self, event: &RoomEvent) -> bool {
        if event.sender != self.owner {
            return false;
        }
        let RoomEventKind::Message(message) = &event.what else {
            return false;
        };
        let said = message.first_text().map(|text| text.plain.trim().to_lowercase());
        match said
            .as_deref()
            .map(|said| said.strip_prefix(self.prefix.as_str()))
        {
            Some(Some(rest)) => rest.trim() == WORD,
            Some(None) => said.as_deref() == Some(WORD) && self.puppet.is_direct_chat(&event.room).await,
            None => false,
        }
    }
}

/// The same that `device status` prints, in sentences: clients have no columns.
fn told(record: &Record, now: Timestamp) -> String {
    let ago = |at: Timestamp| span(now.since(at));
    let mut lines = vec![format!("This device has run for {}.", ago(record.started_at))];
    for (name, part) in &record.parts {
        let contact = match part.last_contact {
            Some(at) => format!("last contact {} ago", ago(at)),
            None => "no contact yet".to_owned(),
        };
        let detail = match is_up(part.state) || part.detail.is_empty() {
            true => String::new(),
            false => format!(" ({})", part.detail),
        };
        lines.push(format!(
            "{name}: {}{detail} for {}, {contact}; connected for {} of the last 24 hours, {} of 30 days.",
            word(part.state),
            ago(part.since),
            record.share(name, 24),
            record.share(name, 30 * 24),
        ));
    }
    let waiting = record.queues.iter().filter(|(_, waiting)| waiting.rows > 0);
    let waiting: Vec<String> = waiting
        .map(|(name, waiting)| match waiting.oldest {
            Some(at) => format!("{} for {name}, the oldest for {}", waiting.rows, ago(at)),
            None => format!("{} for {name}", waiting.rows),
        })
        .collect();
    lines.push(match waiting.is_empty() {
        true => "Nothing waits.".to_owned(),
        false => format!("Waiting: {}.", waiting.join("; ")),
    });
    lines.push("Time in which the device was off counts neither way.".to_owned());
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::device::sla::Waiting;
    use swingbridge_domain::connector::{Health, Link};

    #[test]
    fn the_owner_is_told_in_the_chat_what_the_terminal_shows() {
        let at = |seconds: i64| Timestamp(1_800_000_000_000 + seconds * 1000);
        let health = |state, detail: &str, last_traffic| Health {
            state,
            detail: detail.into(),
            last_traffic,
        };
        let mut record = Record::default().started(at(0), "@phone-alice:example.org");
        for seconds in [30, 60, 90, 120] {
            let found = [
                ("homeserver".to_owned(), health(Link::Connected, "", Some(at(0)))),
                (
                    "sms".to_owned(),
                    health(Link::Refused, "SMS permission was taken away", None),
                ),
            ];
            record.look(at(seconds), &found);
        }
        insta::assert_snapshot!(told(&record, at(3720)), @r"
        This device has run for 1 h 2 min.
        homeserver: connected for 1 h 1 min, last contact 1 h 2 min ago; connected for 100.00 % of the last 24 hours, 100.00 % of 30 days.
        sms: refused (SMS permission was taken away) for 1 h 1 min, no contact yet; connected for 0.00 % of the last 24 hours, 0.00 % of 30 days.
        Nothing waits.
        Time in which the device was off counts neither way.
        ");
        let oldest = Some(at(120));
        record.queues.insert("sms".into(), Waiting { rows: 2, oldest });
        let said = told(&record, at(3720));
        assert!(
            said.contains("Waiting: 2 for sms, the oldest for 1 h 0 min."),
            "{said}"
        );
    }
}
