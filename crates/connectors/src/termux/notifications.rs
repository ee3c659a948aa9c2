//! Notifications of other apps, as messages that nobody can answer.
//!
//! A notification is all that Android shows of RCS and of most messengers. It may be cut, come again altered, or hide what it is
//! about; which network carried it and what protected it is not known, and its label says that.

use super::command::Failure;
use super::connector::{Beside, Shared};
use super::read::{self, Notification, Read};
use crate::journal::Journal;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use swingbridge_domain::address::Hint;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::inbox::{
    Arrival, Dedupe, Inbound, InboundMessage, Inbox, InboxError, NetworkAddress, What,
};
use swingbridge_domain::message::Message;
use swingbridge_domain::path::{Evidence, Leg, Place, Protection};
use tokio::time::sleep;

const PROGRAM: &str = "termux-notification-list";
/// How many are kept in mind.
const KEPT: usize = 500;
/// The longest name that is made of a title.
const LONGEST_NAME: usize = 80;
/// The wait while the store takes nothing.
const STORE_WAIT: Duration = Duration::from_secs(5);

/// The prints of those that were handed in, the newest last.
#[derive(Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seen(VecDeque<String>);

/// Runs until the inbox is closed.
pub async fn run(shared: &Shared, file: &Journal, inbox: &dyn Inbox) {
    if shared.config.notifications.packages.is_empty() {
        return std::future::pending().await;
    }
    // Its loss shows again what is on the screen now; the inbox knows it.
    let mut seen: Seen = file.read().ok().flatten().unwrap_or_default();
    let mut held = BTreeMap::new();
    loop {
        let mut wait = shared.config.poll;
        match list(shared).await {
            Ok(shown) => {
                shared.beside(Beside::Notifications, None);
                match hand_in(shared, &mut seen, &mut held, shown, file, inbox).await {
                    Ok(()) => {}
                    Err(InboxError::Closed) => return,
                    Err(InboxError::Unavailable(_)) => wait = STORE_WAIT,
                }
            }
            Err(failure) => {
                let problem = format!("notifications cannot be read: {failure}");
                shared.beside(Beside::Notifications, Some(problem));
                wait = shared.config.timing.longest_wait;
            }
        }
        sleep(wait).await;
    }
}

async fn list(shared: &Shared) -> Result<Vec<Notification>, Failure> {
    let printed = shared.programs.run(PROGRAM, &[], None).await?;
    let Ok(Read { items, .. }) = read::notifications(&printed) else {
        return Err(Failure::Junk(PROGRAM));
    };
    let wanted = &shared.config.notifications.packages;
    Ok(items
        .into_iter()
        .filter(|shown| wanted.contains(&shown.package) && !shown.content.trim().is_empty())
        .collect())
}

async fn hand_in(
    shared: &Shared,
    seen: &mut Seen,
    held: &mut BTreeMap<String, (u64, Notification)>,
    shown: Vec<Notification>,
    file: &Journal,
    inbox: &dyn Inbox,
) -> Result<(), InboxError> {
    // Each waits until the texts were read once more from beginning to end, so that one that tells of an SMS is known for it.
    let rounds = shared.rounds();
    let ripe: BTreeMap<String, Notification> = held
        .iter()
        .filter(|(_, (since, _))| rounds >= since + 2)
        .map(|(print, (_, item))| (print.clone(), item.clone()))
        .collect();
    let fresh: BTreeMap<String, Notification> = ripe
        .iter()
        .filter(|(_, item)| !shared.was_text(&item.content))
        .map(|(print, item)| (print.clone(), item.clone()))
        .collect();
    if !fresh.is_empty() {
        tell(shared, &fresh, inbox).await?;
    }
    if !ripe.is_empty() {
        held.retain(|print, _| !ripe.contains_key(print));
        seen.0.extend(ripe.into_keys());
        while seen.0.len() > KEPT {
            seen.0.pop_front();
        }
        if let Err(error) = file.write(seen) {
            tracing::warn!(connector = %shared.id, %error, "notifications may be read again after a restart");
        }
    }
    for item in shown {
        let print = print(&item);
        // A group's summary says what its only member says.
        if !seen.0.contains(&print) {
            held.entry(print).or_insert((rounds, item));
        }
    }
    Ok(())
}

async fn tell(
    shared: &Shared,
    fresh: &BTreeMap<String, Notification>,
    inbox: &dyn Inbox,
) -> Result<(), InboxError> {
    let times = fresh.values().filter_map(|item| item.when.parse().ok());
    // Without it they are shown with the time that they came here.
    let times = shared.zone.moments(times).await.unwrap_or_default();
    let mut arrivals: Vec<(Option<Timestamp>, Arrival)> = fresh
        .iter()
        .map(|(print, item)| {
            let at = item.when.parse().ok().and_then(|when| times.get(&when).copied());
            (at, arrival(shared, print, item, at))
        })
        .collect();
    arrivals.sort_by_key(|(at, _)| *at);
    inbox
        .deliver(arrivals.into_iter().map(|(_, arrival)| arrival).collect())
        .await?;
    shared.traffic();
    Ok(())
}

fn arrival(shared: &Shared, print: &str, shown: &Notification, at: Option<Timestamp>) -> Arrival {
    let title: String = shown
        .title
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_NAME)
        .collect();
    let title = match title.trim() {
        "" => shown.package.as_str(),
        title => title,
    };
    let from = NetworkAddress {
        // A number as its title must not be taken for the number: nothing proves that it is the sender.
        text: format!("{title} ({})", shown.package),
        hint: Hint::Alphanumeric,
    };
    let inbound = InboundMessage {
        sent_at: at,
        way: vec![Leg::new(
            Place::Phone,
            Place::Device,
            Protection::Unknown,
            Evidence::None,
        )],
        ..InboundMessage::new(
            shared.id.clone(),
            from,
            shared.own(),
            Message::text(shown.content.trim()),
        )
    };
    Arrival {
        dedupe: Dedupe::Id {
            scope: shared.id.0.clone(),
            id: format!("notification/{print}"),
        },
        what: What::Network(Inbound::Message(inbound)),
    }
}

fn print(shown: &Notification) -> String {
    let mut digest = Sha256::new();
    for field in [&shown.package, &shown.title, &shown.content, &shown.when] {
        digest.update((field.len() as u64).to_be_bytes());
        digest.update(field);
    }
    data_encoding::HEXLOWER.encode(&digest.finalize()[..12])
}
