//! The checks of the suite.

use super::{CAROL, House, Provider};
use crate::device::{BOB, Device, Stopped, bodies, kept, outbound};
use crate::harness::NOW;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use swingbridge_connectors::webhook::Webhook;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::{Accepted, Connector, Link, Outbound, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_lab::process::free_port;

fn message(id: i64, text: &str) -> Outbound {
    Outbound {
        key: format!("aaaaaaaaaaaaaaaaaaaaaa{id:02}"),
        ..outbound(id, BOB, text)
    }
}

/// What a connector asks before it writes to somebody for the first time is known from here on.
async fn acquainted<P: Provider>(device: &Device<P::Connector>) {
    device.send(message(90, "before")).await.unwrap().unwrap();
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
    let [first, then, failed] = P::TELLS;
    for (id, outcome) in [(&id, first), (&id, then), (&second.network_ids[0].0, failed)] {
        house.provider.reaches(id, outcome);
        let told = (id.clone(), outcome);
        house.inbox.until(|_| house.receipts().contains(&told)).await;
    }
    device.until(Link::Connected, "").await;
    assert!(device.connector.probe().await.last_traffic.is_some());
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
    house.provider.plays(|trouble| trouble.answers = Some(500));
    // Whatever it asked first: that is no refusal.
    let failed = device.send(message(1, "x")).await.unwrap().unwrap_err();
    assert!(!matches!(failed, SendError::Rejected { .. }), "{failed:?}");
    house.provider.plays(|trouble| trouble.answers = None);
    acquainted::<P>(&device).await;
    for status in [500, 502, 504] {
        house.provider.plays(|trouble| trouble.answers = Some(status));
        let failed = device.send(message(1, "x")).await.unwrap().unwrap_err();
        assert!(
            matches!(failed, SendError::Unknown { .. }),
            "{status}: {failed:?}"
        );
        device.until(Link::Disconnected, "").await;
    }
    assert_eq!(house.provider.taken(), 1);
    device.stop().await;
}

pub async fn an_answer_that_never_comes_leaves_the_fate_unknown<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    assert_eq!(device.connector.capabilities().idempotent_sends, P::IDEMPOTENT);
    acquainted::<P>(&device).await;
    house.provider.plays(|trouble| trouble.swallows_answers = true);
    let failed = device.send(message(1, "once")).await.unwrap().unwrap_err();
    assert!(matches!(failed, SendError::Unknown { .. }), "{failed:?}");
    // Not once more by itself.
    assert_eq!(house.provider.taken(), 2);
    house.provider.plays(|trouble| trouble.swallows_answers = false);
    if P::IDEMPOTENT {
        let accepted = device.send(message(1, "once")).await.unwrap().unwrap();
        assert_eq!((accepted.network_ids.len(), house.provider.taken()), (1, 2));
        device.send(message(2, "once")).await.unwrap().unwrap();
        assert_eq!(house.provider.taken(), 3);
    }
    device.stop().await;
}

pub async fn an_answer_that_is_cut_off_is_no_refusal<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    acquainted::<P>(&device).await;
    house.provider.plays(|trouble| trouble.truncates_answers = true);
    let answer = device.send(message(1, "x")).await.unwrap();
    assert_eq!(house.provider.taken(), 2);
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
    // Nobody listens there.
    let url = format!("http://127.0.0.1:{}", free_port().unwrap());
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
    let first = &kept(&house.inbox.arrivals())[0];
    assert_eq!(first.from.text, BOB);
    // In the other order.
    house.provider.plays(|trouble| {
        trouble.doubles_webhooks = false;
        trouble.holds_webhooks = true;
    });
    house.provider.receives(BOB, "one");
    house.provider.receives(BOB, "two");
    house.provider.troubles().let_go().await;
    until(&house, &["ok", "ok", "one", "two"]).await;
    device.stop().await;
}

pub async fn states_are_taken_in_whatever_order<P: Provider>() {
    let house = House::<P>::new().await;
    let device = house.start();
    let accepted = device.send(message(1, "x")).await.unwrap().unwrap();
    let id = accepted.network_ids[0].0.clone();
    house.provider.plays(|trouble| trouble.holds_webhooks = true);
    let [first, then, _] = P::TELLS;
    house.provider.reaches(&id, first);
    house.provider.reaches(&id, then);
    let answers = house.provider.troubles().let_go().await;
    assert!(
        answers.iter().all(|status| (200..300).contains(status)),
        "{answers:?}"
    );
    assert_eq!(answers.len(), 2);
    for outcome in [first, then] {
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
    let body = String::from_utf8(genuine.body.to_vec()).unwrap();
    altered.body = P::altered(&body, "genuine", "altered").into();
    assert_ne!(altered.body, genuine.body);
    let mut unsigned = genuine.clone();
    unsigned
        .headers
        .retain(|(name, _)| matches!(name.as_str(), "content-type" | "host"));
    let mut nonsense = genuine.clone();
    for (name, value) in &mut nonsense.headers {
        if name.contains("signature") || name == "authorization" {
            "\u{e9}==".clone_into(value);
        }
    }
    // Where nothing is signed, nobody can tell what was altered.
    for request in [unsigned, nonsense]
        .into_iter()
        .chain(P::SIGNS.then_some(altered))
    {
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
    for known in [false, true] {
        // The last one says that there is nobody, which is believed for a while.
        for status in [400, 401, 403, 409, 422, 429, 500, 503, 404] {
            house.provider.plays(|trouble| trouble.answers = Some(status));
            let answer = device.send(message(1, "the secret plan")).await.unwrap();
            // It may say that it has it already.
            assert!(answer.is_err() || status == 409 && P::IDEMPOTENT, "{status}");
            let shown = format!("{answer:?} {:?}", device.connector.probe().await);
            assert!(
                !shown.contains("secret plan") && !shown.contains("900123"),
                "{shown}"
            );
            if let Err(error) = answer {
                assert!(!error.to_string().contains("900123"), "{error}");
            }
        }
        house.provider.plays(|trouble| trouble.answers = None);
        if !known {
            house.provider.receives(BOB, "I am here");
            until(&house, &["I am here"]).await;
            acquainted::<P>(&device).await;
        }
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
    acquainted::<P>(&device).await;
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
    house.provider.troubles().let_go().await;
    house.provider.receives(BOB, "after");
    until(&house, &["before", "meanwhile", "meanwhile", "after"]).await;
    device.send(message(2, "x")).await.unwrap().unwrap();
    assert_eq!(house.provider.taken(), 2);
    device.stop().await;
}

/// By how much an hour is shorter here.
const PACE: u32 = 400;
const HOUR: Duration = Duration::from_secs(60 * 60);

/// Goes as much faster as the connector waits shorter.
struct Hurried(Instant);
impl Clock for Hurried {
    fn now(&self) -> Timestamp {
        NOW + self.0.elapsed() * PACE
    }
}

/// As the engine does it: what certainly did not leave goes again after the wait that is asked for, and what may have left a few times
/// where the provider knows it again.
async fn insist<C: Connector>(connector: Arc<C>, message: Outbound) -> Result<Accepted, SendError> {
    let mut doubts = 0;
    loop {
        let wait = match connector.send(message.clone()).await {
            Err(SendError::RetryAfter { delay, .. }) => delay,
            Err(SendError::Unknown { .. }) if connector.capabilities().idempotent_sends && doubts < 4 => {
                doubts += 1;
                Duration::from_secs(1 << doubts)
            }
            decided => return decided,
        };
        tokio::time::sleep(wait / PACE).await;
    }
}

/// An hour by the connector's clock, with the waits that it has by itself: half of it everything fails, half of it nothing answers.
pub async fn an_outage_of_an_hour_loses_nothing_and_doubles_nothing<P: Provider>() {
    let clock = Arc::new(Hurried(Instant::now()));
    let house = House::<P>::by(clock.clone()).await;
    let device = house.start_with(|setting| setting.pace = Some(PACE));
    house.provider.receives(BOB, "before");
    until(&house, &["before"]).await;
    acquainted::<P>(&device).await;
    device.until(Link::Connected, "").await;

    let asked = house.provider.troubles().asked();
    let began = clock.now();
    house.provider.plays(|trouble| {
        trouble.outage = true;
        trouble.tells_nothing = P::READS_GAPS;
    });
    // To somebody who is known, and to somebody who would have to be asked after first.
    let to_carol = Outbound {
        to: outbound(3, CAROL, "").to,
        ..message(3, "fresh")
    };
    let known = tokio::spawn(insist(device.connector.clone(), message(2, "known")));
    let fresh = tokio::spawn(insist(device.connector.clone(), to_carol.clone()));
    for half in ["first half", "second half"] {
        house.provider.is_at(clock.now());
        house.provider.receives(BOB, half);
        house.provider.receives(BOB, half);
        tokio::time::sleep(HOUR / PACE / 2).await;
        assert_ne!(device.connector.probe().await.state, Link::Connected, "{half}");
        house.provider.plays(|trouble| trouble.hangs = true);
    }
    assert!(clock.now().since(began) >= HOUR);
    assert_eq!(
        (house.inbox.texts(), house.provider.taken()),
        (vec!["before".to_owned()], 1)
    );
    // Nobody knocks without a pause: two messages, each at most every ten seconds, and what it looks for by itself.
    let tries = house.provider.troubles().asked() - asked;
    assert!((1..=3 * 360).contains(&tries), "{tries} requests in an hour");

    house.provider.is_at(clock.now());
    house.provider.plays(|trouble| {
        trouble.outage = false;
        trouble.hangs = false;
        trouble.tells_nothing = false;
    });
    let over = clock.now();
    house.provider.troubles().let_go().await;
    until(
        &house,
        &["before", "first half", "first half", "second half", "second half"],
    )
    .await;
    assert!(clock.now().since(over) < HOUR * 3 / 4, "it is back soon after");
    let mut left = 1;
    for (sending, again) in [(known, message(2, "known")), (fresh, to_carol)] {
        match sending.await.unwrap() {
            Ok(_) => left += 1,
            // Its writer was told that it is in doubt, and tries it once more where that is safe.
            Err(SendError::Unknown { .. }) => {
                if P::IDEMPOTENT {
                    device.send(again).await.unwrap().unwrap();
                    left += 1;
                }
            }
            Err(error) => panic!("an outage is no refusal: {error:?}"),
        }
    }
    assert_eq!(house.provider.taken(), left);
    device.send(message(4, "after")).await.unwrap().unwrap();
    assert_eq!(house.provider.taken(), left + 1);
    device.until(Link::Connected, "").await;
    device.stop().await;
}

/// What is signed with a time may be a replay where the clocks are hours apart: it is refused, and taken once the clock is set. All else
/// goes on.
pub async fn a_clock_that_is_off_loses_nothing<P: Provider>() {
    for off in [-7_200_000, 7_200_000] {
        let house = House::<P>::new().await;
        let wrong = Arc::new(Stopped(Timestamp(NOW.millis() + off)));
        let device = house.start_with(|setting| setting.clock = wrong);
        device.send(message(1, "x")).await.unwrap().unwrap();
        assert_eq!(house.provider.taken(), 1);
        house.provider.receives(BOB, "hello");
        let request = house.until_requests(1).await.remove(0);
        let device = match P::TIMED {
            true => {
                let answer = device.connector.receive(request.clone()).await;
                assert_eq!(answer.status, 401, "{answer:?}");
                assert!(house.inbox.texts().is_empty());
                house.closes();
                device.stop().await;
                let device = house.start();
                let taken = async || device.connector.receive(request.clone()).await.is_success();
                while !taken().await {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                device
            }
            false => device,
        };
        until(&house, &["hello"]).await;
        device.stop().await;
    }
}
