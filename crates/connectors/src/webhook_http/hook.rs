//! The provider's webhooks: who sent them, what they bring, and when they are answered.

use super::connector::Shared;
use super::reading::{Item, Kind};
use crate::provider::files::{Told, UNSAFE, fetch, missing};
use crate::webhook::{Request, Response};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, InboundMessage, NetworkAddress, Receipt, What};
use swingbridge_domain::message::{Body, Disposition, Message, Part};

/// The most files of one message.
const FILES: usize = 20;

const LATER: Response = Response::new(503, "not now, come again");
/// The provider comes again, and the operator sees it there and here: a message is not lost for a setting.
const NO_SENDER: Response = Response::new(422, "a message has no sender where the settings say");

pub async fn receive(shared: &Shared, request: &Request) -> Response {
    if request.method != "POST" && request.method != "PUT" {
        return Response::new(405, "POST or PUT only");
    }
    let Some(signature) = &shared.config.receive.signature else {
        return Response::new(401, "no signature is configured");
    };
    let now = shared.account.clock.now();
    if let Err(problem) = signature.verify(&request.body, |name| request.header(name), now) {
        tracing::warn!(connector = %shared.account.id, "a webhook is refused: {problem}");
        return Response::new(401, problem);
    }
    let items = match Item::all(&shared.config.receive, &request.body) {
        Ok(items) => items,
        Err(problem) => {
            tracing::warn!(connector = %shared.account.id, "a webhook cannot be understood: {problem}");
            return Response::new(400, problem);
        }
    };
    let (mut arrivals, mut taken) = (Vec::new(), Response::TAKEN);
    for item in &items {
        match item.kind(&shared.config.receive) {
            Kind::Receipt => arrivals.extend(receipt(shared, item)),
            Kind::Message => match arrival(shared, item).await {
                Ok(Some(arrival)) => arrivals.push(arrival),
                Ok(None) => taken = NO_SENDER,
                Err(error) => {
                    tracing::warn!(connector = %shared.account.id, error = %error.kind(), "a file cannot be kept");
                    return LATER;
                }
            },
            Kind::Strange(said) => strange(shared, said.as_deref()),
            Kind::Other => {
                tracing::debug!(connector = %shared.account.id, "a webhook brings a state that receive.statuses does not name");
            }
        }
    }
    match shared.account.deliver(arrivals).await {
        Ok(()) => {
            shared.account.connected(None);
            taken
        }
        Err(_) => LATER,
    }
}

/// Said once for each kind: providers tell of much, and it may be a message.
fn strange(shared: &Shared, said: Option<&str>) {
    let connector = &shared.account.id;
    if !shared.is_new(said.unwrap_or_default()) {
        return;
    }
    match (said, &shared.config.receive.kind) {
        (Some(said), _) => tracing::warn!(
            %connector,
            "webhooks of the kind {said:?} are passed over: if they bring messages or receipts, name it in receive.message_kinds or receive.receipt_kinds"
        ),
        (None, Some(_)) => tracing::warn!(
            %connector,
            "webhooks are passed over that say nothing of use at receive.kind: look whether the provider says there what it brings"
        ),
        (None, None) => tracing::warn!(
            %connector,
            "webhooks are passed over that are neither messages nor receipts by the settings: look at receive.from, receive.text, receive.media and receive.receipt_status"
        ),
    }
}

fn receipt(shared: &Shared, item: &Item) -> Option<Arrival> {
    let receive = &shared.config.receive;
    let outcome = item.outcome(receive)?;
    let failed = matches!(outcome, Outcome::Rejected | Outcome::Expired);
    Some(Arrival {
        // A state only moves forward, in whatever order they are told.
        dedupe: Dedupe::Harmless,
        what: What::Network(Inbound::Receipt(Receipt {
            connector: shared.account.id.clone(),
            network_ids: vec![NetworkId::new(item.get_of(&receive.receipt_id)?)],
            outcome,
            error: item.error(receive).filter(|_| failed),
            at: item.moment(receive),
            way: Vec::new(),
        })),
    })
}

/// A message, with its files; `None` when it has no sender.
async fn arrival(shared: &Shared, item: &Item) -> std::io::Result<Option<Arrival>> {
    let receive = &shared.config.receive;
    let Some(from) = item.get(&receive.from) else {
        tracing::warn!(connector = %shared.account.id, "a message has no sender at {}: correct receive.from; the provider was asked to come again", receive.from);
        return Ok(None);
    };
    let identity = item.identity(receive);
    let text = item.get(&receive.text).filter(|text| !text.is_empty());
    let mut message = text.map(Message::text).unwrap_or_default();
    for (at, url) in item.files(receive).iter().take(FILES).enumerate() {
        message.parts.push(file_of(shared, &identity, at, url).await?);
    }
    if message.parts.is_empty() {
        message.parts.push(Part {
            disposition: Disposition::Render,
            body: Body::Other {
                kind: "sms/empty".to_owned(),
                fallback: None,
            },
        });
    }
    let to = item
        .get_of(&receive.to)
        .unwrap_or_else(|| shared.config.number.clone());
    let address = |text: String| NetworkAddress {
        text,
        hint: Default::default(),
    };
    let inbound = InboundMessage {
        network_id: Some(NetworkId::new(identity.clone())),
        sent_at: item.moment(receive),
        ..InboundMessage::new(shared.account.id.clone(), address(from), address(to), message)
    };
    Ok(Some(Arrival {
        dedupe: Dedupe::Id {
            scope: shared.account.id.0.clone(),
            id: identity,
        },
        what: What::Network(Inbound::Message(inbound)),
    }))
}

async fn file_of(shared: &Shared, identity: &str, at: usize, url: &str) -> std::io::Result<Part> {
    // In clear only where the provider itself is.
    let plain = shared.config.send.url.starts_with("http:") && url.starts_with("http:");
    if !url.starts_with("https:") && !plain {
        return Ok(missing(None, UNSAFE));
    }
    let identity = format!("{identity}-{at}");
    let name = url
        .split(['?', '#'])
        .next()
        .and_then(|path| path.rsplit('/').next());
    let told = Told {
        identity: &identity,
        name,
        mime: None,
    };
    fetch(
        || shared.account.http.file(url),
        told,
        &shared.account.media,
        shared.config.largest_file as usize,
    )
    .await
}
