//! A redaction of what has left: a network that takes back what has not reached the phone is asked to.

use crate::fallback::{both, unreachable};
use crate::house::*;
use std::time::Duration;
use swingbridge_domain::connector::{Revoked, SendError};
use swingbridge_domain::consent::Downgrade;
use swingbridge_domain::delivery::{Outcome, State};
use swingbridge_domain::id::{EventId, NetworkId, RoomId};
use swingbridge_domain::message::Message;

/// A room with a text that RCS took, and that the phone does not have.
async fn left(house: &House) -> (RoomId, EventId) {
    let room = house.rcs_conversation().await;
    let event = house.say(&room, ALICE, Message::text("oops")).await;
    house.until_state(&event, State::Accepted).await;
    (room, event)
}

impl House {
    fn asked(&self) -> Vec<Vec<NetworkId>> {
        let revoked = self.agent().revoked.lock().unwrap();
        revoked
            .iter()
            .map(|revocation| revocation.network_ids.clone())
            .collect()
    }

    async fn settled(&self) {
        self.rcs_in(crate::fallback::rcs_inbound("marker")).await;
        self.homeserver.until_said("marker").await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_has_not_reached_the_phone_is_taken_back_for_its_writer_and_goes_no_other_way() {
    let house = House::with(both(Downgrade::Tell)).await;
    let (room, event) = left(&house).await;
    house.say(&room, ALICE, withdrawal(&event)).await;
    house
        .homeserver
        .until_said("Taken back: the phone will not get it")
        .await;
    assert_eq!(house.asked(), [[NetworkId::new("n1")]]);
    // Neither its time nor the network's own word sends it by SMS.
    house.rcs_receipt("n1", Outcome::Rejected).await;
    house.advance(Duration::from_secs(121));
    house.settled().await;
    assert_eq!(house.asked().len(), 1);
    assert!(house.network.texts().is_empty(), "{:?}", house.network.texts());
    // Taken back once more, nobody is asked.
    house.say(&room, ALICE, withdrawal(&event)).await;
    house.settled().await;
    assert_eq!(house.asked().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_is_told_and_goes_no_other_way_either() {
    for (answer, words) in [
        (Ok(Revoked::TooLate), "on the phone already"),
        (Ok(Revoked::InPart), "A part of it is on the phone already"),
        (Ok(Revoked::Impossible), "this connection cannot take it back"),
    ] {
        let house = House::with(both(Downgrade::Tell)).await;
        house.agent().revocations.lock().unwrap().push_back(answer);
        let (room, event) = left(&house).await;
        house.say(&room, ALICE, withdrawal(&event)).await;
        house.homeserver.until_said(words).await;
        house.advance(Duration::from_secs(121));
        house.settled().await;
        assert_eq!(house.asked().len(), 1);
        assert!(house.network.texts().is_empty(), "{:?}", house.network.texts());
        // It arrives: that is told as ever.
        house.rcs_receipt("n1", Outcome::Delivered).await;
        house.until_state(&event, State::Delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_gives_no_answer_is_asked_again() {
    let house = House::with(both(Downgrade::Tell)).await;
    let later = SendError::RetryAfter {
        delay: Duration::from_secs(5),
        detail: "away".into(),
        counts: false,
    };
    let unknown = SendError::Unknown {
        detail: "no answer".into(),
    };
    for error in [later, unknown] {
        house.agent().revocations.lock().unwrap().push_back(Err(error));
    }
    let (room, event) = left(&house).await;
    house.say(&room, ALICE, withdrawal(&event)).await;
    for _ in 0..100 {
        if house.asked().len() == 3 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        house.advance(Duration::from_secs(2));
    }
    house.homeserver.until_said("Taken back").await;
    assert_eq!(house.asked().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_phone_has_is_not_asked_back() {
    let house = House::with(both(Downgrade::Tell)).await;
    let (room, event) = left(&house).await;
    house.rcs_receipt("n1", Outcome::Delivered).await;
    house.until_state(&event, State::Delivered).await;
    house.say(&room, ALICE, withdrawal(&event)).await;
    house.homeserver.until_said("on the phone already").await;
    assert!(house.asked().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_network_that_a_message_went_by_is_the_one_that_is_named() {
    let house = House::with(both(Downgrade::Tell)).await;
    house.agent().answer(Err(unreachable()));
    let room = house.rcs_conversation().await;
    let event = house.say(&room, ALICE, Message::text("by SMS")).await;
    house.network.until_sent(1).await;
    house.until_state(&event, State::Accepted).await;
    house.say(&room, ALICE, withdrawal(&event)).await;
    house.homeserver.until_said("SMS cannot take it back").await;
    assert!(house.asked().is_empty());
}
