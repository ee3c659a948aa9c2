//! Sending, and what is known of it afterwards.

use super::*;
use sha2::{Digest, Sha256};
use swingbridge_connectors::imessage::SCRIPTS;
use swingbridge_domain::capability::Support;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::{Disposition, Media, MediaKind, Part};
use swingbridge_domain::path::{Protection, Scheme};
use swingbridge_lab::macos::osascript;
use swingbridge_lab::macos::scenario::Scenario;

/// With a chat with Bob.
async fn house() -> House {
    let house = House::new(Release::Tahoe).await;
    house.mac.says(BOB, "hello").unwrap();
    house.message(0).await;
    house
}

fn impatient(config: &mut Config) {
    config.timing.row = Duration::from_millis(300);
}

/// The scripts that were called.
fn scripts(mac: &Mac) -> Vec<String> {
    mac.calls().unwrap().into_iter().map(|call| call.script).collect()
}

#[test]
fn the_mac_of_the_lab_knows_every_script_and_no_other() {
    let ours: Vec<(String, String)> = SCRIPTS
        .iter()
        .map(|(name, script)| {
            let hash = Sha256::digest(script.as_bytes())
                .iter()
                .map(|octet| format!("{octet:02x}"))
                .collect();
            ((*name).to_owned(), hash)
        })
        .collect();
    for (name, hash) in &ours {
        let known = osascript::SCRIPTS
            .iter()
            .any(|(other, known, _)| other == name && known == hash);
        assert!(known, "{name} {hash}");
    }
    assert_eq!(osascript::SCRIPTS.len(), ours.len());
}

#[tokio::test]
async fn a_text_goes_to_the_chat_as_stored_and_is_matched_with_its_row() {
    let house = house().await;
    let hostile = "\" & (do shell script \"touch /tmp/x\") & \" -e 😀\nsecond line";
    let accepted = house.says(hostile).await.unwrap();
    let sent = house.mac.rows().unwrap();
    assert_eq!(accepted.network_ids, [NetworkId(sent[0].guid.clone())]);
    assert_eq!((sent[0].text.as_str(), accepted.segments), (hostile, 1));
    assert_eq!(accepted.way[0].proven(), Protection::EndToEnd(Scheme::Imessage));
    let calls = house.mac.calls().unwrap();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].script, "text_to_chat");
    assert_eq!(calls[0].arguments, [format!("any;-;{BOB}"), hostile.to_owned()]);
    // And it does not come back as something that the person said.
    house.receipt(&accepted.network_ids[0], Outcome::Sent).await;
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
}

#[tokio::test]
async fn somebody_new_is_written_to_by_the_configured_service() {
    let house = House::new(Release::Tahoe).await;
    house.says("hi").await.unwrap();
    assert_eq!(scripts(&house.mac), ["text_to_imessage_handle"]);
    let sms = House::with(
        Release::Tahoe,
        |_| {},
        |config| {
            config.new_chats = swingbridge_connectors::imessage::config::Service::Sms;
        },
    )
    .await;
    let accepted = sms.says("hi").await.unwrap();
    assert_eq!(scripts(&sms.mac), ["text_to_sms_handle"]);
    assert_eq!(accepted.way[0].proven(), Protection::None);
}

#[tokio::test]
async fn delivered_and_read_come_as_receipts() {
    let house = house().await;
    house.mac.set_scenario(&Scenario::read_after(100)).unwrap();
    let accepted = house.says("hi").await.unwrap();
    let id = &accepted.network_ids[0];
    assert!(house.receipt(id, Outcome::Delivered).await.at.is_some());
    assert!(house.receipt(id, Outcome::Read).await.at.is_some());
    let outcomes: Vec<_> = house.receipts().iter().map(|receipt| receipt.outcome).collect();
    assert_eq!(outcomes, [Outcome::Sent, Outcome::Delivered, Outcome::Read]);
}

#[tokio::test]
async fn equal_texts_are_each_matched_with_their_own_row() {
    let house = house().await;
    let (one, two, three) = tokio::join!(house.says("ok"), house.says("ok"), house.says("ok"));
    let mut ids: Vec<String> = [one, two, three]
        .into_iter()
        .map(|accepted| accepted.unwrap().network_ids[0].to_string())
        .collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 3);
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
}

#[tokio::test]
async fn a_file_is_staged_sent_and_kept() {
    let house = house().await;
    let source = house.path("picture.png");
    std::fs::write(&source, b"png").unwrap();
    let media = Media {
        kind: MediaKind::Image,
        name: "../pic ture.png".into(),
        uri: format!("file://{}", source.display()),
        caption: Some("look".into()),
        ..Media::default()
    };
    let message = Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::Media(media),
        }],
        ..Message::default()
    };
    let accepted = house.send(Address::Number(BOB.into()), message).await.unwrap();
    assert_eq!(accepted.network_ids.len(), 2);
    let sent = house.mac.rows().unwrap();
    assert_eq!(
        (sent[0].files.as_slice(), sent[1].text.as_str()),
        (["pic ture.png".to_owned()].as_slice(), "look")
    );
    let staged = PathBuf::from(&house.mac.calls().unwrap()[0].arguments[1]);
    assert!(staged.starts_with(house.mac.staging()));
    assert_eq!(std::fs::read(staged).unwrap(), b"png");
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
}

#[tokio::test]
async fn a_file_whose_row_is_entered_late_is_matched_all_the_same() {
    let house = house().await;
    let source = house.path("late.png");
    std::fs::write(&source, b"png").unwrap();
    house.mac.set_scenario(&Scenario::attaches_after(300)).unwrap();
    let media = Media {
        name: "late.png".into(),
        uri: format!("file://{}", source.display()),
        ..Media::default()
    };
    let message = Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::Media(media),
        }],
        ..Message::default()
    };
    let accepted = house.send(Address::Number(BOB.into()), message).await.unwrap();
    house.receipt(&accepted.network_ids[0], Outcome::Sent).await;
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
}

#[tokio::test]
async fn what_nothing_more_is_heard_of_is_said_to_be_unknown_once() {
    let house = House::with(
        Release::Tahoe,
        |_| {},
        |config| config.timing.watch_text = Duration::from_millis(200),
    )
    .await;
    house.mac.set_scenario(&Scenario::silent()).unwrap();
    let accepted = house.says("hello?").await.unwrap();
    house.receipt(&accepted.network_ids[0], Outcome::Unknown).await;
    house.settle().await;
    assert_eq!(house.receipts().len(), 1);
}

#[tokio::test]
async fn a_group_is_written_to_by_its_thread_and_a_lost_one_is_refused() {
    let house = House::new(Release::Tahoe).await;
    let chat = house
        .mac
        .db()
        .group(Some("Trip"), &[BOB, CAROL], "iMessage")
        .unwrap();
    house
        .send(Address::Group(chat.guid.clone()), Message::text("all"))
        .await
        .unwrap();
    assert_eq!(house.mac.rows().unwrap()[0].chat.as_ref(), Some(&chat.guid));
    let lost = house
        .send(Address::Group("any;+;chat1".into()), Message::text("all"))
        .await;
    assert!(
        matches!(
            lost,
            Err(SendError::Rejected {
                reason: Reason::BadAddress,
                ..
            })
        ),
        "{lost:?}"
    );
}

#[tokio::test]
async fn what_applescript_cannot_do_is_absent_and_refused() {
    let house = house().await;
    let able = house.connector.capabilities();
    for support in [
        able.replies,
        able.reactions,
        able.edits,
        able.unsends,
        able.typing,
    ] {
        assert_eq!(support, Support::Absent);
    }
    assert!(!able.idempotent_sends);
    let edit = Message {
        replaces: to("X"),
        ..Message::text("two")
    };
    let refused = house.send(Address::Number(BOB.into()), edit).await;
    assert!(
        matches!(
            refused,
            Err(SendError::Rejected {
                reason: Reason::BadContent,
                ..
            })
        ),
        "{refused:?}"
    );
    assert_eq!(house.mac.calls().unwrap(), []);
}

#[tokio::test]
async fn a_program_that_may_not_control_messages_is_told_so_and_sends_nothing() {
    let house = house().await;
    house.mac.set_scenario(&Scenario::not_allowed()).unwrap();
    let answer = house.says("hi").await;
    assert!(
        matches!(&answer, Err(SendError::RetryAfter { counts: false, .. })),
        "{answer:?}"
    );
    house.until(Link::Degraded).await;
    assert!(house.connector.probe().await.detail.contains("Automation"));
    assert!(
        house
            .connector
            .check()
            .await
            .unwrap_err()
            .cure
            .contains("Automation")
    );
    // Once it is allowed, it goes, and only once.
    house.mac.set_scenario(&Scenario::ok()).unwrap();
    house.connector.check().await.unwrap();
    house.until(Link::Connected).await;
    house.says("hi").await.unwrap();
    assert_eq!(house.mac.rows().unwrap().len(), 1);
}

#[tokio::test]
async fn without_osascript_nothing_leaves() {
    let house = House::with(
        Release::Tahoe,
        |_| {},
        |config| config.osascript = "/no/such/osascript".into(),
    )
    .await;
    let answer = house.says("hi").await;
    assert!(
        matches!(&answer, Err(SendError::RetryAfter { counts: false, .. })),
        "{answer:?}"
    );
}

#[tokio::test]
async fn a_script_that_hangs_is_ended_and_its_fate_is_not_known() {
    let house = House::with(
        Release::Tahoe,
        |_| {},
        |config| {
            impatient(config);
            config.timing.script = Duration::from_millis(500);
        },
    )
    .await;
    house.mac.set_scenario(&Scenario::hangs()).unwrap();
    let answer = house.says("hi").await;
    assert!(matches!(&answer, Err(SendError::Unknown { .. })), "{answer:?}");
    assert_eq!(house.mac.calls().unwrap().len(), 1);
    // The same, only that Messages did send it: the row says so.
    house.mac.set_scenario(&Scenario::sends_and_hangs()).unwrap();
    house.says("two").await.unwrap();
}

#[tokio::test]
async fn what_has_no_row_in_time_is_unknown_and_is_still_ours_when_it_comes() {
    let house = House::with(Release::Tahoe, |_| {}, impatient).await;
    house.mac.set_scenario(&Scenario::row_after(800)).unwrap();
    let answer = house.says("slow").await;
    assert!(matches!(&answer, Err(SendError::Unknown { .. })), "{answer:?}");
    let appears = async {
        while house.mac.rows().unwrap().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, appears).await.unwrap();
    house.settle().await;
    assert_eq!(house.texts(), [""; 0]);
    assert_eq!(house.mac.calls().unwrap().len(), 1);
}

#[tokio::test]
async fn a_failure_while_sending_is_unknown_and_not_repeated_another_way() {
    let house = House::with(
        Release::Tahoe,
        |mac| {
            mac.says(BOB, "old").unwrap();
        },
        impatient,
    )
    .await;
    house.mac.set_scenario(&Scenario::send_fails(-1728)).unwrap();
    let answer = house.says("hi").await;
    assert!(matches!(&answer, Err(SendError::Unknown { .. })), "{answer:?}");
    assert_eq!(scripts(&house.mac), ["text_to_chat"]);
}

#[tokio::test]
async fn a_body_stands_in_no_file_of_the_connector_and_in_no_answer() {
    let house = House::with(Release::Tahoe, |_| {}, impatient).await;
    let secret = "zanzibar-secret";
    house.mac.says(BOB, secret).unwrap();
    house.message(0).await;
    house.mac.set_scenario(&Scenario::nothing()).unwrap();
    let answer = house.says(secret).await;
    assert!(!format!("{answer:?}").contains(secret));
    for file in std::fs::read_dir(house.path("state")).unwrap() {
        let bytes = std::fs::read(file.unwrap().path()).unwrap();
        for hidden in [secret.as_bytes(), b"7700900123"] {
            assert!(!bytes.windows(hidden.len()).any(|window| window == hidden));
        }
    }
}
