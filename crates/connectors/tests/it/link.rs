use crate::harness::{config, connector, ids, outbound, run};
use crate::smsc::{Smsc, bind_ok, submit_resp, text};
use std::time::{Duration, Instant};
use swingbridge_connectors::smpp::config::BindMode;
use swingbridge_domain::connector::{Connector, Link, SendError};
use swingbridge_wire::smpp::{Body, CommandStatus, MessageResp, Pdu, command};

#[tokio::test]
async fn the_bind_says_who_we_are_and_comes_back_after_a_loss() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.system_type = "VMA".into();
    settings.address_range = "^4477".into();
    let running = run(settings);
    for _ in 0..3 {
        let mut peer = smsc.accept().await;
        let (request, bind) = peer.bind().await;
        assert!(matches!(request.body, Body::BindTransceiver(_)));
        assert_eq!(
            (bind.system_id.text().as_ref(), bind.password.text().as_ref()),
            ("esme", "secret")
        );
        assert_eq!(
            (bind.system_type.text().as_ref(), bind.interface_version),
            ("VMA", 0x34)
        );
        assert_eq!(bind.address_range.addr.text(), "^4477");
        peer.send(bind_ok(&request)).await;
        running.until(Link::Connected).await;
        drop(peer);
        running.until(Link::Disconnected).await;
    }
}

#[tokio::test]
async fn an_smsc_that_often_breaks_but_works_in_between_is_soon_bound_again() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.timing.longest_wait = Duration::from_secs(60);
    let running = run(settings);
    let began = Instant::now();
    for _ in 0..9 {
        let mut peer = smsc.bound().await;
        running.until(Link::Connected).await;
        let send = running.send(outbound("hi"));
        let (sequence, _) = peer.submit().await;
        peer.accept(sequence, "1").await;
        send.await.unwrap().unwrap();
    }
    // Doubled each time, the waits would be twelve seconds and more.
    assert!(began.elapsed() < Duration::from_secs(6), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_refused_account_is_told_with_its_cure_and_tried_again_rarely() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    for _ in 0..2 {
        let mut peer = smsc.accept().await;
        let (request, _) = peer.bind().await;
        peer.send(
            Pdu::refusal(
                command::BIND_TRANSCEIVER,
                request.sequence,
                CommandStatus::RINVPASWD,
            )
            .unwrap(),
        )
        .await;
        running.until_detail(Link::Refused, "check the password").await;
    }
    let _peer = smsc.bound().await;
    running.until(Link::Connected).await;
}

#[tokio::test]
async fn what_waits_for_a_refused_account_waits_as_long() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.timing.refused_wait = Duration::from_secs(30);
    let running = run(settings);
    let mut peer = smsc.accept().await;
    let (request, _) = peer.bind().await;
    peer.send(
        Pdu::refusal(
            command::BIND_TRANSCEIVER,
            request.sequence,
            CommandStatus::RINVSYSID,
        )
        .unwrap(),
    )
    .await;
    running.until(Link::Refused).await;
    match running.connector.send(outbound("hi")).await {
        Err(SendError::RetryAfter { delay, counts, .. }) => {
            assert!(!counts && delay > Duration::from_secs(20), "{delay:?}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn an_account_that_is_bound_elsewhere_waits_for_its_turn() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.accept().await;
    let (request, _) = peer.bind().await;
    peer.send(
        Pdu::refusal(
            command::BIND_TRANSCEIVER,
            request.sequence,
            CommandStatus::RALYBND,
        )
        .unwrap(),
    )
    .await;
    running.until_detail(Link::Disconnected, "already bound").await;
    let _peer = smsc.bound().await;
    running.until(Link::Connected).await;
}

#[tokio::test]
async fn a_check_binds_and_unbinds_or_names_cause_and_cure() {
    let smsc = Smsc::start().await;
    let checked = connector(config(smsc.port())).unwrap();
    let scripted = async {
        let mut peer = smsc.bound().await;
        let unbind = peer.pdu().await;
        assert_eq!(unbind.body, Body::Unbind);
        peer.send(Pdu::new(unbind.sequence, Body::UnbindResp)).await;
        assert_eq!(peer.next().await, None);
        let mut peer = smsc.accept().await;
        let (request, _) = peer.bind().await;
        peer.send(
            Pdu::refusal(
                command::BIND_TRANSCEIVER,
                request.sequence,
                CommandStatus::RINVSYSID,
            )
            .unwrap(),
        )
        .await;
    };
    let asked = async {
        let found = checked.check().await.unwrap();
        assert_eq!(
            (found.system_id.as_str(), found.version, found.tls),
            ("smsc", Some(0x34), false)
        );
        let error = checked.check().await.unwrap_err();
        assert_eq!(error.cure, "check the system_id");
    };
    tokio::join!(scripted, asked);
    let port = smsc.port();
    drop(smsc);
    let error = connector(config(port)).unwrap().check().await.unwrap_err();
    assert!(error.cure.contains("host and port"), "{error}");
}

#[tokio::test]
async fn settings_that_cannot_be_are_refused_by_name() {
    let mut settings = config(1);
    settings.window = 0;
    let Err(error) = connector(settings) else {
        panic!("it was taken")
    };
    assert!(
        error.to_string().contains("window: between 1 and 1000"),
        "{error}"
    );
}

#[tokio::test]
async fn pdus_in_the_same_segment_as_the_bind_response_are_not_lost() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.accept().await;
    let (request, _) = peer.bind().await;
    peer.send_all([
        bind_ok(&request),
        Pdu::new(1, Body::DeliverSm(text("early"))),
        Pdu::new(2, Body::EnquireLink),
        Pdu::new(3, Body::DeliverSm(text("bird"))),
    ])
    .await;
    running
        .inbox
        .until(|inbox| inbox.texts() == ["early", "bird"])
        .await;
    let mut answered = [peer.pdu().await, peer.pdu().await, peer.pdu().await];
    answered.sort_by_key(|pdu| pdu.sequence);
    assert_eq!(
        answered[0],
        Pdu::new(1, Body::DeliverSmResp(MessageResp::default()))
    );
    assert_eq!(answered[1], Pdu::new(2, Body::EnquireLinkResp));
    assert_eq!(
        answered[2],
        Pdu::new(3, Body::DeliverSmResp(MessageResp::default()))
    );
}

#[tokio::test]
async fn one_bad_pdu_is_refused_and_never_costs_the_next() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound("hi"));
    let (submitted, _) = peer.submit().await;

    let mut segment = bytes::BytesMut::new();
    let junk = |command_id, octets: &'static [u8]| Body::Unknown {
        command_id,
        bytes: octets.into(),
    };
    for pdu in [
        Pdu::new(11, junk(command::DELIVER_SM, b"no NUL, no end")),
        Pdu::new(12, junk(command::SUBMIT_MULTI, b"\x01")),
        Pdu::new(13, junk(0x0001_0203, b"vendor")),
        Pdu::new(14, junk(command::QUERY_SM, b"1\0\0\0\0")),
        Pdu::new(15, junk(command::ALERT_NOTIFICATION, b"\x01")),
        Pdu::new(16, Body::DeliverSm(text("good"))),
        submit_resp(submitted, CommandStatus::ROK, "1"),
    ] {
        pdu.encode(&mut segment).unwrap();
    }
    peer.raw(&segment).await;
    send.await.unwrap().unwrap();
    running.inbox.until(|inbox| inbox.texts() == ["good"]).await;
    for (sequence, name, status) in [
        (11, "deliver_sm_resp", CommandStatus::RX_P_APPN),
        (12, "generic_nack", CommandStatus::RINVCMDID),
        (13, "generic_nack", CommandStatus::RINVCMDID),
        (14, "query_sm_resp", CommandStatus::RINVCMDID),
        (16, "deliver_sm_resp", CommandStatus::ROK),
    ] {
        let pdu = peer.pdu().await;
        assert_eq!(
            (pdu.sequence, pdu.body.name(), pdu.status),
            (sequence, name, status)
        );
    }
}

#[tokio::test]
async fn a_stream_that_is_no_smpp_is_nacked_and_left() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    peer.raw(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
    let nack = peer.pdu().await;
    assert_eq!(
        (nack.body, nack.status),
        (Body::GenericNack, CommandStatus::RINVCMDLEN)
    );
    assert_eq!(peer.next().await, None);
    let _peer = smsc.bound().await;
    running.until(Link::Connected).await;
}

#[tokio::test]
async fn a_quiet_smsc_is_asked_and_a_silent_one_is_left() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.timing.enquire_link = Duration::from_millis(100);
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    for _ in 0..3 {
        let asked = peer.pdu().await;
        assert_eq!(asked.body, Body::EnquireLink);
        peer.send(Pdu::new(asked.sequence, Body::EnquireLinkResp)).await;
    }
    // The last one asked is answered; then two are not.
    for _ in 0..2 {
        assert_eq!(peer.pdu().await.body, Body::EnquireLink);
    }
    assert_eq!(peer.next().await, None);
    smsc.bound().await;
}

#[tokio::test]
async fn the_smscs_unbind_waits_for_what_is_in_flight() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound("hi"));
    let (submitted, _) = peer.submit().await;
    let sequence = peer.sequence();
    peer.send_all([
        Pdu::new(sequence, Body::Unbind),
        submit_resp(submitted, CommandStatus::ROK, "5"),
    ])
    .await;
    send.await.unwrap().unwrap();
    assert_eq!(peer.pdu().await, Pdu::new(sequence, Body::UnbindResp));
    assert_eq!(peer.next().await, None);
    let _peer = smsc.bound().await;
    running.until(Link::Connected).await;
}

#[tokio::test]
async fn stopping_drains_then_unbinds() {
    let smsc = Smsc::start().await;
    let mut running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound("hi"));
    let (submitted, _) = peer.submit().await;
    running.inbox.shut();
    let delivered = peer.deliver(text("last")).await;
    running.request_stop();
    // Neither the submit nor the delivery is given up, and nothing new is begun.
    peer.expect_quiet().await;
    running.inbox.gate.add_permits(10);
    assert_eq!(
        peer.pdu().await,
        Pdu::new(delivered, Body::DeliverSmResp(MessageResp::default()))
    );
    peer.accept(submitted, "1").await;
    let unbind = peer.pdu().await;
    assert_eq!(unbind.body, Body::Unbind);
    send.await.unwrap().unwrap();
    assert!(running.connector.send(outbound("too late")).await.is_err());
    peer.send(Pdu::new(unbind.sequence, Body::UnbindResp)).await;
    assert_eq!(peer.next().await, None);
    running.stopped().await;
}

#[tokio::test]
async fn stopping_sends_the_rest_of_a_message_that_was_begun_and_begins_no_other() {
    let smsc = Smsc::start().await;
    let mut running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound(&"x".repeat(400)));
    let (first, _) = peer.submit().await;
    running.request_stop();
    loop {
        tokio::select! {
            result = running.send(outbound("another")) => {
                assert!(format!("{result:?}").contains("the program is stopping"), "{result:?}");
                break;
            }
            // The stop had not been noticed yet.
            (sequence, _) = peer.submit() => peer.refuse(sequence, CommandStatus::RSYSERR).await,
        }
    }
    peer.accept(first, "1").await;
    for id in ["2", "3"] {
        let (sequence, _) = peer.submit().await;
        peer.accept(sequence, id).await;
    }
    assert_eq!(ids(&send.await.unwrap().unwrap()), ["1", "2", "3"]);
    let unbind = peer.pdu().await;
    assert_eq!(unbind.body, Body::Unbind);
    peer.send(Pdu::new(unbind.sequence, Body::UnbindResp)).await;
    running.stopped().await;
}

#[tokio::test]
async fn stopping_ends_even_when_nobody_answers() {
    let smsc = Smsc::start().await;
    let mut running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound("hi"));
    peer.submit().await;
    running.request_stop();
    assert!(send.await.unwrap().is_err());
    running.stopped().await;
}

#[tokio::test]
async fn a_transmitter_sends_and_a_receiver_receives() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.bind = BindMode::TransmitterReceiver;
    let running = run(settings);
    let (mut transmitter, mut receiver) = (None, None);
    for _ in 0..2 {
        let mut peer = smsc.accept().await;
        let (request, _) = peer.bind().await;
        peer.send(bind_ok(&request)).await;
        match request.body {
            Body::BindTransmitter(_) => transmitter = Some(peer),
            Body::BindReceiver(_) => receiver = Some(peer),
            other => panic!("{}", other.name()),
        }
    }
    running.until(Link::Connected).await;
    let (mut transmitter, mut receiver) = (transmitter.unwrap(), receiver.unwrap());
    let send = running.send(outbound("hi"));
    let (sequence, _) = transmitter.submit().await;
    transmitter.accept(sequence, "1").await;
    send.await.unwrap().unwrap();
    receiver.deliver(text("hello")).await;
    running.inbox.until(|inbox| inbox.texts() == ["hello"]).await;
    // Half of it is not all of it.
    drop(transmitter);
    running.until(Link::Degraded).await;
    let _transmitter = smsc.bound().await;
    running.until(Link::Connected).await;
}

#[tokio::test]
async fn several_binds_share_the_work_and_one_is_enough() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.binds = 2;
    settings.window = 1;
    let running = run(settings);
    let (mut one, mut two) = (smsc.bound().await, smsc.bound().await);
    running.until(Link::Connected).await;
    let sends: Vec<_> = (0..2).map(|_| running.send(outbound("hi"))).collect();
    let (first, _) = one.submit().await;
    let (second, _) = two.submit().await;
    one.accept(first, "1").await;
    two.accept(second, "2").await;
    for send in sends {
        send.await.unwrap().unwrap();
    }
    drop(one);
    running.until(Link::Degraded).await;
    let send = running.send(outbound("hi"));
    let (sequence, _) = two.submit().await;
    two.accept(sequence, "3").await;
    send.await.unwrap().unwrap();
}

#[tokio::test]
async fn the_source_address_is_the_configured_one() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.source_address = Some("127.0.0.2".parse().unwrap());
    let _running = run(settings);
    let peer = smsc.accept().await;
    assert_eq!(peer.address.unwrap().ip().to_string(), "127.0.0.2");
}
