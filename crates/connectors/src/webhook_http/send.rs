//! Sending: the templates filled in, and the answer read where the settings say.

use super::connector::Shared;
use super::reading::words;
use super::template::{Filling, Template, json};
use crate::provider::content::{content, key, number};
use crate::provider::http::{ANSWER, Answer, call, fate, later, rejected, unknown};
use std::time::Duration;
use swingbridge_domain::connector::{Accepted, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;

/// The wait that the engine is asked for when the credentials are refused.
const REFUSED_WAIT: Duration = Duration::from_secs(60);

/// Hands one message to the provider.
pub async fn send(shared: &Shared, outbound: &Outbound) -> Result<Accepted, SendError> {
    let config = &shared.config;
    let now = shared.account.clock.now();
    if outbound.expires_at.is_some_and(|at| at <= now) {
        return Err(rejected(Reason::Expired, "its time was over before it left"));
    }
    let to = number(&outbound.to)?;
    let content = content(&outbound.message, config.send.url.starts_with("http:"))?;
    if !content.links.is_empty() && !config.sends_files() {
        return Err(rejected(Reason::BadContent, "this provider carries texts only"));
    }
    let key = key(outbound);
    let filling = Filling {
        to,
        from: &config.number,
        text: &content.text,
        id: &key,
        secret: config.send.secret.expose(),
        links: &content.links,
    };
    let link = content.links.first().map(String::as_str).unwrap_or_default();
    let Some(url) = Template::read(&config.send.url).map(|url| url.fill_url(&filling, link)) else {
        return Err(rejected(Reason::NotAllowed, "send.url cannot be filled in"));
    };
    let (mime, body) = body(shared, &filling, link);
    let method = reqwest::Method::from_bytes(config.send.method.as_bytes()).unwrap_or(reqwest::Method::POST);
    let mut request = shared.account.http.request(method, &url);
    for (name, text) in &config.send.headers {
        let value = Template::read(text).map(|text| text.fill(&filling, ""));
        request = request.header(name, value.unwrap_or_default());
    }
    if let Some(user) = &config.send.user {
        request = request.basic_auth(user, Some(config.send.secret.expose()));
    }
    if let Some(name) = &config.send.idempotency_header {
        request = request.header(name, &key);
    }
    let octets = body.unwrap_or_default();
    if let Some(signature) = &config.send.signature {
        for (name, value) in signature.sign(octets.as_bytes(), now) {
            request = request.header(name, value);
        }
    }
    if let Some(mime) = mime {
        request = request.header("content-type", mime).body(octets);
    }
    match call(request, ANSWER).await {
        Ok(answer) => read(shared, &answer),
        Err(failure) => {
            shared.account.disconnected(&failure.to_string());
            Err(fate(failure))
        }
    }
}

fn body(shared: &Shared, filling: &Filling<'_>, link: &str) -> (Option<&'static str>, Option<String>) {
    let send = &shared.config.send;
    if let Some(template) = &send.json {
        return (
            Some("application/json"),
            Some(json(template, filling).to_string()),
        );
    }
    if send.form.is_empty() {
        return (None, None);
    }
    let mut form = url::form_urlencoded::Serializer::new(String::new());
    for (name, text) in &send.form {
        let Some(template) = Template::read(text) else {
            continue;
        };
        if template.is_media() {
            for link in filling.links {
                form.append_pair(name, link);
            }
        } else {
            form.append_pair(name, &template.fill(filling, link));
        }
    }
    (Some("application/x-www-form-urlencoded"), Some(form.finish()))
}

fn read(shared: &Shared, answer: &Answer) -> Result<Accepted, SendError> {
    let send = &shared.config.send;
    if send.retry_statuses.contains(&answer.status) {
        return Err(answer.slower());
    }
    if matches!(answer.status, 401 | 403) {
        let detail = "the provider refuses the account's credentials: correct send.secret";
        shared.account.refused(detail);
        return Err(later(REFUSED_WAIT, detail, false));
    }
    if answer.status == 409 && send.idempotency_header.is_some() {
        return Err(unknown("the provider has an earlier try of the same message"));
    }
    if let Err(error) = answer.verdict() {
        shared
            .account
            .disconnected(&format!("the provider answers {}", answer.status));
        return Err(error);
    }
    if !answer.is_success() {
        let reason = match answer.status {
            413 => Reason::BadContent,
            404 | 405 => Reason::NotAllowed,
            _ => Reason::NetworkRefused,
        };
        return Err(rejected(
            reason,
            format!("the provider refuses it with {}", answer.status),
        ));
    }
    shared.account.connected(None);
    let json = answer.json();
    let at = |place: &Option<String>| words(json.as_ref()?.pointer(place.as_deref()?)?);
    if send.accepted_at.is_some() {
        match at(&send.accepted_at) {
            Some(said) if send.accepted_values.contains(&said) => {}
            Some(_) => {
                return Err(rejected(
                    Reason::NetworkRefused,
                    "the provider says that it does not take it",
                ));
            }
            // It may have it all the same.
            None => return Err(unknown("the provider's answer cannot be read")),
        }
    }
    shared.account.traffic();
    Ok(Accepted {
        network_ids: at(&send.id).into_iter().map(NetworkId::new).collect(),
        ..Accepted::default()
    })
}
