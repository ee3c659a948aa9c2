//! A rough carrier: it breaks connections, throttles, delays, repeats and is sloppy, all by a seed.

use crate::harness::{config, outbound, run};
use crate::smsc::SOON;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_connectors::smpp::config::IdForm;
use swingbridge_domain::connector::{Connector, SendError};
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{Dedupe, Inbound, What};
use swingbridge_lab::faults::{Fault, Plan};
use swingbridge_lab::smsc::{self, Account, IdStyle};
use tokio::task::JoinSet;

const MESSAGES: usize = 400;
const AT_ONCE: usize = 40;

/// What the engine does with a send: again after `RetryAfter`, never again after `Unknown`.
async fn send(connector: Arc<impl Connector>, text: String) -> (String, Result<Vec<NetworkId>, SendError>) {
    loop {
        match connector.send(outbound(&text)).await {
            Ok(accepted) => return (text, Ok(accepted.network_ids)),
            Err(SendError::RetryAfter { delay, .. }) => tokio::time::sleep(delay).await,
            Err(error) => return (text, Err(error)),
        }
    }
}

async fn rough_carrier(seed: u64, ids: IdStyle, receipted: IdStyle, forms: (IdForm, IdForm)) {
    // Throttled less often than it breaks: each pause is waited for.
    let faults = Plan::rough(seed)
        .with(Fault::Throttle, 0.004)
        .with(Fault::QueueFull, 0.004);
    let mut plan = smsc::Config {
        ids,
        faults,
        ..smsc::Config::default()
    };
    plan.accounts = vec![Account::new("esme", "secret")];
    plan.receipts.ids = receipted;
    let carrier = smsc::start(plan).await.unwrap();
    let mut settings = config(carrier.address().port());
    settings.binds = 2;
    settings.timing.first_wait = Duration::from_millis(5);
    settings.timing.longest_wait = Duration::from_millis(50);
    settings.timing.refused_wait = Duration::from_millis(50);
    (settings.message_ids.submitted, settings.message_ids.receipted) = forms;
    let mut running = run(settings);

    let mut sends = JoinSet::new();
    let mut results = HashMap::new();
    for at in 0..MESSAGES {
        let text = if at % 10 == 0 {
            format!("{at} {}", "long 😀 ".repeat(20))
        } else {
            format!("text {at}")
        };
        sends.spawn(send(running.connector.clone(), text));
        carrier
            .write("+447700900123", "+447700900001", &format!("from a phone {at}"))
            .unwrap();
        while sends.len() >= AT_ONCE {
            let (text, result) = sends.join_next().await.unwrap().unwrap();
            results.insert(text, result);
        }
    }
    results.extend(sends.join_all().await);

    // Out: what was accepted is on the phone once, what is unknown at most once, and nothing twice.
    let accounts = carrier.accounts();
    assert_eq!(accounts.doubled().count(), 0);
    let on_phone: HashSet<String> = accounts.texts.keys().map(|text| text.text.clone()).collect();
    let (mut accepted_ids, mut unknown) = (HashSet::new(), 0);
    for (text, result) in &results {
        match result {
            Ok(ids) => {
                assert!(on_phone.contains(text), "accepted, and not on the phone");
                accepted_ids.extend(ids.iter().cloned());
            }
            Err(SendError::Unknown { .. }) => unknown += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!(results.len(), MESSAGES);
    assert!(unknown < MESSAGES / 10, "{unknown}");

    // In: every text of the phone once, after what the inbox would pass over.
    let arrived = |inbox: &crate::harness::Recorder| {
        let (mut seen, mut texts, mut receipts) = (HashSet::new(), Vec::new(), HashSet::new());
        for arrival in inbox.arrivals() {
            match (arrival.dedupe, arrival.what) {
                (Dedupe::Id { id, .. }, What::Network(Inbound::Message(message))) => {
                    let text = message.message.first_text().unwrap().plain.clone();
                    texts.extend(seen.insert(id).then_some(text));
                }
                (_, What::Network(Inbound::Receipt(receipt))) => receipts.extend(receipt.network_ids),
                _ => {}
            }
        }
        texts.sort_unstable();
        (texts, receipts)
    };
    let mut expected: Vec<String> = (0..MESSAGES).map(|at| format!("from a phone {at}")).collect();
    expected.sort_unstable();
    carrier
        .wait_for("all to be delivered", SOON * 3, |view| {
            (view.undelivered == 0).then_some(())
        })
        .await
        .unwrap();
    running
        .inbox
        .until(|inbox| {
            let (texts, receipts) = arrived(inbox);
            texts.len() >= MESSAGES && accepted_ids.is_subset(&receipts)
        })
        .await;
    assert_eq!(arrived(&running.inbox).0, expected);
    running.request_stop();
    running.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_a_rough_carrier() {
    rough_carrier(
        1,
        IdStyle::Padded,
        IdStyle::Decimal,
        (IdForm::Opaque, IdForm::Opaque),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_by_another_that_mixes_its_ids() {
    rough_carrier(
        2,
        IdStyle::UpperHex,
        IdStyle::Decimal,
        (IdForm::Hex, IdForm::Decimal),
    )
    .await;
}
