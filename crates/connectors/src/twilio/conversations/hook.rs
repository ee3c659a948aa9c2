//! What Twilio tells of conversations.

use super::book::Way;
use super::place::mark;
use super::{Groups, api, learn, receipts, same, write};
use crate::sms_gateway::time;
use crate::twilio::arrivals::{File, Form, Incoming, shown};
use crate::twilio::connector::Shared;
use crate::webhook::Response;
use serde_json::Value;

const LATER: Response = Response::new(503, "not now, come again");

/// Whether it tells of a conversation, and not of a message to or from the number.
pub fn is_of_conversation(form: &Form) -> bool {
    form.get("EventType").is_some_and(|kind| kind.starts_with("on"))
}

pub async fn receive(shared: &Shared, form: &Form) -> Response {
    let Some(groups) = &shared.groups else {
        return Response::TAKEN;
    };
    let conversation = form.get("ConversationSid").unwrap_or_default();
    if conversation.is_empty() {
        return Response::new(400, "it names no conversation: ConversationSid is missing");
    }
    // The account's own webhook tells of all of its services.
    if form
        .get("ChatServiceSid")
        .is_some_and(|service| service != groups.config.service_sid)
    {
        return Response::TAKEN;
    }
    match form.get("EventType").unwrap_or_default() {
        "onMessageAdded" => said(shared, groups, conversation, form).await,
        "onDeliveryUpdated" => receipts::told(shared, form).await,
        "onParticipantAdded" | "onParticipantUpdated" | "onParticipantRemoved" => {
            changed(shared, groups, conversation).await
        }
        "onConversationRemoved" => over(shared, groups, conversation),
        "onConversationStateUpdated" if form.get("StateTo") == Some("closed") => {
            over(shared, groups, conversation)
        }
        // What is asked before it happens is agreed to; the rest is no news.
        _ => Response::TAKEN,
    }
}

async fn said(shared: &Shared, groups: &Groups, conversation: &str, form: &Form) -> Response {
    let sid = form.get("MessageSid").unwrap_or_default();
    let author = form.get("Author").unwrap_or_default();
    if sid.is_empty() || author.is_empty() {
        return Response::new(
            400,
            "it names no message or no author: MessageSid or Author is missing",
        );
    }
    // What we said ourselves is known.
    if same(author, &shared.config.number) || shared.kept.look(|memory| memory.has_seen(sid)) {
        return Response::TAKEN;
    }
    let learnt = match learn(shared, groups, conversation).await {
        Ok(Some(learnt)) => learnt,
        // One to one: the number's ordinary webhook or the list of messages tells of it.
        Ok(None) => return Response::TAKEN,
        // Of another service, or removed since: likewise.
        Err(refusal) if refusal.status() == Some(404) => return Response::TAKEN,
        Err(refusal) => {
            tracing::warn!(connector = %shared.account.id, status = refusal.status(), "a conversation cannot be looked at");
            return later(shared);
        }
    };
    let participant = form.get("ParticipantSid").filter(|sid| !sid.is_empty());
    let known = &learnt.known;
    let from = known
        .people
        .iter()
        .find(|(_, sid)| participant == Some(sid))
        .map_or(author, |(number, _)| number);
    let Some(files) = files(shared, groups, form).await else {
        return later(shared);
    };
    let text = form.get("Body").unwrap_or_default();
    let sent_at = form.get("DateCreated").and_then(time::read);
    let at = sent_at.unwrap_or_else(|| shared.account.clock.now());
    let mark = mark(shared, from, text, files.len());
    let seen = groups
        .book
        .change(|page| page.sight(Way::Conversation, sid, &mark, at, &known.thread));
    // Before it is handed in: its other name must find it after a restart, too.
    write(shared, groups);
    let told = Incoming {
        sid,
        from,
        to: &shared.config.number,
        text,
        files,
        sent_at,
        in_reply_to: None,
        answered: false,
        tapped: false,
        place: None,
        others: Vec::new(),
        patient: false,
    };
    let arrival = match shown(shared, told, &seen.name, Some(known.group())).await {
        Ok(arrival) => arrival,
        Err(error) => {
            tracing::warn!(connector = %shared.account.id, error = %error.kind(), "a file cannot be kept");
            return later(shared);
        }
    };
    let mut arrivals = learnt.changes;
    arrivals.push(arrival);
    if shared.account.deliver(arrivals).await.is_err() {
        return later(shared);
    }
    shared.kept.change(|memory| {
        memory.saw(sid);
        memory.saw(&seen.name);
    });
    Response::TAKEN
}

/// The files of a message; `None`: not to be had now.
async fn files(shared: &Shared, groups: &Groups, form: &Form) -> Option<Vec<File>> {
    let told = form.get("Media").unwrap_or_default();
    let list = match serde_json::from_str(told) {
        Ok(Value::Array(list)) => list,
        _ => return Some(Vec::new()),
    };
    let mut files = Vec::new();
    for file in &list {
        let text = |name: &str| file[name].as_str().map(str::to_owned);
        let link = match text("Sid").or_else(|| text("MediaSid")) {
            Some(sid) => match api::link(shared, groups, &sid).await {
                Ok(link) => link,
                Err(refusal) if refusal.may_pass() => return None,
                Err(_) => None,
            },
            None => None,
        };
        files.push(File {
            url: link.unwrap_or_default(),
            mime: text("ContentType"),
            name: text("Filename"),
            open: true,
        });
    }
    Some(files)
}

async fn changed(shared: &Shared, groups: &Groups, conversation: &str) -> Response {
    // One in which nothing was said is learnt when something is.
    if groups.book.look(|page| page.known(conversation).is_none()) {
        return Response::TAKEN;
    }
    match learn(shared, groups, conversation).await {
        Ok(Some(learnt)) => match shared.account.deliver(learnt.changes).await {
            Ok(()) => Response::TAKEN,
            Err(_) => LATER,
        },
        Ok(None) => Response::TAKEN,
        Err(refusal) if refusal.may_pass() => LATER,
        Err(_) => Response::TAKEN,
    }
}

fn over(shared: &Shared, groups: &Groups, conversation: &str) -> Response {
    groups.book.change(|page| page.forget(conversation));
    write(shared, groups);
    Response::TAKEN
}

/// Twilio may not come again: the list of messages is read a little later.
fn later(shared: &Shared) -> Response {
    shared.gap.notify_one();
    LATER
}
