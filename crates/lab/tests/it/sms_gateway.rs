//! The phone with the SMS Gateway app, as the app's own makers' client sees it.

use serde_json::{Value, json};
use std::path::Path;
use swingbridge_lab::peers;
use swingbridge_lab::sms_gateway::{PASSWORD, Phone, USER};
use tokio::process::Command;

#[tokio::test]
async fn the_makers_client_understands_it() {
    let Some(python) = peers::sms_gateway_python() else {
        return;
    };
    let phone = Phone::start(1_800_000_000).await.unwrap();
    phone.receives("+447700900124", "hi");
    phone.receives_mms("+447700900124", "look", &[("a.png", "image/png", &[1, 2, 3])]);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/sms_gateway.py");
    let output = Command::new(python)
        .arg(script)
        .args([&phone.url(), USER, PASSWORD])
        .output()
        .await
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let said: Value = serde_json::from_slice(&output.stdout).unwrap();
    let expected = json!({
        "health": "pass",
        "sent": "Pending",
        "state": "Pending",
        "again": 409,
        "hook": ["h", "sms:received"],
        "hooks": 1,
        "hooks_left": 0,
        "inbox": [["MMS_DOWNLOADED", "+447700900124", "look"], ["SMS", "+447700900124", "hi"]],
        "attachment": "010203",
        "devices": ["phone"],
        "wrong_password": 401,
    });
    assert_eq!(said, expected);
    assert_eq!(phone.sent()[0].text, "hello");
}
