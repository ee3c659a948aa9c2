use crate::house::*;
use std::sync::Arc;
use swingbridge_domain::directory::{Directory, DirectoryError};
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::line::Access;
use swingbridge_domain::message::Message;

#[tokio::test(flavor = "multi_thread")]
async fn a_user_invites_the_bot_for_commands_and_a_stranger_is_declined() {
    let house = House::new().await;
    let management = RoomId::new("!management");
    house
        .membership(
            &management,
            ALICE,
            "@smsbot:example.org",
            Membership::Invite,
            true,
        )
        .await;
    house.homeserver.until_said("Hello. I connect").await;
    let stranger = RoomId::new("!stranger");
    house
        .membership(
            &stranger,
            "@eve:other.org",
            "@smsbot:example.org",
            Membership::Invite,
            true,
        )
        .await;
    let left = |hs: &FakeHomeserver| {
        hs.actions()
            .into_iter()
            .find(|a| matches!(a, Action::Leave { room, .. } if room == &stranger))
    };
    house.homeserver.until("a declined invitation", left).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_all_have_left_the_next_text_invites_them_again() {
    let house = House::new().await;
    let room = house.conversation().await;
    house
        .membership(&room, ALICE, ALICE, Membership::Join, false)
        .await;
    house
        .membership(&room, ALICE, ALICE, Membership::Leave, false)
        .await;
    house.text_in(PHONE, "are you there?").await;
    let invited = |hs: &FakeHomeserver| {
        hs.actions()
            .into_iter()
            .find(|a| matches!(a, Action::Invite { room: r, .. } if r == &room))
    };
    let invite = house.homeserver.until("an invitation", invited).await;
    assert_eq!(
        invite,
        Action::Invite {
            room,
            users: vec![UserId::new(ALICE)]
        }
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_line_belongs_to_the_members_of_its_inbox() {
    let inbox = RoomId::new("!inbox");
    let mut shared = site();
    Arc::make_mut(&mut shared.lines[0]).access = Access {
        users: vec![],
        inbox: Some(inbox.clone()),
    };
    Arc::make_mut(&mut shared.lines[0]).signature = Some("— {name}".into());
    let house = House::with(shared).await;
    for user in [ALICE, BOB] {
        house
            .membership(&inbox, user, user, Membership::Join, false)
            .await;
    }
    let room = house.conversation().await;
    let made = house.homeserver.rooms_made(RoomKind::Group);
    assert_eq!(made[0].invite, [UserId::new(ALICE), UserId::new(BOB)]);
    house
        .homeserver
        .until_said("bot: New conversation on Main with +44 ••• 56")
        .await;
    house.say(&room, BOB, Message::text("Hello")).await;
    house.network.until_sent(1).await;
    assert_eq!(house.network.texts(), ["Hello\n— bob"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_looked_up_can_be_invited() {
    let house = House::new().await;
    let found = house
        .engine
        .resolve(None, None, "07700 900456", false)
        .await
        .unwrap();
    assert_eq!(found.room, None);
    let ghost = format!("@sms_{}:example.org", found.ghost.pseudonym);
    house
        .membership(&RoomId::new("!dm"), ALICE, &ghost, Membership::Invite, true)
        .await;
    let made = house
        .homeserver
        .until("the room", |hs| hs.rooms_made(RoomKind::Direct).pop())
        .await;
    assert_eq!(made.ghost.unwrap().pseudonym, found.ghost.pseudonym);
    let declined = |hs: &FakeHomeserver| {
        hs.actions()
            .into_iter()
            .find(|a| matches!(a, Action::Leave { room, .. } if room.as_str() == "!dm"))
    };
    house
        .homeserver
        .until("the ghost leaving the other room", declined)
        .await;
    house.homeserver.until_said("Starting a chat with").await;
    // Once more, when the room is there: there is nothing to start.
    let alice = UserId::new(ALICE);
    let there = house
        .engine
        .resolve(Some(&alice), None, PHONE, true)
        .await
        .unwrap();
    assert!(there.room.is_some());
    house
        .membership(&RoomId::new("!again"), ALICE, &ghost, Membership::Invite, true)
        .await;
    house.homeserver.until_said("There is a chat with").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_directory_makes_rooms_and_says_why_not() {
    let house = House::new().await;
    let alice = UserId::new(ALICE);
    let made = house
        .engine
        .resolve(Some(&alice), None, PHONE, true)
        .await
        .unwrap();
    assert!(made.room.is_some());
    assert_eq!(house.engine.contacts(&alice).await.unwrap().len(), 1);
    assert_eq!(
        house
            .engine
            .contacts(&UserId::new("@eve:other.org"))
            .await
            .unwrap()
            .len(),
        0
    );
    let nobody = UserId::new("@eve:other.org");
    assert_eq!(
        house.engine.resolve(Some(&nobody), None, PHONE, true).await,
        Err(DirectoryError::NotAllowed)
    );
    let emergency = house.engine.resolve(Some(&alice), None, "999", true).await;
    assert!(matches!(emergency, Err(DirectoryError::NotReachable(words)) if words.contains("emergency")));
    let known = house.engine.ghost(&made.ghost.pseudonym).await.unwrap();
    assert_eq!(known.map(|ghost| ghost.pseudonym), Some(made.ghost.pseudonym));
    assert_eq!(house.engine.ghost("nobody").await.unwrap(), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upgraded_room_stays_the_same_conversation() {
    let house = House::new().await;
    let room = house.conversation().await;
    let new = RoomId::new("!upgraded");
    house
        .happen(
            &room,
            ALICE,
            &EventId::new("$tombstone"),
            RoomEventKind::Replaced { by: new.clone() },
        )
        .await;
    house.text_in(PHONE, "after the move").await;
    house.homeserver.until_said("after the move").await;
    assert_eq!(room_of(&house.homeserver, "after the move"), Some(new));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_renamed_line_keeps_its_rooms_and_renames_them() {
    let house = House::new().await;
    let room = house.conversation().await;
    let mut renamed = site();
    Arc::make_mut(&mut renamed.lines[0]).display = swingbridge_domain::line::Display::Full;
    Arc::make_mut(&mut renamed.lines[0]).name = "Front desk".into();
    let house = house.kill_and_restart_with(renamed).await;
    let described = |hs: &FakeHomeserver| {
        hs.actions().into_iter().find_map(|action| match action {
            Action::Describe { room: r, about, .. } if r == room => Some(about.name),
            _ => None,
        })
    };
    assert_eq!(house.homeserver.until("a new name", described).await, PHONE);
    let named = |hs: &FakeHomeserver| {
        let mut names = hs.actions().into_iter().filter_map(|action| match action {
            Action::Describe { about, .. } => Some(about.name),
            _ => None,
        });
        names.find(|name| name == "Front desk")
    };
    house.homeserver.until("a new name of the space", named).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_in_a_room_nobody_knows_is_not_dropped_in_silence() {
    let house = House::new().await;
    house
        .say(&RoomId::new("!forgotten"), ALICE, Message::text("hello?"))
        .await;
    house
        .homeserver
        .until_said("Nothing was sent: I do not know this room")
        .await;
    assert!(house.network.texts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_written_to_the_bot_before_it_has_come_in_is_answered() {
    let house = House::new().await;
    let management = RoomId::new("!management");
    let event = EventId::new("$early");
    let early = Arrival {
        dedupe: Dedupe::Event {
            id: event.clone(),
            sent_at: SENT_AT,
        },
        what: What::Room(RoomEvent {
            room: management.clone(),
            event,
            sender: UserId::new(ALICE),
            sent_at: SENT_AT,
            protection: swingbridge_domain::path::Protection::None,
            what: RoomEventKind::Message(Message::text("version")),
        }),
    };
    // No push brings it: the homeserver pushes only what is said where somebody of ours is.
    house.homeserver.until_looked(1).await;
    *house.homeserver.missed.lock().unwrap() = vec![early];
    let bot = "@smsbot:example.org";
    house
        .membership(&management, ALICE, bot, Membership::Invite, true)
        .await;
    house.homeserver.until_said("bot: Swingbridge 0.1.0").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_on_a_line_that_is_gone_is_refused_by_a_status_and_in_words() {
    let house = House::new().await;
    let room = house.conversation().await;
    let mut changed = site();
    Arc::make_mut(&mut changed.lines[0]).id = LineId::new("other");
    Arc::make_mut(&mut changed.lines[0]).address =
        swingbridge_domain::address::Address::Number("+447700900999".into());
    let house = house.kill_and_restart_with(changed).await;
    let event = house.say(&room, ALICE, Message::text("still there?")).await;
    house.homeserver.until_said("no longer configured").await;
    let statuses = house.homeserver.statuses();
    let told = statuses.iter().find(|status| status.event == event).unwrap();
    assert_eq!(told.state, swingbridge_domain::delivery::State::Rejected);
    assert!(house.network.texts().is_empty());
}

fn shared_by(inbox: &RoomId) -> swingbridge_engine::site::Site {
    let mut site = site();
    Arc::make_mut(&mut site.lines[0]).access = Access {
        users: Vec::new(),
        inbox: Some(inbox.clone()),
    };
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_team_that_was_there_before_the_bot_shares_the_line_and_sees_what_came_before_it() {
    let team = RoomId::new("!team");
    let house = House::with(shared_by(&team)).await;
    house.text_in(PHONE, "is anybody there?").await;
    let room = house
        .homeserver
        .until("the room", |hs| room_of(hs, "is anybody there?"))
        .await;
    let inside = vec![UserId::new(ALICE), UserId::new("@eve:other.org")];
    house
        .homeserver
        .inside
        .lock()
        .unwrap()
        .insert(team.clone(), inside);
    house
        .membership(&team, ALICE, "@smsbot:example.org", Membership::Invite, false)
        .await;
    // Eve has no permission.
    let expected = Action::Invite {
        room: room.clone(),
        users: vec![UserId::new(ALICE)],
    };
    let invited = |hs: &FakeHomeserver| hs.actions().contains(&expected).then_some(());
    house.homeserver.until("the invitation", invited).await;
    let announced = |hs: &FakeHomeserver| {
        let said = hs.actions().into_iter().filter(|action| match action {
            Action::Post(post) => post.room == team && post.text.plain.contains(room.as_str()),
            _ => false,
        });
        (said.count() > 1).then_some(())
    };
    house.homeserver.until("the announcement", announced).await;
    house.say(&room, ALICE, Message::text("We are")).await;
    house.network.until_sent(1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shared_room_that_the_bot_is_in_already_is_known_after_the_start() {
    let house = House::new().await;
    let room = house.conversation().await;
    let team = RoomId::new("!team");
    house
        .homeserver
        .inside
        .lock()
        .unwrap()
        .insert(team.clone(), vec![UserId::new(BOB)]);
    let house = house.kill_and_restart_with(shared_by(&team)).await;
    let expected = Action::Invite {
        room,
        users: vec![UserId::new(BOB)],
    };
    let invited = |hs: &FakeHomeserver| hs.actions().contains(&expected).then_some(());
    house.homeserver.until("the invitation", invited).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_the_room_that_shares_a_line_chats_start_on_that_line() {
    let team = RoomId::new("!team");
    let mut site = site();
    let mut desk = site.lines[0].as_ref().clone();
    desk.id = LineId::new("desk");
    desk.name = "Front desk".into();
    desk.address = swingbridge_domain::address::Address::Number("+447700900124".into());
    desk.access = shared_by(&team).lines[0].access.clone();
    site.lines.push(Arc::new(desk));
    let house = House::with(site).await;
    house
        .homeserver
        .inside
        .lock()
        .unwrap()
        .insert(team.clone(), vec![UserId::new(ALICE)]);
    house
        .membership(&team, ALICE, "@smsbot:example.org", Membership::Invite, false)
        .await;
    house
        .membership(&team, ALICE, ALICE, Membership::Join, false)
        .await;
    house
        .say(&team, ALICE, Message::text("!sb start-chat 07700 900456"))
        .await;
    house
        .homeserver
        .until_said("on Front desk: the invitation is on its way")
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_with_another_key_keeps_its_conversations() {
    let house = House::new().await;
    let room = house.conversation().await;
    let mut renamed = site();
    Arc::make_mut(&mut renamed.lines[0]).id = LineId::new("helpdesk");
    let house = house.kill_and_restart_with(renamed).await;
    house.text_in(PHONE, "still the same room").await;
    house.homeserver.until_said("still the same room").await;
    assert_eq!(room_of(&house.homeserver, "still the same room"), Some(room));
    assert_eq!(house.homeserver.rooms_made(RoomKind::Space).len(), 1);
}
