//! Twilio: its Messages API, group texts in its Conversations API, cards in its Content API, and its webhooks, with the phones behind it.
//!
//! Parameters, forms and errors follow Twilio's OpenAPI file as its SDK for Python was made of it; that SDK is run against this
//! (`tests/it/twilio.rs`). Its rule for webhooks is kept, too: one try, whatever is answered. *Emulated*: it was compared with no account.

mod content;
mod conversations;
mod groups;
mod hooks;
mod routes;
mod state;

pub use groups::{Conversation, Participant, Said};
pub use hooks::signature;
pub use state::{Groups, Incoming, Sent};

use crate::trouble::{Troubles, client};
use state::{Shared, World};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// The account.
pub const ACCOUNT: &str = "ACaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
/// Its auth token, which also signs webhooks.
pub const AUTH_TOKEN: &str = "0123456789abcdef0123456789abcdef";
/// The account's number.
pub const NUMBER: &str = "+15005550001";
/// The account's RCS sender.
pub const RCS_SENDER: &str = "acme_x1y2z3_agent";
/// The account's Messaging Service, which has both in its pool.
pub const SERVICE: &str = "MGbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

/// The Conversation Service that the number's groups are in.
pub const CONVERSATIONS: &str = "IScccccccccccccccccccccccccccccccc";

/// A running Twilio. It ends when this is dropped.
#[derive(Debug)]
pub struct Twilio {
    address: SocketAddr,
    shared: Arc<Shared>,
    tasks: Vec<JoinHandle<()>>,
}

impl Twilio {
    /// Starts it on a free port. `now`: its clock, in seconds since the epoch; it moves a second with each message.
    ///
    /// # Errors
    /// No port is free, or no HTTP client can be made.
    pub async fn start(now: i64) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        // Files lie at another host than the API.
        let files = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            world: World::at(now).into(),
            troubles: Troubles::new(client()?),
            api: format!("http://{address}"),
            files: format!("http://{}", files.local_addr()?),
        });
        let serve = |listener, app| {
            tokio::spawn(async move {
                // It ends with the task, never by itself.
                let _ = axum::serve(listener, app).await;
            })
        };
        let tasks = vec![
            serve(listener, routes::routes(shared.clone())),
            serve(files, routes::files(shared.clone())),
        ];
        Ok(Self {
            address,
            shared,
            tasks,
        })
    }

    /// Where the API is.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Says where messages to the account's number and RCS sender are told.
    pub fn webhook(&self, url: &str) {
        url.clone_into(&mut self.shared.world().webhook);
    }

    /// A phone texts the account's number; gives the message's SID.
    pub fn receives(&self, from: &str, text: &str) -> String {
        self.comes(Incoming::new(from, NUMBER, text))
    }

    /// A phone sends files: MIME type and octets.
    pub fn receives_mms(&self, from: &str, text: &str, files: &[(&str, &[u8])]) -> String {
        let files = files
            .iter()
            .map(|(mime, octets)| ((*mime).to_owned(), octets.to_vec()))
            .collect();
        self.comes(Incoming {
            files,
            ..Incoming::new(from, NUMBER, text)
        })
    }

    /// A phone writes to the RCS sender.
    pub fn receives_rcs(&self, from: &str, text: &str) -> String {
        self.comes(Incoming::new(
            &format!("rcs:{from}"),
            &format!("rcs:{RCS_SENDER}"),
            text,
        ))
    }

    /// A phone texts STOP, START or HELP, which Twilio (with Advanced Opt-Out) answers and acts on by itself.
    pub fn receives_keyword(&self, from: &str, word: &str) -> String {
        {
            let mut world = self.shared.world();
            match word {
                "STOP" => _ = world.opted_out.insert(from.to_owned()),
                "START" => _ = world.opted_out.remove(from),
                _ => {}
            }
        }
        self.comes(Incoming {
            opt_out: Some(word.to_owned()),
            ..Incoming::new(from, NUMBER, word)
        })
    }

    /// A phone writes to a group of us and `others`; gives the SID of the message.
    pub fn receives_group(&self, from: &str, others: &[&str], text: &str, files: &[(&str, &[u8])]) -> String {
        let files = files
            .iter()
            .map(|(mime, octets)| ((*mime).to_owned(), octets.to_vec()))
            .collect();
        let incoming = Incoming {
            files,
            others: others.iter().map(|&other| other.to_owned()).collect(),
            ..Incoming::new(from, NUMBER, text)
        };
        let (incoming, groups, heard) = {
            let mut world = self.shared.world();
            let incoming = world.receive(incoming);
            let groups = world.groups;
            let heard = world.heard(&incoming, groups.creates);
            (incoming, groups, heard)
        };
        if let Some((conversation, said, made)) = heard
            && groups.conversation
        {
            if made {
                hooks::tell_conversation(&self.shared, &conversation, from);
            }
            hooks::tell_said(&self.shared, &conversation.sid, &said);
        }
        if groups.ordinary {
            hooks::tell_of(&self.shared, &incoming);
        }
        incoming.sid
    }

    /// Changes how messages of groups are told.
    pub fn tells_groups(&self, change: impl FnOnce(&mut Groups)) {
        change(&mut self.shared.world().groups);
    }

    /// The conversations, the oldest first.
    #[must_use]
    pub fn conversations(&self) -> Vec<Conversation> {
        self.shared.world().conversations.clone()
    }

    /// A file of a conversation: MIME type and octets.
    #[must_use]
    pub fn media(&self, sid: &str) -> Option<(String, Vec<u8>)> {
        self.shared.world().media.get(sid).cloned()
    }

    /// Somebody at the account takes a phone into a group, or out of it; `told`: the webhook is called.
    pub fn regroups(&self, conversation: &str, number: &str, joins: bool, told: bool) {
        let changed = {
            let mut world = self.shared.world();
            match joins {
                true => {
                    let phone = Participant {
                        address: Some(number.to_owned()),
                        ..Participant::default()
                    };
                    world.join(conversation, phone).ok()
                }
                false => world.conversation(conversation).and_then(|one| {
                    let at = one
                        .participants
                        .iter()
                        .position(|who| who.address.as_deref() == Some(number))?;
                    Some(one.participants.remove(at))
                }),
            }
        };
        let kind = if joins {
            "onParticipantAdded"
        } else {
            "onParticipantRemoved"
        };
        if let Some(one) = changed.filter(|_| told) {
            hooks::tell_participant(&self.shared, conversation, kind, &one);
        }
    }

    /// Somebody at the account removes a conversation, and tells nobody.
    pub fn removes(&self, conversation: &str) {
        self.shared
            .world()
            .conversations
            .retain(|one| one.sid != conversation);
    }

    /// What became of a message for one phone of its group.
    pub fn group_reaches(&self, message: &str, number: &str, status: &str, error: Option<u32>) {
        let found = {
            let mut world = self.shared.world();
            world.conversations.iter_mut().find_map(|one| {
                let who = one.who(number)?.sid.clone();
                let said = one.messages.iter_mut().find(|said| said.sid == message)?;
                let receipt = said.receipts.iter_mut().find(|(known, ..)| *known == who)?;
                (receipt.1, receipt.2) = (status.to_owned(), error);
                Some((one.sid.clone(), who))
            })
        };
        if let Some((conversation, who)) = found {
            hooks::tell_delivery(&self.shared, &conversation, message, &who, (status, error));
        }
    }

    /// A phone presses the n-th button of a card that was sent to it by RCS; `None`: there is no such button.
    pub fn presses(&self, message: &str, button: usize) -> Option<String> {
        let sent = self.sent().into_iter().find(|sent| sent.sid == message)?;
        let action = sent.card?["actions"].get(button)?.clone();
        let text = |name: &str| action[name].as_str().unwrap_or_default().to_owned();
        let label = text("title");
        Some(self.comes(Incoming {
            button: Some((label.clone(), text("id"))),
            ..Incoming::new(&sent.to, &format!("rcs:{RCS_SENDER}"), &label)
        }))
    }

    /// A phone presses a button by RCS that has this label and id.
    pub fn comes_with_button(&self, from: &str, label: &str, id: &str) -> String {
        self.comes(Incoming {
            button: Some((label.to_owned(), id.to_owned())),
            ..Incoming::new(&format!("rcs:{from}"), &format!("rcs:{RCS_SENDER}"), label)
        })
    }

    /// The content templates that are there, by SID.
    #[must_use]
    pub fn templates(&self) -> Vec<String> {
        self.shared.world().templates.keys().cloned().collect()
    }

    /// Somebody at the account removes a template.
    pub fn removes_template(&self, sid: &str) {
        self.shared.world().templates.remove(sid);
    }

    fn comes(&self, incoming: Incoming) -> String {
        let incoming = self.shared.world().receive(incoming);
        hooks::tell_of(&self.shared, &incoming);
        incoming.sid
    }

    /// From now on the phone has no RCS.
    pub fn loses_rcs(&self, number: &str) {
        self.shared.world().without_rcs.insert(number.to_owned());
    }

    /// All that was taken to be sent, in order.
    #[must_use]
    pub fn sent(&self) -> Vec<Sent> {
        self.shared.world().sent.clone()
    }

    /// Waits until `many` were taken, half a minute at most.
    ///
    /// # Errors
    /// They were not.
    pub async fn sends(&self, many: usize) -> std::io::Result<Vec<Sent>> {
        for _ in 0..3000 {
            let sent = self.sent();
            if sent.len() >= many {
                return Ok(sent);
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Err(std::io::Error::other("Twilio was given no such many"))
    }

    /// A message's status changes: `sent`, `delivered`, `read`, or `undelivered` and `failed` with an error code.
    pub fn reaches(&self, sid: &str, status: &str, error: Option<u32>) {
        let changed = self.shared.world().reach(sid, status, error);
        if let Some(sent) = changed {
            hooks::tell_state(&self.shared, &sent);
        }
    }

    /// Sets its clock.
    pub fn is_at(&self, now: Timestamp) {
        self.shared.world().now = now.millis() / 1000;
    }

    /// What goes wrong.
    #[must_use]
    pub fn troubles(&self) -> &Troubles {
        &self.shared.troubles
    }
}

impl Drop for Twilio {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}
