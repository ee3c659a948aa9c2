//! `device selftest` against the emulators, played by hand where a network would answer.

use super::handset::{Handset, Kind, OWN};
use super::house::{init, led};
use crate::program::{code, said};
use serde_json::Value;
use std::process::Output;
use std::time::Duration;
use swingbridge_lab::macos::scenario::Scenario;
use tempfile::TempDir;

struct Tried {
    output: Output,
    report: Value,
}

impl Tried {
    /// Name and outcome of each step.
    fn steps(&self) -> Vec<(&str, &str)> {
        let steps = self.report["lines"][0]["steps"].as_array().unwrap();
        steps
            .iter()
            .map(|step| (step["name"].as_str().unwrap(), step["outcome"].as_str().unwrap()))
            .collect()
    }
}

/// Runs it. `answers`: the network brings the text back, and says that it has arrived.
async fn tried(handset: &Handset, folder: &TempDir, answers: bool) -> Tried {
    let at = folder.path();
    // No homeserver is asked for anything.
    init(at, handset.kind(), "http://127.0.0.1:9");
    let mut command = led(at, handset, &["selftest"]);
    let running = tokio::task::spawn_blocking(move || command.output().unwrap());
    let mut words = String::new();
    if answers {
        let sent = tokio::time::timeout(Duration::from_secs(60), handset.sends(1)).await;
        let [(to, text)] = <[_; 1]>::try_from(sent.unwrap()).unwrap();
        assert_eq!(to, OWN);
        match handset {
            Handset::SmsGateway { phone, .. } => phone.reaches(&phone.sent()[0].id, "Delivered"),
            Handset::BlueBubbles(server) => server.delivers(&server.sent()[0].guid),
            Handset::Termux(_) | Handset::IMessage(_) => {}
        }
        handset.receives(OWN, &text);
        words = text;
    }
    let output = running.await.unwrap();
    let text = match std::fs::read_to_string(at.join("selftest.json")) {
        Ok(text) => text,
        Err(error) => panic!("{error}: {}", said(&output)),
    };
    for told in [&text, &said(&output)] {
        assert!(!told.contains(OWN.trim_start_matches('+')), "{told}");
        assert!(words.is_empty() || !told.contains(&words), "{told}");
    }
    assert!(
        !at.join("swingbridge-device/selftest").exists(),
        "it leaves nothing behind"
    );
    let report = serde_json::from_str(&text).unwrap();
    Tried { output, report }
}

async fn reported(kind: Kind, wanted: &[(&str, &str)]) {
    let folder = TempDir::new().unwrap();
    let handset = Handset::new(kind, &folder.path().join("handset")).await;
    let tried = tried(&handset, &folder, true).await;
    let told = said(&tried.output);
    assert_eq!(tried.steps(), wanted, "{told}");
    assert_eq!(code(&tried.output), 0, "{told}");
    assert!(told.contains("phone by "), "{told}");
    assert!(told.contains("send a text           passed"), "{told}");
    assert!(
        told.contains("wrote selftest.json: it holds no address and no text"),
        "{told}"
    );
    assert!(
        tried.report["lines"][0]["networks"]
            .as_array()
            .is_some_and(|all| !all.is_empty())
    );
    assert_eq!(tried.report["version"], env!("CARGO_PKG_VERSION"));
}

const NOTHING_MORE: [(&str, &str); 4] = [
    ("answer it", "not_offered"),
    ("react to it", "not_offered"),
    ("edit it", "not_offered"),
    ("unsend it", "not_offered"),
];

fn then(first: [(&'static str, &'static str); 4]) -> Vec<(&'static str, &'static str)> {
    first.into_iter().chain(NOTHING_MORE).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_phone_claims_no_delivery() {
    let wanted = then([
        ("connect", "passed"),
        ("send a text", "passed"),
        ("hear of its delivery", "not_offered"),
        ("get it back", "passed"),
    ]);
    reported(Kind::Termux, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_sms_gateway_tells_of_delivery() {
    let wanted = then([
        ("connect", "passed"),
        ("send a text", "passed"),
        ("hear of its delivery", "passed"),
        ("get it back", "passed"),
    ]);
    reported(Kind::SmsGateway, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_a_mac_tells_of_delivery() {
    let wanted = then([
        ("connect", "passed"),
        ("send a text", "passed"),
        ("hear of its delivery", "passed"),
        ("get it back", "passed"),
    ]);
    reported(Kind::IMessage, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_report_of_bluebubbles_tells_what_its_private_api_can() {
    let wanted = [
        ("connect", "passed"),
        ("send a text", "passed"),
        ("hear of its delivery", "passed"),
        ("get it back", "passed"),
        ("answer it", "passed"),
        ("react to it", "passed"),
        ("edit it", "passed"),
        ("unsend it", "passed"),
    ];
    reported(Kind::BlueBubbles, &wanted).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fails_is_reported_and_ends_with_one() {
    let folder = TempDir::new().unwrap();
    let handset = Handset::new(Kind::IMessage, &folder.path().join("handset")).await;
    let Handset::IMessage(mac) = &handset else {
        return;
    };
    mac.set_scenario(&Scenario::lookup_fails(-1728)).unwrap();
    let tried = tried(&handset, &folder, false).await;
    assert_eq!(tried.steps(), [("connect", "passed"), ("send a text", "failed")]);
    assert_eq!(code(&tried.output), 1);
    let told = said(&tried.output);
    assert!(told.contains("send a text           FAILED"), "{told}");
    let why = &tried.report["lines"][0]["steps"][1]["detail"];
    assert!(
        why.as_str()
            .is_some_and(|why| why.contains("does not find the chat")),
        "{why}"
    );
}
