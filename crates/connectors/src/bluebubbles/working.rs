//! The loop that keeps reading, and what it hears meanwhile.

use super::account::Account;
use super::api::Failure;
use super::chats::{address, contact};
use super::contacts::{self, Book};
use super::reading::{Reader, Trouble};
use super::socket::{self, Heard};
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, Inbox, Typing, What};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::time::{Instant, sleep};

const FIRST_WAIT: Duration = Duration::from_secs(1);
const LONGEST_WAIT: Duration = Duration::from_secs(60);
const ADDRESS_BOOK: Duration = Duration::from_secs(6 * 60 * 60);
/// More events than this at once are a restart of the server's; the comparison finds what they would tell.
const NAMED: usize = 50;

/// What is due at the next reading.
struct Due {
    /// What the server can do, where to read from.
    place: bool,
    compare: bool,
    compared: Instant,
    named: Vec<String>,
    book: Book,
    book_read: Option<Instant>,
}

impl Account {
    async fn read(&self, inbox: &dyn Inbox, due: &mut Due) -> Result<(), Trouble> {
        let reader = Reader { account: self, inbox };
        if due.place {
            self.learn().await?;
            reader.place().await?;
        }
        reader.catch_up().await?;
        reader.await_rows().await?;
        let all = due.compare || due.place || due.compared.elapsed() >= self.config.compare;
        reader.compare(&due.named, all).await?;
        due.named.clear();
        if all {
            if !due.place {
                self.learn().await?;
            }
            due.compared = Instant::now();
        }
        due.compare = false;
        due.place = false;
        let stale = due.book_read.is_none_or(|at| at.elapsed() >= ADDRESS_BOOK);
        if self.config.contacts && stale {
            self.read_book(inbox, due).await?;
        }
        Ok(())
    }

    async fn read_book(&self, inbox: &dyn Inbox, due: &mut Due) -> Result<(), Trouble> {
        match contacts::cards(&self.api, &self.files, &self.id, &due.book).await {
            Ok((arrivals, book)) => {
                if !arrivals.is_empty() {
                    inbox.deliver(arrivals).await?;
                }
                due.book = book;
            }
            // Names are a nicety: a Mac that gives no access to its address book still carries messages.
            Err(failure) => {
                tracing::warn!(connector = %self.id, %failure, "the Mac's address book cannot be read")
            }
        }
        due.book_read = Some(Instant::now());
        Ok(())
    }

    async fn heard(&self, inbox: &dyn Inbox, due: &mut Due, heard: Heard) {
        let (name, data) = match heard {
            Heard::Connected => {
                self.listening.store(true, Ordering::Relaxed);
                due.compare = true;
                return;
            }
            Heard::Event { name, data } => (name, data),
        };
        match name.as_str() {
            "typing-indicator" => self.typing(inbox, &data).await,
            "hello-world" => due.place = true,
            "updated-message" | "message-send-error" => match data["guid"].as_str() {
                Some(guid) if due.named.len() < NAMED => {
                    if !due.named.iter().any(|known| known == guid) {
                        due.named.push(guid.to_owned());
                    }
                }
                _ => due.compare = true,
            },
            // All others are rows, which are read by their numbers.
            _ => {}
        }
    }

    async fn typing(&self, inbox: &dyn Inbox, data: &Value) {
        let (Some(guid), Some(active)) = (data["guid"].as_str(), data["display"].as_bool()) else {
            return;
        };
        let Ok(chat) = self.chats.of(&self.api, guid).await else {
            return;
        };
        let Some(from) = contact(&chat) else {
            return;
        };
        let typing = Typing {
            connector: self.id.clone(),
            from: address(&from),
            to: address(&self.config.address),
            group: None,
            active,
        };
        let arrival = Arrival {
            dedupe: Dedupe::Harmless,
            what: What::Network(Inbound::Typing(typing)),
        };
        // Of no use later.
        let _ = inbox.deliver(vec![arrival]).await;
    }

    /// Keeps listening.
    pub async fn listen(self: Arc<Self>, to: Sender<Heard>) {
        let mut wait = FIRST_WAIT;
        while !to.is_closed() {
            let begun = Instant::now();
            let why = socket::listen(&self.api, self.entropy.as_ref(), &to).await;
            if self.listening.swap(false, Ordering::Relaxed) {
                tracing::info!(connector = %self.id, %why, "the events are interrupted; messages are asked for meanwhile");
            }
            if begun.elapsed() > LONGEST_WAIT {
                wait = FIRST_WAIT;
            }
            sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
    }

    pub async fn work(&self, inbox: &dyn Inbox, events: &mut Receiver<Heard>) {
        let mut due = Due {
            place: true,
            compare: true,
            compared: Instant::now(),
            named: Vec::new(),
            book: Book::default(),
            book_read: None,
        };
        let mut wait = FIRST_WAIT;
        loop {
            let pause = match self.read(inbox, &mut due).await {
                Ok(()) => {
                    self.rose();
                    wait = FIRST_WAIT;
                    self.pause()
                }
                Err(trouble) => {
                    self.fell(&trouble);
                    // After a gap rows may be others, and what changed meanwhile is found by comparing only.
                    due.place = true;
                    let pause = match trouble {
                        Trouble::Server(Failure::Refused) => LONGEST_WAIT,
                        _ => wait,
                    };
                    wait = (wait * 2).min(self.config.poll.max(FIRST_WAIT));
                    pause
                }
            };
            tokio::select! {
                () = sleep(pause) => {}
                () = self.nudge.notified() => {}
                Some(heard) = events.recv() => self.heard(inbox, &mut due, heard).await,
            }
            while let Ok(heard) = events.try_recv() {
                self.heard(inbox, &mut due, heard).await;
            }
        }
    }
}
