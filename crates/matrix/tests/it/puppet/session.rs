//! A session that ends, and what comes of what was under way.

use super::house::{House, MEGOLM, PASSWORD, Phone};
use crate::bridge::{ghost, post};
use serde_json::json;
use std::time::Duration;
use swingbridge_domain::connector::Link;
use swingbridge_domain::homeserver::{Action, Homeserver, PerformError, Sender};
use swingbridge_domain::id::{RoomId, UserId};
use swingbridge_domain::inbox::RoomEventKind;
use swingbridge_domain::secret::Secret;
use swingbridge_lab::client::Client;
use swingbridge_matrix::puppet::login::{self, Standing};
use swingbridge_matrix::puppet::{Identity, RunError};

async fn run_out(phone: &mut Phone) -> RunError {
    let run = phone.run.take().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(60), run).await;
    ended.unwrap().unwrap().unwrap_err()
}

async fn standing(phone: &Phone) -> Standing {
    login::standing(&phone.config, &phone.session).await.unwrap()
}

async fn log_in_again(phone: &mut Phone, device: Option<&str>) {
    let secret = Secret::new(PASSWORD);
    let session = login::with_password(&phone.config, "phone-alice", &secret, device).await;
    phone.session = session.unwrap();
}

/// What is to be said keeps until there is a session again.
async fn is_kept(phone: &Phone, room: &RoomId) {
    let said = Action::Post(post(room, Sender::Ghost(ghost()), "a late plover"));
    let answer = phone.puppet.perform(&said, "outbox-late").await;
    assert!(matches!(answer, Err(PerformError::Later { .. })), "{answer:?}");
}

async fn goes_now(house: &mut House, room: &RoomId) {
    let said = Action::Post(post(room, Sender::Ghost(ghost()), "a late plover"));
    house.phone.perform(said, "outbox-late").await;
    house.reads("a late plover").await;
}

#[tokio::test]
async fn after_a_soft_logout_the_same_device_goes_on_where_it_stopped() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    house.phone.say(&room, "an early plover", "outbox-1").await;
    house.reads("an early plover").await;
    assert_eq!(standing(&house.phone).await, Standing::Good);
    // The token's time is over, as where an admin has limited it.
    house.synapse.stop().await;
    let database = rusqlite::Connection::open(house.synapse.folder().join("homeserver.db")).unwrap();
    let device = house.phone.session.device.clone();
    let aged = database.execute(
        "UPDATE access_tokens SET valid_until_ms = 1 WHERE device_id = ?1",
        [&device],
    );
    assert_eq!(aged.unwrap(), 1);
    drop(database);
    house.synapse.start_again().await.unwrap();
    let ended = run_out(&mut house.phone).await;
    assert!(matches!(ended, RunError::LoggedOut { soft: true }), "{ended}");
    assert_eq!(house.phone.puppet.health().state, Link::Refused);
    assert_eq!(standing(&house.phone).await, Standing::Soft);
    is_kept(&house.phone, &room).await;
    house.send(&room, "a plover meanwhile").await;

    log_in_again(&mut house.phone, Some(&device)).await;
    assert_eq!(house.phone.session.device, device);
    house.phone.restart().await;
    let came = house.phone.inbox.wait_for_text("a plover meanwhile").await;
    assert_eq!(came.protection, MEGOLM);
    goes_now(&mut house, &room).await;
    assert!(
        house.phone.puppet.is_signed().await,
        "nobody has to verify it anew"
    );
}

#[tokio::test]
async fn after_the_device_was_removed_a_new_one_takes_its_identity_over() {
    let Some(mut house) = House::open().await else {
        return;
    };
    let room = house.chat("c").await;
    house.phone.say(&room, "an early plover", "outbox-1").await;
    house.reads("an early plover").await;
    house.send(&room, "a plover before").await;
    house.phone.inbox.wait_for_text("a plover before").await;
    house.phone.puppet.backed_up().await.unwrap();
    let before = house.phone.session.clone();
    let identity = master_key(&house, house.phone.puppet.user()).await;
    // As when somebody throws the device out in their list of sessions.
    let user = before.user.as_str();
    let itself = Client::with_token(house.synapse.url(), user, before.token.expose(), &before.device);
    let path = ["_matrix", "client", "v3", "logout"];
    itself.unwrap().post(&path, json!({})).await.unwrap();
    let ended = run_out(&mut house.phone).await;
    assert!(matches!(ended, RunError::LoggedOut { soft: false }), "{ended}");
    assert_eq!(house.phone.puppet.health().state, Link::Refused);
    assert_eq!(standing(&house.phone).await, Standing::Ended);
    is_kept(&house.phone, &room).await;
    let lost = house.send(&room, "a plover for nobody").await;

    log_in_again(&mut house.phone, None).await;
    assert_ne!(house.phone.session.device, before.device);
    house.phone.reopen().await;
    assert!(!house.phone.puppet.is_signed().await);
    let made = house
        .phone
        .puppet
        .establish(&Identity::New { password: None })
        .await;
    assert_eq!(
        made.unwrap().recovery_key,
        None,
        "the key that was written down stays good"
    );
    assert!(house.phone.puppet.is_signed().await);
    assert_eq!(master_key(&house, house.phone.puppet.user()).await, identity);
    house.phone.start();
    goes_now(&mut house, &room).await;
    house.send(&room, "a plover afterwards").await;
    let came = house.phone.inbox.wait_for_text("a plover afterwards").await;
    assert_eq!(came.protection, MEGOLM);
    // What was written when there was no device to encrypt it for cannot be read by any, and is not kept silent about.
    let told = house.phone.inbox.wait("the unreadable", |event| {
        (event.event == lost && matches!(event.what, RoomEventKind::Undecryptable { .. })).then_some(())
    });
    told.await;
    // What was read before came once.
    let events = house.phone.inbox.events.lock().unwrap().clone();
    let messages = events
        .iter()
        .filter(|event| matches!(event.what, RoomEventKind::Message(_)));
    assert_eq!(messages.count(), 2, "{events:?}");
    // Of the old store nothing is left.
    let stores = std::fs::read_dir(&house.phone.config.folder).unwrap();
    let stores = stores.filter(|entry| {
        entry
            .as_ref()
            .unwrap()
            .path()
            .join("matrix-sdk-crypto.sqlite3")
            .exists()
    });
    assert_eq!(stores.count(), 1);
}

async fn master_key(house: &House, user: UserId) -> serde_json::Value {
    let query = json!({ "device_keys": { user.as_str(): [] } });
    let path = ["_matrix", "client", "v3", "keys", "query"];
    let keys = house.outside.post(&path, query).await.unwrap();
    let key = keys["master_keys"][user.as_str()]["keys"].clone();
    assert!(key.is_object(), "{keys}");
    key
}

#[tokio::test]
async fn when_the_owners_second_session_ends_the_device_speaks_for_them_again() {
    let Some(mut house) = House::open_with(true).await else {
        return;
    };
    let room = house.chat("c").await;
    let owner = Sender::Owner(UserId::new(house.outside.user()));
    let said = Action::Post(post(&room, owner.clone(), "my own plover"));
    house.phone.perform(said, "outbox-1").await;
    let seen = house.reads("my own plover").await;
    assert_eq!(seen["sender"], house.outside.user());
    let double = house.phone.double.clone().unwrap();
    let user = double.user.as_str();
    let itself = Client::with_token(house.synapse.url(), user, double.token.expose(), &double.device);
    let path = ["_matrix", "client", "v3", "logout"];
    itself.unwrap().post(&path, json!({})).await.unwrap();
    let said = Action::Post(post(&room, owner, "a plover by proxy"));
    let gone_out = async {
        loop {
            match house.phone.puppet.perform(&said, "outbox-2").await {
                Ok(performed) => return performed,
                Err(PerformError::Later { .. }) => tokio::time::sleep(Duration::from_millis(100)).await,
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(60), gone_out)
        .await
        .unwrap();
    let seen = house.reads("You: a plover by proxy").await;
    assert_eq!(seen["sender"], house.phone.puppet.user().as_str());
    // The rest of the device goes on.
    house.send(&room, "a plover answers").await;
    house.phone.inbox.wait_for_text("a plover answers").await;
}
