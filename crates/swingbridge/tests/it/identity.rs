//! No phone number stands in a Matrix id, alias or state, in a log or a metric, or in the clear in the database.

use crate::site::{LINE, PATIENCE, Site, tail};
use serde_json::json;
use std::fs;
use swingbridge_lab::smsc;

const PHONES: [&str; 3] = ["+447700900456", "+4930123456789", "+16502530000"];

#[tokio::test(flavor = "multi_thread")]
async fn numbers_stand_nowhere_that_outsiders_see() {
    let mut site = Site::new(|_| {}, smsc::Config::default()).await;
    PHONES.iter().for_each(|number| site.stub.watch_number(number));
    site.start();
    let mut rooms = Vec::new();
    for phone in PHONES {
        let text = format!("hello, this is phone {}", rooms.len());
        site.carrier.write(phone, LINE, &text).unwrap();
        rooms.push(site.room_with(&text).await);
    }
    // Both ways, a refusal, a command that names a number, and a look-up by number.
    for (room, phone) in rooms.iter().zip(PHONES) {
        let text = format!("hello to {}", rooms.len());
        site.alice.say(room, &text).unwrap();
        let wait = site.carrier.wait_for("a text on a phone", PATIENCE, |view| {
            let there = |message: &smsc::Message| message.phone == smsc::key(phone) && message.text == text;
            view.messages.iter().any(there).then_some(())
        });
        wait.await
            .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    }
    site.carrier.set_reach(PHONES[0], smsc::Reach::Barred);
    site.alice.say(&rooms[0], "to a barred phone").unwrap();
    let bot = "@smsbot:localhost";
    let management = site
        .alice
        .create_room(json!({"invite": [bot], "is_direct": true}))
        .unwrap();
    let wait = site.stub.wait(PATIENCE, "the bot", |world| {
        (world.membership(&management, bot) == Some("join")).then_some(())
    });
    wait.await.unwrap();
    site.alice.say(&management, "start-chat +44 7700 900457").unwrap();
    site.stub.watch_number("+447700900457");
    let client = site.alice.client().unwrap();
    let found = client
        .third_party_user("sms", &[("phone", PHONES[0])])
        .await
        .unwrap();
    assert!(
        found[0]["userid"].is_string(),
        "nobody is found by number: {found}"
    );
    let new = site.stub.wait(PATIENCE, "the room of the command", |world| {
        let direct = world
            .rooms
            .keys()
            .filter(|room| world.membership(room, site.alice.id()) == Some("invite"));
        (direct.count() > 0).then_some(())
    });
    new.await
        .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    let (_, metrics) = site.operations("/metrics").await.unwrap();
    assert_eq!(site.stop().await, Some(0));

    assert_eq!(site.stub.violations(), Vec::<String>::new());
    let numbers = [PHONES[0], PHONES[1], PHONES[2], "+447700900457"];
    assert_eq!(
        site.stub.look(|world| world.places_with_number(&numbers)),
        Vec::<String>::new()
    );
    let log = site.log();
    for number in numbers {
        assert!(!metrics.contains(tail(number)), "a metric tells a number");
        assert!(!log.contains(tail(number)), "the log tells a number");
        for entry in fs::read_dir(site.folder()).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if !name.starts_with("swingbridge.db") {
                continue;
            }
            let bytes = fs::read(&path).unwrap();
            let found = bytes.windows(7).any(|window| window == tail(number).as_bytes());
            assert!(!found, "{name} holds a number in the clear");
        }
    }
    // What was delivered is gone from the database; what is on its way is sealed.
    let database = fs::read(site.folder().join("swingbridge.db")).unwrap();
    assert!(
        !database.windows(9).any(|window| window == b"hello to "),
        "a text stands in the database"
    );
}
