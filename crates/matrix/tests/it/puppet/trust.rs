//! The owner compares emoji with the device once, and no client warns afterwards.

use super::house::{PASSWORD, Phone, homeserver};
use async_trait::async_trait;
use serde_json::{Value, json};
use swingbridge_domain::id::{RoomId, UserId};
use swingbridge_domain::secret::Secret;
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_matrix::puppet::{Answer, Begin, Emoji, Identity, Puppet, Ui, VerifyError, Whom};
use tokio::sync::{Mutex, mpsc};

/// A person who does what the test says.
struct Person {
    shown: mpsc::UnboundedSender<Vec<&'static str>>,
    answers: Mutex<mpsc::UnboundedReceiver<Answer>>,
}

/// The test's ends of it.
struct Hand {
    shown: mpsc::UnboundedReceiver<Vec<&'static str>>,
    answer: mpsc::UnboundedSender<Answer>,
}

fn person() -> (Person, Hand) {
    let (shown, sees) = mpsc::unbounded_channel();
    let (answer, answers) = mpsc::unbounded_channel();
    let answers = Mutex::new(answers);
    (Person { shown, answers }, Hand { shown: sees, answer })
}

#[async_trait]
impl Ui for Person {
    async fn compare(&self, _: &UserId, _: &str, emoji: &[Emoji; 7]) -> Answer {
        let symbols = emoji.iter().map(|emoji| emoji.symbol).collect();
        self.shown.send(symbols).unwrap();
        self.answers.lock().await.recv().await.unwrap()
    }
}

struct Two {
    phone: Phone,
    client: Foreign,
    room: RoomId,
    _synapse: swingbridge_lab::synapse::Synapse,
}

/// The device and its owner on matrix-js-sdk, in one chat.
async fn two() -> Option<Two> {
    let (synapse, outside) = homeserver().await?;
    let client = Foreign::client(Script::MatrixJs, synapse.url(), outside.user(), PASSWORD).await?;
    let mut client = client.unwrap();
    client.tell(json!({ "do": "identity" })).await.unwrap();
    client.event("identity").await.unwrap();
    let phone = Phone::log_in(&synapse, outside.user(), false).await;
    let room = phone.room("c", outside.user()).await;
    client.tell(json!({ "do": "join", "room": room })).await.unwrap();
    client.event("joined").await.unwrap();
    Some(Two {
        phone,
        client,
        room,
        _synapse: synapse,
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
    assert!(two.is_trusted_by_the_owner().await);
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
    assert!(two.is_trusted_by_the_owner().await);
}

/// Our own signature goes out, and comes back, with the next answers of the homeserver.
async fn settled(puppet: &Puppet) {
    let verified = async {
        while !puppet.owner_is_verified().await {
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), verified)
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
    assert!(two.is_trusted_by_the_owner().await);
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
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
    };
    let text = tokio::time::timeout(std::time::Duration::from_secs(20), text)
        .await
        .unwrap();
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
