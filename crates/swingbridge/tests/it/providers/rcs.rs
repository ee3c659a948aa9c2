//! RCS by Google and by an operator's platform: cards, and the fallback that somebody agrees to.

use super::accounts::{self, now};
use super::house::{House, Plan, is_ghost};
use serde_json::{Value, json};
use std::sync::Arc;
use swingbridge_lab::edge::{Authority, Edge};
use swingbridge_lab::maap::{self, Maap};
use swingbridge_lab::rbm::{self, Rbm};
use swingbridge_lab::smsc::{SystemClock, key};
use swingbridge_lab::twilio::{self, Twilio};

const FRIEND: &str = "+447700900456";
/// A word that stands in every text here and nowhere else.
const WORD: &str = "osprey";
const CARD: &str = "!sms card An osprey? | Tonight at eight. | Yes, please | Another day";

/// A phone with RCS, by whichever of the two.
enum Phone {
    Rbm(rbm::Phone),
    Maap(maap::Phone),
}

/// What came to it by RCS: id, text, and the labels of its buttons.
type Shown = (String, Option<String>, Vec<String>);

impl Phone {
    fn shown(&self) -> Vec<Shown> {
        match self {
            Self::Rbm(phone) => {
                let shown = phone.shown().into_iter();
                shown
                    .map(|one| {
                        let labels = one.buttons().into_iter().map(|button| button.label).collect();
                        (one.id.clone(), one.text().map(str::to_owned), labels)
                    })
                    .collect()
            }
            Self::Maap(phone) => {
                let label = |one: Value| {
                    one["reply"]["displayText"]
                        .as_str()
                        .unwrap_or_default()
                        .to_owned()
                };
                let there = |one: &maap::Received| matches!(one.state.as_str(), "delivered" | "displayed");
                let shown = phone.messages().into_iter().filter(there);
                shown
                    .map(|one| {
                        let labels = one.suggestions().into_iter().map(label).collect();
                        (one.id.clone(), one.text().map(str::to_owned), labels)
                    })
                    .collect()
            }
        }
    }

    fn writes(&self, text: &str) {
        match self {
            Self::Rbm(phone) => drop(phone.writes(text)),
            Self::Maap(phone) => drop(phone.writes(text)),
        }
    }

    fn taps(&self, message: &str, button: usize) {
        match self {
            Self::Rbm(phone) => assert!(phone.taps(message, button).is_some()),
            Self::Maap(phone) => assert!(phone.taps(message, button)),
        }
    }

    fn has_rcs(&self, has: bool) {
        match self {
            Self::Rbm(phone) => phone.has_rcs(has),
            Self::Maap(phone) => phone.has_rcs(has),
        }
    }

    fn is_on(&self, on: bool) {
        match self {
            Self::Rbm(phone) => phone.is_on(on),
            Self::Maap(phone) => phone.is_on(on),
        }
    }

    fn reads(&self, message: &str) {
        match self {
            Self::Rbm(phone) => phone.reads(message),
            Self::Maap(phone) => phone.displays(message),
        }
    }
}

/// What carries what RCS does not bring to the phone.
enum Fallback<'a> {
    /// The line `main`.
    Smpp,
    Twilio(&'a Twilio),
}

impl Fallback<'_> {
    /// How often the phone has this text by it.
    fn has(&self, house: &House, text: &str) -> usize {
        match self {
            Self::Smpp => {
                let messages = house.carrier.messages();
                let own = |message: &&swingbridge_lab::smsc::Message| {
                    !message.from_phone && message.phone == key(FRIEND) && message.text == text
                };
                messages.iter().filter(own).count()
            }
            Self::Twilio(twilio) => twilio.sent().iter().filter(|sent| sent.text == text).count(),
        }
    }

    /// It leaves, and reaches the phone.
    async fn delivers(&self, house: &House, text: &str) {
        until(house, text, || self.has(house, text) == 1).await;
        if let Self::Twilio(twilio) = self {
            let sent = twilio.sent().into_iter().find(|sent| sent.text == text).unwrap();
            assert_eq!(sent.to, FRIEND);
            twilio.reaches(&sent.sid, "delivered", None);
        }
    }

    fn phone_writes(&self, house: &House, text: &str) {
        match self {
            Self::Smpp => drop(house.carrier.write(FRIEND, crate::program::LINE, text).unwrap()),
            Self::Twilio(twilio) => drop(twilio.receives(FRIEND, text)),
        }
    }

    /// Where its label says that it goes through.
    fn place(&self) -> Value {
        match self {
            Self::Smpp => json!("carrier"),
            Self::Twilio(_) => json!({ "provider": "Twilio" }),
        }
    }
}

async fn until(house: &House, what: &str, holds: impl Fn() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    if tokio::time::timeout(super::house::PATIENCE, wait).await.is_err() {
        panic!("{what}: it never came to that\n{}", house.gateway.log_tail(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_google_a_card_is_answered_and_what_rcs_cannot_bring_goes_by_twilio_once() {
    let (google, twilio) = (
        Rbm::start(Arc::new(SystemClock)).await.unwrap(),
        Twilio::start(now()).await.unwrap(),
    );
    // Google speaks TLS.
    let authority = Authority::new("The lab's Google").unwrap();
    let edge = Edge::open(&google.url(), &authority.signs("127.0.0.1").unwrap(), None)
        .await
        .unwrap();
    let trusts = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(trusts.path(), &authority.certificate).unwrap();
    let mut account = accounts::rbm(&google, edge.url().trim_end_matches('/'));
    account["ca_file"] = trusts.path().to_str().unwrap().into();
    let plan = Plan::default()
        .connector("google", account)
        .connector("twilio", accounts::twilio(&twilio))
        .line("sms", "twilio", twilio::NUMBER, json!({ "region": "GB" }))
        .line(
            "agent",
            "google",
            "Lab Agent",
            json!({ "region": "GB", "fallback": { "line": "sms", "after": "30s" } }),
        )
        .set("PRIVACY__CONSENT", "line");
    let Some(mut house) = House::open(plan).await else {
        return;
    };
    twilio.webhook(&house.webhook("twilio"));
    google.sets_up(&house.webhook("google")).await.unwrap();
    let phone = Phone::Rbm(google.phone(FRIEND));
    answered_and_fallen_back(
        &mut house,
        &phone,
        &Fallback::Twilio(&twilio),
        &json!({ "provider": "Google" }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn by_an_operators_platform_a_card_is_answered_and_what_rcs_cannot_bring_goes_by_smpp_once() {
    let platform = Maap::start().await.unwrap();
    let plan = Plan::default()
        .connector("platform", accounts::maap(&platform))
        .line(
            "agent",
            "platform",
            "Lab Bot",
            json!({ "region": "GB", "fallback": { "line": "main", "after": "30s" } }),
        )
        .set("PRIVACY__CONSENT", "line");
    let Some(mut house) = House::open(plan).await else {
        return;
    };
    platform.hook(&house.webhook("platform"));
    let phone = Phone::Maap(platform.phone(FRIEND));
    answered_and_fallen_back(&mut house, &phone, &Fallback::Smpp, &json!("carrier")).await;
}

async fn answered_and_fallen_back(house: &mut House, phone: &Phone, fallback: &Fallback<'_>, by: &Value) {
    let room = house.starts_chat("agent", FRIEND).await;
    house.writes(&room, "!sms reach").await;
    house.told(&room, "): reaches").await;

    let card = house.writes(&room, CARD).await;
    house.told(&room, "Do you agree").await;
    assert!(
        phone.shown().is_empty(),
        "it left before anybody agreed: {:?}",
        phone.shown()
    );
    house.agrees(&room, "Do you agree").await;
    until(house, "the card", || phone.shown().len() == 1).await;
    let (id, _, labels) = phone.shown().remove(0);
    assert_eq!(labels, ["Yes, please", "Another day"]);
    house.is_delivered(&card).await;
    let label = house.label(&card).await;
    assert!(
        label["legs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|leg| leg["to"] == *by),
        "{label}"
    );
    phone.reads(&id);
    phone.taps(&id, 0);
    let answer = house.reads("Yes, please").await;
    assert_eq!(answer.room, room);
    assert!(is_ghost(answer.sender()));
    let refers = &answer.event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"];
    assert_eq!(refers, &json!(card), "{}", answer.event);

    // It goes back and forth by RCS.
    phone.writes(&format!("an {WORD} comes in"));
    assert_eq!(house.reads(&format!("an {WORD} comes in")).await.room, room);
    let event = house.writes(&room, &format!("an {WORD} flies out")).await;
    until(house, "the text", || phone.shown().len() == 2).await;
    house.is_delivered(&event).await;

    // The phone loses RCS: nothing goes another way before somebody agreed to that.
    phone.has_rcs(false);
    let text = format!("an {WORD} by another way");
    let event = house.writes(&room, &text).await;
    house.told(&room, "it goes by SMS instead").await;
    house.told(&room, "go by SMS. They").await;
    assert_eq!(fallback.has(house, &text), 0, "it left before anybody agreed");
    house.agrees(&room, "go by SMS. They").await;
    // Of what an operator's platform carries nobody knows how it is protected: less it cannot be.
    if let Phone::Rbm(_) = phone {
        house.agrees(&room, "less protected").await;
    }
    fallback.delivers(house, &text).await;
    // What the room is told is of the way that it takes, and not of the one that it cannot take.
    let readers = match fallback {
        Fallback::Smpp => "readable by the phone carriers, this gateway",
        Fallback::Twilio(_) => "readable by the phone carriers, Twilio, this gateway",
    };
    house
        .sees("the news of how it is protected", |seen| {
            let news = seen.room == room && seen.body().starts_with("SMS through this gateway: ");
            (news && seen.body().contains(readers)).then_some(())
        })
        .await;
    house.is_delivered(&event).await;
    let label = house.label(&event).await;
    let place = fallback.place();
    assert!(
        label["legs"]
            .as_array()
            .unwrap()
            .iter()
            .any(|leg| leg["to"] == place),
        "{label}"
    );
    // Its answer is in the same room, whichever number it goes to; that was agreed to as well.
    fallback.phone_writes(house, &format!("an {WORD} comes back"));
    assert_eq!(house.reads(&format!("an {WORD} comes back")).await.room, room);

    phone.has_rcs(true);
    phone.writes(&format!("an {WORD} is here again"));
    assert_eq!(house.reads(&format!("an {WORD} is here again")).await.room, room);
    let again = format!("an {WORD} as before");
    let event = house.writes(&room, &again).await;
    until(house, "the last text", || phone.shown().len() == 3).await;
    house.is_delivered(&event).await;

    // What a phone that is off did not get can be taken back, and goes no other way.
    phone.is_on(false);
    let regretted = format!("an {WORD} that nobody should see");
    let event = house.writes(&room, &regretted).await;
    house.label(&event).await;
    house.alice.redact(&room, &event).await.unwrap();
    house.told(&room, "Taken back: the phone will not get it").await;
    phone.is_on(true);
    let last = format!("an {WORD} at last");
    let event = house.writes(&room, &last).await;
    until(house, "the text after it", || phone.shown().len() == 4).await;
    house.is_delivered(&event).await;

    // Each once, by one way.
    let by_rcs: Vec<String> = phone
        .shown()
        .into_iter()
        .filter_map(|(_, text, _)| text)
        .collect();
    assert_eq!(
        by_rcs,
        [format!("an {WORD} flies out"), again.clone(), last.clone()]
    );
    for (text, times) in [(&text, 1), (&again, 0), (&regretted, 0), (&last, 0)] {
        assert_eq!(fallback.has(house, text), times, "{text}");
    }
    assert_eq!(house.texts_of_phones(&room).await.len(), 4);
    house.stop().await;
    house.is_discreet(&[WORD, &FRIEND[1..]]);
}
