//! SMSCs that others wrote, on npm `smpp` and on Perl's `Net::SMPP`, and tshark as the judge of what we write.

use crate::harness::{Running, config, ids, outbound, run};
use serde_json::{Value, json};
use std::process::Command;
use std::time::Duration;
use swingbridge_connectors::smpp::Config;
use swingbridge_connectors::smpp::config::{Alphabet, BindMode, LongMessages};
use swingbridge_domain::connector::{Connector, Link, SendError};
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::id::NetworkId;
use swingbridge_domain::inbox::{Inbound, PartOf};
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::{pcap, peers, smsc};

const PATIENCE: Duration = Duration::from_secs(20);
const LONG: &str = "Grüße von weit her 😀 und zurück 👩‍👩‍👧! ";

fn account(port: u16) -> Config {
    Config {
        system_id: "swingbridge".into(),
        ..config(port)
    }
}

fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}

fn octets(hex: &Value) -> Vec<u8> {
    let hex = hex.as_str().unwrap();
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_be_bytes).collect()
}

/// A text from a phone.
fn deliver(number: u32, fields: Value) -> Value {
    let mut command =
        json!({ "do": "deliver", "number": number, "source": "447700900123", "destination": "447700900001" });
    command
        .as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    command
}

/// Waits for receipts that tell of the delivery of all of these.
async fn delivered(running: &Running, ids: &[NetworkId]) {
    let tells = |inbound: &Inbound, id: &NetworkId| match inbound {
        Inbound::Receipt(receipt) => {
            receipt.outcome == Outcome::Delivered && receipt.network_ids.contains(id)
        }
        _ => false,
    };
    running
        .inbox
        .until(|inbox| {
            let inbound = inbox.inbound();
            ids.iter()
                .all(|id| inbound.iter().any(|inbound| tells(inbound, id)))
        })
        .await;
}

async fn exchange(script: Script) {
    let Some(started) = Foreign::start(script).await else {
        return;
    };
    let mut smsc = started.unwrap();
    let mut settings = account(smsc.port());
    settings.text.ia5_alphabet = Alphabet::Gsm;
    let mut running = run(settings);
    let bound = smsc.event("bound").await.unwrap();
    assert_eq!(
        (&bound["kind"], &bound["interface_version"]),
        (&json!("bind_transceiver"), &json!(0x34))
    );
    running.until(Link::Connected).await;

    // A long text with emoji, and a receipt for each part.
    let long = LONG.repeat(4);
    let accepted = running.connector.send(outbound(&long)).await.unwrap();
    assert!(accepted.segments >= 3, "{accepted:?}");
    let mut body = Vec::new();
    for id in ids(&accepted) {
        let part = smsc.event("submitted").await.unwrap();
        assert_eq!(
            part["id"]
                .as_str()
                .unwrap()
                .trim_start_matches('0')
                .to_lowercase(),
            id
        );
        assert_eq!(
            (&part["data_coding"], &part["esm_class"]),
            (&json!(8), &json!(0x40))
        );
        assert_eq!(
            (&part["destination"], &part["destination_ton"]),
            (&json!("447700900123"), &json!(1))
        );
        body.extend_from_slice(&octets(&part["hex"])[6..]);
    }
    assert_eq!(body, utf16(&long));
    delivered(&running, &accepted.network_ids).await;

    // A short one in GSM 03.38, and its receipt in parameters.
    smsc.tell(json!({ "do": "receipts", "form": "tlv" }))
        .await
        .unwrap();
    let accepted = running
        .connector
        .send(outbound("5 € für @lles [so]"))
        .await
        .unwrap();
    let told = smsc.event("submitted").await.unwrap();
    assert_eq!(
        hex(&octets(&told["hex"])),
        hex(b"5 \x1B\x65 f\x7Er \x00lles \x1B\x3Cso\x1B\x3E")
    );
    delivered(&running, &accepted.network_ids).await;

    // From a phone: emoji, and parts.
    let emoji = json!({ "hex": hex(&utf16("Hi 😀")), "data_coding": 8 });
    smsc.tell(deliver(1, emoji)).await.unwrap();
    let part = json!({ "hex": hex(b"\x05\x00\x03\x2A\x02\x02world"), "esm_class": 0x40 });
    smsc.tell(deliver(2, part)).await.unwrap();
    for number in [1, 2] {
        let answered = smsc
            .event_with("answered", |event| event["number"] == number)
            .await
            .unwrap();
        assert_eq!(answered["status"], 0);
    }
    let texts = running.inbox.texts();
    assert!(texts.ends_with(&["Hi 😀".into(), "world".into()]), "{texts:?}");
    let Some(Inbound::Message(message)) = running.inbox.inbound().pop() else {
        panic!("no message")
    };
    assert_eq!(
        message.part,
        Some(PartOf {
            reference: 42,
            width: 1,
            total: 2,
            index: 2
        })
    );

    // Throttling, questions, and both ways to lose a bind.
    smsc.tell(json!({ "do": "refuse", "status": 0x58, "times": 1 }))
        .await
        .unwrap();
    smsc.tell(json!({ "do": "enquire" })).await.unwrap();
    smsc.event("enquired").await.unwrap();
    let Err(SendError::RetryAfter {
        delay, counts: false, ..
    }) = running.connector.send(outbound("hi")).await
    else {
        panic!("it was not throttled")
    };
    tokio::time::sleep(delay).await;
    running.connector.send(outbound("hi")).await.unwrap();
    for (end, told) in [("unbind", "unbound"), ("drop", "closed")] {
        smsc.tell(json!({ "do": end })).await.unwrap();
        smsc.event(told).await.unwrap();
        smsc.event("bound").await.unwrap();
        running.until(Link::Connected).await;
        running.connector.send(outbound("hi")).await.unwrap();
    }

    running.request_stop();
    smsc.event("unbind").await.unwrap();
    running.stopped().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_smsc_on_npm_smpp_exchanges_all_kinds_of_messages() {
    exchange(Script::NpmSmsc).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_smsc_on_net_smpp_exchanges_all_kinds_of_messages() {
    exchange(Script::PerlSmsc).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn texts_that_npm_smpp_encodes_by_itself_are_read() {
    let Some(started) = Foreign::start(Script::NpmSmsc).await else {
        return;
    };
    let mut smsc = started.unwrap();
    let mut settings = account(smsc.port());
    // It says data_coding 1 and means GSM 03.38.
    settings.text.ia5_alphabet = Alphabet::Gsm;
    let running = run(settings);
    smsc.event("bound").await.unwrap();
    running.until(Link::Connected).await;
    let texts = ["plain", "5 € [ok]", "Grüße", "😀 emoji"];
    for (number, text) in (1..).zip(texts) {
        smsc.tell(deliver(number, json!({ "text": text }))).await.unwrap();
        smsc.event("answered").await.unwrap();
    }
    assert_eq!(running.inbox.texts(), texts);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transmitter_and_a_receiver_work_with_both() {
    for script in [Script::NpmSmsc, Script::PerlSmsc] {
        let Some(started) = Foreign::start(script).await else {
            continue;
        };
        let mut smsc = started.unwrap();
        let mut settings = account(smsc.port());
        settings.bind = BindMode::TransmitterReceiver;
        let running = run(settings);
        for _ in 0..2 {
            smsc.event("bound").await.unwrap();
        }
        running.until(Link::Connected).await;
        let accepted = running.connector.send(outbound("hi")).await.unwrap();
        // The receipt comes on the other bind.
        delivered(&running, &accepted.network_ids).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tshark_finds_nothing_malformed_in_what_we_write() {
    const BAD: &str =
        "_ws.malformed || _ws.expert.severity == \"Error\" || _ws.expert.severity == \"Warning\"";
    let Some(program) = peers::tshark() else { return };
    let carrier = smsc::start(smsc::Config {
        record: true,
        ..smsc::Config::default()
    })
    .await
    .unwrap();
    for method in [
        LongMessages::Udh8,
        LongMessages::Udh16,
        LongMessages::Sar,
        LongMessages::Payload,
    ] {
        let mut settings = account(carrier.address().port());
        settings.text.long_messages = method;
        let mut running = run(settings);
        running.until(Link::Connected).await;
        for text in ["hi", &LONG.repeat(4), &"x".repeat(400)] {
            let mut message = outbound(text);
            message.expires_at = Some(crate::harness::NOW + Duration::from_secs(7200));
            running.connector.send(message).await.unwrap();
        }
        carrier.write("+447700900123", "+447700900001", LONG).unwrap();
        carrier
            .wait_for("all to be delivered", PATIENCE, |view| {
                (view.undelivered == 0).then_some(())
            })
            .await
            .unwrap();
        running.request_stop();
        running.stopped().await;
    }
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("exchange.pcap");
    std::fs::write(&path, pcap::file(&carrier.capture())).unwrap();
    let judge = |filter: &str| {
        let mut command = Command::new(&program);
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
    };
    assert_eq!(judge(BAD), "");
    let seen = judge("smpp");
    for command in ["0x00000009", "0x00000004", "0x80000005", "0x00000006"] {
        assert!(seen.contains(command), "{command} is not in the capture: {seen}");
    }
}
