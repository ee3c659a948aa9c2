//! Jasmin between the connector and a carrier: a gateway written by others, which keeps, splits and renumbers.

use crate::harness::{config, ids, outbound, run};
use std::time::Duration;
use swingbridge_domain::connector::{Connector, Link};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::inbox::Inbound;
use swingbridge_domain::secret::Secret;
use swingbridge_lab::jasmin::{self, Jasmin, Upstream};
use swingbridge_lab::smsc::{self, Progress};

/// It passes on some dozen messages in a second.
const PATIENCE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "long: starts Jasmin with RabbitMQ and Redis"]
async fn long_texts_with_emoji_and_receipts_pass_through_jasmin_both_ways() {
    let carrier = smsc::start(smsc::Config::default()).await.unwrap();
    let upstream = Upstream {
        address: carrier.address(),
        system_id: "swingbridge".into(),
        password: "secret".into(),
    };
    let Some(jasmin) = Jasmin::for_test(&upstream).await else {
        return;
    };
    carrier
        .wait_for("Jasmin's bind", PATIENCE, |view| {
            (!view.sessions.is_empty()).then_some(())
        })
        .await
        .unwrap();
    let mut settings = config(jasmin.address().port());
    settings.system_id = jasmin::SYSTEM_ID.into();
    settings.password = Secret::new(jasmin::PASSWORD);
    let mut running = run(settings);
    running.until(Link::Connected).await;

    let long = "Grüße 😀 ".repeat(20);
    let accepted = running.connector.send(outbound(&long)).await.unwrap();
    assert_eq!(accepted.segments, 3);
    carrier
        .wait_for("the long text on the phone", PATIENCE, |view| {
            let whole = |message: &smsc::Message| message.text == long && message.progress == Progress::Done;
            view.messages.iter().any(whole).then_some(())
        })
        .await
        .unwrap();
    running
        .inbox
        .until(|inbox| {
            let delivered: Vec<String> = inbox.inbound().iter().flat_map(delivered).collect();
            ids(&accepted)
                .iter()
                .all(|id| delivered.iter().any(|known| known == id))
        })
        .await;

    carrier.write("+447700900123", "+447700900001", "Hi 😀").unwrap();
    running.inbox.until(|inbox| inbox.texts() == ["Hi 😀"]).await;

    running.request_stop();
    running.stopped().await;
}

/// The ids that a receipt of a delivery gives.
fn delivered(inbound: &Inbound) -> Vec<String> {
    match inbound {
        Inbound::Receipt(receipt) if receipt.outcome == Outcome::Delivered => receipt
            .network_ids
            .iter()
            .map(|id| id.as_str().to_owned())
            .collect(),
        _ => Vec::new(),
    }
}
