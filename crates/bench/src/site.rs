//! A site for the parts that are measured inside of this program: one line, and as many conversations as wanted.

use anyhow::Result;
use std::path::Path;
use std::sync::Arc;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};
use swingbridge_domain::consent::{Downgrade, Rule};
use swingbridge_domain::id::{ConnectorId, EventId, LineId, RoomId, UserId};
use swingbridge_domain::inbox::{Arrival, Dedupe, Membership, RoomEvent, RoomEventKind, What};
use swingbridge_domain::line::{Access, Display, Line, Permission, Permissions};
use swingbridge_domain::message::Message;
use swingbridge_domain::path::{Place, Protection};
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{self, Store, Tables, seal};
use swingbridge_engine::site::{Policy, Site};
use swingbridge_store::Synchronous;

pub const DOMAIN: &str = "localhost";
pub const ALICE: &str = "@alice:localhost";
pub const LINE: &str = "+447700900001";
pub const CONNECTOR: &str = "smpp";
/// The id that `init` gives the one line that it is told of.
pub const LINE_ID: &str = "main";

pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        rand::fill(bytes);
    }
}

pub fn keys(site_key: &[u8; 32]) -> Keys {
    Keys::derive(site_key, Arc::new(SystemEntropy))
}

/// What an operator would have written.
pub fn site() -> Site {
    Site {
        bot: UserId::new(format!("@smsbot:{DOMAIN}")),
        here: Place::Gateway,
        ghost_prefix: "@sms_".into(),
        lines: vec![Arc::new(Line {
            id: LineId::new(LINE_ID),
            connector: ConnectorId::new(CONNECTOR),
            address: Address::Number(LINE.into()),
            name: "Bench".into(),
            region: "GB".parse().ok(),
            access: Access {
                users: vec![UserId::new(ALICE)],
                inbox: None,
            },
            display: Display::Masked,
            signature: None,
            consent: Rule::Policy,
            downgrade: Downgrade::Tell,
            fallback: None,
            limits: Default::default(),
            opt_out: Default::default(),
        })],
        capabilities: Default::default(),
        permissions: Permissions(vec![(DOMAIN.into(), Permission::User)]),
        policy: Policy::default(),
        privacy: Default::default(),
        command_prefix: "!sms".into(),
        version: env!("CARGO_PKG_VERSION").into(),
    }
}

/// Opens a database in `folder`.
///
/// # Errors
/// When it cannot be.
pub fn open(path: &Path, synchronous: Synchronous) -> Result<Arc<dyn Store>> {
    let config = swingbridge_store::Config::Sqlite {
        path: path.to_owned(),
        synchronous,
    };
    Ok(swingbridge_store::open(&config, swingbridge_store::BATCH)?)
}

/// The number of a contact.
pub fn number(contact: u32) -> String {
    format!("+4477{:08}", 10_000_000 + contact)
}

/// The room of the conversation with it.
pub fn room(contact: u32) -> RoomId {
    RoomId::new(format!("!room{contact}:{DOMAIN}"))
}

/// Fills an empty database with as many conversations as an earlier life would have left, each with its room and members.
///
/// # Errors
/// When the database takes nothing.
pub async fn fill(store: &dyn Store, keys: &Keys, line: &str, conversations: u32) -> Result<()> {
    for first in (0..conversations).step_by(1000) {
        let (keys, line) = (keys.clone(), LineId::new(line));
        store::run(store, move |tables| {
            for contact in first..conversations.min(first + 1000) {
                add(tables, &keys, &line, contact)?;
            }
            Ok(())
        })
        .await?;
    }
    Ok(())
}

fn add(tables: &mut dyn Tables, keys: &Keys, line: &LineId, contact: u32) -> store::Result<()> {
    let canonical = Address::Number(number(contact)).canonical();
    let index = keys.index("address", &canonical);
    let sealed = keys.seal(seal::ADDRESS, canonical.as_bytes());
    let ghost = keys.pseudonym("ghost", &canonical);
    let now = SystemClock.now();
    let added = tables.contact_add(&index, &sealed, &ghost)?;
    let conversation = tables.conversation_add(line, added, now)?;
    tables.alias_set(line, &index, conversation)?;
    let room = room(contact);
    tables.conversation_set_room(conversation, Some(&room))?;
    tables.member_set(&room, &UserId::new(ALICE), Membership::Join)
}

/// A text that Alice wrote in the room of a contact.
pub fn said(number: u64, room: RoomId, text: &str) -> Arrival {
    let event = EventId::new(format!("$bench{number}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"));
    let sent_at = SystemClock.now();
    Arrival {
        dedupe: Dedupe::Event {
            id: event.clone(),
            sent_at,
        },
        what: What::Room(RoomEvent {
            room,
            event,
            sender: UserId::new(ALICE),
            sent_at,
            protection: Protection::None,
            what: RoomEventKind::Message(Message::text(text)),
        }),
    }
}
