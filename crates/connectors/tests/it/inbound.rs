use crate::harness::{config, ids, outbound, run};
use crate::smsc::{Smsc, text};
use std::sync::atomic::Ordering;
use swingbridge_connectors::smpp::config::IdForm;
use swingbridge_domain::connector::Link;
use swingbridge_domain::delivery::Outcome;
use swingbridge_domain::inbox::{Dedupe, Inbound, What};
use swingbridge_wire::smpp::{Body, CommandStatus, DataSm, MessageResp, Pdu, Sm, Tlvs, tag};

fn ok(sequence: u32) -> Pdu {
    Pdu::new(sequence, Body::DeliverSmResp(MessageResp::default()))
}

#[tokio::test]
async fn nothing_is_answered_before_it_is_committed() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    running.inbox.until(|inbox| inbox.arrivals().len() == 1).await;
    running.inbox.shut();
    let sequence = peer.deliver(text("hello")).await;
    peer.expect_quiet().await;

    // And what goes out is not held up by it.
    let send = running.send(outbound("hi"));
    let (submitted, _) = peer.submit().await;
    peer.accept(submitted, "1").await;
    send.await.unwrap().unwrap();
    assert!(running.inbox.texts().is_empty());

    running.inbox.gate.add_permits(1);
    assert_eq!(peer.pdu().await, ok(sequence));
    assert_eq!(running.inbox.texts(), ["hello"]);
}

#[tokio::test]
async fn a_store_that_takes_nothing_lets_the_smsc_come_again() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    running.inbox.full.store(true, Ordering::Relaxed);
    let sequence = peer.deliver(text("hello")).await;
    let answer = peer.pdu().await;
    assert_eq!(
        (answer.sequence, answer.status),
        (sequence, CommandStatus::RX_T_APPN)
    );
    running.inbox.full.store(false, Ordering::Relaxed);
    let sequence = peer.deliver(text("hello")).await;
    assert_eq!(peer.pdu().await, ok(sequence));
    assert_eq!(running.inbox.texts(), ["hello"]);
}

#[tokio::test]
async fn submits_that_wait_do_not_hold_up_what_comes_in() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.window = 1;
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let _waiting: Vec<_> = (0..5).map(|_| running.send(outbound("hi"))).collect();
    peer.submit().await;
    let sequence = peer.deliver(text("hello")).await;
    assert_eq!(peer.pdu().await, ok(sequence));
}

#[tokio::test]
async fn a_burst_is_committed_in_order_and_answered_once_each() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let burst: Vec<Pdu> = (1..=500)
        .map(|at| Pdu::new(at, Body::DeliverSm(text(&at.to_string()))))
        .collect();
    peer.send_all(burst).await;
    for at in 1..=500 {
        assert_eq!(peer.pdu().await, ok(at));
    }
    let expected: Vec<String> = (1..=500).map(|at| at.to_string()).collect();
    assert_eq!(running.inbox.texts(), expected);
}

#[tokio::test]
async fn receipts_find_the_ids_of_the_submits_in_another_form() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.message_ids.submitted = IdForm::Hex;
    settings.message_ids.receipted = IdForm::Decimal;
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound("hi"));
    let (sequence, _) = peer.submit().await;
    // The receipt overtakes the response.
    let mut by_tlv = Sm {
        esm_class: 0x04,
        ..text("")
    };
    by_tlv.tlvs.push(tag::RECEIPTED_MESSAGE_ID, "0000040732\0");
    by_tlv.tlvs.push(tag::MESSAGE_STATE, [2]);
    peer.deliver(by_tlv).await;
    peer.deliver(Sm {
        esm_class: 0x04,
        ..text("id:40732 stat:UNDELIV err:027")
    })
    .await;
    running.inbox.until(|inbox| inbox.inbound().len() == 2).await;
    for _ in 0..2 {
        peer.pdu().await;
    }
    peer.accept(sequence, "9F1C").await;
    let accepted = send.await.unwrap().unwrap();
    let receipts: Vec<_> = running.inbox.inbound();
    for (receipt, outcome) in receipts.iter().zip([Outcome::Delivered, Outcome::Rejected]) {
        let Inbound::Receipt(receipt) = receipt else {
            panic!("{receipt:?}")
        };
        assert_eq!(receipt.network_ids, accepted.network_ids);
        assert_eq!(receipt.outcome, outcome);
    }
    assert_eq!(ids(&accepted), ["40732"]);
}

#[tokio::test]
async fn data_sm_is_taken_and_answered_in_kind() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let data = DataSm {
        source: text("").source,
        destination: text("").destination,
        tlvs: Tlvs::new().with(tag::MESSAGE_PAYLOAD, "by data"),
        ..DataSm::default()
    };
    peer.send(Pdu::new(4, Body::DataSm(data))).await;
    assert_eq!(
        peer.pdu().await,
        Pdu::new(4, Body::DataSmResp(MessageResp::default()))
    );
    assert_eq!(running.inbox.texts(), ["by data"]);
}

#[tokio::test]
async fn a_redelivery_by_the_next_session_can_be_told_from_a_new_message() {
    let smsc = Smsc::start().await;
    let mut running = run(config(smsc.port()));
    for _ in 0..2 {
        let mut peer = smsc.bound().await;
        running.until(Link::Connected).await;
        let sequence = peer.deliver(text("ok")).await;
        assert_eq!(peer.pdu().await, ok(sequence));
        drop(peer);
        running.until(Link::Disconnected).await;
    }
    running.inbox.until(|inbox| inbox.arrivals().len() == 6).await;
    running.request_stop();
    let mut told = Vec::new();
    for arrival in running.inbox.arrivals() {
        told.push(match (arrival.what, arrival.dedupe) {
            (What::Network(Inbound::Session { session, ended, .. }), Dedupe::Harmless) => {
                (session, if ended { "ended" } else { "began" }, None)
            }
            (_, Dedupe::Digest { session, digest, .. }) => (session, "brought", Some(digest)),
            other => panic!("{other:?}"),
        });
    }
    let words: Vec<_> = told.iter().map(|(_, word, _)| *word).collect();
    assert_eq!(words, ["began", "brought", "ended", "began", "brought", "ended"]);
    let (first, second) = (told[0].0, told[3].0);
    assert_ne!(first, second);
    assert!(told[..3].iter().all(|(session, ..)| *session == first));
    assert!(told[3..].iter().all(|(session, ..)| *session == second));
    assert_eq!(told[1].2, told[4].2);
    running.stopped().await;
}
