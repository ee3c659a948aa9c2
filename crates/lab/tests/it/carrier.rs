//! The carrier against ESMEs that others have written, and its captures against tshark.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use swingbridge_lab::faults::{Fault, Plan};
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::smsc::{self, Config, Handle, Kind, Outcome, Progress, Reach};
use swingbridge_lab::{pcap, peers};
use swingbridge_wire::segments::{self, Options};

const PATIENCE: Duration = Duration::from_secs(20);
const LINE: &str = "447700900000";
const PHONE: &str = "447700900456";

async fn start(config: Config) -> Handle {
    smsc::start(config).await.unwrap()
}

/// A foreign ESME, bound to the carrier; `None` where it is absent and may be.
async fn bound(script: Script, carrier: &Handle) -> Option<Foreign> {
    let mut esme = Foreign::start(script).await?.unwrap();
    esme.tell(bind(carrier, "secret", "transceiver")).await.unwrap();
    assert_eq!(esme.event("bound").await.unwrap()["status"], 0);
    Some(esme)
}

fn bind(carrier: &Handle, password: &str, mode: &str) -> Value {
    let port = carrier.address().port();
    json!({ "do": "bind", "port": port, "system_id": "swingbridge", "password": password, "mode": mode })
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

/// The commands that submit a text in parts, cut by our own code.
fn submits(text: &str, first_number: u64) -> Vec<Value> {
    let segmented = segments::segment(text, &Options::default()).unwrap();
    let parts = segmented.parts(42).enumerate();
    parts
        .map(|(at, part)| {
            json!({
                "do": "submit", "number": first_number + at as u64, "source": LINE, "destination": PHONE,
                "data_coding": segmented.data_coding, "esm_class": if part.has_header { 0x40 } else { 0 },
                "registered_delivery": 1, "hex": hex(&part.octets),
            })
        })
        .collect()
}

async fn phone_shows(carrier: &Handle, text: &str) -> smsc::Message {
    let shows = |view: &smsc::View<'_>| {
        view.messages
            .iter()
            .find(|message| !message.from_phone && message.text == text)
            .cloned()
    };
    carrier
        .wait_for("a text on the phone", PATIENCE, shows)
        .await
        .unwrap()
}

const LONG: &str = "Long enough for three parts, with an emoji that must not be cut: 👩🏽‍🚀. \
                    Some words more, in plain letters, so that the end of the second part comes near: 🎉, and on, \
                    until the third part has begun as well. The end.";

/// Everything that an ESME does, with one written by others; gives what the connection carried.
async fn exchange(script: Script) -> Option<Handle> {
    let carrier = start(Config {
        record: true,
        ..Config::default()
    })
    .await;
    let mut esme = bound(script, &carrier).await?;

    // Long texts, GSM and UTF-16, with receipts for every part.
    for (at, text) in ["Short, with €.", LONG].into_iter().enumerate() {
        let submits = submits(text, 10 * at as u64);
        for submit in &submits {
            esme.tell(submit.clone()).await.unwrap();
        }
        let mut ids = Vec::new();
        for submit in &submits {
            let number = submit["number"].clone();
            let answer = esme
                .event_with("submitted", |event| event["number"] == number)
                .await
                .unwrap();
            assert_eq!(answer["status"], 0);
            ids.push(answer["id"].as_str().unwrap().to_owned());
        }
        assert_eq!(phone_shows(&carrier, text).await.segments, submits.len());
        for id in ids {
            let about = |event: &Value| event["optional"]["receipted_message_id"] == *id;
            let receipt = esme.event_with("delivered", about).await.unwrap();
            assert_eq!(receipt["esm_class"], 4);
            assert_eq!(receipt["optional"]["message_state"], 2);
            let text = receipt["text"].as_str().unwrap();
            assert!(text.starts_with(&format!("id:{id} sub:001 dlvrd:001 ")), "{text}");
            assert!(text.contains("stat:DELIVRD err:000"), "{text}");
        }
    }

    // Texts from the phone, as the ESME's own code reads them.
    let message = carrier.write(PHONE, LINE, LONG).unwrap();
    let mut text = String::new();
    for _ in 0..4 {
        let part = esme
            .event_with("delivered", |event| event["esm_class"] == 0x40)
            .await
            .unwrap();
        assert_eq!((&part["source"], &part["source_ton"]), (&json!(PHONE), &json!(1)));
        text.push_str(part["text"].as_str().unwrap());
    }
    assert_eq!(text, LONG);
    let taken = |view: &smsc::View<'_>| {
        view.messages
            .iter()
            .find(|m| m.id == message && m.progress == Progress::Done)
            .map(|_| ())
    };
    carrier
        .wait_for("the ESME's responses", PATIENCE, taken)
        .await
        .unwrap();

    esme.tell(json!({ "do": "enquire" })).await.unwrap();
    assert_eq!(esme.event("enquired").await.unwrap()["status"], 0);
    esme.tell(json!({ "do": "unbind" })).await.unwrap();
    assert_eq!(esme.event("unbound").await.unwrap()["status"], 0);
    let gone = |view: &smsc::View<'_>| view.sessions.is_empty().then_some(());
    carrier
        .wait_for("the end of the session", PATIENCE, gone)
        .await
        .unwrap();
    assert_eq!(carrier.accounts().doubled().count(), 0);
    Some(carrier)
}

#[tokio::test]
async fn npm_smpp_exchanges_texts_and_receipts() {
    exchange(Script::NpmEsme).await;
}

#[tokio::test]
async fn net_smpp_exchanges_texts_and_receipts() {
    exchange(Script::PerlEsme).await;
}

/// The command ids of the PDUs in a capture that fit a filter.
fn tshark(program: &Path, carrier: &Handle, filter: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exchange.pcap");
    std::fs::write(&path, pcap::file(&carrier.capture())).unwrap();
    let mut command = Command::new(program);
    command.arg("-r").arg(&path);
    command.args([
        "-d",
        "tcp.port==2775,smpp",
        "-T",
        "fields",
        "-e",
        "smpp.command_id",
        "-Y",
        filter,
    ]);
    let output = command.output().unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

const BAD: &str = "_ws.malformed || _ws.expert.severity == \"Error\" || _ws.expert.severity == \"Warning\"";

#[tokio::test]
async fn tshark_finds_nothing_malformed() {
    let Some(program) = peers::tshark() else { return };
    for script in [Script::NpmEsme, Script::PerlEsme] {
        let Some(carrier) = exchange(script).await else {
            return;
        };
        assert_eq!(tshark(&program, &carrier, BAD), "", "{script:?}");
        let seen = tshark(&program, &carrier, "smpp");
        for command in [
            "0x00000009",
            "0x80000009",
            "0x00000004",
            "0x80000004",
            "0x00000005",
            "0x80000005",
        ] {
            assert!(seen.contains(command), "{command} is not in the capture: {seen}");
        }
    }
}

#[tokio::test]
async fn tshark_does_find_what_is_malformed() {
    let Some(program) = peers::tshark() else { return };
    let carrier = start(Config {
        record: true,
        ..Config::default()
    })
    .await;
    let Some(mut esme) = bound(Script::NpmEsme, &carrier).await else {
        return;
    };
    // A deliver_sm that ends in its first field.
    let octets = [0, 0, 0, 17, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 99, b'x'];
    carrier.send_raw(carrier.sessions()[0].id, octets.to_vec());
    esme.event("delivered").await.unwrap();
    assert_ne!(tshark(&program, &carrier, BAD), "");
}

#[tokio::test]
async fn npm_smpp_may_encode_for_itself() {
    let carrier = start(Config::default()).await;
    let Some(mut esme) = bound(Script::NpmEsme, &carrier).await else {
        return;
    };
    for text in ["plain", "naïve café", "emoji 😀 too", "Ωmega"] {
        let submit =
            json!({ "do": "submit", "number": 1, "source": LINE, "destination": PHONE, "text": text });
        esme.tell(submit).await.unwrap();
        assert_eq!(esme.event("submitted").await.unwrap()["status"], 0);
    }
    // It sends GSM under the code for ASCII, where "Ω" is a control character.
    let texts: Vec<String> = carrier
        .messages()
        .into_iter()
        .map(|message| message.text)
        .collect();
    assert_eq!(texts[..3], ["plain", "naïve café", "emoji 😀 too"]);
}

#[tokio::test]
async fn a_wrong_password_is_refused() {
    let carrier = start(Config::default()).await;
    for script in [Script::NpmEsme, Script::PerlEsme] {
        let Some(esme) = Foreign::start(script).await else {
            return;
        };
        let mut esme = esme.unwrap();
        esme.tell(bind(&carrier, "guess", "transceiver")).await.unwrap();
        assert_eq!(esme.event("bound").await.unwrap()["status"], 0x0E);
        assert!(carrier.sessions().is_empty());
    }
}

#[tokio::test]
async fn a_receiver_gets_what_a_transmitter_may_not() {
    let carrier = start(Config::default()).await;
    let Some(transmitter) = Foreign::start(Script::PerlEsme).await else {
        return;
    };
    let mut transmitter = transmitter.unwrap();
    transmitter
        .tell(bind(&carrier, "secret", "transmitter"))
        .await
        .unwrap();
    transmitter.event("bound").await.unwrap();
    carrier.write(PHONE, LINE, "kept").unwrap();
    let mut receiver = Foreign::start(Script::PerlEsme).await.unwrap().unwrap();
    receiver.tell(bind(&carrier, "secret", "receiver")).await.unwrap();
    receiver.event("bound").await.unwrap();
    assert_eq!(receiver.event("delivered").await.unwrap()["text"], "kept");
    receiver.tell(submits("not by me", 1)[0].clone()).await.unwrap();
    assert_eq!(receiver.event("submitted").await.unwrap()["status"], 0x04);
    transmitter.tell(submits("by me", 1)[0].clone()).await.unwrap();
    assert_eq!(transmitter.event("submitted").await.unwrap()["status"], 0);
    assert_eq!(
        receiver.event("delivered").await.unwrap()["esm_class"],
        4,
        "the receipt comes to the receiver"
    );
    let kinds: Vec<Kind> = carrier
        .sessions()
        .into_iter()
        .map(|session| session.kind)
        .collect();
    assert_eq!(kinds, [Kind::Transmitter, Kind::Receiver]);
}

#[tokio::test]
async fn a_phone_that_is_off_gets_its_texts_later() {
    let carrier = start(Config::default()).await;
    let Some(mut esme) = bound(Script::NpmEsme, &carrier).await else {
        return;
    };
    carrier.set_reach(PHONE, Reach::Off);
    esme.tell(submits("for later", 1)[0].clone()).await.unwrap();
    esme.event("submitted").await.unwrap();
    assert_eq!(
        phone_shows(&carrier, "for later").await.progress,
        Progress::Waiting
    );
    assert_eq!(carrier.submissions()[0].fate, None);
    carrier.set_reach(PHONE, Reach::On);
    assert_eq!(
        esme.event("delivered").await.unwrap()["optional"]["message_state"],
        2
    );
    assert_eq!(phone_shows(&carrier, "for later").await.progress, Progress::Done);

    carrier.set_reach(PHONE, Reach::Barred);
    esme.tell(submits("for nobody", 2)[0].clone()).await.unwrap();
    let receipt = esme.event("delivered").await.unwrap();
    assert_eq!(receipt["optional"]["message_state"], 5);
    assert!(receipt["text"].as_str().unwrap().contains("stat:UNDELIV err:001"));
}

#[tokio::test]
async fn an_unanswered_text_is_delivered_again_on_the_next_bind() {
    let faults = Plan::new(3).with(Fault::DropAfterDelivery, 1.0);
    let carrier = start(Config {
        faults,
        ..Config::default()
    })
    .await;
    let Some(mut esme) = bound(Script::NpmEsme, &carrier).await else {
        return;
    };
    carrier.write(PHONE, LINE, "again").unwrap();
    esme.event("closed").await.unwrap();
    carrier.set_faults(Plan::none());
    let mut second = bound(Script::NpmEsme, &carrier).await.unwrap();
    assert_eq!(second.event("delivered").await.unwrap()["text"], "again");
    let done = |view: &smsc::View<'_>| (view.undelivered == 0).then_some(());
    carrier.wait_for("the response", PATIENCE, done).await.unwrap();
}

#[tokio::test]
async fn each_fault_does_what_it_says() {
    let carrier = start(Config::default()).await;
    let only = |fault| carrier.set_faults(Plan::new(1).with(fault, 1.0));
    let Some(mut esme) = bound(Script::NpmEsme, &carrier).await else {
        return;
    };

    only(Fault::Throttle);
    esme.tell(submits("throttled", 1)[0].clone()).await.unwrap();
    assert_eq!(esme.event("submitted").await.unwrap()["status"], 0x58);
    only(Fault::QueueFull);
    esme.tell(submits("full", 2)[0].clone()).await.unwrap();
    assert_eq!(esme.event("submitted").await.unwrap()["status"], 0x14);
    only(Fault::LateResponse);
    esme.tell(submits("late", 3)[0].clone()).await.unwrap();
    assert_eq!(esme.event("submitted").await.unwrap()["status"], 0);
    esme.event("delivered").await.unwrap();

    only(Fault::ReceiptFirst);
    esme.tell(submits("receipt first", 4)[0].clone()).await.unwrap();
    // Were the response first, it would be in hand by the time of the receipt.
    let receipt = esme.event("delivered").await.unwrap();
    let response = esme.event("submitted").await.unwrap();
    assert_eq!(receipt["optional"]["receipted_message_id"], response["id"]);

    only(Fault::RepeatDelivery);
    carrier.write(PHONE, LINE, "twice").unwrap();
    let first = esme.event("delivered").await.unwrap();
    let second = esme.event("delivered").await.unwrap();
    assert_eq!(
        (&first["text"], &first["optional"]),
        (&second["text"], &second["optional"])
    );

    only(Fault::DropBeforeTaking);
    esme.tell(submits("lost", 5)[0].clone()).await.unwrap();
    esme.event("closed").await.unwrap();
    let mut esme = bound(Script::NpmEsme, &carrier).await.unwrap();
    only(Fault::DropBeforeResponse);
    esme.tell(submits("taken in silence", 6)[0].clone())
        .await
        .unwrap();
    esme.event("closed").await.unwrap();

    let accounts = carrier.accounts();
    assert_eq!((accounts.taken, accounts.refused, accounts.lost), (3, 2, 1));
    let last = carrier.submissions().pop().unwrap();
    assert_eq!((last.outcome, last.answered), (Outcome::Taken, false));
    let texts: Vec<&str> = accounts.texts.keys().map(|text| text.text.as_str()).collect();
    assert_eq!(texts, ["late", "receipt first", "taken in silence"]);
}
