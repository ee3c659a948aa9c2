//! What became of messages to groups: told for each participant.

use super::{Groups, api};
use crate::provider::waiting::Pending;
use crate::twilio::arrivals::{Form, outcome_of};
use crate::twilio::ask::Refusal;
use crate::twilio::codes;
use crate::twilio::connector::Shared;
use crate::twilio::send::code;
use crate::webhook::Response;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{Arrival, InboxError};

/// The id under which one of a group has a message.
pub fn id_of(message: &str, participant: &str) -> NetworkId {
    NetworkId::new(format!("{message}/{participant}"))
}

/// A webhook tells what became of a message for one of the group.
pub async fn told(shared: &Shared, form: &Form) -> Response {
    let text = |name: &str| form.get(name).filter(|text| !text.is_empty());
    let (Some(message), Some(status)) = (text("MessageSid"), text("Status")) else {
        return Response::new(
            400,
            "it names no message or no state: MessageSid or Status is missing",
        );
    };
    let code = text("ErrorCode").and_then(|code| code.parse().ok());
    let told = receipt(shared, message, text("ParticipantSid"), status, code);
    match shared.account.deliver(told.into_iter().collect()).await {
        Ok(()) => Response::TAKEN,
        Err(_) => Response::new(503, "not now, come again"),
    }
}

fn receipt(
    shared: &Shared,
    message: &str,
    participant: Option<&str>,
    status: &str,
    code: Option<u32>,
) -> Option<Arrival> {
    let mut ids = vec![NetworkId::new(message)];
    if let Some(participant) = participant {
        ids.insert(0, id_of(message, participant));
    }
    outcome_of(shared, ids, (status, code))
}

/// Asks what became of a message for each of the group; gives the state that it is in, and whether that is the last one.
///
/// # Errors
/// Twilio or the inbox; worth a retry.
pub async fn ask_after(
    shared: &Shared,
    groups: &Groups,
    (conversation, message): (&str, &str),
    pending: &Pending,
) -> Result<(String, bool), AskError> {
    let list = api::receipts(shared, groups, conversation, message).await?;
    let mut state = String::new();
    let mut told = Vec::new();
    let mut last = !list.is_empty();
    for item in &list {
        let status = item["status"].as_str().unwrap_or_default();
        let participant = item["participant_sid"].as_str();
        state += status;
        state += " ";
        last &= codes::is_last(status);
        told.extend(receipt(
            shared,
            message,
            participant,
            status,
            item.get("error_code").and_then(code),
        ));
    }
    if state != pending.state {
        shared.account.deliver(told).await?;
    }
    Ok((state, last))
}

/// Why it is not known.
pub enum AskError {
    Twilio(Refusal),
    Inbox(InboxError),
}

impl From<Refusal> for AskError {
    fn from(refusal: Refusal) -> Self {
        Self::Twilio(refusal)
    }
}

impl From<InboxError> for AskError {
    fn from(error: InboxError) -> Self {
        Self::Inbox(error)
    }
}
