//! A conversation moves from one provider to another: by its people, and with its whole line.

use super::accounts::{self, now};
use super::house::{House, Plan};
use crate::program::{code, said};
use serde_json::{Value, json};
use swingbridge_lab::telnyx::{self, Telnyx};
use swingbridge_lab::twilio::{self, Twilio};

const FRIEND: &str = "+447700900456";
const OTHER: &str = "+447700900457";
/// A word that stands in every text here and nowhere else.
const WORD: &str = "swift";

#[tokio::test(flavor = "multi_thread")]
async fn a_conversation_and_then_a_whole_line_go_by_another_provider_in_the_same_rooms() {
    let (twilio, telnyx) = (
        Twilio::start(now()).await.unwrap(),
        Telnyx::start(now()).await.unwrap(),
    );
    let plan = Plan::default()
        .connector("twilio", accounts::twilio(&twilio))
        .connector("telnyx", accounts::telnyx(&telnyx))
        .line("old", "twilio", twilio::NUMBER, json!({ "region": "GB" }))
        .line("new", "telnyx", telnyx::NUMBER, json!({ "region": "GB" }));
    let Some(mut house) = House::open(plan).await else {
        return;
    };
    twilio.webhook(&house.webhook("twilio"));
    telnyx.webhook(&house.webhook("telnyx"));
    let mut rooms = Vec::new();
    for (number, friend) in [FRIEND, OTHER].into_iter().enumerate() {
        let text = format!("{WORD} {number}");
        twilio.receives(friend, &text);
        rooms.push(house.reads(&text).await.room);
    }
    let before = house.writes(&rooms[0], &format!("a {WORD} by the old one")).await;
    twilio.sends(1).await.unwrap();
    assert_eq!(through(&house.label(&before).await), ["Twilio"]);

    house.writes(&rooms[0], "!sms swap new").await;
    let told = house
        .told(&rooms[0], "From now on this conversation goes by new")
        .await;
    assert!(
        told.body().contains(telnyx::NUMBER) && told.body().contains("Telnyx"),
        "{}",
        told.body()
    );
    goes_by_the_new_one(&house, &twilio, &telnyx, &rooms[0], FRIEND).await;
    // What was said before keeps the label that was true then.
    assert_eq!(through(&house.label(&before).await), ["Twilio"]);

    let migrate = ["migrate", "--from", "old", "--to", "new"];
    let beside = house.run(&migrate);
    assert_eq!(
        code(&beside),
        14,
        "a running gateway has the database: {}",
        said(&beside)
    );
    house.stop().await;
    let dry = [&migrate[..], &["--dry-run"]].concat();
    for _ in 0..2 {
        let planned = house.run(&dry);
        assert_eq!(code(&planned), 0, "{}", said(&planned));
        let planned = said(&planned);
        assert!(
            planned.contains("1 conversations of line old would go by new. Nothing was changed."),
            "{planned}"
        );
    }
    let nowhere = house.run(&["migrate", "--from", "old", "--to", "nowhere"]);
    assert_eq!(code(&nowhere), 11, "{}", said(&nowhere));
    assert!(
        said(&nowhere).contains("there is no line `nowhere`"),
        "{}",
        said(&nowhere)
    );
    let moved = house.run(&migrate);
    assert_eq!(code(&moved), 0, "{}", said(&moved));
    assert!(
        said(&moved).contains("1 conversations of line old go by new now"),
        "{}",
        said(&moved)
    );
    let again = said(&house.run(&dry));
    assert!(again.contains("0 conversations of line old"), "{again}");
    house.start();
    house.is_ready().await;
    house
        .told(&rooms[1], "From now on this conversation goes by new")
        .await;
    goes_by_the_new_one(&house, &twilio, &telnyx, &rooms[1], OTHER).await;
    // The one that had moved before was not moved again.
    let history = house.alice.history(&rooms[0]).await.unwrap();
    let said_so = history.iter().filter(|event| {
        let body = event["content"]["body"].as_str().unwrap_or_default();
        body.contains("From now on this conversation goes by")
    });
    assert_eq!(said_so.count(), 1);
    assert_eq!(twilio.sent().len(), 1);
    house.stop().await;
    house.is_discreet(&[WORD, &FRIEND[1..], &OTHER[1..]]);
}

/// Both ways, in the room that there was; and what comes to the old number is in it, under the label of the way it came.
async fn goes_by_the_new_one(house: &House, twilio: &Twilio, telnyx: &Telnyx, room: &str, friend: &str) {
    let before = telnyx.sent().len();
    let text = format!("a {WORD} by the new one, after {before}");
    let event = house.writes(room, &text).await;
    let taken = telnyx.sends(before + 1).await.unwrap().pop().unwrap();
    assert_eq!(
        (taken.to[0].0.as_str(), taken.text.as_str()),
        (friend, text.as_str())
    );
    telnyx.reaches(&taken.id, None, "delivered", None);
    house.is_delivered(&event).await;
    assert_eq!(through(&house.label(&event).await), ["Telnyx"]);
    let topic = house
        .alice
        .state(room, "m.room.topic", "")
        .await
        .unwrap()
        .unwrap();
    let topic = topic["topic"].as_str().unwrap();
    assert!(topic.contains("Telnyx") && !topic.contains("Twilio"), "{topic}");
    let comes = [("Telnyx", "to the new number"), ("Twilio", "to the old number")];
    for (provider, case) in comes {
        let text = format!("a {WORD} {case}, after {before}");
        match provider {
            "Telnyx" => drop(telnyx.receives(friend, &text)),
            _ => drop(twilio.receives(friend, &text)),
        }
        let seen = house.reads(&text).await;
        assert_eq!(seen.room, room, "{case}");
        assert_eq!(
            through(&seen.event["content"]["dev.swingbridge.path"]),
            [provider],
            "{case}"
        );
    }
    // What came to the old number does not lead back there.
    let text = format!("a {WORD} in answer, after {before}");
    house.writes(room, &text).await;
    let taken = telnyx.sends(before + 2).await.unwrap().pop().unwrap();
    assert_eq!(taken.text, text);
}

/// The providers that a label names.
fn through(label: &Value) -> Vec<&str> {
    let legs = label["legs"].as_array().unwrap_or_else(|| panic!("{label}"));
    legs.iter()
        .filter_map(|leg| leg["to"]["provider"].as_str())
        .collect()
}
