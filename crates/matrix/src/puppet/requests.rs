//! Who asks to compare keys. A request is kept unanswered until a person at the device takes it up: nobody else can say what they see.

use super::Whom;
use matrix_sdk::Client;
use ruma::events::key::verification::request::ToDeviceKeyVerificationRequestEvent;
use ruma::events::room::message::{MessageType, OriginalSyncRoomMessageEvent};
use ruma::{OwnedUserId, UserId as MatrixUserId};
use std::collections::VecDeque;
use tokio::sync::watch;

/// As many are kept; they grow stale after ten minutes anyway.
const KEPT: usize = 16;

/// A request that came.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub number: u64,
    pub whom: Whom,
    pub user: OwnedUserId,
    pub flow: String,
}

#[derive(Debug, Default)]
struct Kept {
    requests: VecDeque<Request>,
    count: u64,
}

/// The requests that came. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Requests(watch::Sender<Kept>);

impl Requests {
    /// Listens for as long as the client lives. Only the owner is heard, and the account's own sessions: whoever else asks gets no answer,
    /// as if nobody were there.
    pub fn listen(&self, client: &Client, owner: &MatrixUserId, owners_session: bool) {
        let Some(me) = client.user_id().map(MatrixUserId::to_owned) else {
            return;
        };
        let whom = {
            let (me, owner) = (me.clone(), owner.to_owned());
            move |sender: &MatrixUserId| match (owners_session, sender) {
                (true, sender) if sender == owner => Some(Whom::OwnersDevice),
                (false, sender) if sender == owner => Some(Whom::Owner),
                (false, sender) if sender == me => Some(Whom::OwnDevice),
                _ => None,
            }
        };
        let (kept, heard) = (self.clone(), whom.clone());
        client.add_event_handler(move |event: OriginalSyncRoomMessageEvent| {
            if let MessageType::VerificationRequest(request) = &event.content.msgtype
                && request.to == me
                && let Some(whom) = heard(&event.sender)
            {
                kept.keep(whom, event.sender.clone(), event.event_id.to_string());
            }
            std::future::ready(())
        });
        let kept = self.clone();
        client.add_event_handler(move |event: ToDeviceKeyVerificationRequestEvent| {
            if let Some(whom) = whom(&event.sender) {
                kept.keep(
                    whom,
                    event.sender.clone(),
                    event.content.transaction_id.to_string(),
                );
            }
            std::future::ready(())
        });
    }

    fn keep(&self, whom: Whom, user: OwnedUserId, flow: String) {
        self.0.send_if_modified(|kept| {
            // The homeserver's answer may come twice.
            if kept.requests.iter().any(|request| request.flow == flow) {
                return false;
            }
            kept.count += 1;
            if kept.requests.len() == KEPT {
                kept.requests.pop_front();
            }
            kept.requests.push_back(Request {
                number: kept.count,
                whom,
                user,
                flow,
            });
            true
        });
    }

    /// The newest first: whoever asks again means the last.
    pub fn of(&self, whom: Whom) -> Vec<Request> {
        let kept = self.0.borrow();
        let fit = kept.requests.iter().rev().filter(|request| request.whom == whom);
        fit.cloned().collect()
    }

    /// Completes at the next request.
    pub fn next(&self) -> impl Future<Output = ()> + use<> {
        let mut changes = self.0.subscribe();
        async move {
            let _ = changes.changed().await;
        }
    }
}

/// Tells when the owner asks, for a program that lets them know where the answer is to be given.
#[derive(Debug)]
pub struct Asked {
    requests: Requests,
    told: u64,
}

impl Asked {
    pub(super) fn new(requests: Requests) -> Self {
        Self { requests, told: 0 }
    }

    /// Completes when the owner has asked the device's account since the last time. Nothing was answered yet.
    pub async fn next(&mut self) {
        loop {
            let more = self.requests.next();
            let newest = self
                .requests
                .of(Whom::Owner)
                .first()
                .map(|request| request.number);
            if let Some(number) = newest.filter(|number| *number > self.told) {
                self.told = number;
                return;
            }
            more.await;
        }
    }
}
