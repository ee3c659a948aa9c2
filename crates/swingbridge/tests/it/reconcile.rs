//! What the homeserver never pushed is found in the rooms after downtime, and bridged once.

use crate::site::{PATIENCE, Site};
use std::collections::BTreeMap;
use swingbridge_lab::homeserver::Faults;
use swingbridge_lab::smsc;

const PHONE: &str = "+447700900456";

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_pushed_during_downtime_is_bridged_once() {
    let mut site = Site::new(
        |config| config.quirks.repeat_events = 0.3,
        smsc::Config::default(),
    )
    .await;
    site.start();
    let room = site.meet(PHONE).await;
    // The place up to which the rooms were read is known once the gateway has been ready.
    site.ready().await;
    site.kill();

    // Half of it the homeserver forgets to push, half it pushes later. More than one page of a sync.
    site.stub.set_faults(Faults {
        lost_push: 0.5,
        ..Faults::none()
    });
    let texts: Vec<String> = (0..60)
        .map(|number| format!("while away, number {number}"))
        .collect();
    for text in &texts {
        site.alice.say(&room, text).unwrap();
    }
    site.stub.set_faults(Faults::none());
    let lost = site.stub.look(|world| world.pushes.lost.len());
    assert!((10..50).contains(&lost), "{lost} of 60");
    site.start();

    let wait = site.carrier.wait_for("all of it on the phone", PATIENCE, |view| {
        let there = |text: &String| view.messages.iter().any(|message| message.text == *text);
        texts.iter().all(there).then_some(())
    });
    wait.await
        .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    // And once more through a restart, in which nothing is new.
    site.stop().await;
    site.start();
    site.ready().await;
    site.alice.say(&room, "the end").unwrap();
    let wait = site.carrier.wait_for("the end", PATIENCE, |view| {
        view.messages.iter().any(|m| m.text == "the end").then_some(())
    });
    wait.await
        .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    let mut times: BTreeMap<String, usize> = BTreeMap::new();
    for message in site
        .carrier
        .messages()
        .into_iter()
        .filter(|message| !message.from_phone)
    {
        *times.entry(message.text).or_default() += 1;
    }
    let doubled: Vec<_> = times.iter().filter(|(_, times)| **times > 1).collect();
    assert!(doubled.is_empty(), "{doubled:?}");
    assert_eq!(site.stub.violations(), Vec::<String>::new());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invite_that_was_not_pushed_is_found() {
    let mut site = Site::new(|_| {}, smsc::Config::default()).await;
    site.start();
    site.ready().await;
    site.meet(PHONE).await;
    site.kill();
    site.stub.hold_pushes(true);
    let bot = "@smsbot:localhost";
    let room = site
        .alice
        .create_room(serde_json::json!({"invite": [bot], "is_direct": true}))
        .unwrap();
    site.start();
    let wait = site.stub.wait(PATIENCE, "the bot in the room", |world| {
        (world.membership(&room, bot) == Some("join")).then_some(())
    });
    wait.await
        .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
}
