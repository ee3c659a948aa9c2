//! Requests to Twilio's Conversations API (v1) and its Media Content Service.

use super::{Groups, same};
use crate::twilio::ask::{Refusal, ask, sid};
use crate::twilio::connector::Shared;
use serde_json::{Value, json};
use std::collections::BTreeMap;

fn url(groups: &Groups, path: &str) -> String {
    let base = groups.config.url.trim_end_matches('/');
    format!("{base}/v1/Services/{}{path}", groups.config.service_sid)
}

fn media_url(groups: &Groups, path: &str) -> String {
    let base = groups.config.media_url.trim_end_matches('/');
    format!("{base}/v1/Services/{}/Media{path}", groups.config.service_sid)
}

async fn get(shared: &Shared, groups: &Groups, path: &str) -> Result<Value, Refusal> {
    ask(shared, shared.account.http.get(&url(groups, path))).await
}

async fn post(
    shared: &Shared,
    groups: &Groups,
    path: &str,
    form: &[(&str, String)],
) -> Result<Value, Refusal> {
    let body: String = url::form_urlencoded::Serializer::new(String::new())
        .extend_pairs(form)
        .finish();
    let request = shared
        .account
        .http
        .post(&url(groups, path))
        .header("content-type", "application/x-www-form-urlencoded")
        .body(body);
    ask(shared, request).await
}

fn list<'a>(page: &'a Value, name: &str) -> &'a [Value] {
    page[name].as_array().map(Vec::as_slice).unwrap_or_default()
}

/// Everybody in a conversation but us, each with the SID as a participant; `None` when it is no group of the line's.
pub async fn people(
    shared: &Shared,
    groups: &Groups,
    conversation: &str,
) -> Result<Option<BTreeMap<String, String>>, Refusal> {
    let path = format!("/Conversations/{conversation}/Participants?PageSize=50");
    let page = get(shared, groups, &path).await?;
    let own = &shared.config.number;
    let (mut has_us, mut others) = (false, BTreeMap::new());
    for participant in list(&page, "participants") {
        let text = |name: &str| {
            participant["messaging_binding"][name]
                .as_str()
                .filter(|text| !text.is_empty())
        };
        let sid = participant["sid"].as_str().unwrap_or_default();
        match (text("projected_address"), text("address")) {
            (Some(projected), _) if same(projected, own) => has_us = true,
            // Somebody without a phone, who is seen under a number all the same.
            (Some(projected), _) => _ = others.insert(projected.to_owned(), sid.to_owned()),
            // One to one, whatever the others are.
            (None, Some(_)) if text("proxy_address").is_some() => return Ok(None),
            (None, Some(address)) => _ = others.insert(address.to_owned(), sid.to_owned()),
            (None, None) => {}
        }
    }
    Ok((has_us && !others.is_empty()).then_some(others))
}

/// The conversations that somebody is in: of the first hundred those that are not closed.
pub async fn conversations_of(
    shared: &Shared,
    groups: &Groups,
    number: &str,
) -> Result<Vec<String>, Refusal> {
    let query: String = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("Address", number)
        .append_pair("PageSize", "100")
        .finish();
    let page = get(shared, groups, &format!("/ParticipantConversations?{query}")).await?;
    Ok(list(&page, "conversations")
        .iter()
        .filter(|item| item["conversation_state"] != "closed")
        .filter_map(|item| item["conversation_sid"].as_str().map(str::to_owned))
        .collect())
}

/// The newest messages of a conversation.
pub async fn messages(shared: &Shared, groups: &Groups, conversation: &str) -> Result<Vec<Value>, Refusal> {
    let path = format!("/Conversations/{conversation}/Messages?Order=desc&PageSize=50");
    let page = get(shared, groups, &path).await?;
    Ok(list(&page, "messages").to_vec())
}

/// What became of a message, for each of the group.
pub async fn receipts(
    shared: &Shared,
    groups: &Groups,
    conversation: &str,
    message: &str,
) -> Result<Vec<Value>, Refusal> {
    let path = format!("/Conversations/{conversation}/Messages/{message}/Receipts?PageSize=50");
    let page = get(shared, groups, &path).await?;
    Ok(list(&page, "delivery_receipts").to_vec())
}

/// Makes a conversation of the line's number and these others. No phone learns of it.
pub async fn create(shared: &Shared, groups: &Groups, people: &[String]) -> Result<String, Refusal> {
    let participant = |binding: Value| ("Participant", json!({ "messaging_binding": binding }).to_string());
    let mut form = vec![("FriendlyName", "Swingbridge".to_owned())];
    // Without it Twilio takes its default one, which may not be registered for this traffic.
    form.extend(
        shared
            .config
            .messaging_service_sid
            .clone()
            .map(|service| ("MessagingServiceSid", service)),
    );
    form.push(participant(json!({ "projected_address": shared.config.number })));
    form.extend(
        people
            .iter()
            .map(|number| participant(json!({ "address": number }))),
    );
    let made = post(shared, groups, "/ConversationWithParticipants", &form).await?;
    sid(&made)
}

/// Says something in a conversation, as the line's number.
pub async fn say(
    shared: &Shared,
    groups: &Groups,
    conversation: &str,
    text: &str,
    file: Option<&str>,
) -> Result<String, Refusal> {
    let mut form = vec![("Author", shared.config.number.clone())];
    if !text.is_empty() {
        form.push(("Body", text.to_owned()));
    }
    form.extend(file.map(|file| ("MediaSid", file.to_owned())));
    let path = format!("/Conversations/{conversation}/Messages");
    let said = post(shared, groups, &path, &form).await?;
    sid(&said)
}

/// Keeps a file at Twilio, to be named in a message.
pub async fn upload(
    shared: &Shared,
    groups: &Groups,
    mime: &str,
    octets: Vec<u8>,
) -> Result<String, Refusal> {
    let request = shared
        .account
        .http
        .post(&media_url(groups, ""))
        .header("content-type", mime)
        .body(octets);
    sid(&ask(shared, request).await?)
}

/// A link to a file that ends soon, to be opened without credentials.
pub async fn link(shared: &Shared, groups: &Groups, file: &str) -> Result<Option<String>, Refusal> {
    let request = shared.account.http.get(&media_url(groups, &format!("/{file}")));
    let told = ask(shared, request).await?;
    let link = told.pointer("/links/content_direct_temporary");
    Ok(link.and_then(Value::as_str).map(str::to_owned))
}
