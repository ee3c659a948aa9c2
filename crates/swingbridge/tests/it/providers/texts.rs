//! SMS and MMS by Twilio and by Telnyx, from phone to client and back.

use super::accounts::{self, now};
use super::house::{ALICE, House, Plan, is_ghost};
use crate::program::client;
use serde_json::{Value, json};
use swingbridge_lab::telnyx::{self, Telnyx};
use swingbridge_lab::twilio::{self, Twilio};

const FRIEND: &str = "+13125550123";
const OTHER: &str = "+13125550124";
const THIRD: &str = "+13125550125";
/// A word that stands in every text here and nowhere else.
const WORD: &str = "kestrel";
/// The smallest picture there is.
const PICTURE: &[u8] = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x01\0\0\0\x01\x08\x06\0\0\0\x1f\x15\xc4\x89\0\0\0\rIDATx\x9cc\xf8\xcf\xc0\xf0\x1f\
    \0\x05\0\x01\xff\xab\xce\xd4\x8e\0\0\0\0IEND\xaeB`\x82";

/// Each of the two, by one set of words.
enum Provider {
    Twilio(Twilio),
    Telnyx(Telnyx),
}

/// What it took to be sent: its id, to whom, what, and the links of files.
type Taken = (String, Vec<String>, String, Vec<String>);

impl Provider {
    /// As the label names it.
    fn name(&self) -> &'static str {
        match self {
            Self::Twilio(_) => "Twilio",
            Self::Telnyx(_) => "Telnyx",
        }
    }

    fn receives(&self, from: &str, text: &str) {
        match self {
            Self::Twilio(twilio) => drop(twilio.receives(from, text)),
            Self::Telnyx(telnyx) => drop(telnyx.receives(from, text)),
        }
    }

    fn receives_picture(&self, from: &str, text: &str) {
        let files: &[(&str, &[u8])] = &[("image/png", PICTURE)];
        match self {
            Self::Twilio(twilio) => drop(twilio.receives_mms(from, text, files)),
            Self::Telnyx(telnyx) => drop(telnyx.receives_mms(from, text, files)),
        }
    }

    async fn sends(&self, many: usize) -> Taken {
        let taken: Vec<Taken> = match self {
            Self::Twilio(twilio) => {
                let sent = twilio.sends(many).await.unwrap().into_iter();
                sent.map(|sent| (sent.sid, vec![sent.to], sent.text, sent.media))
                    .collect()
            }
            Self::Telnyx(telnyx) => {
                let sent = telnyx.sends(many).await.unwrap().into_iter();
                sent.map(|sent| {
                    let to = sent.to.into_iter().map(|(to, _)| to);
                    (sent.id, to.collect(), sent.text, sent.media)
                })
                .collect()
            }
        };
        assert_eq!(taken.len(), many, "{taken:?}");
        taken.into_iter().last().unwrap()
    }

    fn delivers(&self, id: &str) {
        match self {
            Self::Twilio(twilio) => twilio.reaches(id, "delivered", None),
            Self::Telnyx(telnyx) => telnyx.reaches(id, None, "delivered", None),
        }
    }

    /// The phone is switched off for good.
    fn fails(&self, id: &str) {
        match self {
            Self::Twilio(twilio) => twilio.reaches(id, "undelivered", Some(30003)),
            Self::Telnyx(telnyx) => telnyx.reaches(id, None, "delivery_failed", Some(40001)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_and_pictures_go_both_ways_and_their_states_and_readers_are_seen() {
    let (twilio, telnyx) = (
        Twilio::start(now()).await.unwrap(),
        Telnyx::start(now()).await.unwrap(),
    );
    let plan = Plan::default()
        .connector("twilio", accounts::twilio(&twilio))
        .connector("telnyx", accounts::telnyx(&telnyx))
        .line("first", "twilio", twilio::NUMBER, json!({}))
        .line("second", "telnyx", telnyx::NUMBER, json!({}));
    let Some(mut house) = House::open(plan).await else {
        return;
    };
    twilio.webhook(&house.webhook("twilio"));
    telnyx.webhook(&house.webhook("telnyx"));
    both_ways(&house, &Provider::Twilio(twilio)).await;
    let telnyx = Provider::Telnyx(telnyx);
    both_ways(&house, &telnyx).await;
    let Provider::Telnyx(telnyx) = telnyx else { return };
    a_group_has_a_room_with_a_ghost_for_each(&house, &telnyx).await;
    house.stop().await;
    let digits = [FRIEND, OTHER, THIRD].map(|number| number[1..].to_owned());
    let mut secrets: Vec<&str> = digits.iter().map(String::as_str).collect();
    secrets.extend([WORD, twilio::AUTH_TOKEN, telnyx::API_KEY]);
    house.is_discreet(&secrets);
}

/// The legs from the phone to the gateway, by a provider that is spoken to in clear.
fn legs(provider: &str) -> Value {
    json!([
        { "from": "phone", "to": "carrier", "protection": "none", "evidence": "network_cannot" },
        { "from": "carrier", "to": { "provider": provider }, "protection": "unknown", "evidence": "none" },
        { "from": { "provider": provider }, "to": "gateway", "protection": "none", "evidence": "our_own_end" },
    ])
}

async fn both_ways(house: &House, provider: &Provider) {
    let name = provider.name();
    let comes = format!("a {WORD} comes in by {name}");
    provider.receives(FRIEND, &comes);
    let seen = house.reads(&comes).await;
    let room = seen.room.clone();
    assert!(is_ghost(seen.sender()), "{}", seen.event);
    let label = &seen.event["content"]["dev.swingbridge.path"];
    assert_eq!(
        label["legs"].as_array().unwrap()[..3],
        *legs(name).as_array().unwrap(),
        "{label}"
    );
    let topic = house
        .alice
        .state(&room, "m.room.topic", "")
        .await
        .unwrap()
        .unwrap();
    assert!(topic["topic"].as_str().unwrap().contains(name), "{topic}");

    let leaves = format!("a {WORD} flies out by {name}");
    let event = house.writes(&room, &leaves).await;
    let (id, to, text, _) = provider.sends(1).await;
    assert_eq!((to, text), (vec![FRIEND.to_owned()], leaves));
    // The provider has it, and nobody knows more.
    let accepted = |content: &Value| content["status"] == "SUCCESS";
    let status = house.status("the hand-over", &event, accepted).await;
    assert_eq!(status["delivered_to_users"], json!([]), "{status}");
    provider.delivers(&id);
    house.is_delivered(&event).await;
    let label = house.label(&event).await;
    let outward: Vec<&Value> = label["legs"].as_array().unwrap().iter().collect();
    let by = json!({ "provider": name });
    assert!(
        outward.iter().any(|leg| leg["to"] == by) && outward.iter().any(|leg| leg["from"] == by),
        "{label}"
    );

    // One that does not arrive is told with its reason, at the message.
    let event = house.writes(&room, &format!("a {WORD} goes astray")).await;
    let (id, ..) = provider.sends(2).await;
    provider.fails(&id);
    let failed = |content: &Value| content["status"] == "FAIL_PERMANENT";
    house.status("the failure", &event, failed).await;
    house
        .sees("the reason", |seen| {
            let to = &seen.event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"];
            (to == event.as_str() && seen.room == room && seen.sender() != ALICE).then_some(())
        })
        .await;

    // Pictures, both ways, are the same octets.
    let words = format!("a {WORD} in a picture by {name}");
    provider.receives_picture(FRIEND, &words);
    let picture = house
        .sees("the picture", |seen| {
            let fits = seen.room == room && seen.event["content"]["msgtype"] == "m.image";
            (fits && is_ghost(seen.sender())).then(|| seen.event["content"].clone())
        })
        .await;
    let uri = picture["url"].as_str().unwrap();
    assert_eq!(house.alice.download(uri).await.unwrap(), PICTURE, "{picture}");
    assert_eq!(picture["info"]["mimetype"], "image/png", "{picture}");
    house
        .sees("the words of the picture", |seen| {
            (seen.room == room && seen.body().contains(&words)).then_some(())
        })
        .await;

    let uri = house
        .alice
        .upload(PICTURE.to_vec(), "image/png", "bird.png")
        .await
        .unwrap();
    let content = json!({
        "msgtype": "m.image", "body": format!("one more {WORD}"), "filename": "bird.png", "url": uri,
        "info": { "mimetype": "image/png", "size": PICTURE.len() },
    });
    let event = house.alice.send(&room, "m.room.message", content).await.unwrap();
    let (id, _, text, links) = provider.sends(3).await;
    assert_eq!(text, format!("one more {WORD}"));
    assert_eq!(links.len(), 1, "{links:?}");
    let answer = client().get(&links[0]).send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "image/png");
    assert_eq!(answer.bytes().await.unwrap(), PICTURE);
    provider.delivers(&id);
    house.is_delivered(&event).await;
    assert_eq!(house.texts_of_phones(&room).await[0], comes);
}

async fn a_group_has_a_room_with_a_ghost_for_each(house: &House, telnyx: &Telnyx) {
    let begins = format!("a {WORD} for all of you");
    telnyx.receives_group(FRIEND, &[OTHER, THIRD], &begins);
    let first = house.reads(&begins).await;
    let room = first.room.clone();
    // Whoever writes, and in whatever order they stand there, it is one room.
    let goes_on = format!("another {WORD}");
    telnyx.receives_group(THIRD, &[FRIEND, OTHER], &goes_on);
    let second = house.reads(&goes_on).await;
    assert_eq!(second.room, room);
    assert_ne!(first.sender(), second.sender());
    let members = house.alice.all_state(&room).await.unwrap();
    let ghosts = members.iter().filter(|event| {
        let user = event["state_key"].as_str().unwrap_or_default();
        event["type"] == "m.room.member" && is_ghost(user) && event["content"]["membership"] == "join"
    });
    assert_eq!(ghosts.count(), 3, "one for each: {members:#?}");
    let whole = serde_json::to_string(&members).unwrap();
    for number in [FRIEND, OTHER, THIRD] {
        assert!(
            !whole.contains(&number[1..]),
            "the homeserver is told a number: {whole}"
        );
    }

    let before = telnyx.sent().len();
    let event = house.writes(&room, &format!("a {WORD} from us")).await;
    let sent = telnyx.sends(before + 1).await.unwrap().pop().unwrap();
    let mut to: Vec<&str> = sent.to.iter().map(|(to, _)| to.as_str()).collect();
    to.sort_unstable();
    assert!(sent.group, "{sent:?}");
    assert_eq!(to, [FRIEND, OTHER, THIRD]);
    for number in [FRIEND, OTHER, THIRD] {
        telnyx.reaches(&sent.id, Some(number), "delivered", None);
    }
    house.is_delivered(&event).await;
    // With one of them alone it is another conversation.
    let alone = format!("a {WORD} for you alone");
    telnyx.receives(THIRD, &alone);
    assert_ne!(house.reads(&alone).await.room, room);
}
