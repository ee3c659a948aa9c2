//! Reads what no webhook told: messages in Twilio's list, and the states of ours. Twilio does not come again for each webhook that
//! failed, and keeps all it carried.

use super::arrivals::{File, Incoming, made, receipt};
use super::ask::Refusal;
use super::cards;
use super::codes;
use super::connector::Shared;
use super::conversations::receipts::{AskError, ask_after};
use super::send::code;
use crate::provider::http::{ANSWER, Failure, call};
use crate::sms_gateway::time;
use serde_json::Value;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::inbox::InboxError;
use tokio::time::sleep;

/// How far back each reading goes before the last one.
const OVERLAP: Duration = Duration::from_secs(60 * 60);
/// How far Twilio's clock may be from ours.
const SKEW: Duration = Duration::from_secs(120);
/// The most pages of one reading.
const PAGES: usize = 50;
/// How many messages of ours are asked after in one round.
const ASKED: usize = 20;
/// The wait after the store could not take something.
const STORE_WAIT: Duration = Duration::from_secs(1);

/// Why a round ended early. Nothing is lost by it.
enum Stop {
    Away(Failure),
    Refused,
    Status(u16),
    Junk,
    Store,
    Closed,
    /// Whether something was said in a group cannot be asked.
    Groups,
}

impl From<InboxError> for Stop {
    fn from(error: InboxError) -> Self {
        match error {
            InboxError::Unavailable(_) => Self::Store,
            InboxError::Closed => Self::Closed,
        }
    }
}

impl From<AskError> for Stop {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Inbox(error) => error.into(),
            AskError::Twilio(Refusal::Unanswered(failure)) => Self::Away(failure),
            AskError::Twilio(refusal) => match refusal.status() {
                Some(401 | 403) => Self::Refused,
                Some(status) => Self::Status(status),
                None => Self::Junk,
            },
        }
    }
}

/// Runs until the inbox is closed.
pub async fn run(shared: &Shared) {
    let timing = shared.config.timing;
    let mut wait = timing.poll;
    loop {
        match round(shared).await {
            Ok(()) => {
                shared.account.connected(None);
                wait = timing.poll;
            }
            Err(Stop::Closed) => return,
            Err(Stop::Store) => wait = STORE_WAIT,
            Err(stop) => {
                match stop {
                    Stop::Refused => shared.account.refused(
                        "Twilio refuses the account's credentials: compare account_sid and auth_token, or the API key",
                    ),
                    Stop::Away(failure) => shared.account.disconnected(&failure.to_string()),
                    Stop::Status(status) => shared
                        .account
                        .disconnected(&format!("Twilio's list of messages answers {status}")),
                    Stop::Groups => shared.account.disconnected("Twilio's conversations do not answer"),
                    _ => shared.account.disconnected("Twilio's list of messages cannot be understood"),
                }
                wait = (wait * 2).min(timing.longest_wait);
            }
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = async { shared.gap.notified().await; sleep(STORE_WAIT).await } => {}
        }
    }
}

async fn round(shared: &Shared) -> Result<(), Stop> {
    let now = shared.account.clock.now();
    let (begun, contact) = shared.kept.look(|memory| (memory.begun, memory.contact));
    let begun = begun.unwrap_or(now);
    let oldest = begun - SKEW;
    let from = (contact.unwrap_or(now) - OVERLAP).max(oldest);
    let own = match shared.config.is_rcs() {
        true => shared.config.rcs_address(),
        false => Some(shared.config.number.clone()),
    };
    if let Some(own) = own {
        read_list(shared, &own, from, now).await?;
    }
    ask_after_ours(shared, now).await?;
    cards::sweep(shared, now).await;
    shared.kept.change(|memory| {
        memory.begun = Some(begun);
        memory.contact = Some(now);
        memory.forget_old(now);
    });
    if let Err(error) = shared.kept.write() {
        tracing::warn!(connector = %shared.account.id, %error, "how far Twilio was read cannot be written down");
        return Err(Stop::Store);
    }
    Ok(())
}

async fn get(shared: &Shared, url: &str) -> Result<Value, Stop> {
    let request = shared.authorised(shared.account.http.get(url));
    let answer = call(request, ANSWER).await.map_err(Stop::Away)?;
    match answer.status {
        200..300 => answer.json().ok_or(Stop::Junk),
        401 | 403 => Err(Stop::Refused),
        status => Err(Stop::Status(status)),
    }
}

/// Hands in the messages to `own` that were sent since `from` and not handed in before, the oldest first.
async fn read_list(shared: &Shared, own: &str, from: Timestamp, now: Timestamp) -> Result<(), Stop> {
    let day = from.to_string();
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("To", own)
        .append_pair("DateSent>", day.get(..10).unwrap_or_default())
        .append_pair("PageSize", "200")
        .finish();
    let mut url = shared.of_account(&format!("/Messages.json?{query}"));
    let mut fresh = Vec::new();
    for _ in 0..PAGES {
        let page = get(shared, &url).await?;
        let messages = page.get("messages").and_then(Value::as_array).ok_or(Stop::Junk)?;
        fresh.extend(
            messages
                .iter()
                .filter(|item| is_fresh(shared, item, from, now))
                .cloned(),
        );
        match page.get("next_page_uri").and_then(Value::as_str) {
            // A path: Twilio's word does not lead elsewhere.
            Some(next) if next.starts_with('/') => {
                url = format!("{}{next}", shared.config.url.trim_end_matches('/'));
            }
            _ => break,
        }
    }
    fresh.sort_by_key(sent_at);
    for item in &fresh {
        hand_in(shared, item).await?;
    }
    Ok(())
}

fn is_fresh(shared: &Shared, item: &Value, from: Timestamp, now: Timestamp) -> bool {
    let inbound = text(item, "direction") == "inbound";
    let sid = text(item, "sid");
    let (seen, missed) = shared
        .kept
        .look(|memory| (memory.has_seen(sid), memory.has_missed(sid)));
    // What came just now may still be told by its webhook, which says more.
    let due = |at: Timestamp| missed || at + shared.config.timing.ask_after <= now + SKEW;
    inbound && !seen && sent_at(item).is_some_and(|at| at >= from && due(at))
}

async fn hand_in(shared: &Shared, item: &Value) -> Result<(), Stop> {
    let sid = text(item, "sid");
    let many: u32 = text(item, "num_media").parse().unwrap_or_default();
    let files = match many {
        0 => Vec::new(),
        _ => files(shared, sid).await?,
    };
    let incoming = Incoming {
        sid,
        from: text(item, "from"),
        to: text(item, "to"),
        text: text(item, "body"),
        files,
        sent_at: sent_at(item),
        in_reply_to: None,
        // The list says neither.
        answered: false,
        tapped: false,
        place: None,
        others: Vec::new(),
        patient: false,
    };
    let arrivals = made(shared, incoming).await.map_err(|error| {
        tracing::warn!(connector = %shared.account.id, %error, "a message cannot be taken in now");
        match error.kind() {
            std::io::ErrorKind::NotConnected => Stop::Groups,
            _ => Stop::Store,
        }
    })?;
    // A webhook may have been quicker.
    if !shared.kept.look(|memory| memory.has_seen(sid)) {
        shared.account.deliver(arrivals).await?;
        shared.kept.change(|memory| memory.saw(sid));
    }
    Ok(())
}

async fn files(shared: &Shared, sid: &str) -> Result<Vec<File>, Stop> {
    let list = get(shared, &shared.of_account(&format!("/Messages/{sid}/Media.json"))).await?;
    let list = list
        .get("media_list")
        .and_then(Value::as_array)
        .ok_or(Stop::Junk)?;
    let base = shared.config.url.trim_end_matches('/');
    let file = |item: &Value| {
        let path = text(item, "uri");
        Some(File {
            url: format!("{base}{}", path.strip_suffix(".json").unwrap_or(path)),
            mime: Some(text(item, "content_type").to_owned()).filter(|mime| !mime.is_empty()),
            ..File::default()
        })
        .filter(|_| path.starts_with('/'))
    };
    Ok(list.iter().filter_map(file).collect())
}

async fn ask_after_ours(shared: &Shared, now: Timestamp) -> Result<(), Stop> {
    let pending = shared
        .kept
        .look(|memory| memory.next(now, shared.config.timing.ask_after, ASKED));
    for (sid, pending) in pending {
        shared.kept.change(|memory| memory.asks(&sid));
        if let (Some(groups), Some(name)) = (&shared.groups, sid.split_once('/')) {
            let (state, last) = match ask_after(shared, groups, name, &pending)
                .await
                .map_err(Stop::from)
            {
                Ok(told) => told,
                // Removed there, by somebody.
                Err(Stop::Status(404)) => ("gone".to_owned(), true),
                Err(stop) => return Err(stop),
            };
            shared.kept.change(|memory| memory.reached(&sid, &state, last));
            continue;
        }
        let found = match get(shared, &shared.of_account(&format!("/Messages/{sid}.json"))).await {
            Ok(found) => found,
            // Deleted there, by somebody.
            Err(Stop::Status(404)) => {
                shared.kept.change(|memory| memory.reached(&sid, "gone", true));
                continue;
            }
            Err(stop) => return Err(stop),
        };
        let status = text(&found, "status");
        if status == pending.state {
            continue;
        }
        let why = found.get("error_code").and_then(code);
        let told = receipt(shared, &sid, (status, why));
        shared.account.deliver(told.into_iter().collect()).await?;
        shared
            .kept
            .change(|memory| memory.reached(&sid, status, codes::is_last(status)));
    }
    Ok(())
}

fn text<'a>(item: &'a Value, name: &str) -> &'a str {
    item.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn sent_at(item: &Value) -> Option<Timestamp> {
    let of = |name| moment(text(item, name));
    of("date_sent").or_else(|| of("date_created"))
}

/// `Fri, 24 May 2019 17:44:46 +0000` (RFC 2822).
fn moment(written: &str) -> Option<Timestamp> {
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let rest = written.split_once(", ").map_or(written, |(_, rest)| rest);
    let mut words = rest.split_whitespace();
    let (day, month, year) = (words.next()?, words.next()?, words.next()?);
    let (clock, zone) = (words.next()?, words.next().unwrap_or("+0000"));
    let month = MONTHS.iter().position(|name| *name == month)? + 1;
    let zone = match zone {
        "GMT" | "UTC" => "Z",
        zone => zone,
    };
    time::read(&format!("{year}-{month:02}-{day:0>2}T{clock}{zone}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twilios_moments_are_read() {
        for (text, expected) in [
            ("Fri, 24 May 2019 17:44:46 +0000", "2019-05-24T17:44:46Z"),
            ("Sun, 3 Mar 2024 01:02:03 +0100", "2024-03-03T00:02:03Z"),
            ("24 May 2019 17:44:46 GMT", "2019-05-24T17:44:46Z"),
        ] {
            assert_eq!(moment(text).unwrap().to_string(), expected);
        }
        for wrong in ["", "yesterday", "Fri, 24 Mai 2019 17:44:46 +0000"] {
            assert_eq!(moment(wrong), None);
        }
    }
}
