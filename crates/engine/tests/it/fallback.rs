//! A line that falls back to another: the phone gets a message once, and people know by which way.

use crate::house::*;
use crate::trust::{reaction, until_question};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::connector::{Reach, Revoked, SendError};
use swingbridge_domain::consent::{Downgrade, Rule};
use swingbridge_domain::delivery::{Outcome, Reason, State};
use swingbridge_domain::homeserver::*;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::line::Fallback;
use swingbridge_domain::message::*;
use swingbridge_domain::path::*;
use swingbridge_engine::site::Site;

const AGENT: &str = "+447700900900";

fn rcs_way() -> Vec<Leg> {
    let google = Place::Provider("Google".into());
    vec![
        Leg::new(
            Place::Phone,
            google.clone(),
            Protection::Transport,
            Evidence::ReportedByProvider,
        ),
        Leg::new(google, Place::Gateway, Protection::Transport, Evidence::OurOwnEnd),
    ]
}

/// A line by RCS that falls back to the one by SMS.
pub fn both(downgrade: Downgrade) -> Site {
    let mut site = site();
    let sms = site.lines[0].as_ref().clone();
    let mut rcs = sms.clone();
    rcs.id = LineId::new("rcs");
    rcs.name = "Agent".into();
    rcs.connector = ConnectorId::new("rcs");
    rcs.address = Address::Number(AGENT.into());
    rcs.downgrade = downgrade;
    rcs.fallback = Some(Fallback::to(sms.id.clone()));
    site.lines = vec![Arc::new(rcs), Arc::new(sms)];
    site.capabilities = BTreeMap::from([(
        ConnectorId::new("rcs"),
        Capabilities {
            networks: vec!["rcs".into()],
            way: rcs_way(),
            rich_cards: Support::Full,
            delivery_receipts: Support::Full,
            revokes: true,
            idempotent_sends: true,
            ..Capabilities::default()
        },
    )]);
    site
}

pub fn unreachable() -> SendError {
    SendError::Rejected {
        reason: Reason::NotReachable,
        detail: "no RCS".into(),
    }
}

fn unknown() -> SendError {
    SendError::Unknown {
        detail: "no answer".into(),
    }
}

impl House {
    pub fn agent(&self) -> &FakeNetwork {
        self.rcs.as_deref().unwrap()
    }

    pub async fn rcs_in(&self, message: InboundMessage) {
        self.arrive(What::Network(Inbound::Message(message))).await;
    }

    pub async fn rcs_receipt(&self, id: &str, outcome: Outcome) {
        self.arrive(What::Network(Inbound::Receipt(Receipt {
            connector: ConnectorId::new("rcs"),
            network_ids: vec![NetworkId::new(id)],
            outcome,
            error: None,
            at: None,
            way: Vec::new(),
        })))
        .await;
    }

    /// A room in which the phone has written by RCS.
    pub async fn rcs_conversation(&self) -> RoomId {
        self.rcs_in(rcs_inbound("Hello by RCS")).await;
        self.homeserver.until_said("Hello by RCS").await;
        self.homeserver
            .until("its room", |hs| room_of(hs, "Hello by RCS"))
            .await
    }

    /// Lets time pass, and the engine look at its timers: it does so every second, of real time.
    async fn pass(&self, looks: usize) {
        for _ in 0..looks {
            self.advance(Duration::from_secs(70));
            tokio::time::sleep(Duration::from_millis(1100)).await;
        }
    }

    /// Lets time pass until the agent was given `count` messages.
    async fn until_repeated(&self, count: usize) {
        for _ in 0..100 {
            let sent = self.agent().until_sent(count);
            if tokio::time::timeout(Duration::from_millis(100), sent)
                .await
                .is_ok()
            {
                return;
            }
            self.advance(Duration::from_secs(2));
        }
        panic!("nothing was repeated");
    }

    pub async fn until_state(&self, event: &EventId, state: State) -> SendStatus {
        self.homeserver
            .until(state.word(), |hs| {
                let mut statuses = hs.statuses().into_iter();
                statuses.find(|status| &status.event == event && status.state == state)
            })
            .await
    }
}

pub fn rcs_inbound(text: &str) -> InboundMessage {
    let mut message = inbound(PHONE, text);
    message.connector = ConnectorId::new("rcs");
    message.to.text = AGENT.into();
    message
}

#[tokio::test(flavor = "multi_thread")]
async fn a_phone_that_lost_rcs_gets_the_text_by_sms_once_somebody_agrees() {
    let house = House::with(both(Downgrade::Ask)).await;
    let room = house.rcs_conversation().await;
    let first = house.say(&room, ALICE, Message::text("by rcs")).await;
    house.until_state(&first, State::Accepted).await;
    assert_eq!(house.agent().texts(), ["by rcs"]);
    house.agent().answer(Err(unreachable()));
    let second = house.say(&room, ALICE, Message::text("by sms")).await;
    house.until_state(&second, State::Held).await;
    house
        .homeserver
        .until_said("This phone has no RCS now: it goes by SMS instead.")
        .await;
    assert!(house.network.texts().is_empty(), "nobody has agreed yet");
    let question = until_question(&house, 1).await;
    house.say(&room, ALICE, reaction(&question, "👍")).await;
    let status = house.until_state(&second, State::Accepted).await;
    assert_eq!(house.network.texts(), ["by sms"]);
    assert_eq!(house.agent().texts(), ["by rcs", "by sms"], "it was tried once");
    let legs = status.path.expect("the label of the way that it took").legs;
    assert_eq!(legs.last().unwrap().protection, Protection::None, "{legs:?}");
    // The next one goes there at once.
    let third = house.say(&room, ALICE, Message::text("again")).await;
    house.until_state(&third, State::Accepted).await;
    assert_eq!(house.network.texts(), ["by sms", "again"]);
    assert_eq!(house.agent().texts().len(), 2);
    // The phone answers by SMS in the same room, and by RCS once it has it again.
    house.text_in(PHONE, "sms answer").await;
    house.homeserver.until_said("sms answer").await;
    assert_eq!(room_of(&house.homeserver, "sms answer").as_ref(), Some(&room));
    house.rcs_in(rcs_inbound("rcs answer")).await;
    house.homeserver.until_said("rcs answer").await;
    assert_eq!(room_of(&house.homeserver, "rcs answer").as_ref(), Some(&room));
    let fourth = house.say(&room, ALICE, Message::text("rcs again")).await;
    house.until_state(&fourth, State::Accepted).await;
    assert_eq!(house.agent().texts().last().unwrap(), "rcs again");
    assert_eq!(house.homeserver.rooms_made(RoomKind::Direct).len(), 1);
}

/// Both ways are SMS, by two carriers, and each is agreed to by itself.
fn two_of_one_network() -> Site {
    let mut site = both(Downgrade::Tell);
    for line in &mut site.lines {
        Arc::make_mut(line).consent = Rule::Line;
    }
    let acme = Place::Provider("Acme".into());
    let able = site.capabilities.get_mut(&ConnectorId::new("rcs")).unwrap();
    able.networks = vec!["sms".into()];
    able.way = vec![
        Leg::new(
            Place::Phone,
            acme.clone(),
            Protection::None,
            Evidence::NetworkCannot,
        ),
        Leg::new(acme, Place::Gateway, Protection::Transport, Evidence::OurOwnEnd),
    ];
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn who_agrees_to_the_other_way_has_agreed_to_that_one_in_both_directions() {
    let house = House::with(two_of_one_network()).await;
    house.rcs_in(rcs_inbound("by the first")).await;
    let question = until_question(&house, 1).await;
    let room = house.room().await;
    house.say(&room, ALICE, reaction(&question, "👍")).await;
    house.homeserver.until_said("by the first").await;
    house.agent().answer(Err(unreachable()));
    let event = house.say(&room, ALICE, Message::text("by the other")).await;
    house.until_state(&event, State::Held).await;
    let question = until_question(&house, 2).await;
    assert!(
        house.network.texts().is_empty(),
        "nobody has agreed to that one yet"
    );
    house.say(&room, ALICE, reaction(&question, "👍")).await;
    house.until_state(&event, State::Accepted).await;
    assert_eq!(house.network.texts(), ["by the other"]);
    // What comes back by it was agreed to as well, and nothing more is asked.
    house.text_in(PHONE, "and back").await;
    house.homeserver.until_said("and back").await;
    assert_eq!(crate::trust::questions(&house.homeserver).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_comes_by_a_way_that_nobody_agreed_to_waits_under_the_name_of_that_way() {
    let house = House::with(two_of_one_network()).await;
    house.rcs_in(rcs_inbound("by the first")).await;
    let question = until_question(&house, 1).await;
    let room = house.room().await;
    house.say(&room, ALICE, reaction(&question, "👍")).await;
    house.homeserver.until_said("by the first").await;
    house.text_in(PHONE, "by the other").await;
    let question = until_question(&house, 2).await;
    house.homeserver.until_said("Texts on Main go by SMS").await;
    assert!(room_of(&house.homeserver, "by the other").is_none());
    house.say(&room, ALICE, reaction(&question, "👍")).await;
    house.homeserver.until_said("by the other").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_declines_the_other_way_keeps_the_text_from_it() {
    let house = House::with(both(Downgrade::Ask)).await;
    let room = house.rcs_conversation().await;
    let first = house.say(&room, ALICE, Message::text("by rcs")).await;
    house.until_state(&first, State::Accepted).await;
    house.agent().answer(Err(unreachable()));
    let second = house.say(&room, ALICE, Message::text("secret")).await;
    house.until_state(&second, State::Held).await;
    let question = until_question(&house, 1).await;
    house.say(&room, ALICE, reaction(&question, "👎")).await;
    house.until_state(&second, State::Rejected).await;
    assert!(house.network.texts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_does_not_arrive_in_time_is_taken_back_before_it_goes_another_way() {
    let house = House::with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house.until_state(&event, State::Accepted).await;
    house.advance(Duration::from_secs(119));
    house.text_in(PHONE, "marker").await;
    house.homeserver.until_said("marker").await;
    assert!(
        house.agent().revoked.lock().unwrap().is_empty(),
        "its time is not over"
    );
    house.advance(Duration::from_secs(2));
    house.network.until_sent(1).await;
    let revoked = house.agent().revoked.lock().unwrap().clone();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].network_ids, [NetworkId::new("n1")]);
    assert_eq!(revoked[0].key.len(), 24);
    assert_eq!(house.network.texts(), ["Hi"]);
    house.receipt_in(&["n1"], Outcome::Delivered).await;
    house.until_state(&event, State::Delivered).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_taken_back_is_not_sent_another_way() {
    for answer in [
        Ok(Revoked::Impossible),
        Err(SendError::Rejected {
            reason: Reason::NetworkRefused,
            detail: "no".into(),
        }),
    ] {
        let house = House::with(both(Downgrade::Tell)).await;
        house.agent().revocations.lock().unwrap().push_back(answer);
        let room = house.rcs_conversation().await;
        let event = house.say(&room, ALICE, Message::text("Hi")).await;
        house.until_state(&event, State::Accepted).await;
        house.advance(Duration::from_secs(121));
        house.homeserver.until_said("cannot be taken back").await;
        assert!(house.network.texts().is_empty());
        // It arrives late: that is all.
        house.rcs_receipt("n1", Outcome::Delivered).await;
        house.until_state(&event, State::Delivered).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_arrives_while_the_other_way_waits_for_a_word_never_leaves_by_it() {
    let house = House::with(both(Downgrade::Ask)).await;
    let room = house.rcs_conversation().await;
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house.until_state(&event, State::Accepted).await;
    house.advance(Duration::from_secs(121));
    house.until_state(&event, State::Held).await;
    house.rcs_receipt("n1", Outcome::Delivered).await;
    house.until_state(&event, State::Delivered).await;
    house.homeserver.until_said("by RCS after all").await;
    let question = until_question(&house, 1).await;
    house.say(&room, ALICE, reaction(&question, "👍")).await;
    house.homeserver.until_said("less protected").await;
    let next = house.say(&room, ALICE, Message::text("next")).await;
    house.until_state(&next, State::Accepted).await;
    assert!(
        !house.network.texts().contains(&"Hi".to_owned()),
        "{:?}",
        house.network.texts()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_network_that_gives_up_after_taking_it_is_followed_by_the_other() {
    for outcome in [Outcome::Rejected, Outcome::Expired] {
        let house = House::with(both(Downgrade::Tell)).await;
        let room = house.rcs_conversation().await;
        let event = house.say(&room, ALICE, Message::text("Hi")).await;
        house.until_state(&event, State::Accepted).await;
        house.rcs_receipt("n1", outcome).await;
        house.network.until_sent(1).await;
        // The same news once more changes nothing.
        house.rcs_receipt("n1", outcome).await;
        house.receipt_in(&["n1"], Outcome::Delivered).await;
        house.until_state(&event, State::Delivered).await;
        assert_eq!(house.network.texts(), ["Hi"]);
        assert!(
            house
                .homeserver
                .statuses()
                .iter()
                .all(|status| status.state != State::Rejected),
            "it is not said to have failed"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_phone_has_in_part_goes_no_other_way_and_its_writer_is_told() {
    // The network says so at once, or when the message is to be taken back because it takes too long.
    for at_once in [true, false] {
        let house = House::with(both(Downgrade::Tell)).await;
        let room = house.rcs_conversation().await;
        match at_once {
            true => house.agent().answer(Err(SendError::Rejected {
                reason: Reason::InPart,
                detail: "the card".into(),
            })),
            false => {
                let mut revocations = house.agent().revocations.lock().unwrap();
                revocations.push_back(Ok(Revoked::InPart));
            }
        }
        let event = house.say(&room, ALICE, Message::text("Hi")).await;
        if !at_once {
            house.until_state(&event, State::Accepted).await;
            house.advance(Duration::from_secs(121));
        }
        let status = house.until_state(&event, State::Uncertain).await;
        let words = status.message.unwrap();
        assert!(words.contains("in part") && words.contains("twice"), "{words}");
        assert!(!status.retriable);
        house.text_in(PHONE, "marker").await;
        house.homeserver.until_said("marker").await;
        assert!(house.network.texts().is_empty());
    }
}

/// Two parts, of which the network refuses one later.
#[tokio::test(flavor = "multi_thread")]
async fn while_another_part_may_still_arrive_nothing_goes_the_other_way() {
    for answer in [Revoked::Withdrawn, Revoked::TooLate] {
        let house = House::with(both(Downgrade::Tell)).await;
        let room = house.rcs_conversation().await;
        house.agent().answer(Ok(accepted(&["a", "b"])));
        house.agent().revocations.lock().unwrap().push_back(Ok(answer));
        let event = house.say(&room, ALICE, Message::text("Hi")).await;
        house.until_state(&event, State::Accepted).await;
        house.rcs_receipt("b", Outcome::Rejected).await;
        match answer {
            Revoked::Withdrawn => {
                house.network.until_sent(1).await;
                assert_eq!(house.network.texts(), ["Hi"]);
            }
            _ => {
                house.until_state(&event, State::Rejected).await;
                house.rcs_receipt("a", Outcome::Delivered).await;
                house.text_in(PHONE, "marker").await;
                house.homeserver.until_said("marker").await;
                assert!(house.network.texts().is_empty());
            }
        }
        let revoked = house.agent().revoked.lock().unwrap().clone();
        assert_eq!(revoked.len(), 1);
        assert_eq!(revoked[0].network_ids, [NetworkId::new("a")]);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_send_of_unknown_fate_is_repeated_under_its_name_where_the_network_knows_it() {
    let house = House::with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    house.agent().answer(Err(unknown()));
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house.until_repeated(2).await;
    house.until_state(&event, State::Accepted).await;
    let keys: Vec<String> = {
        let sent = house.agent().sent.lock().unwrap();
        sent.iter().map(|outbound| outbound.key.clone()).collect()
    };
    assert_eq!(keys.len(), 2);
    assert_eq!(keys[0], keys[1]);
    assert_eq!(keys[0].len(), 24);
    assert!(house.network.texts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_have_left_goes_no_other_way() {
    let house = House::with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    house.agent().answer(Err(unknown()));
    house.agent().answer(Err(unreachable()));
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house.until_repeated(2).await;
    house.until_state(&event, State::Uncertain).await;
    assert!(house.network.texts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_asks_is_told_what_reaches_the_phone() {
    let house = House::with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    *house.agent().reach.lock().unwrap() = Reach::No;
    house.say(&room, ALICE, Message::text("!sb reach")).await;
    house.homeserver.until_said("RCS (Agent): does not reach").await;
    house.homeserver.until_said("SMS (Main): cannot be asked").await;
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house.until_state(&event, State::Accepted).await;
    assert_eq!(house.network.texts(), ["Hi"], "the check counts");
    assert!(house.agent().texts().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_card_leaves_as_a_card_and_as_numbered_words_where_there_are_none() {
    let house = House::with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    let command = "!sb card Table? | Tonight | Yes | Menu=https://example.org/m";
    let card = house.say(&room, ALICE, Message::text(command)).await;
    house.until_state(&card, State::Accepted).await;
    let card = match &house.agent().sent.lock().unwrap()[0].message.parts[0].body {
        Body::RichCard(card) => card.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(card.title.as_deref(), Some("Table?"));
    assert!(card.buttons[1].deed == Deed::Open("https://example.org/m".into()));
    let poll = Body::Poll {
        question: "Which?".into(),
        answers: vec!["A".into(), "B".into()],
    };
    house.agent().answer(Err(unreachable()));
    let message = Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: poll,
        }],
        ..Message::default()
    };
    house.say(&room, ALICE, message).await;
    house.network.until_sent(1).await;
    assert_eq!(house.network.texts(), ["Which?\n1. A\n2. B"]);
}

/// What a network did to a message, and what it says of that.
#[derive(Clone, Copy, Debug)]
enum Fate {
    /// Taken; the phone has it now, later than the bridge waits, or never.
    Taken(Comes),
    Unreachable,
    /// The answer is lost.
    Unanswered,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Comes {
    Soon,
    Late,
    Never,
    /// The network reports that it gave up; before it has answered that it took it.
    GivenUp,
    GivenUpEarly,
}

/// A number from a seed (xorshift): the same ones each time.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }
}

/// One message under one seed: what the agent's network does with it, how it answers when it is asked to take it back, and when the
/// program is killed. Gives how many copies the phone can have.
async fn one_message(seed: u64) -> (usize, String) {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    for _ in 0..3 {
        dice.roll(2);
    }
    let fate = match dice.roll(8) {
        0 => Fate::Unreachable,
        1 => Fate::Unanswered,
        2 => Fate::Unanswered,
        3 => Fate::Taken(Comes::Soon),
        4 => Fate::Taken(Comes::GivenUp),
        5 => Fate::Taken(Comes::Never),
        6 => Fate::Taken(Comes::GivenUpEarly),
        _ => Fate::Taken(Comes::Late),
    };
    // How it answers to being asked to take it back; it tells the truth, or nothing.
    let (failures, certain) = (dice.roll(3), dice.roll(4) != 0);
    let kill_early = dice.roll(3) == 0;
    let kill_late = dice.roll(3) == 0;
    let mut house = House::with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    let mut log = format!(
        "seed {seed}: {fate:?}, {failures} failures, certain {certain}, kills {kill_early} {kill_late}"
    );
    match fate {
        Fate::Unreachable => house.agent().answer(Err(unreachable())),
        Fate::Unanswered => house.agent().answer(Err(unknown())),
        Fate::Taken(_) => {}
    }
    let script = |house: &House| {
        for _ in 0..failures {
            house
                .agent()
                .revocations
                .lock()
                .unwrap()
                .push_back(Err(unknown()));
        }
        if matches!(fate, Fate::Taken(Comes::Soon)) {
            let mut answers = house.agent().revocations.lock().unwrap();
            answers.push_back(Ok(Revoked::TooLate));
            return;
        }
        if !certain {
            house
                .agent()
                .revocations
                .lock()
                .unwrap()
                .push_back(Ok(Revoked::Impossible));
        }
    };
    script(&house);
    let mut by_sms = 0;
    let mut withdrawn = false;
    let id = "n1";
    if matches!(fate, Fate::Taken(Comes::GivenUpEarly)) {
        house.rcs_receipt(id, Outcome::Expired).await;
    }
    let event = house.say(&room, ALICE, Message::text("once")).await;
    house.agent().until_sent(1).await;
    if kill_early {
        // Read when it is dead: it may do more until then.
        let (sms, rcs) = (house.network.clone(), house.rcs.clone().unwrap());
        house = house.kill_and_restart_with(both(Downgrade::Tell)).await;
        by_sms += sms.texts().len();
        withdrawn |= rcs.took_back();
        script(&house);
        if matches!(fate, Fate::Unreachable) {
            house.agent().answer(Err(unreachable()));
        }
    }
    let left = match fate {
        Fate::Unanswered => {
            // It is sent again under its name; the network takes it once.
            house.pass(4).await;
            true
        }
        Fate::Unreachable => false,
        Fate::Taken(_) => true,
    };
    match fate {
        Fate::Taken(Comes::Soon) => house.rcs_receipt(id, Outcome::Delivered).await,
        Fate::Taken(Comes::GivenUp) => {
            house.pass(1).await;
            house.rcs_receipt(id, Outcome::Expired).await;
        }
        _ => {}
    }
    house.pass(4).await;
    if kill_late {
        // Read when it is dead: it may do more until then.
        let (sms, rcs) = (house.network.clone(), house.rcs.clone().unwrap());
        house = house.kill_and_restart_with(both(Downgrade::Tell)).await;
        by_sms += sms.texts().len();
        withdrawn |= rcs.took_back();
        script(&house);
        house.pass(4).await;
    }
    withdrawn |= house.agent().took_back();
    // A network that withdrew it brings it no more; any other may, at last.
    let late = matches!(fate, Fate::Taken(Comes::Late)) && !withdrawn;
    if late {
        house.rcs_receipt(id, Outcome::Delivered).await;
    }
    house.text_in(PHONE, "the end").await;
    house.homeserver.until_said("the end").await;
    by_sms += house.network.texts().len();
    // Read after the texts: what went by SMS was taken back before.
    withdrawn |= house.agent().took_back();
    let by_rcs = match fate {
        Fate::Taken(Comes::Soon) => 1,
        Fate::Taken(Comes::Late) => usize::from(late),
        Fate::Taken(Comes::Never) | Fate::Unanswered => usize::from(left && !withdrawn),
        Fate::Taken(Comes::GivenUp | Comes::GivenUpEarly) | Fate::Unreachable => 0,
    };
    log.push_str(&format!(
        "; {by_rcs} by RCS, {by_sms} by SMS, withdrawn {withdrawn}"
    ));
    let statuses = house.homeserver.statuses();
    let said = |state| {
        let mut about = statuses.iter().filter(|status| status.event == event);
        about.any(|status| status.state == state)
    };
    // What was in flight when the program was killed and is refused when it is sent again, and what can not be taken back, may have
    // left: its writer is told.
    let told = said(State::Uncertain)
        || house
            .homeserver
            .said()
            .iter()
            .any(|text| text.contains("cannot be taken back"));
    let in_doubt = told && by_rcs + by_sms == 0;
    (by_rcs + by_sms + usize::from(in_doubt), log)
}

impl FakeNetwork {
    /// Whether it took a message back.
    fn took_back(&self) -> bool {
        self.withdrew.load(std::sync::atomic::Ordering::SeqCst)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_happens_the_phone_has_a_message_once() {
    let mut running = tokio::task::JoinSet::new();
    let mut outcomes = Vec::new();
    for seed in 1..=48 {
        if running.len() == 16
            && let Some(done) = running.join_next().await
        {
            outcomes.push(done.unwrap());
        }
        running.spawn(one_message(seed));
    }
    outcomes.extend(running.join_all().await);
    for (copies, log) in &outcomes {
        assert!(*copies <= 1, "{copies} copies: {log}");
    }
    let lost: Vec<&String> = outcomes
        .iter()
        .filter(|(copies, _)| *copies == 0)
        .map(|(_, log)| log)
        .collect();
    assert!(lost.is_empty(), "{lost:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_that_is_faster_than_the_answer_is_followed_by_the_other_way() {
    for outcome in [Outcome::Rejected, Outcome::Expired] {
        let house = House::with(both(Downgrade::Tell)).await;
        let room = house.rcs_conversation().await;
        house.rcs_receipt("n1", outcome).await;
        let event = house.say(&room, ALICE, Message::text("Hi")).await;
        house.network.until_sent(1).await;
        house.receipt_in(&["n1"], Outcome::Delivered).await;
        house.until_state(&event, State::Delivered).await;
        assert_eq!(house.network.texts(), ["Hi"]);
        let statuses = house.homeserver.statuses();
        assert!(statuses.iter().all(|status| status.state != State::Rejected));
    }
    // While another part may still arrive, it is taken back first.
    let house = House::with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    house.agent().answer(Ok(accepted(&["a", "b"])));
    house.rcs_receipt("b", Outcome::Rejected).await;
    house.say(&room, ALICE, Message::text("Hi")).await;
    house.network.until_sent(1).await;
    let revoked = house.agent().revoked.lock().unwrap().clone();
    assert_eq!(revoked.len(), 1);
    assert_eq!(revoked[0].network_ids, [NetworkId::new("a")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_arrival_that_is_faster_than_the_answer_leaves_nothing_to_go_another_way() {
    let house = House::with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    house.rcs_receipt("n1", Outcome::Delivered).await;
    let event = house.say(&room, ALICE, Message::text("Hi")).await;
    house.until_state(&event, State::Delivered).await;
    let rows = swingbridge_domain::store::run(house.store.as_ref(), move |tables| {
        let message = tables.message_by_event(&event)?.unwrap();
        tables.outbox_by_message(message.id)
    });
    assert_eq!(rows.await.unwrap(), None, "its text is not kept");
}
