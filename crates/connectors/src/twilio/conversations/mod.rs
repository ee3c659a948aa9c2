//! Group MMS, which Twilio has in its Conversations API alone: a conversation whose participants are the line's number, as *projected
//! address*, and the others' numbers.
//!
//! Read from the outside in: `hook` takes what Twilio tells of conversations; `place` finds the group that a message belongs to, by
//! whichever way it came; `send` writes to a group; `api` makes the requests; `book` is what outlasts a restart.
//!
//! A group is known here by its people, as with other group MMS: the E.164 numbers of everybody but us, sorted and joined by commas. When
//! the people of one conversation at Twilio change, its group goes on under another name, and says which one it had.
//!
//! One message may be told twice under two names: Twilio gives a group's message to the conversation (`IM…`), and to the number's ordinary
//! webhook as well (`MM…`), there sometimes with the others' numbers (`OtherRecipients0` and so on, which its reference does not name).
//! Nothing of the one names the other, so they are paired by who wrote what and when, and handed in under the name that was seen first.

mod api;
mod book;
pub mod config;
pub mod hook;
pub mod place;
pub mod receipts;
pub mod send;

pub use book::Book;
pub use config::Conversations;

use super::ask::Refusal;
use super::connector::Shared;
use book::Known;
use std::collections::BTreeSet;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{Arrival, Change, Dedupe, Group, GroupChange, Inbound, NetworkAddress, What};

/// What is needed for groups.
pub struct Groups {
    pub config: Conversations,
    pub book: Book,
}

/// A conversation as it is now.
struct Learnt {
    known: Known,
    /// What changed since it was seen last.
    changes: Vec<Arrival>,
}

fn address(text: &str) -> NetworkAddress {
    NetworkAddress {
        text: text.to_owned(),
        hint: Default::default(),
    }
}

/// Whether two spellings are of one number.
fn same(one: &str, other: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_digit).collect() };
    !one.is_empty() && digits(one) == digits(other)
}

fn group<'a>(thread: &str, formerly: &[String], people: impl IntoIterator<Item = &'a str>) -> Group {
    Group {
        thread: NetworkId::new(thread),
        formerly: formerly.iter().map(NetworkId::new).collect(),
        name: None,
        members: people.into_iter().map(address).collect(),
    }
}

impl Known {
    fn group(&self) -> Group {
        group(
            &self.thread,
            &self.formerly,
            self.people.keys().map(String::as_str),
        )
    }
}

/// Asks who is in a conversation now, and writes it down. `None`: it is no group of the line's.
async fn learn(shared: &Shared, groups: &Groups, conversation: &str) -> Result<Option<Learnt>, Refusal> {
    let Some(people) = api::people(shared, groups, conversation).await? else {
        return Ok(None);
    };
    let numbers: BTreeSet<String> = people.keys().cloned().collect();
    let (known, before) = groups.book.change(|page| {
        let before = page.known(conversation).cloned();
        (page.learn(conversation, people).clone(), before)
    });
    let Some(before) = before.filter(|before| before.thread != known.thread) else {
        return Ok(Some(Learnt {
            known,
            changes: Vec::new(),
        }));
    };
    write(shared, groups);
    let earlier: BTreeSet<String> = before.people.keys().cloned().collect();
    let joined = numbers.difference(&earlier).map(|who| (who, true));
    let left = earlier.difference(&numbers).map(|who| (who, false));
    let change = |(who, joined): (&String, bool)| {
        let participant = match joined {
            true => known.people.get(who),
            false => before.people.get(who),
        };
        let who = address(who);
        Arrival {
            // Named by how often it has changed: who comes back comes a second time.
            dedupe: Dedupe::Id {
                scope: shared.account.id.0.clone(),
                id: format!(
                    "{conversation}/{}/{}",
                    known.changed,
                    participant.map(String::as_str).unwrap_or_default()
                ),
            },
            what: What::Network(Inbound::Group(GroupChange {
                connector: shared.account.id.clone(),
                to: address(&shared.config.number),
                group: known.group(),
                by: None,
                at: None,
                change: match joined {
                    true => Change::Joined(who),
                    false => Change::Left(who),
                },
            })),
        }
    };
    let changes = joined.chain(left).map(change).collect();
    Ok(Some(Learnt { known, changes }))
}

/// Writes the book down. What cannot be written may come twice, or as another group, after a restart.
fn write(shared: &Shared, groups: &Groups) {
    if let Err(error) = groups.book.write() {
        tracing::warn!(connector = %shared.account.id, %error, "what is known of groups cannot be written down");
    }
}
