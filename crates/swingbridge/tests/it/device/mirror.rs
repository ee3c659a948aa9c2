//! Conversations are mirrored encrypted, and the homeserver reads nothing.

use super::handset::{FRIEND, Kind};
use super::house::{Device, Plan, body};
use crate::program::{code, said};
use std::path::Path;
use std::time::Duration;

/// A word that stands in every text here and nowhere else.
const WORD: &str = "heron";

async fn mirrored(kind: Kind) {
    let Some(mut device) = Device::open(Plan::of(kind)).await else {
        return;
    };
    device.handset.receives(FRIEND, "a heron comes in");
    let room = device.enters().await;
    let came = device.says("a heron comes in").await;
    let label = &came["content"]["dev.swingbridge.path"];
    assert_eq!(label["summary"], "ends_at_device", "{came}");
    assert_eq!(label["legs"][0], kind.first_leg(), "{came}");
    let name = &came["content"]["com.beeper.per_message_profile"]["displayname"];
    match kind.knows_names() {
        true => assert_eq!(name, "Ada", "{came}"),
        // Who stands in no address book is shown by the end of the number.
        false => assert!(
            name.as_str().is_some_and(|name| !name.contains("7700900456")),
            "{came}"
        ),
    }

    // What others can read on its way waits for a word.
    device.writes(&room, "a heron flies out").await;
    if let Some(readers) = kind.asks() {
        let question = device.says("Do you agree").await;
        assert!(body(&question).contains(readers), "{question}");
        assert!(device.handset.sent().is_empty());
        device.agrees(&room, &[question]).await;
    }
    let sent = device.sends(1).await;
    assert_eq!(sent, [(FRIEND.to_owned(), "a heron flies out".to_owned())]);

    // What was said on the device itself is there too.
    if kind.tells_own() {
        device.handset.writes(FRIEND, "a heron by hand");
        let own = device.says("a heron by hand").await;
        assert_eq!(
            own["content"]["com.beeper.per_message_profile"]["displayname"], "You",
            "{own}"
        );
    }
    // And what we sent ourselves came back as nobody's words.
    device.handset.receives(FRIEND, "a last heron");
    let since = device.until(|body| body.ends_with("a last heron")).await;
    let ours = since
        .iter()
        .filter(|event| body(event).contains("a heron flies out"));
    assert_eq!(ours.count(), 1, "once, as the owner wrote it: {since:#?}");

    let looked = async {
        loop {
            let status = device.run(&["status"]);
            if code(&status) == 0 {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let status = tokio::time::timeout(Duration::from_secs(30), looked)
        .await
        .unwrap();
    let status = said(&status);
    assert!(status.contains("@phone-alice:localhost runs since"), "{status}");

    let stopped = device.relay.stop().await.unwrap();
    assert_eq!(stopped.code(), Some(0), "{}", device.relay.log_tail(60));
    device.synapse.stop().await;
    assert!(read_through(device.synapse.folder()) > 100_000);
    assert!(read_through(&device.folder.path().join("swingbridge-device")) > 10_000);
    let log = std::fs::read_to_string(device.folder.path().join("device.log")).unwrap();
    assert!(!log.contains("7700900456") && !log.contains(WORD), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_is_mirrored_encrypted_and_the_homeserver_reads_nothing() {
    mirrored(Kind::Termux).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_with_sms_gateway_is_mirrored_encrypted_and_the_homeserver_reads_nothing() {
    mirrored(Kind::SmsGateway).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mac_is_mirrored_encrypted_and_the_homeserver_reads_nothing() {
    mirrored(Kind::IMessage).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mac_with_bluebubbles_is_mirrored_encrypted_and_the_homeserver_reads_nothing() {
    mirrored(Kind::BlueBubbles).await;
}

/// Looks for the word in every file below `folder`; answers how much was read.
fn read_through(folder: &Path) -> usize {
    let mut read = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            read += read_through(&path);
            continue;
        }
        let bytes = std::fs::read(&path).unwrap_or_default();
        let wide: Vec<u8> = WORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
        for word in [WORD.as_bytes(), &wide] {
            let there = bytes.windows(word.len()).any(|window| window == word);
            assert!(!there, "{} holds what was written", path.display());
        }
        read += bytes.len();
    }
    read
}
