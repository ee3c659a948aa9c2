//! The BlueBubbles connector is killed again and again, in the midst of whatever it does: nothing is lost, nothing doubled.

use crate::bluebubbles::{ALICE, BOB, House};
use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::time::Duration;
use swingbridge_domain::message::Message;
use swingbridge_lab::bluebubbles::Rules;

async fn killed(seed: u64) {
    let mut house = House::new(Rules::private()).await;
    house.dice.0.store(seed, Ordering::Relaxed);
    let group = house.server.group("chat831", "Climbing", &[ALICE, BOB]);
    let mut expected = Vec::new();
    let mut asked = 0;
    for round in 0..12 {
        for at in 0..house.dice.roll(6) {
            let text = format!("{round}/{at}");
            match house.dice.roll(4) {
                0 => house.server.says_in(&group, BOB, &text),
                1 => house.server.user_writes(ALICE, &text),
                2 => house
                    .server
                    .sends_file(ALICE, "cat.png", "image/png", b"a cat", &text),
                _ => house.server.says(ALICE, &text),
            };
            expected.push(text);
        }
        // A send that the kill may strike at any point: before it leaves, in flight, or after its answer.
        if house.dice.roll(2) == 0 {
            let connector = house.connector().clone();
            let message = Message::text(format!("out {round}"));
            let to = swingbridge_domain::address::Address::Number(ALICE.into());
            let outbound = crate::bluebubbles::outbound(to, message);
            asked += 1;
            let sending = tokio::spawn(async move {
                let _ = swingbridge_domain::connector::Connector::send(connector.as_ref(), outbound).await;
            });
            tokio::time::sleep(Duration::from_micros(house.dice.roll(15_000))).await;
            house.kill().await;
            sending.abort();
            let _ = sending.await;
        } else {
            tokio::time::sleep(Duration::from_micros(house.dice.roll(15_000))).await;
            house.kill().await;
        }
        if house.dice.roll(4) == 0 {
            house.server.restart(5).await.unwrap();
        }
        house.start().await;
    }
    house.settle().await;
    let said: Vec<String> = house
        .inbox
        .messages()
        .iter()
        .filter_map(|message| {
            let media = crate::bluebubbles::media_of(message).and_then(|media| media.caption.clone());
            media.or_else(|| message.message.first_text().map(|text| text.plain.clone()))
        })
        .collect();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for text in &said {
        *times.entry(text).or_default() += 1;
    }
    for text in &expected {
        assert_eq!(
            times.get(text.as_str()),
            Some(&1),
            "seed {seed}: {text} in {said:?}"
        );
    }
    // What we sent came back as nobody's message, and none of it was sent twice.
    assert!(
        !said.iter().any(|text| text.starts_with("out")),
        "seed {seed}: {said:?}"
    );
    let sent = house.server.sent();
    let once: std::collections::HashSet<_> = sent.iter().map(|sent| &sent.text).collect();
    assert!(
        sent.len() <= asked && once.len() == sent.len(),
        "seed {seed}: {sent:?}"
    );
}

#[tokio::test]
async fn killed_at_any_point_it_loses_and_doubles_nothing() {
    for seed in 0..8 {
        killed(seed).await;
    }
}
