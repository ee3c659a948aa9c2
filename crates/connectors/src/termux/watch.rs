//! Asks the phone again and again for what is new.

use super::command::Failure;
use super::connector::{Beside, Shared};
use super::local_time::LocalTime;
use super::memory::{Memory, News, WINDOW};
use super::read::{self, Kind, Read, Row};
use super::send::Found;
use crate::journal::Journal;
use std::collections::BTreeMap;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{
    Arrival, Dedupe, Inbound, InboundMessage, Inbox, InboxError, NetworkAddress, What,
};
use swingbridge_domain::message::{Body, Disposition, Message, Part};
use tokio::time::{Instant, sleep};

/// How many rows are asked for at once.
const PAGE: usize = 100;
/// How soon the phone is asked again while a text waits for its proof.
const IN_A_HURRY: Duration = Duration::from_millis(700);
/// The wait while the store takes nothing.
const STORE_WAIT: Duration = Duration::from_secs(1);
const DAY: u64 = 24 * 60 * 60;

/// Why a round ended early.
enum Stop {
    Phone(Failure),
    /// Nothing of it is lost; it is read again.
    Store,
    /// The program is ending.
    Closed,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Phone(failure)
    }
}

/// Runs until the inbox is closed.
pub async fn run(shared: &Shared, memory: Option<Memory>, file: &Journal, inbox: &dyn Inbox) {
    let mut watch = Watch {
        shared,
        memory,
        file,
        inbox,
        swept: None,
    };
    let mut wait = shared.config.poll;
    loop {
        let outcome = watch.round().await;
        shared.round_ended();
        match outcome {
            Ok(()) => {
                shared.connected();
                wait = shared.config.poll;
                if shared.sends.any_waiting() {
                    wait = wait.min(IN_A_HURRY);
                }
            }
            Err(Stop::Phone(failure)) => {
                shared.failed(&failure);
                wait = (wait * 2).min(shared.config.timing.longest_wait);
            }
            Err(Stop::Store) => wait = STORE_WAIT,
            Err(Stop::Closed) => return,
        }
        tokio::select! {
            () = sleep(wait) => {}
            () = shared.looked_for() => {}
        }
    }
}

struct Watch<'a> {
    shared: &'a Shared,
    memory: Option<Memory>,
    file: &'a Journal,
    inbox: &'a dyn Inbox,
    swept: Option<Instant>,
}

impl Watch<'_> {
    /// Reads all that is new.
    async fn round(&mut self) -> Result<(), Stop> {
        let Some(mut memory) = self.memory.clone() else {
            let window = self.window().await?;
            let days = self.shared.config.history_days;
            let now = self.shared.clock.now();
            let since = (days > 0).then(|| now - Duration::from_secs(DAY * u64::from(days)));
            return self.commit(Memory::begin(&window, since), Vec::new()).await;
        };
        loop {
            let page = self.page(&memory).await?;
            let due = self
                .swept
                .is_none_or(|at| at.elapsed() >= self.shared.config.timing.sweep);
            if due || !memory.continues(&page) {
                let window = self.window().await?;
                let news = memory.sweep(&window);
                self.commit(memory.clone(), news).await?;
                self.swept = Some(Instant::now());
                // What came in between is behind the cursor now, or after it.
                let page = self.page(&memory).await?;
                let news = memory.take(&page);
                self.commit(memory.clone(), news).await?;
                if page.len() < PAGE {
                    return Ok(());
                }
                continue;
            }
            let news = memory.take(&page);
            self.commit(memory.clone(), news).await?;
            if page.len() < PAGE {
                return Ok(());
            }
        }
    }

    /// The newest rows, oldest first.
    async fn window(&self) -> Result<Vec<Row>, Failure> {
        let mut rows = self.list("_id > 0", "_id DESC", WINDOW).await?;
        rows.reverse();
        Ok(rows)
    }

    async fn page(&self, memory: &Memory) -> Result<Vec<Row>, Failure> {
        self.list(&memory.selection(), "_id ASC", PAGE).await
    }

    async fn list(&self, selection: &str, order: &str, limit: usize) -> Result<Vec<Row>, Failure> {
        const PROGRAM: &str = "termux-sms-list";
        let arguments = [
            "-t".to_owned(),
            "all".to_owned(),
            "-l".to_owned(),
            limit.to_string(),
            format!("--message-selection={selection}"),
            format!("--message-sort-order={order}"),
            "--message-return-no-order-reverse".to_owned(),
        ];
        let printed = self.shared.programs.run(PROGRAM, &arguments, None).await?;
        let Ok(Read { items, unreadable }) = read::rows(&printed) else {
            return Err(Failure::Junk(PROGRAM));
        };
        let problem =
            format!("{unreadable} of the texts that the phone tells of have no number and cannot be shown");
        self.shared
            .beside(Beside::Rows, (unreadable > 0).then_some(problem));
        Ok(items)
    }

    /// Hands in what is news, and only then remembers that it was.
    async fn commit(&mut self, next: Memory, news: Vec<News>) -> Result<(), Stop> {
        let mut ours = Vec::new();
        let mut others = Vec::new();
        for item in news {
            match (self.shared.sends.claim(&item.row), item.row.kind) {
                (Some(token), kind) if !ours.iter().any(|(known, _)| *known == token) => {
                    let found = Found {
                        id: item.row.id,
                        sent: kind == Kind::Sent,
                    };
                    ours.push((token, found));
                }
                // What the user wrote on the phone and could not be sent is shown there.
                (_, Kind::Failed) => {}
                _ => others.push(item),
            }
        }
        if !others.is_empty() {
            let times = self.moments(&others).await;
            let arrivals: Vec<Arrival> = others
                .iter()
                .map(|item| arrival(self.shared, item, &times))
                .collect();
            for item in others.iter().filter(|item| item.row.kind == Kind::Inbox) {
                self.shared
                    .text_came(item.row.body.as_deref().unwrap_or_default());
            }
            deliver(self.inbox, arrivals).await?;
            self.shared.traffic();
        }
        if self.memory.as_ref() != Some(&next) {
            self.file.write(&next).map_err(|error| {
                tracing::warn!(connector = %self.shared.id, %error, "what was handed in cannot be written down");
                Stop::Store
            })?;
        }
        self.shared.at(next.cursor());
        self.memory = Some(next);
        for (token, found) in ours {
            if let Err(error) = self.shared.sends.settle(token, found) {
                tracing::warn!(connector = %self.shared.id, %error, "a text that was sent stays on record for a day");
            }
        }
        Ok(())
    }

    async fn moments(&self, news: &[News]) -> BTreeMap<LocalTime, Timestamp> {
        let times = news.iter().filter_map(|item| item.row.local());
        match self.shared.zone.moments(times).await {
            Ok(moments) => {
                self.shared.beside(Beside::Times, None);
                moments
            }
            Err(failure) => {
                let problem = format!("texts are shown without the time that they came: {failure}");
                self.shared.beside(Beside::Times, Some(problem));
                BTreeMap::new()
            }
        }
    }
}

async fn deliver(inbox: &dyn Inbox, arrivals: Vec<Arrival>) -> Result<(), Stop> {
    match inbox.deliver(arrivals).await {
        Ok(()) => Ok(()),
        Err(InboxError::Unavailable(_)) => Err(Stop::Store),
        Err(InboxError::Closed) => Err(Stop::Closed),
    }
}

fn arrival(shared: &Shared, news: &News, times: &BTreeMap<LocalTime, Timestamp>) -> Arrival {
    let row = &news.row;
    let from = NetworkAddress {
        text: match row.address.is_empty() {
            true => "unknown".to_owned(),
            false => row.address.clone(),
        },
        hint: Default::default(),
    };
    let message = match row.body.as_deref() {
        Some(body) if !body.is_empty() => Message::text(body),
        _ => Message {
            parts: vec![Part {
                disposition: Disposition::Render,
                body: Body::Other {
                    kind: "sms/empty".to_owned(),
                    fallback: None,
                },
            }],
            ..Message::default()
        },
    };
    let inbound = InboundMessage {
        own: row.kind == Kind::Sent,
        history: news.history,
        network_id: Some(NetworkId::new(row.id.to_string())),
        sent_at: row.local().and_then(|local| times.get(&local).copied()),
        ..InboundMessage::new(shared.id.clone(), from, shared.own(), message)
    };
    Arrival {
        dedupe: Dedupe::Id {
            scope: shared.id.0.clone(),
            id: format!("sms/{}/{}", row.id, row.print()),
        },
        what: What::Network(Inbound::Message(inbound)),
    }
}
