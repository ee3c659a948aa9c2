use crate::house::*;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::secret::Keys;

#[tokio::test(flavor = "multi_thread")]
async fn the_first_text_makes_a_room_and_the_next_uses_it() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.text_in(PHONE, "Still me").await;
    house.homeserver.until_said("contact: Still me").await;
    assert_eq!(room_of(&house.homeserver, "Still me"), Some(room));
    let made = house.homeserver.rooms_made(RoomKind::Direct);
    assert_eq!(made.len(), 1);
    assert_eq!(made[0].invite, [UserId::new(ALICE)]);
    assert_eq!(house.homeserver.rooms_made(RoomKind::Space).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_number_is_told_to_the_homeserver() {
    let house = House::new().await;
    house.conversation().await;
    let told = format!("{:?}", house.homeserver.done.lock().unwrap());
    assert!(!told.contains("7700900"), "{told}");
    let serialised = serde_json_of(&house.homeserver.actions());
    assert!(!serialised.contains("7700900"), "{serialised}");
}

fn serde_json_of(actions: &[Action]) -> String {
    actions
        .iter()
        .map(|action| serde_json::to_string(action).unwrap())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_arrival_twice_is_shown_once() {
    let house = House::new().await;
    let arrival = Arrival {
        dedupe: Dedupe::Id {
            scope: "carrier".into(),
            id: "1".into(),
        },
        what: What::Network(Inbound::Message(inbound(PHONE, "once"))),
    };
    house
        .engine
        .deliver(vec![arrival.clone(), arrival.clone()])
        .await
        .unwrap();
    house.engine.deliver(vec![arrival]).await.unwrap();
    house.text_in(PHONE, "after").await;
    house.homeserver.until_said("contact: after").await;
    assert_eq!(
        house
            .homeserver
            .said()
            .iter()
            .filter(|said| said.ends_with("once"))
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn order_is_kept_in_a_conversation() {
    let house = House::new().await;
    for number in 0..50 {
        house.text_in(PHONE, &format!("text {number}")).await;
    }
    house.homeserver.until_said("text 49").await;
    let expected: Vec<String> = (0..50).map(|number| format!("contact: text {number}")).collect();
    assert_eq!(house.homeserver.said_by("contact"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn parts_come_together_in_any_order_and_twice() {
    let house = House::new().await;
    house.part_in(3, 3, "three").await;
    house.part_in(1, 3, "one ").await;
    house.part_in(1, 3, "one ").await;
    house.part_in(2, 3, "two ").await;
    house.homeserver.until_said("contact: one two three").await;
    assert_eq!(house.homeserver.said_by("contact").len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_part_is_marked_and_a_late_one_fills_the_gap() {
    let house = House::new().await;
    house.part_in(1, 2, "one ").await;
    house.text_in("+447700900457", "processed after the part").await;
    house.homeserver.until_said("processed after the part").await;
    house.advance(Duration::from_secs(121));
    house
        .homeserver
        .until_said("contact: one  [part 2 of 2 missing] ")
        .await;
    house.part_in(2, 2, "two").await;
    house.homeserver.until_said("contact (edit): one two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_for_no_line_is_kept_until_the_line_is_configured() {
    let mut two = site();
    let mut other = two.lines[0].as_ref().clone();
    other.id = LineId::new("other");
    other.address = swingbridge_domain::address::Address::Number("+447700900124".into());
    two.lines.push(Arc::new(other));
    let house = House::with(two).await;
    let mut lost = inbound(PHONE, "for nobody");
    lost.to.text = "+447700900999".into();
    house.arrive(What::Network(Inbound::Message(lost))).await;
    // The next one is not held up by it.
    house.text_in(PHONE, "for main").await;
    house.homeserver.until_said("for main").await;
    assert!(
        !house
            .homeserver
            .said()
            .iter()
            .any(|said| said.contains("for nobody"))
    );

    let house = house.kill_and_restart().await;
    let management = RoomId::new("!management");
    house
        .membership(&management, BOB, "@smsbot:example.org", Membership::Invite, true)
        .await;
    house.homeserver.until_said("Hello. I connect").await;
    house
        .say(
            &management,
            BOB,
            swingbridge_domain::message::Message::text("buried"),
        )
        .await;
    house.homeserver.until_said("an address that no line has").await;
    house
        .say(
            &management,
            BOB,
            swingbridge_domain::message::Message::text("requeue"),
        )
        .await;
    house.homeserver.until_said("contact: for nobody").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_named_sender_gets_a_room_that_cannot_be_answered() {
    let house = House::new().await;
    house.text_in("ACME Bank", "Your code is 1234").await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "Your code is 1234"))
        .await;
    assert!(!house.homeserver.rooms_made(RoomKind::Direct)[0].about.writable);
    house.homeserver.until_said("it cannot be answered").await;
    house
        .say(&room, ALICE, swingbridge_domain::message::Message::text("hi"))
        .await;
    house
        .homeserver
        .until("a refusal", |hs| (!hs.statuses().is_empty()).then_some(()))
        .await;
    assert!(house.network.texts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_homeserver_loses_nothing_and_repeats_the_same_transactions() {
    let house = House::new().await;
    {
        let mut failures = house.homeserver.failures.lock().unwrap();
        for _ in 0..3 {
            failures.push_back(PerformError::Later {
                delay: Some(Duration::ZERO),
                detail: "502".into(),
            });
        }
    }
    house.conversation().await;
    let done = house.homeserver.done.lock().unwrap();
    let transactions: Vec<&str> = done.iter().map(|(transaction, _)| transaction.as_str()).collect();
    let mut unique = transactions.clone();
    unique.dedup();
    assert_eq!(
        done.iter()
            .filter(|(_, action)| matches!(action, Action::Post(post) if post.sender != Sender::Bot))
            .count(),
        1,
        "{transactions:?}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_room_that_is_gone_is_made_anew_for_the_next_text() {
    let house = House::new().await;
    let first = house.conversation().await;
    house
        .homeserver
        .failures
        .lock()
        .unwrap()
        .push_back(PerformError::RoomGone {
            detail: "forgotten".into(),
        });
    house.text_in(PHONE, "again").await;
    house.homeserver.until_said("contact: again").await;
    let second = room_of(&house.homeserver, "again").unwrap();
    assert_ne!(first, second);
    let made = house.homeserver.rooms_made(RoomKind::Direct);
    assert_eq!(made.len(), 2);
    assert_ne!(
        made[0].alias, made[1].alias,
        "the old alias may still point to the old room"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_message_with_an_old_ones_number_is_not_taken_for_its_repetition() {
    let house = House::new().await;
    house.part_in(1, 2, "old one ").await;
    house.part_in(1, 2, "new one ").await;
    house
        .homeserver
        .until_said("contact: old one  [part 2 of 2 missing] ")
        .await;
    house.part_in(2, 2, "new two").await;
    house.homeserver.until_said("contact: new one new two").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_comes_once_more_after_its_text_was_complete_makes_no_new_one() {
    let house = House::new().await;
    for index in 1..=3 {
        house.part_in(index, 3, &format!("part {index} ")).await;
    }
    house
        .homeserver
        .until_said("contact: part 1 part 2 part 3 ")
        .await;
    // What they said is not kept.
    let kept = swingbridge_domain::store::run(house.store.as_ref(), |tables| {
        let conversation = tables.conversations(None, 1)?.remove(0).id;
        let assembly = tables.assembly_by_key(conversation, "7/1/3")?.unwrap();
        tables.assembly_parts(assembly.id)
    });
    let keys = Keys::derive(&[7; 32], std::sync::Arc::new(TestEntropy));
    for part in kept.await.unwrap() {
        let plain = keys
            .open(swingbridge_domain::store::seal::PART, &part.sealed)
            .unwrap();
        let plain = String::from_utf8(plain).unwrap();
        assert!(plain.contains("digest") && !plain.contains("part "), "{plain}");
    }
    let house = house.kill_and_restart().await;
    house.part_in(2, 3, "part 2 ").await;
    house.text_in("+447700900457", "processed after the part").await;
    house.homeserver.until_said("processed after the part").await;
    house.advance(Duration::from_secs(121));
    // Another text with the number of the first is another text.
    house.part_in(3, 3, "other 3").await;
    house.part_in(1, 3, "other 1 ").await;
    house.part_in(2, 3, "other 2 ").await;
    house
        .homeserver
        .until_said("contact: other 1 other 2 other 3")
        .await;
    let said = house.homeserver.said_by("contact");
    assert!(!said.iter().any(|said| said.contains("missing")), "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_that_comes_once_more_after_a_gap_was_shown_is_no_part_of_another_text() {
    let house = House::new().await;
    house.part_in(1, 2, "one ").await;
    house.text_in("+447700900457", "processed after the part").await;
    house.homeserver.until_said("processed after the part").await;
    house.advance(Duration::from_secs(121));
    house
        .homeserver
        .until_said("contact: one  [part 2 of 2 missing] ")
        .await;
    house.part_in(1, 2, "one ").await;
    house.part_in(2, 2, "two").await;
    house.homeserver.until_said("contact (edit): one two").await;
    house.advance(Duration::from_secs(121));
    house.text_in(PHONE, "the end").await;
    house.homeserver.until_said("the end").await;
    let said = house.homeserver.said_by("contact");
    let gaps = said.iter().filter(|said| said.contains("missing"));
    assert_eq!(gaps.count(), 1, "{said:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_equal_text_with_the_same_number_is_shown_when_it_comes_later() {
    let house = House::new().await;
    for index in 1..=2 {
        house.part_in(index, 2, &format!("part {index} ")).await;
    }
    house.homeserver.until_said("contact: part 1 part 2 ").await;
    house.advance(Duration::from_secs(601));
    // By then it is forgotten.
    let known = || {
        swingbridge_domain::store::run(house.store.as_ref(), |tables| {
            let conversation = tables.conversations(None, 1)?.remove(0).id;
            tables.assembly_by_key(conversation, "7/1/2")
        })
    };
    let forgotten = async {
        while known().await.unwrap().is_some() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), forgotten)
        .await
        .unwrap();
    for index in 1..=2 {
        house.part_in(index, 2, &format!("part {index} ")).await;
    }
    house
        .homeserver
        .until("the text once more", |hs| {
            let said = hs.said_by("contact");
            let found = said.iter().filter(|said| said.contains("part 1 part 2"));
            (found.count() == 2).then_some(())
        })
        .await;
}
