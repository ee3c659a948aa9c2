//! The owner compares emoji with the device once, and no client warns afterwards.

use super::house::{PASSWORD, Phone, homeserver};
use async_trait::async_trait;
use serde_json::{Value, json};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::id::{RoomId, UserId};
use swingbridge_domain::secret::Secret;
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_matrix::puppet::{Answer, Begin, Emoji, Identity, Puppet, Ui, VerifyError, Whom};
use tokio::sync::{Mutex, Notify, mpsc};

/// A person who does what the test says.
struct Person {
    shown: mpsc::UnboundedSender<Vec<&'static str>>,
    answers: Mutex<mpsc::UnboundedReceiver<Answer>>,
    left: Arc<Notify>,
}

/// The test's ends of it.
struct Hand {
    shown: mpsc::UnboundedReceiver<Vec<&'static str>>,
    answer: mpsc::UnboundedSender<Answer>,
    left: Arc<Notify>,
}

fn person() -> (Person, Hand) {
    let (shown, sees) = mpsc::unbounded_channel();
    let (answer, answers) = mpsc::unbounded_channel();
    let (answers, left) = (Mutex::new(answers), Arc::<Notify>::default());
    let hand = Hand {
        shown: sees,
        answer,
        left: left.clone(),
    };
    let person = Person { shown, answers, left };
    (person, hand)
}

#[async_trait]
impl Ui for Person {
    async fn compare(&self, _: &UserId, _: &str, emoji: &[Emoji; 7]) -> Answer {
        let symbols = emoji.iter().map(|emoji| emoji.symbol).collect();
        self.shown.send(symbols).unwrap();
        self.answers.lock().await.recv().await.unwrap()
    }

    async fn gone(&self) {
        self.left.notified().await;
    }
}

struct Two {
    phone: Phone,
    client: Foreign,
    room: RoomId,
    synapse: swingbridge_lab::synapse::Synapse,
}

/// The device and its owner on matrix-js-sdk, in one chat.
async fn two() -> Option<Two> {
    two_with(false).await
}

async fn two_with(double: bool) -> Option<Two> {
    let (synapse, outside) = homeserver().await?;
    let client = Foreign::client(Script::MatrixJs, synapse.url(), outside.user(), PASSWORD).await?;
    let mut client = client.unwrap();
    client.tell(json!({ "do": "identity" })).await.unwrap();
    client.event("identity").await.unwrap();
    let phone = Phone::log_in(&synapse, outside.user(), double).await;
    let room = phone.room("c", outside.user()).await;
    client.tell(json!({ "do": "join", "room": room })).await.unwrap();
    client.event("joined").await.unwrap();
    Some(Two {
        phone,
        client,
        room,
        synapse,
    })
}

impl Two {
    async fn tell(&mut self, command: Value) {
        self.client.tell(command).await.unwrap();
    }

    async fn is_trusted_by_the_owner(&mut self) -> bool {
        let user = self.phone.puppet.user();
        self.tell(json!({ "do": "trust", "user": user })).await;
        self.client.event("trust").await.unwrap()["verified"] == true
    }

    /// The owner's signature goes out, and comes back, with the next answers of the homeserver.
    async fn becomes_trusted(&mut self) {
        let trusted = async {
            while !self.is_trusted_by_the_owner().await {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(20), trusted)
            .await
            .unwrap();
    }

    /// Both people compare.
    async fn compare(&mut self, hand: &mut Hand) {
        let here = hand.shown.recv().await.unwrap();
        let there = self.client.event("pictures").await.unwrap()["pictures"].clone();
        assert_eq!(json!(here), there, "both see the same");
    }
}

#[tokio::test]
async fn after_the_owner_compared_emoji_no_client_warns() {
    let Some(mut two) = two().await else {
        return;
    };
    assert!(!two.is_trusted_by_the_owner().await);
    assert!(!two.phone.puppet.owner_is_verified().await);
    let (person, mut hand) = person();
    let puppet = two.phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify(Whom::Owner, Begin::Wait, &person).await });
    let ask = json!({ "do": "verify", "user": two.phone.puppet.user(), "room": two.room });
    two.tell(ask).await;
    two.compare(&mut hand).await;
    hand.answer.send(Answer::Same).unwrap();
    two.tell(json!({ "do": "same" })).await;
    verifying.await.unwrap().unwrap();
    two.client.event("verified").await.unwrap();
    let said = two.phone.say(&two.room, "a verified ibis", "outbox-1").await;
    let reads = |event: &Value| event["content"]["body"] == "a verified ibis";
    two.client.event_with("message", reads).await.unwrap();
    two.tell(json!({ "do": "warning", "room": two.room, "id": said }))
        .await;
    // 0: no shield.
    assert_eq!(two.client.event("warning").await.unwrap()["colour"], 0);
    two.becomes_trusted().await;
    settled(&two.phone.puppet).await;
    // Nothing of it looks like a message.
    assert!(
        two.phone
            .inbox
            .events
            .lock()
            .unwrap()
            .iter()
            .all(|event| { !matches!(event.what, swingbridge_domain::inbox::RoomEventKind::Message(_)) })
    );
    // It lasts.
    two.phone.restart().await;
    settled(&two.phone.puppet).await;
    two.becomes_trusted().await;
}

/// Our own signature goes out, and comes back, with the next answers of the homeserver.
async fn settled(puppet: &Puppet) {
    let verified = async {
        while !puppet.owner_is_verified().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), verified)
        .await
        .unwrap();
}

#[tokio::test]
async fn the_device_can_ask_too_and_does_so_while_nothing_else_runs() {
    let Some(mut two) = two().await else {
        return;
    };
    two.phone.stop().await;
    let (person, mut hand) = person();
    let puppet = two.phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify_alone(Whom::Owner, Begin::Ask, &person).await });
    two.compare(&mut hand).await;
    hand.answer.send(Answer::Same).unwrap();
    two.tell(json!({ "do": "same" })).await;
    verifying.await.unwrap().unwrap();
    two.client.event("verified").await.unwrap();
    two.becomes_trusted().await;
    // What was said meanwhile was left for the one who commits it.
    two.tell(json!({ "do": "send", "room": two.room, "body": "an unread ibis" }))
        .await;
    two.client.event("sent").await.unwrap();
    two.phone.start();
    two.phone.inbox.wait_for_text("an unread ibis").await;
}

#[tokio::test]
async fn whoever_sees_other_emoji_verifies_nothing() {
    let Some(mut two) = two().await else {
        return;
    };
    let (person, mut hand) = person();
    let puppet = two.phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify(Whom::Owner, Begin::Wait, &person).await });
    let ask = json!({ "do": "verify", "user": two.phone.puppet.user(), "room": two.room });
    two.tell(ask).await;
    two.compare(&mut hand).await;
    hand.answer.send(Answer::Different).unwrap();
    let refused = verifying.await.unwrap();
    assert!(matches!(refused, Err(VerifyError::Different)), "{refused:?}");
    two.client.event("unverified").await.unwrap();
    assert!(!two.is_trusted_by_the_owner().await);
    assert!(!two.phone.puppet.owner_is_verified().await);
}

#[tokio::test]
async fn the_owners_request_waits_until_a_person_is_at_the_device() {
    let Some(mut two) = two().await else {
        return;
    };
    let mut asked = two.phone.puppet.asked();
    let ask = json!({ "do": "verify", "user": two.phone.puppet.user(), "room": two.room });
    two.tell(ask).await;
    let told = tokio::time::timeout(Duration::from_secs(20), asked.next()).await;
    told.expect("the program hears of it");
    // What is said later in the room, and answered by the device, came after the request: nothing answered that one.
    two.tell(json!({ "do": "send", "room": two.room, "body": "a patient ibis" }))
        .await;
    two.client.event("sent").await.unwrap();
    two.phone.inbox.wait_for_text("a patient ibis").await;
    let answered = two.client.event_now("pictures").await.unwrap();
    assert_eq!(answered, None, "nobody agreed to compare anything");
    // The person comes, and need not know who asked whom.
    let (person, mut hand) = person();
    let puppet = two.phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify(Whom::Owner, Begin::Ask, &person).await });
    two.compare(&mut hand).await;
    hand.answer.send(Answer::Same).unwrap();
    two.tell(json!({ "do": "same" })).await;
    verifying.await.unwrap().unwrap();
    two.client.event("verified").await.unwrap();
    two.becomes_trusted().await;
}

#[tokio::test]
async fn who_leaves_the_device_has_agreed_to_nothing() {
    let Some(mut two) = two().await else {
        return;
    };
    let (person, mut hand) = person();
    let puppet = two.phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify(Whom::Owner, Begin::Wait, &person).await });
    let ask = json!({ "do": "verify", "user": two.phone.puppet.user(), "room": two.room });
    two.tell(ask.clone()).await;
    two.compare(&mut hand).await;
    two.tell(json!({ "do": "same" })).await;
    hand.left.notify_one();
    let left = verifying.await.unwrap();
    assert!(matches!(left, Err(VerifyError::Cancelled(_))), "{left:?}");
    two.client.event("unverified").await.unwrap();
    assert!(!two.is_trusted_by_the_owner().await);
    assert!(!two.phone.puppet.owner_is_verified().await);

    // It can be done again.
    let (person, mut hand) = self::person();
    let puppet = two.phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify(Whom::Owner, Begin::Wait, &person).await });
    two.tell(ask).await;
    two.compare(&mut hand).await;
    hand.answer.send(Answer::Same).unwrap();
    two.tell(json!({ "do": "same" })).await;
    verifying.await.unwrap().unwrap();
    two.becomes_trusted().await;
}

#[tokio::test]
async fn nobody_but_the_owner_is_answered() {
    let Some(mut two) = two().await else {
        return;
    };
    let mut asked = two.phone.puppet.asked();
    let (person, mut hand) = person();
    let puppet = two.phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify(Whom::Owner, Begin::Wait, &person).await });
    let mallory = two.synapse.user("mallory", PASSWORD).await.unwrap();
    let request = json!({
        "from_device": mallory.device(), "methods": ["m.sas.v1"], "transaction_id": "trap",
        "timestamp": std::time::UNIX_EPOCH.elapsed().unwrap().as_millis() as u64,
    });
    let phone = two.phone.puppet.user();
    let path = [
        "_matrix",
        "client",
        "v3",
        "sendToDevice",
        "m.key.verification.request",
        "trap",
    ];
    let messages = json!({ "messages": { phone.as_str(): { "*": request } } });
    mallory.put(&path, messages).await.unwrap();
    // Of the two only the owner's is taken up, though it came later.
    let ask = json!({ "do": "verify", "user": phone, "room": two.room });
    two.tell(ask).await;
    two.compare(&mut hand).await;
    hand.answer.send(Answer::Same).unwrap();
    two.tell(json!({ "do": "same" })).await;
    verifying.await.unwrap().unwrap();
    asked.next().await;
    let more = tokio::time::timeout(Duration::from_millis(100), asked.next()).await;
    assert!(more.is_err(), "the stranger's request is told to nobody");
    let sync = ["_matrix", "client", "v3", "sync"];
    let heard = mallory.get(&sync, &[("timeout", "0")]).await.unwrap();
    let heard = heard["to_device"]["events"]
        .as_array()
        .cloned()
        .unwrap_or_default();
    assert!(heard.is_empty(), "{heard:?}");
}

#[tokio::test]
async fn another_session_of_the_devices_account_is_signed_once_compared() {
    let Some((synapse, outside)) = homeserver().await else {
        return;
    };
    let phone = Phone::log_in(&synapse, outside.user(), false).await;
    let user = phone.puppet.user();
    let Some(client) = Foreign::client(Script::MatrixJs, synapse.url(), user.as_str(), PASSWORD).await else {
        return;
    };
    let mut client = client.unwrap();
    assert!(!are_signed(&mut client, user.as_str()).await);
    let (person, mut hand) = person();
    let puppet = phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify(Whom::OwnDevice, Begin::Ask, &person).await });
    let here = hand.shown.recv().await.unwrap();
    let there = client.event("pictures").await.unwrap()["pictures"].clone();
    assert_eq!(json!(here), there);
    hand.answer.send(Answer::Same).unwrap();
    client.tell(json!({ "do": "same" })).await.unwrap();
    verifying.await.unwrap().unwrap();
    client.event("verified").await.unwrap();
    become_signed(&mut client, user.as_str()).await;
}

#[tokio::test]
async fn the_owners_second_session_is_verified_by_their_first() {
    let Some(mut two) = two_with(true).await else {
        return;
    };
    let owner = two.phone.config.owner.clone();
    assert!(!are_signed(&mut two.client, owner.as_str()).await);
    let (person, mut hand) = person();
    let puppet = two.phone.puppet.clone();
    let verifying = tokio::spawn(async move { puppet.verify(Whom::OwnersDevice, Begin::Ask, &person).await });
    two.compare(&mut hand).await;
    hand.answer.send(Answer::Same).unwrap();
    two.tell(json!({ "do": "same" })).await;
    verifying.await.unwrap().unwrap();
    two.client.event("verified").await.unwrap();
    become_signed(&mut two.client, owner.as_str()).await;
}

#[tokio::test]
async fn the_owners_recovery_key_signs_their_second_session() {
    let Some(mut two) = two_with(true).await else {
        return;
    };
    let owner = two.phone.config.owner.clone();
    two.tell(json!({ "do": "recovery" })).await;
    let key = two.client.event("recovery").await.unwrap()["key"].clone();
    let wrong = Secret::new("EsTc 0000 not a key");
    let refused = two.phone.puppet.recover_owner(&wrong).await.unwrap_err();
    assert!(refused.code().unwrap().contains("WRONG_KEY"), "{refused}");
    assert!(!are_signed(&mut two.client, owner.as_str()).await);
    let key = Secret::new(key.as_str().unwrap());
    two.phone.puppet.recover_owner(&key).await.unwrap();
    become_signed(&mut two.client, owner.as_str()).await;
}

/// Whether all sessions of the account that have keys are signed by it.
async fn are_signed(client: &mut Foreign, user: &str) -> bool {
    client
        .tell(json!({ "do": "devices", "user": user }))
        .await
        .unwrap();
    let devices = client.event("devices").await.unwrap()["devices"].clone();
    let devices = devices.as_array().unwrap();
    assert!(devices.len() >= 2, "{devices:?}");
    devices.iter().all(|device| device["signed"] == true)
}

async fn become_signed(client: &mut Foreign, user: &str) {
    let signed = async {
        while !are_signed(client, user).await {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), signed)
        .await
        .unwrap();
}

#[tokio::test]
async fn a_second_device_needs_the_recovery_key_and_then_reads_what_was_said_before() {
    let Some((synapse, outside)) = homeserver().await else {
        return;
    };
    let mut first = Phone::new(&synapse, outside.user(), false).await;
    let made = first
        .puppet
        .establish(&Identity::New { password: None })
        .await
        .unwrap();
    let key = made.recovery_key.unwrap();
    let again = first
        .puppet
        .establish(&Identity::New { password: None })
        .await
        .unwrap();
    assert_eq!(again.recovery_key, None, "what is there is left as it is");
    first.start();
    let room = first.room("c", outside.user()).await;
    let said = first.say(&room, "an old rook", "outbox-1").await;
    first.puppet.backed_up().await.unwrap();
    first.stop().await;

    let mut second = Phone::new(&synapse, outside.user(), false).await;
    let refused = second.puppet.establish(&Identity::New { password: None }).await;
    let refused = refused.unwrap_err();
    assert!(refused.code().unwrap().contains("NO_IDENTITY"), "{refused}");
    let wrong = Identity::Recover {
        key: Secret::new("EsTc 0000 not a key"),
    };
    let refused = second.puppet.establish(&wrong).await.unwrap_err();
    assert!(refused.code().unwrap().contains("WRONG_KEY"), "{refused}");
    second.puppet.establish(&Identity::Recover { key }).await.unwrap();
    assert!(second.puppet.is_signed().await);
    second.start();
    assert_eq!(second.room("c", outside.user()).await, room);
    let text = async {
        use swingbridge_domain::homeserver::Homeserver;
        loop {
            if let Some(text) = second.puppet.text_of(&room, &said).await.unwrap() {
                return text;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    };
    let text = tokio::time::timeout(Duration::from_secs(20), text).await.unwrap();
    assert_eq!(text, "an old rook");

    // Without the key, the password makes a new identity.
    let mut third = Phone::new(&synapse, outside.user(), false).await;
    let reset = |password| Identity::Reset { password };
    let refused = third.puppet.establish(&reset(None)).await.unwrap_err();
    assert_eq!(refused.code(), Some("M_UNAUTHORIZED"), "{refused}");
    let made = third
        .puppet
        .establish(&reset(Some(Secret::new(PASSWORD))))
        .await
        .unwrap();
    assert!(made.recovery_key.is_some());
    third.start();
    assert!(third.puppet.is_signed().await);
}
