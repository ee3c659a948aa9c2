use crate::harness::{NOW, config, connector, ids, outbound, run};
use crate::smsc::{Smsc, submit_resp};
use std::time::{Duration, Instant};
use swingbridge_connectors::smpp::config::Version;
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::{Connector, Link, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_wire::smpp::{Body, CommandStatus, MessageResp, Pdu, Tlvs, VERSION_5_0, tag};

fn retry(result: Result<impl std::fmt::Debug, SendError>) -> (Duration, bool) {
    match result {
        Err(SendError::RetryAfter { delay, counts, .. }) => (delay, counts),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_message_goes_out_and_comes_back_with_its_id() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let mut message = outbound("Grüße €");
    message.expires_at = Some(NOW + Duration::from_secs(3600));
    let send = running.send(message);
    let (sequence, sm) = peer.submit().await;
    assert_eq!(sm.destination.addr.text(), "447700900123");
    assert_eq!(sm.validity_period.text(), "000000010000000R");
    peer.accept(sequence, "00AB").await;
    let accepted = send.await.unwrap().unwrap();
    assert_eq!((ids(&accepted), accepted.segments), (vec!["ab"], 1));
    assert_eq!(accepted.encoding, "GSM 03.38");
    assert_eq!(running.connector.probe().await.last_traffic, Some(NOW));
}

#[tokio::test]
async fn the_window_is_never_exceeded() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.window = 3;
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let sends: Vec<_> = (0..7)
        .map(|at| running.send(outbound(&format!("{at}"))))
        .collect();
    let mut open = Vec::new();
    for _ in 0..3 {
        open.push(peer.submit().await.0);
    }
    for _ in 3..7 {
        peer.expect_quiet().await;
        // Answers may come in any order.
        peer.accept(open.pop().unwrap(), "1").await;
        open.push(peer.submit().await.0);
    }
    for sequence in open {
        peer.accept(sequence, "1").await;
    }
    for send in sends {
        send.await.unwrap().unwrap();
    }
}

#[tokio::test]
async fn throttling_pauses_the_bind_and_costs_no_try() {
    for status in [CommandStatus::RTHROTTLED, CommandStatus::RMSGQFUL] {
        let smsc = Smsc::start().await;
        let running = run(config(smsc.port()));
        let mut peer = smsc.bound().await;
        running.until(Link::Connected).await;
        let send = running.send(outbound("one"));
        let (sequence, _) = peer.submit().await;
        peer.refuse(sequence, status).await;
        let (delay, counts) = retry(send.await.unwrap());
        assert!(
            !counts && delay <= Duration::from_millis(63) && !delay.is_zero(),
            "{delay:?}"
        );
        assert_eq!(running.connector.probe().await.state, Link::Degraded);

        let (delay, counts) = retry(running.connector.send(outbound("two")).await);
        assert!(!counts);
        peer.expect_quiet().await;
        tokio::time::sleep(delay).await;
        let send = running.send(outbound("two"));
        let (sequence, _) = peer.submit().await;
        peer.accept(sequence, "2").await;
        send.await.unwrap().unwrap();
        assert_eq!(running.connector.probe().await.state, Link::Connected);
    }
}

#[tokio::test]
async fn the_first_part_goes_alone_and_a_throttled_later_one_is_sent_again_here() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound(&"x".repeat(400)));
    let (first, sm) = peer.submit().await;
    assert_eq!(sm.short_message[5], 1);
    peer.expect_quiet().await;
    peer.accept(first, "a").await;

    let (second, sm) = peer.submit().await;
    assert_eq!(sm.short_message[5], 2);
    let (third, sm) = peer.submit().await;
    assert_eq!(sm.short_message[5], 3);
    peer.send_all([
        submit_resp(third, CommandStatus::ROK, "c"),
        submit_resp(second, CommandStatus::RTHROTTLED, ""),
    ])
    .await;

    let (again, sm) = peer.submit().await;
    assert_eq!(sm.short_message[5], 2);
    peer.accept(again, "b").await;
    let accepted = send.await.unwrap().unwrap();
    assert_eq!((ids(&accepted), accepted.segments), (vec!["a", "b", "c"], 3));
    peer.expect_quiet().await;
}

/// Else a fallback would say the beginning a second time.
#[tokio::test]
async fn a_message_whose_later_part_is_refused_has_left_in_part() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound(&"x".repeat(400)));
    let (first, _) = peer.submit().await;
    peer.accept(first, "a").await;
    let (second, _) = peer.submit().await;
    let (third, _) = peer.submit().await;
    peer.refuse(second, CommandStatus(0x45)).await;
    peer.accept(third, "c").await;
    match send.await.unwrap() {
        Err(SendError::Rejected { reason, detail }) => {
            assert_eq!(reason, Reason::InPart);
            assert!(detail.starts_with("part 2 of 3:"), "{detail}");
        }
        other => panic!("{other:?}"),
    }
    peer.expect_quiet().await;
}

#[tokio::test]
async fn a_throttled_first_part_leaves_nothing_behind() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound(&"x".repeat(400)));
    let (first, _) = peer.submit().await;
    peer.refuse(first, CommandStatus::RTHROTTLED).await;
    retry(send.await.unwrap());
    peer.expect_quiet().await;
}

#[tokio::test]
async fn refusals_say_why_and_transient_errors_may_be_tried_again() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.transient_codes = vec![0x417];
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    for (status, expected) in [
        (0x0B, Reason::BadAddress),
        (0x0A, Reason::NotAllowed),
        (0x01, Reason::BadContent),
        (0x45, Reason::NetworkRefused),
        (0x418, Reason::NetworkRefused),
    ] {
        let send = running.send(outbound("hi"));
        let (sequence, _) = peer.submit().await;
        peer.refuse(sequence, CommandStatus(status)).await;
        match send.await.unwrap() {
            Err(SendError::Rejected { reason, detail }) => {
                assert_eq!(reason, expected);
                assert!(!detail.contains("4477"), "{detail}");
            }
            other => panic!("{other:?}"),
        }
    }
    for status in [0x08, 0x417] {
        let send = running.send(outbound("hi"));
        let (sequence, _) = peer.submit().await;
        peer.refuse(sequence, CommandStatus(status)).await;
        assert!(retry(send.await.unwrap()).1);
    }
    // generic_nack in place of a response.
    let send = running.send(outbound("hi"));
    let (sequence, _) = peer.submit().await;
    peer.send(Pdu::generic_nack(sequence, CommandStatus::RINVCMDLEN))
        .await;
    assert!(matches!(send.await.unwrap(), Err(SendError::Rejected { .. })));
}

#[tokio::test]
async fn what_was_in_flight_when_the_connection_broke_is_unknown_and_the_rest_is_not() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.window = 2;
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let sends: Vec<_> = (0..4)
        .map(|at| running.send(outbound(&format!("{at}"))))
        .collect();
    let mut seen = Vec::new();
    for _ in 0..2 {
        seen.push(peer.submit().await.1.short_message.text().into_owned());
    }
    drop(peer);
    for (at, send) in sends.into_iter().enumerate() {
        let result = send.await.unwrap();
        if seen.contains(&at.to_string()) {
            assert!(
                matches!(result, Err(SendError::Unknown { .. })),
                "{at}: {result:?}"
            );
        } else {
            assert!(!retry(result).1, "{at}");
        }
    }
    // And nothing is sent again by itself.
    smsc.bound().await.expect_quiet().await;
}

#[tokio::test]
async fn an_answer_that_came_before_the_connection_broke_counts() {
    let smsc = Smsc::start().await;
    let running = run(config(smsc.port()));
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound("hi"));
    let (sequence, _) = peer.submit().await;
    peer.accept(sequence, "7").await;
    drop(peer);
    assert_eq!(ids(&send.await.unwrap().unwrap()), ["7"]);
}

#[tokio::test]
async fn a_submit_without_an_answer_is_unknown_and_its_late_answer_harms_nothing() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.timing.response = Duration::from_millis(150);
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let send = running.send(outbound("one"));
    let (late, _) = peer.submit().await;
    assert!(matches!(send.await.unwrap(), Err(SendError::Unknown { .. })));
    peer.accept(late, "1").await;
    let send = running.send(outbound("two"));
    let (sequence, sm) = peer.submit().await;
    assert_eq!(sm.short_message.text(), "two");
    peer.accept(sequence, "2").await;
    assert_eq!(ids(&send.await.unwrap().unwrap()), ["2"]);
}

#[tokio::test]
async fn an_smsc_that_answers_no_submits_is_left() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.timing.response = Duration::from_millis(100);
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let sends: Vec<_> = (0..3).map(|_| running.send(outbound("hi"))).collect();
    for _ in 0..3 {
        peer.submit().await;
    }
    for send in sends {
        assert!(matches!(send.await.unwrap(), Err(SendError::Unknown { .. })));
    }
    assert_eq!(peer.next().await, None);
    smsc.bound().await;
}

#[tokio::test]
async fn congestion_slows_down_before_it_hurts() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.version = Version::V5_0;
    let running = run(settings);
    let mut peer = smsc.accept().await;
    let (request, bind) = peer.bind().await;
    assert_eq!(bind.interface_version, VERSION_5_0);
    peer.send(crate::smsc::bind_ok(&request)).await;
    running.until(Link::Connected).await;
    for (congestion, state) in [(89, Link::Connected), (95, Link::Degraded)] {
        let send = running.send(outbound("hi"));
        let (sequence, _) = peer.submit().await;
        let tlvs = Tlvs::new().with(tag::CONGESTION_STATE, [congestion]);
        let resp = MessageResp {
            message_id: "1".into(),
            tlvs,
        };
        peer.send(Pdu::new(sequence, Body::SubmitSmResp(resp))).await;
        // It was accepted all the same.
        send.await.unwrap().unwrap();
        assert_eq!(running.connector.probe().await.state, state, "{congestion}");
    }
    assert!(!retry(running.connector.send(outbound("hi")).await).1);
}

#[tokio::test]
async fn the_accounts_rate_is_kept() {
    let smsc = Smsc::start().await;
    let mut settings = config(smsc.port());
    settings.rate = Some(20.0);
    let running = run(settings);
    let mut peer = smsc.bound().await;
    running.until(Link::Connected).await;
    let began = Instant::now();
    let sends: Vec<_> = (0..10).map(|_| running.send(outbound("hi"))).collect();
    for _ in 0..10 {
        let (sequence, _) = peer.submit().await;
        peer.accept(sequence, "1").await;
    }
    for send in sends {
        send.await.unwrap().unwrap();
    }
    // Ten at twenty a second, less a burst of a tenth of a second.
    assert!(
        began.elapsed() >= Duration::from_millis(330),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn nothing_is_sent_before_the_connection_or_to_emergency_numbers() {
    let unused = Smsc::start().await;
    let idle = connector(config(unused.port())).unwrap();
    assert!(!retry(idle.send(outbound("hi")).await).1);
    let mut message = outbound("help");
    message.to = vec![Address::Short("112".into())];
    match idle.send(message).await {
        Err(SendError::Rejected { reason, .. }) => assert_eq!(reason, Reason::Emergency),
        other => panic!("{other:?}"),
    }
}
