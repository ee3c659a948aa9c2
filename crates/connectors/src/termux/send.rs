//! Sending: the command says nothing of what became of a text, so the phone's own database is asked.
//!
//! What is sent is written down before the command starts. So a row that appears in the sent box is known for ours, also after a
//! crash, and is not shown to the user as something written on the phone.

use super::connector::Shared;
use super::read::{Kind, Row};
use crate::journal::{Journal, JournalError};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Accepted, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::message::{Body, Message};
use tokio::sync::oneshot;
use tokio::time::timeout;

/// How long a text of ours is looked for in the sent box, though its sender was told that its fate is unknown.
const REMEMBERED: Duration = Duration::from_secs(24 * 60 * 60);
/// The wait before the next text to a number whose last one is not out yet.
const BUSY: Duration = Duration::from_secs(1);
/// The wait after a failure that needs a person.
const UNTIL_CURED: Duration = Duration::from_secs(60);

/// Texts of ours that have not shown in the sent box.
#[derive(Debug)]
pub struct Sends {
    file: Journal,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    list: Vec<Expected>,
    waiting: BTreeMap<u64, oneshot::Sender<Found>>,
    /// Numbers that have one on its way.
    busy: BTreeSet<String>,
    next: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Expected {
    token: u64,
    /// Of the number's last digits and the text.
    print: String,
    /// The newest row when it was sent.
    above: i64,
    at: Timestamp,
}

/// Where a text of ours ended up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub id: i64,
    pub sent: bool,
}

impl Sends {
    /// Reads what was sent before a restart. Blocks.
    ///
    /// # Errors
    /// See [`JournalError`].
    pub fn open(file: Journal) -> Result<Self, JournalError> {
        let list: Vec<Expected> = file.read()?.unwrap_or_default();
        let next = list.iter().map(|expected| expected.token + 1).max().unwrap_or(0);
        let state = Mutex::new(State {
            list,
            next,
            ..State::default()
        });
        Ok(Self { file, state })
    }

    /// The text of ours that this row is, if it is one.
    pub fn claim(&self, row: &Row) -> Option<u64> {
        if !matches!(row.kind, Kind::Sent | Kind::Failed) {
            return None;
        }
        let print = print(&row.address, row.body.as_deref().unwrap_or_default());
        let state = self.state();
        state
            .list
            .iter()
            .find(|expected| expected.print == print && row.id > expected.above)
            .map(|expected| expected.token)
    }

    /// The row that was claimed is committed as seen: whoever waits is told. Blocks.
    ///
    /// # Errors
    /// The file cannot be written; the text will be looked for again, which does no harm.
    pub fn settle(&self, token: u64, found: Found) -> Result<(), JournalError> {
        let mut state = self.state();
        state.list.retain(|expected| expected.token != token);
        if let Some(waiting) = state.waiting.remove(&token) {
            let _ = waiting.send(found);
        }
        self.file.write(&state.list)
    }

    /// Whether anybody waits.
    pub fn any_waiting(&self) -> bool {
        !self.state().waiting.is_empty()
    }

    fn expect(
        &self,
        number: &str,
        text: &str,
        above: i64,
        now: Timestamp,
    ) -> Result<(u64, oneshot::Receiver<Found>), JournalError> {
        let mut state = self.state();
        let token = state.next;
        state.next += 1;
        state.list.retain(|expected| now.since(expected.at) < REMEMBERED);
        state.list.push(Expected {
            token,
            print: print(number, text),
            above,
            at: now,
        });
        if let Err(error) = self.file.write(&state.list) {
            state.list.retain(|expected| expected.token != token);
            return Err(error);
        }
        let (tell, told) = oneshot::channel();
        state.waiting.insert(token, tell);
        Ok((token, told))
    }

    /// Nobody waits any more. `forget`: it certainly did not leave.
    fn give_up(&self, token: u64, forget: bool) {
        let mut state = self.state();
        state.waiting.remove(&token);
        if forget {
            state.list.retain(|expected| expected.token != token);
            if let Err(error) = self.file.write(&state.list) {
                tracing::warn!(%error, "a text that did not leave stays on record for a day");
            }
        }
    }

    fn occupy(&self, number: &str) -> Option<Busy<'_>> {
        let number = tail(number);
        // One that is refused must not be dropped while the lock is held, nor free the number.
        if !self.state().busy.insert(number.clone()) {
            return None;
        }
        Some(Busy { sends: self, number })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

struct Busy<'a> {
    sends: &'a Sends,
    number: String,
}

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.sends.state().busy.remove(&self.number);
    }
}

/// Sends one text and waits for the proof.
pub async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    let now = shared.clock.now();
    let number = recipient(&outbound.to)?;
    let text = text_of(&outbound.message)?;
    if outbound.expires_at.is_some_and(|at| at <= now) {
        return Err(rejected(Reason::Expired, "its time was over before it left"));
    }
    if !shared.is_watching() {
        return Err(later(BUSY, "the phone has not been read yet"));
    }
    let Some(_busy) = shared.sends.occupy(&number) else {
        return Err(later(BUSY, "the text before it is not out yet"));
    };
    // The file is small, and a text waits for its network far longer than for the disk.
    let (token, told) = shared
        .sends
        .expect(&number, text, shared.cursor(), now)
        .map_err(|error| later(UNTIL_CURED, &format!("it cannot be written down: {error}")))?;
    let mut guard = GiveUp {
        sends: &shared.sends,
        token,
        forget: false,
    };
    let mut arguments = vec!["-n".to_owned(), number.clone()];
    if let Some(slot) = shared.config.sim_slot {
        arguments.extend(["-s".to_owned(), slot.to_string()]);
    }
    let asked = shared
        .programs
        .run("termux-sms-send", &arguments, Some(text))
        .await;
    if let Err(failure) = &asked {
        shared.sending_failed(failure);
        if failure.nothing_left() {
            guard.forget = true;
            return Err(SendError::RetryAfter {
                delay: UNTIL_CURED,
                detail: failure.to_string(),
                counts: !failure.needs_a_person(),
            });
        }
    }
    shared.look_now();
    match timeout(shared.config.timing.confirm, told).await {
        Ok(Ok(found)) if found.sent => {
            shared.sending_works();
            Ok(Accepted {
                network_ids: vec![NetworkId::new(found.id.to_string())],
                ..Accepted::default()
            })
        }
        Ok(Ok(_)) => Err(rejected(
            Reason::NetworkRefused,
            "the phone could not send it; it lies in the phone's box of failed texts",
        )),
        Ok(Err(_)) | Err(_) => Err(SendError::Unknown {
            detail: match asked {
                Err(failure) => format!("{failure}; it has not shown in the phone's sent box"),
                Ok(_) => "it has not shown in the phone's sent box".to_owned(),
            },
        }),
    }
}

/// Also when the caller goes away in the middle.
struct GiveUp<'a> {
    sends: &'a Sends,
    token: u64,
    forget: bool,
}

impl Drop for GiveUp<'_> {
    fn drop(&mut self) {
        self.sends.give_up(self.token, self.forget);
    }
}

fn recipient(to: &[Address]) -> Result<String, SendError> {
    let [to] = to else {
        return Err(rejected(
            Reason::BadAddress,
            "Termux sends to one number at a time",
        ));
    };
    let number = match to {
        Address::Number(number) | Address::Short(number) => number,
        Address::Name(_) | Address::Mail(_) | Address::Group(_) => {
            return Err(rejected(Reason::BadAddress, "this phone can text numbers only"));
        }
    };
    // The program cuts its argument at blanks and commas.
    let fits = number.chars().any(|c| c.is_ascii_digit())
        && number
            .chars()
            .enumerate()
            .all(|(at, c)| c.is_ascii_digit() || matches!(c, '*' | '#') || at == 0 && c == '+');
    match fits {
        true => Ok(number.clone()),
        false => Err(rejected(
            Reason::BadAddress,
            "this is no number that a phone dials",
        )),
    }
}

fn text_of(message: &Message) -> Result<&str, SendError> {
    let mut texts = message.parts.iter().map(|part| match &part.body {
        Body::Text(text) => Some(text.plain.as_str()),
        _ => None,
    });
    match (texts.next(), texts.next()) {
        // Termux takes off what is blank at both ends.
        (Some(Some(text)), None) if !text.trim().is_empty() => Ok(text.trim()),
        (Some(Some(_)), None) => Err(rejected(Reason::BadContent, "there is no text in it")),
        _ => Err(rejected(
            Reason::BadContent,
            "Termux sends one text and nothing else",
        )),
    }
}

fn rejected(reason: Reason, detail: &str) -> SendError {
    SendError::Rejected {
        reason,
        detail: detail.to_owned(),
    }
}

fn later(delay: Duration, detail: &str) -> SendError {
    SendError::RetryAfter {
        delay,
        detail: detail.to_owned(),
        counts: false,
    }
}

/// The last digits of a number: the phone may write it nationally.
fn tail(number: &str) -> String {
    let digits: Vec<char> = number
        .chars()
        .filter(|c| c.is_ascii_digit() || matches!(c, '*' | '#'))
        .collect();
    digits[digits.len().saturating_sub(7)..].iter().collect()
}

fn print(number: &str, text: &str) -> String {
    let mut digest = Sha256::new();
    digest.update(tail(number));
    digest.update([0]);
    digest.update(text.trim());
    data_encoding::HEXLOWER.encode(&digest.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn row(id: i64, kind: Kind, address: &str, body: &str) -> Row {
        Row {
            id,
            kind,
            address: address.into(),
            received: String::new(),
            body: Some(body.into()),
        }
    }

    #[test]
    fn a_row_is_ours_also_after_a_restart_and_only_once() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Sends::open(Journal::in_folder(folder.path(), "sends.json").unwrap()).unwrap();
        let sends = open();
        let (token, _told) = sends.expect("+447700900123", "hello\n", 5, NOW).unwrap();
        drop(sends);
        let sends = open();
        // An older row with the same words, another box, another number, other words.
        for other in [
            row(5, Kind::Sent, "+447700900123", "hello"),
            row(6, Kind::Inbox, "+447700900123", "hello"),
            row(6, Kind::Sent, "+447700900124", "hello"),
            row(6, Kind::Sent, "+447700900123", "hallo"),
        ] {
            assert_eq!(sends.claim(&other), None, "{other:?}");
        }
        let ours = row(6, Kind::Sent, "07700 900123", "hello");
        assert_eq!(sends.claim(&ours), Some(token));
        sends.settle(token, Found { id: 6, sent: true }).unwrap();
        assert_eq!(sends.claim(&row(7, Kind::Sent, "07700 900123", "hello")), None);
        assert_eq!(open().claim(&ours), None);
    }

    #[test]
    fn what_is_no_number_never_reaches_a_command_line() {
        for wrong in ["", "+", "12 -s 3", "1,2", "1;rm", "--help", "+12+3"] {
            assert!(recipient(&[Address::Short(wrong.into())]).is_err(), "{wrong}");
        }
        for right in ["+447700900123", "12345", "*100#"] {
            assert!(recipient(&[Address::Short(right.into())]).is_ok(), "{right}");
        }
        let two = [Address::Short("1".into()), Address::Short("2".into())];
        assert!(recipient(&two).is_err());
    }

    #[test]
    fn one_text_to_a_number_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let sends = Sends::open(Journal::in_folder(folder.path(), "sends.json").unwrap()).unwrap();
        let busy = sends.occupy("+447700900123").unwrap();
        assert!(sends.occupy("07700900123").is_none());
        assert!(sends.occupy("+447700900124").is_some());
        drop(busy);
        assert!(sends.occupy("+447700900123").is_some());
    }
}
