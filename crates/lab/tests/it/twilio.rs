//! Twilio of the lab, as Twilio's own SDK sees it.

use serde_json::{Value, json};
use std::path::Path;
use swingbridge_lab::peers;
use swingbridge_lab::twilio::{ACCOUNT, AUTH_TOKEN, CONVERSATIONS, NUMBER, RCS_SENDER, Twilio};
use tokio::process::Command;

#[tokio::test]
async fn twilios_own_sdk_understands_it() {
    let Some(python) = peers::twilio_python() else {
        return;
    };
    let twilio = Twilio::start(1_800_000_000).await.unwrap();
    twilio.receives("+15005550010", "hi");
    twilio.receives_mms("+15005550010", "look", &[("image/png", &[1, 2, 3])]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/twilio_sdk.py");
    let output = Command::new(python)
        .arg(script)
        .args(["client", &twilio.url(), ACCOUNT, AUTH_TOKEN])
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "sent": ["queued", "outbound-api", "+15005550010", NUMBER, "1", "MM"],
        "dated": "2027-01-15T08:00:03+00:00",
        "fetched": "hello",
        "rcs": ["rcs:+15005550010", format!("rcs:{RCS_SENDER}")],
        "no_number": [400, 21211],
        "no_sender": [400, 21606],
        "empty": [400, 21619],
        "fallback": [400, 21666],
        "nothing": [404, 20404],
        "listed": [["inbound", "+15005550010", "look", "1"], ["inbound", "+15005550010", "hi", "0"]],
        "media": ["image/png"],
        "wrong_token": [401, 20003],
    });
    assert_eq!(said, expected);
    assert_eq!(twilio.sent()[0].media, ["https://example.org/a.png"]);
}

#[tokio::test]
async fn twilios_own_sdk_understands_groups_and_cards() {
    let Some(python) = peers::twilio_python() else {
        return;
    };
    let twilio = Twilio::start(1_800_000_000).await.unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/twilio_sdk.py");
    let output = Command::new(python)
        .arg(script)
        .args(["groups", &twilio.url(), ACCOUNT, AUTH_TOKEN, CONVERSATIONS])
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let (bob, carol, dave) = ("+13125550101", "+13125550102", "+13125550103");
    let expected = json!({
        "made": ["CH", "active", true],
        "twice": [409, 50438],
        "abroad": [400, 50407],
        "large": [400, 50436],
        "people": [[["address", bob]], [["address", carol]], [["projected_address", NUMBER]]],
        "joined": ["MB", dave],
        "left": true,
        "of_bob": [true],
        "message": ["IM", NUMBER, "hello", 0],
        "stranger": [400, 50513],
        "no_media": [400, 50511],
        "receipts": [["sent", 0, "MB"], ["sent", 0, "MB"]],
        "messages": [[NUMBER, "hello"]],
        "fetched": ["active", "hello"],
        "removed": true,
        "gone": [404, 20404],
        "template": ["HX", "Yes"],
        "card": [format!("rcs:{bob}"), "queued"],
        "template_removed": true,
        "no_template": [400, 21655],
    });
    assert_eq!(said, expected);
}
