//! Sending: Messages is asked by a script, and what came of it is read in its database. An exit code is no success.
//!
//! Submitting → not started, or accepted → matched (its row is found). From then on `look` follows the row: sent, delivered,
//! read, failed, left as SMS. No row, a ghost, or a script that failed while sending: nobody knows, and it is not repeated.

use super::chatdb::Trouble;
use super::claim::{claim, ghost, journal_trouble};
use super::config::Service;
use super::journal::{Pending, digest};
use super::row::{Chat, plain, way};
use super::script::{self, Ran, To};
use super::shared::{Claimed, Inner, Shared};
use super::stage::stage;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::{Accepted, Link, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::{Body, Disposition, Media, Message};
use tokio::time::{Instant, sleep};

/// Messages may be busy, or a person must act.
pub(super) const LATER: Duration = Duration::from_secs(30);
const MUCH_LATER: Duration = Duration::from_secs(60);
/// The most octets of a text: arguments of programs are limited.
pub(super) const MAX_TEXT: usize = 100_000;
/// Between two looks for the row.
const GLANCE: Duration = Duration::from_millis(50);

/// What one script sends.
enum Piece {
    Text(String),
    File(Media),
}

pub(super) const DENIED: &str = "macOS does not let this program control Messages: allow it in System Settings, Privacy & \
                                 Security, Automation, then Messages";
const NO_PROGRAM: &str = "osascript cannot be started: check the configured path";

/// Sends all pieces of a message, one after the other.
pub(super) async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    let pieces = pieces(&outbound.message)?;
    if outbound.expires_at.is_some_and(|at| at <= shared.clock.now()) {
        return Err(rejected(
            Reason::Expired,
            "its time was over before it could be sent",
        ));
    }
    let to = resolve(shared, &outbound.to)?;
    let total = pieces.len();
    let mut accepted = Accepted::default();
    for (at, piece) in pieces.into_iter().enumerate() {
        match one(shared, &to, piece).await {
            Ok(claimed) => {
                let service = match claimed.downgraded {
                    true => "SMS",
                    false => &claimed.service,
                };
                accepted.network_ids.push(NetworkId::new(&claimed.guid));
                accepted.segments = accepted.segments.saturating_add(1);
                accepted.way = way(service);
            }
            Err(error) if at == 0 => return Err(error),
            // Its beginning is out: sending all of it again would double that.
            Err(error) => {
                return Err(SendError::Unknown {
                    detail: format!(
                        "part {} of {total}: {error}; the parts before it were sent",
                        at + 1
                    ),
                });
            }
        }
    }
    Ok(accepted)
}

pub(super) fn rejected(reason: Reason, detail: &str) -> SendError {
    SendError::Rejected {
        reason,
        detail: detail.to_owned(),
    }
}

pub(super) fn later(delay: Duration, detail: &str, counts: bool) -> SendError {
    SendError::RetryAfter {
        delay,
        detail: detail.to_owned(),
        counts,
    }
}

fn pieces(message: &Message) -> Result<Vec<Piece>, SendError> {
    if message.replaces.is_some() {
        return Err(rejected(
            Reason::BadContent,
            "Messages lets no program edit or withdraw a message",
        ));
    }
    let mut pieces = Vec::new();
    for part in &message.parts {
        if part.disposition == Disposition::Reaction {
            return Err(rejected(
                Reason::BadContent,
                "Messages lets no program react to a message",
            ));
        }
        match &part.body {
            Body::Text(text) => pieces.push(Piece::Text(text.plain.clone())),
            Body::Media(media) => {
                pieces.push(Piece::File(media.clone()));
                pieces.extend(media.caption.clone().map(Piece::Text));
            }
            Body::Other {
                fallback: Some(fallback),
                ..
            } => pieces.push(Piece::Text(fallback.clone())),
            Body::Location { geo_uri, description } => {
                pieces.push(Piece::Text(format!("{description} {geo_uri}").trim().to_owned()));
            }
            _ => {
                return Err(rejected(
                    Reason::BadContent,
                    "Messages cannot carry this kind of content",
                ));
            }
        }
    }
    pieces.retain(|piece| !matches!(piece, Piece::Text(text) if plain(text).is_empty()));
    for piece in &pieces {
        if let Piece::Text(text) = piece {
            if text.len() > MAX_TEXT {
                return Err(rejected(Reason::BadContent, "the text is too long for Messages"));
            }
            if text.contains('\0') {
                return Err(rejected(
                    Reason::BadContent,
                    "the text has a character that no program can be given",
                ));
            }
        }
    }
    match pieces.is_empty() {
        true => Err(rejected(Reason::BadContent, "there is nothing to send")),
        false => Ok(pieces),
    }
}

/// Whom it goes to: the chat as stored where there is one, and the person for who has none or whose chat is not found.
struct Target {
    chat: Option<Chat>,
    person: Option<String>,
}

fn resolve(shared: &Shared, to: &[Address]) -> Result<Target, SendError> {
    let [to] = to else {
        return Err(rejected(
            Reason::BadAddress,
            "a new group cannot be made from here: make it in Messages, then write to it",
        ));
    };
    let mut inner = shared.inner();
    let unreadable = |trouble: Trouble| later(LATER, &trouble.detail, false);
    inner
        .open(&shared.config, shared.clock.now())
        .map_err(unreadable)?;
    let Some(db) = &inner.db else {
        return Err(later(LATER, "Messages' database is not open", false));
    };
    match to {
        Address::Group(thread) => match db.chat_by_guid(thread).map_err(unreadable)? {
            Some(chat) => Ok(Target {
                chat: Some(chat),
                person: None,
            }),
            None => Err(rejected(
                Reason::BadAddress,
                "this group is not in Messages any more",
            )),
        },
        Address::Number(address) | Address::Mail(address) | Address::Short(address) => {
            let chats = db.chats_with(address).map_err(unreadable)?;
            let chat = chats.into_iter().find(|chat| !chat.group);
            if chat.is_none() && matches!(to, Address::Short(_)) {
                return Err(rejected(
                    Reason::BadAddress,
                    "to a short code only what it began can be answered",
                ));
            }
            Ok(Target {
                chat,
                person: Some(address.clone()),
            })
        }
        Address::Name(_) => Err(rejected(
            Reason::BadAddress,
            "a sender's name cannot be written to",
        )),
    }
}

/// Sends one piece and waits for its row. One at a time in each chat: two equal texts could not be told apart.
async fn one(shared: &Shared, target: &Target, piece: Piece) -> Result<Claimed, SendError> {
    let lane = shared.lane(match (&target.chat, &target.person) {
        (Some(chat), _) => &chat.guid,
        (None, person) => person.as_deref().unwrap_or_default(),
    });
    let _alone = lane.lock().await;
    let (argument, body, file) = match &piece {
        Piece::Text(text) => (text.clone(), digest("text", &plain(text)), false),
        Piece::File(media) => {
            let staged = stage(shared, media).await?;
            let name = staged
                .file_name()
                .and_then(|name| name.to_str())
                .unwrap_or_default();
            let body = digest("file", name);
            (staged.to_string_lossy().into_owned(), body, true)
        }
    };
    let mut ways = Vec::new();
    ways.extend(target.chat.as_ref().map(|chat| To::Chat(chat.guid.clone())));
    if let Some(person) = &target.person {
        // What Messages does not find as a chat it may find as a person, by the service of the chat.
        let service = match target.chat.as_ref().map(|chat| chat.service.to_ascii_lowercase()) {
            Some(service) if service == "sms" => Some(Service::Sms),
            Some(service) if service == "rcs" => Some(Service::Rcs),
            Some(service) if service == "imessage" => Some(Service::Imessage),
            // Of satellite and whatever comes next only the chat itself can be written to.
            Some(_) => None,
            None => Some(shared.config.new_chats),
        };
        ways.extend(service.map(|service| To::Handle(service, person.clone())));
    }
    let mut not_found = 0;
    for to in ways {
        let pending = begin(shared, target, body, file)?;
        let value = match &to {
            To::Chat(guid) => guid,
            To::Handle(_, address) => address,
        };
        let ran = script::run(
            &shared.config.osascript,
            script::for_message(&to, file),
            &[value, &argument],
            shared.config.timing.script,
        )
        .await;
        match ran {
            Ran::Accepted => {
                shared.sends(None);
                return matched(shared, &pending, "Messages took it and has no row for it").await;
            }
            Ran::Unclear { code } => {
                let words = match code {
                    Some(code) => format!("Messages failed while sending (error {code})"),
                    None => "the script that sends did not end".to_owned(),
                };
                return matched(shared, &pending, &words).await;
            }
            Ran::NotFound { code } => {
                forget(shared, &pending);
                not_found = code;
            }
            Ran::NotAllowed => {
                forget(shared, &pending);
                shared.sends(Some((Link::Refused, DENIED)));
                return Err(later(MUCH_LATER, DENIED, false));
            }
            Ran::NotStarted => {
                forget(shared, &pending);
                shared.sends(Some((Link::Refused, NO_PROGRAM)));
                return Err(later(MUCH_LATER, NO_PROGRAM, false));
            }
        }
    }
    Err(later(
        LATER,
        &format!("Messages does not find the chat (error {not_found}); nothing was sent"),
        true,
    ))
}

/// Remembers the message before Messages has it, so that its row is known for ours even after a crash.
fn begin(shared: &Shared, target: &Target, body: [u8; 32], file: bool) -> Result<Pending, SendError> {
    let mut inner = shared.inner();
    let now = shared.clock.now();
    let unreadable = |trouble: Trouble| later(LATER, &trouble.detail, false);
    inner.open(&shared.config, now).map_err(unreadable)?;
    let above = match &inner.db {
        Some(db) => db.newest().map_err(unreadable)?,
        None => return Err(later(LATER, "Messages' database is not open", false)),
    };
    let mut pending = Pending {
        id: 0,
        chat: target.chat.as_ref().map(|chat| digest("chat", &chat.guid)),
        address: target
            .person
            .as_ref()
            .map(|person| digest("address", &person.to_lowercase())),
        body,
        file,
        above,
        since: now,
    };
    let remembered = inner.journal.begin(&pending).map_err(journal_trouble);
    pending.id = remembered.map_err(unreadable)?;
    Ok(pending)
}

fn forget(shared: &Shared, pending: &Pending) {
    // When this fails, it is forgotten once its time is over.
    let _ = shared.inner().journal.forget(pending.id);
}

/// Waits for the row. Afterwards the message stays remembered for a while: should the row come late, it is still ours.
async fn matched(shared: &Shared, pending: &Pending, doubt: &str) -> Result<Claimed, SendError> {
    let until = Instant::now() + shared.config.timing.row;
    loop {
        if let Some(claimed) = glance(shared, pending) {
            shared.traffic(shared.clock.now());
            return Ok(claimed);
        }
        if Instant::now() >= until {
            break;
        }
        sleep(GLANCE).await;
    }
    let is_ghost = shared
        .inner()
        .db
        .as_ref()
        .is_some_and(|db| ghost(db, pending).unwrap_or(false));
    let detail = match is_ghost {
        true => "Messages wrote an empty row in no chat (a known fault of macOS 26): it most likely did not leave. Look at the \
                 Mac before you send it again"
            .to_owned(),
        false => format!("{doubt}: it may or may not have left. Look at the Mac before you send it again"),
    };
    Err(SendError::Unknown { detail })
}

fn glance(shared: &Shared, pending: &Pending) -> Option<Claimed> {
    let mut inner = shared.inner();
    if let Some(claimed) = inner.claims.remove(&pending.id) {
        return Some(claimed);
    }
    let now = shared.clock.now();
    let timing = &shared.config.timing;
    // What cannot be read now is looked at again in a moment.
    inner.open(&shared.config, now).ok()?;
    let db = inner.db.take()?;
    let watch = (timing.watch_text, timing.watch_file);
    let Inner { journal, walks, .. } = &mut *inner;
    let claims = db.at_once(|db| claim(db, journal, walks, now, watch));
    match claims {
        Ok(claims) => {
            inner.db = Some(db);
            inner.claims.extend(claims);
        }
        Err(_) => inner.close(),
    }
    inner.claims.remove(&pending.id)
}
