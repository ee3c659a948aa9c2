//! One session over a pipe of a few octets: what is exactly known of a submit's fate.

use crate::smsc::{Peer, bind_ok, text};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_connectors::smpp::metrics::Meters;
use swingbridge_connectors::smpp::session::{End, Io, Limits, Session, SubmitError, open};
use swingbridge_wire::smpp::{Bind, Body};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

/// A running session and its other side, with a pipe between them that holds `pipe` octets each way.
async fn bound(pipe: usize, window: u16) -> (Session, Peer, JoinHandle<End>) {
    let (ours, theirs) = tokio::io::duplex(pipe);
    let (reader, writer) = tokio::io::split(ours);
    let limits = Limits {
        window,
        response: Duration::from_millis(200),
        enquire_link: Duration::from_secs(30),
    };
    let bind = Body::BindTransceiver(Bind::default());
    let meters = Arc::new(Meters::new("test"));
    let opening = open(
        Io::new(reader, writer),
        bind,
        Duration::from_secs(5),
        limits,
        meters,
    );
    let binding = async {
        let mut peer = Peer::new(theirs);
        let (request, _) = peer.bind().await;
        peer.send(bind_ok(&request)).await;
        peer
    };
    let (opened, peer) = tokio::join!(opening, binding);
    let opened = opened.unwrap();
    let session = opened.session.clone();
    let running = tokio::spawn(async move {
        let (sender, _deliveries) = mpsc::channel(1);
        session.run(opened.io, sender).await
    });
    (opened.session, peer, running)
}

#[tokio::test]
async fn what_was_never_given_to_a_stalled_stream_is_known_not_to_be_sent() {
    let (session, mut peer, running) = bound(64, 10).await;
    let first = session
        .slot()
        .await
        .unwrap()
        .submit(text(&"x".repeat(200)))
        .unwrap();
    // The writer takes the first, fills the pipe with it, and waits; what follows stays here.
    peer.some_octets().await;
    let second = session.slot().await.unwrap().submit(text("second")).unwrap();
    let first = first.answer().await;
    assert!(
        matches!(
            first,
            Err(SubmitError::Lost(End::Stalled) | SubmitError::TimedOut)
        ),
        "{first:?}"
    );
    assert_eq!(second.answer().await, Err(SubmitError::NotSent(End::Stalled)));
    assert_eq!(running.await.unwrap(), End::Stalled);
    assert!(matches!(
        session.submit(text("third")).await,
        Err(SubmitError::NotSent(End::Stalled))
    ));
}

#[tokio::test]
async fn what_was_written_and_not_answered_when_the_stream_ends_is_lost() {
    let (session, mut peer, running) = bound(4096, 10).await;
    let ticket = session.slot().await.unwrap().submit(text("first")).unwrap();
    peer.submit().await;
    drop(peer);
    assert_eq!(ticket.answer().await, Err(SubmitError::Lost(End::Closed)));
    assert_eq!(running.await.unwrap(), End::Closed);
}

#[tokio::test]
async fn a_submit_that_cannot_be_written_gives_its_place_back() {
    let (session, mut peer, _running) = bound(4096, 1).await;
    let mut long = text("hi");
    long.service_type = "far too long".into();
    assert!(matches!(session.submit(long).await, Err(SubmitError::Invalid(_))));
    let submitting = session.submit(text("next"));
    let answering = async {
        let (sequence, _) = peer.submit().await;
        peer.accept(sequence, "1").await;
    };
    let (answer, ()) = tokio::join!(submitting, answering);
    assert_eq!(answer.unwrap().message_id.text(), "1");
    assert_eq!(session.in_flight(), 0);
}
