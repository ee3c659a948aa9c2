//! The checks of the suite.

use super::{House, Provider};
use crate::device::{BOB, bodies, kept, outbound};
use crate::harness::NOW;
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_connectors::webhook::Webhook;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::{Connector, Link, Outbound, SendError};
use swingbridge_domain::delivery::{Outcome, Reason};

fn message(id: i64, text: &str) -> Outbound {
    Outbound {
        key: format!("aaaaaaaaaaaaaaaaaaaaaa{id:02}"),
        ..outbound(id, BOB, text)
    }
}

async fn until<P: Provider>(house: &House<P>, texts: &[&str]) {
    house
        .inbox
        .until(|inbox| kept(&inbox.arrivals()).len() >= texts.len())
        .await;
    let mut arrived = bodies(&kept(&house.inbox.arrivals()));
    let mut texts: Vec<String> = texts.iter().map(|&text| text.to_owned()).collect();
    arrived.sort();
    texts.sort();
    assert_eq!(arrived, texts);
}

pub async fn a_message_goes_once_and_its_states_come_back<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    let accepted = device.send(message(1, "hello ✓")).await.unwrap().unwrap();
    assert_eq!(house.provider.taken(), 1);
    let id = accepted.network_ids[0].0.clone();
    let second = device.send(message(2, "hello ✓")).await.unwrap().unwrap();
    assert_eq!(house.provider.taken(), 2);
    for (id, outcome) in [
        (&id, Outcome::Sent),
        (&id, Outcome::Delivered),
        (&second.network_ids[0].0, Outcome::Rejected),
    ] {
        house.provider.reaches(id, outcome);
        let told = (id.clone(), outcome);
        house.inbox.until(|_| house.receipts().contains(&told)).await;
    }
    device.until(Link::Connected, "").await;
    device.stop().await;
}

pub async fn too_many_at_once_is_tried_again_when_told<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    house.provider.plays(|trouble| {
        trouble.answers = Some(429);
        trouble.retry_after = Some(7);
    });
    let later = device.send(message(1, "x")).await.unwrap().unwrap_err();
    let SendError::RetryAfter { delay, counts, .. } = later else {
        panic!("{later:?}")
    };
    assert_eq!((delay, counts), (Duration::from_secs(7), false));
    house.provider.plays(|trouble| trouble.answers = None);
    device.send(message(1, "x")).await.unwrap().unwrap();
    assert_eq!(house.provider.taken(), 1);
    device.stop().await;
}

pub async fn a_failing_provider_leaves_the_fate_unknown<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    for status in [500, 502, 504] {
        house.provider.plays(|trouble| trouble.answers = Some(status));
        let failed = device.send(message(1, "x")).await.unwrap().unwrap_err();
        assert!(
            matches!(failed, SendError::Unknown { .. }),
            "{status}: {failed:?}"
        );
    }
    assert_eq!(house.provider.taken(), 0);
    device.stop().await;
}

pub async fn an_answer_that_never_comes_leaves_the_fate_unknown<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    assert_eq!(device.connector.capabilities().idempotent_sends, P::IDEMPOTENT);
    house.provider.plays(|trouble| trouble.swallows_answers = true);
    let failed = device.send(message(1, "once")).await.unwrap().unwrap_err();
    assert!(matches!(failed, SendError::Unknown { .. }), "{failed:?}");
    // Not once more by itself.
    assert_eq!(house.provider.taken(), 1);
    house.provider.plays(|trouble| trouble.swallows_answers = false);
    if P::IDEMPOTENT {
        let accepted = device.send(message(1, "once")).await.unwrap().unwrap();
        assert_eq!((accepted.network_ids.len(), house.provider.taken()), (1, 1));
        device.send(message(2, "once")).await.unwrap().unwrap();
        assert_eq!(house.provider.taken(), 2);
    }
    device.stop().await;
}

pub async fn an_answer_that_is_cut_off_is_no_refusal<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    house.provider.plays(|trouble| trouble.truncates_answers = true);
    let answer = device.send(message(1, "x")).await.unwrap();
    assert_eq!(house.provider.taken(), 1);
    match answer {
        // It said that it has it, and not under which id.
        Ok(accepted) => assert!(accepted.network_ids.is_empty()),
        Err(error) => assert!(matches!(error, SendError::Unknown { .. }), "{error:?}"),
    }
    device.stop().await;
}

pub async fn expired_credentials_are_said_and_nothing_is_lost<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    house.provider.plays(|trouble| trouble.refuses_credentials = true);
    let later = device.send(message(1, "x")).await.unwrap().unwrap_err();
    assert!(
        matches!(later, SendError::RetryAfter { counts: false, .. }),
        "{later:?}"
    );
    device.until(Link::Refused, "credentials").await;
    house
        .provider
        .plays(|trouble| trouble.refuses_credentials = false);
    device.send(message(1, "x")).await.unwrap().unwrap();
    device.until(Link::Connected, "").await;
    assert_eq!(house.provider.taken(), 1);
    device.stop().await;
}

pub async fn a_provider_that_cannot_be_reached_certainly_has_nothing<P: Provider>() {
    let house = House::<P>::new().await;
    // A port that nobody has: it was free a moment ago.
    let free = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    let device = house.start_at(&url);
    let later = device.send(message(1, "x")).await.unwrap().unwrap_err();
    assert!(
        matches!(later, SendError::RetryAfter { counts: false, .. }),
        "{later:?}"
    );
    device.until(Link::Disconnected, "cannot be reached").await;
    device.stop().await;
}

pub async fn what_is_told_twice_arrives_once<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    house.provider.plays(|trouble| trouble.doubles_webhooks = true);
    house.provider.receives(BOB, "ok");
    house.provider.receives(BOB, "ok");
    let requests = house.until_requests(4).await;
    until(&house, &["ok", "ok"]).await;
    // Long after, too.
    for request in requests {
        assert!(device.connector.receive(request).await.is_success());
    }
    until(&house, &["ok", "ok"]).await;
    device.stop().await;
}

pub async fn states_are_taken_in_whatever_order<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    let accepted = device.send(message(1, "x")).await.unwrap().unwrap();
    let id = accepted.network_ids[0].0.clone();
    house.provider.plays(|trouble| trouble.holds_webhooks = true);
    house.provider.reaches(&id, Outcome::Sent);
    house.provider.reaches(&id, Outcome::Delivered);
    let answers = house.provider.lets_go().await;
    assert!(
        answers.iter().all(|status| (200..300).contains(status)),
        "{answers:?}"
    );
    for outcome in [Outcome::Delivered, Outcome::Sent] {
        assert!(house.receipts().contains(&(id.clone(), outcome)), "{outcome:?}");
    }
    device.stop().await;
}

pub async fn a_webhook_is_answered_after_the_commit<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    house.inbox.full.store(true, Ordering::Relaxed);
    house.provider.receives(BOB, "held");
    let request = house.until_requests(1).await.remove(0);
    let answer = device.connector.receive(request.clone()).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(house.inbox.texts().is_empty());
    house.inbox.full.store(false, Ordering::Relaxed);
    let answer = device.connector.receive(request).await;
    assert!(answer.is_success(), "{answer:?}");
    until(&house, &["held"]).await;
    device.stop().await;
}

pub async fn what_is_forged_or_altered_is_refused<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    house.provider.receives(BOB, "genuine");
    let genuine = house.until_requests(1).await.remove(0);
    until(&house, &["genuine"]).await;
    let mut altered = genuine.clone();
    altered.body = String::from_utf8(genuine.body.to_vec())
        .unwrap()
        .replace("genuine", "altered")
        .into();
    assert_ne!(altered.body, genuine.body);
    let mut unsigned = genuine.clone();
    unsigned
        .headers
        .retain(|(name, _)| matches!(name.as_str(), "content-type" | "host"));
    let mut nonsense = genuine.clone();
    for (name, value) in &mut nonsense.headers {
        if name.contains("signature") {
            "\u{e9}==".clone_into(value);
        }
    }
    for request in [altered, unsigned, nonsense] {
        let answer = device.connector.receive(request).await;
        assert!(matches!(answer.status, 401 | 403), "{answer:?}");
    }
    let mut read = genuine.clone();
    read.method = "GET".into();
    assert_eq!(device.connector.receive(read).await.status, 405);
    until(&house, &["genuine"]).await;
    device.stop().await;
}

pub async fn what_is_over_does_not_leave<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    let mut late = message(1, "x");
    late.expires_at = Some(Timestamp(NOW.millis() - 1));
    let refused = device.send(late).await.unwrap().unwrap_err();
    let expired = matches!(
        refused,
        SendError::Rejected {
            reason: Reason::Expired,
            ..
        }
    );
    assert!(expired, "{refused:?}");
    assert_eq!(house.provider.taken(), 0);
    device.stop().await;
}

pub async fn no_error_holds_an_address_or_a_body<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    for status in [400, 401, 403, 404, 409, 422, 429, 500, 503] {
        house.provider.plays(|trouble| trouble.answers = Some(status));
        let error = device
            .send(message(1, "the secret plan"))
            .await
            .unwrap()
            .unwrap_err();
        let shown = format!("{error} {error:?} {:?}", device.connector.probe().await);
        assert!(
            !shown.contains("secret plan") && !shown.contains("900123"),
            "{shown}"
        );
    }
    device.stop().await;
}

/// Nothing gets through either way; afterwards what came is there once, from the webhooks that come again or from the list.
pub async fn after_an_outage_all_arrives_once<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    house.provider.receives(BOB, "before");
    until(&house, &["before"]).await;
    if P::READS_GAPS {
        device.until(Link::Connected, "").await;
    }
    house.provider.plays(|trouble| {
        trouble.answers = Some(503);
        trouble.tells_nothing = P::READS_GAPS;
        trouble.holds_webhooks = !P::READS_GAPS;
    });
    let failed = device.send(message(1, "x")).await.unwrap().unwrap_err();
    assert!(matches!(failed, SendError::Unknown { .. }), "{failed:?}");
    device.until(Link::Disconnected, "").await;
    house.provider.receives(BOB, "meanwhile");
    house.provider.receives(BOB, "meanwhile");
    house.provider.plays(|trouble| {
        trouble.answers = None;
        trouble.tells_nothing = false;
        trouble.holds_webhooks = false;
    });
    house.provider.lets_go().await;
    house.provider.receives(BOB, "after");
    until(&house, &["before", "meanwhile", "meanwhile", "after"]).await;
    device.send(message(2, "x")).await.unwrap().unwrap();
    assert_eq!(house.provider.taken(), 1);
    device.stop().await;
}
