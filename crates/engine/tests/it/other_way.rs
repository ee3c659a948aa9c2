//! The limits of a line hold for what falls back to it, and are counted there; wishes of contacts with whom nobody has spoken yet; what
//! files and long texts count.

use crate::abuse::*;
use crate::fallback::{both, rcs_inbound, unreachable};
use crate::house::*;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::capability::{Capabilities, Support};
use swingbridge_domain::consent::Downgrade;
use swingbridge_domain::delivery::{Outcome, State};
use swingbridge_domain::directory::Directory;
use swingbridge_domain::id::*;
use swingbridge_domain::inbox::*;
use swingbridge_domain::limits::*;
use swingbridge_domain::line::Line;
use swingbridge_domain::message::*;
use swingbridge_domain::store;
use swingbridge_engine::site::Site;

const AMERICAN: &str = "+12125550123";

/// A line by RCS that falls back to one by SMS, each with rules of its own.
fn falling(rcs: impl FnOnce(&mut Line), sms: impl FnOnce(&mut Line)) -> Site {
    let mut site = both(Downgrade::Tell);
    rcs(Arc::make_mut(&mut site.lines[0]));
    sms(Arc::make_mut(&mut site.lines[1]));
    site
}

fn priced(limits: &mut Limits, price: i64, day: i64) {
    limits.spend_day = Some(Price(day));
    limits.prices = vec![(String::new(), Price(price))];
    limits.currency = "EUR".into();
}

fn address(text: &str) -> NetworkAddress {
    NetworkAddress {
        text: text.into(),
        hint: Default::default(),
    }
}

fn wish(connector: &str, to: &str, wanted: bool) -> What {
    What::Network(Inbound::Preference(Preference {
        connector: ConnectorId::new(connector),
        from: address(PHONE),
        to: address(to),
        wanted,
    }))
}

/// The room of a chat that ALICE begins.
async fn begun(house: &House) -> RoomId {
    let alice = UserId::new(ALICE);
    let found = house.engine.resolve(Some(&alice), None, PHONE, true).await;
    found.unwrap().room.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_back_is_priced_and_counted_on_the_other_line() {
    let rule = || {
        falling(
            |rcs| priced(&mut rcs.limits, 1_000, 1_000_000),
            |sms| priced(&mut sms.limits, 40_000, 100_000),
        )
    };
    let house = House::with(rule()).await;
    let room = house.rcs_conversation().await;
    house.agent().answer(Err(unreachable()));
    accepted_of(&house, &say(&house, &room, "one part").await).await;
    assert_eq!(house.network.texts(), ["one part"]);
    // The next one goes there at once: it has two parts.
    let words = refused(&house, &say(&house, &room, &"x".repeat(161)).await).await;
    for part in ["would cost 0.08 EUR", "more than 0.10 EUR in one day"] {
        assert!(words.contains(part), "{words}");
    }
    let house = house.kill_and_restart_with(rule()).await;
    accepted_of(&house, &say(&house, &room, "one more").await).await;
    refused(&house, &say(&house, &room, "and one").await).await;
    assert_eq!(house.network.texts(), ["one more"]);
    assert!(house.agent().texts().is_empty());
    // The phone has RCS again: by that line there is money left.
    house.rcs_in(rcs_inbound("back")).await;
    house.homeserver.until_said("contact: back").await;
    accepted_of(&house, &say(&house, &room, &"x".repeat(161)).await).await;
    assert_eq!(house.agent().texts().len(), 1);
    // Each fall costs: the money of the day is spent, and the text fails in words.
    house.agent().answer(Err(unreachable()));
    let event = say(&house, &room, "too dear").await;
    let words = refused(&house, &event).await;
    for part in [
        "This phone has no RCS now, and it does not go by SMS either.",
        "would cost 0.04 EUR",
        "limits.spend.day",
    ] {
        assert!(words.contains(part), "{words}");
    }
    house.homeserver.until_said("does not go by SMS either").await;
    assert_eq!(house.network.texts(), ["one more"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_rule_of_the_other_line_bars_what_falls_back_to_it() {
    type Rule = fn(&mut Line);
    let rules: [(Rule, &str, &str); 6] = [
        (
            |sms| sms.limits.countries = Some(vec!["DE".parse().unwrap()]),
            "a country (GB) that may not be texted",
            "countries",
        ),
        (
            |sms| sms.limits.denied = vec!["+4477009".into()],
            "numbers of this range",
            "denied_prefixes",
        ),
        (
            |sms| {
                sms.address = Address::Name("ACME".into());
                sms.limits.nameless = vec!["GB".parse().unwrap()];
            },
            "names do not arrive in GB",
            "nameless_countries",
        ),
        (
            |sms| sms.limits.parts = Some(1),
            "2 parts, and 1 are allowed",
            "limits.parts",
        ),
        (
            |sms| sms.limits.spend_day = Some(Price(1)),
            "no price for this number",
            "limits.prices",
        ),
        (
            |sms| sms.limits.contact.hour = Some(0),
            "to this contact",
            "limits.contact.hour",
        ),
    ];
    for (rule, expected, setting) in rules {
        let house = House::with(falling(|_| {}, rule)).await;
        let room = house.rcs_conversation().await;
        house.agent().answer(Err(unreachable()));
        let event = say(&house, &room, &"x".repeat(200)).await;
        let words = refused(&house, &event).await;
        for part in ["does not go by SMS either", expected, setting] {
            assert!(words.contains(part), "{words}");
        }
        // It is not tried again by itself, and the first line stays the one that is tried.
        house.agent().answer(Err(unreachable()));
        refused(&house, &say(&house, &room, &"y".repeat(200)).await).await;
        assert_eq!(house.agent().texts().len(), 2, "{setting}");
        assert!(house.network.texts().is_empty(), "{setting}");
        let heads = store::run(house.store.as_ref(), |tables| tables.outbox_heads()).await;
        let to_phones = |head: &store::OutboxHead| head.target != store::Target::Homeserver;
        assert!(!heads.unwrap().iter().any(to_phones), "{setting}");
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn who_opted_out_of_the_other_number_gets_nothing_by_it() {
    // The SMS line was there first, and had the contact's STOP.
    let house = House::new().await;
    house.conversation().await;
    house.text_in(PHONE, "STOP").await;
    house.homeserver.until_said("asked for no more texts").await;
    let house = house.kill_and_restart_with(both(Downgrade::Tell)).await;
    let room = house.rcs_conversation().await;
    accepted_of(&house, &say(&house, &room, "by rcs").await).await;
    house.agent().answer(Err(unreachable()));
    let words = refused(&house, &say(&house, &room, "by sms").await).await;
    assert!(words.contains("asked for no more texts"), "{words}");
    // While messages go by SMS at once, the same.
    *house.agent().reach.lock().unwrap() = swingbridge_domain::connector::Reach::No;
    say(&house, &room, "!sb reach").await;
    house.homeserver.until_said("RCS (Agent): does not reach").await;
    let words = refused(&house, &say(&house, &room, "at once").await).await;
    assert!(words.contains("asked for no more texts"), "{words}");
    assert_eq!(house.agent().texts(), ["by rcs", "by sms"]);
    assert!(house.network.texts().is_empty());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_falls_back_at_night_waits_for_the_morning_of_the_other_line() {
    let rule = || {
        let mut site = falling(|_| {}, |sms| sms.limits.bulk = true);
        // Less than the night is long: its time begins in the morning.
        site.policy.validity = Duration::from_secs(3600);
        site
    };
    let house = House::with(rule()).await;
    let mut hello = rcs_inbound("hi");
    hello.from.text = AMERICAN.into();
    house.rcs_in(hello).await;
    house.homeserver.until_said("contact: hi").await;
    let room = room_of(&house.homeserver, "hi").unwrap();
    house.agent().answer(Err(unreachable()));
    let event = say(&house, &room, "good morning").await;
    house
        .homeserver
        .until_said("Waiting until 2027-01-15T16:00:00Z")
        .await;
    let words = until_state(&house, &event, State::Queued).await;
    assert!(words.contains("goes by SMS instead"), "{words}");
    assert!(words.contains("limits.quiet_hours"), "{words}");
    let house = house.kill_and_restart_with(rule()).await;
    house.advance(Duration::from_secs(8 * 3600 - 1));
    house.text_in(PHONE, "marker").await;
    house.homeserver.until_said("marker").await;
    assert!(house.network.texts().is_empty());
    house.advance(Duration::from_secs(1));
    accepted_of(&house, &event).await;
    assert_eq!(house.network.texts(), ["good morning"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn minutes_of_the_other_line_are_kept_by_what_falls_back() {
    let house = House::with(falling(|_| {}, |sms| sms.limits.line.minute = Some(1))).await;
    let room = house.rcs_conversation().await;
    house.agent().answer(Err(unreachable()));
    accepted_of(&house, &say(&house, &room, "one").await).await;
    let second = say(&house, &room, "two").await;
    let words = until_state(&house, &second, State::Queued).await;
    assert!(words.contains("limits.line.minute"), "{words}");
    assert_eq!(house.network.texts(), ["one"]);
    house.advance(Duration::from_secs(60));
    accepted_of(&house, &second).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_fell_back_stays_counted_on_its_first_line() {
    let house = House::with(falling(|rcs| rcs.limits.user.day = Some(1), |_| {})).await;
    let room = house.rcs_conversation().await;
    house.agent().answer(Err(unreachable()));
    accepted_of(&house, &say(&house, &room, "one").await).await;
    // What goes by SMS from the start is none of the first line's.
    accepted_of(&house, &say(&house, &room, "two").await).await;
    assert_eq!(house.network.texts(), ["one", "two"]);
    house.rcs_in(rcs_inbound("back")).await;
    house.homeserver.until_said("contact: back").await;
    let words = refused(&house, &say(&house, &room, "three").await).await;
    assert!(words.contains("limits.user.day"), "{words}");
    house.stop().await;
}

/// Whatever the phone's RCS does and whenever the program is killed, no more leave by the other line than it may.
#[tokio::test(flavor = "multi_thread")]
async fn in_any_order_the_other_line_sends_no_more_than_it_may() {
    const MOST: usize = 3;
    for seed in 1u64..=4 {
        let mut random = seed;
        let mut next = |below: u64| {
            // Numerical Recipes' generator: enough to shuffle.
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        let rule = || falling(|_| {}, |sms| sms.limits.line.day = u32::try_from(MOST).ok());
        let mut house = House::with(rule()).await;
        let room = house.rcs_conversation().await;
        let (mut by_sms, mut before, mut at_once) = (0, 0, false);
        for step in 0..16 {
            match next(7) {
                0 => {
                    let back = format!("back {step}");
                    house.rcs_in(rcs_inbound(&back)).await;
                    house.homeserver.until_said(&back).await;
                    at_once = false;
                }
                1 => {
                    before += house.network.texts().len();
                    house = house.kill_and_restart_with(rule()).await;
                }
                what => {
                    let has_rcs = what == 2;
                    if !at_once && !has_rcs {
                        house.agent().answer(Err(unreachable()));
                    }
                    let event = say(&house, &room, &format!("text {step}")).await;
                    match (at_once || !has_rcs, by_sms < MOST) {
                        (true, true) => {
                            accepted_of(&house, &event).await;
                            by_sms += 1;
                            at_once = true;
                        }
                        (true, false) => {
                            let words = refused(&house, &event).await;
                            assert!(words.contains("limits.line.day"), "seed {seed}: {words}");
                        }
                        (false, _) => accepted_of(&house, &event).await,
                    }
                }
            }
            let left = before + house.network.texts().len();
            assert_eq!(left, by_sms, "seed {seed}, step {step}");
        }
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_other_line_would_refuse_is_not_taken_back() {
    let house = House::with(falling(|_| {}, |sms| sms.limits.parts = Some(1))).await;
    let room = house.rcs_conversation().await;
    let event = say(&house, &room, &"x".repeat(200)).await;
    accepted_of(&house, &event).await;
    house.advance(Duration::from_secs(121));
    let told = house.homeserver.until_said("It is not taken back there").await;
    assert!(told.contains("2 parts, and 1 are allowed"), "{told}");
    assert!(house.agent().revoked.lock().unwrap().is_empty());
    house.rcs_receipt("n1", Outcome::Delivered).await;
    until_state(&house, &event, State::Delivered).await;
    // The network gives the next one up: then it fails, in words.
    let event = say(&house, &room, &"y".repeat(200)).await;
    accepted_of(&house, &event).await;
    house.rcs_receipt("n2", Outcome::Expired).await;
    let words = refused(&house, &event).await;
    assert!(words.contains("does not go by SMS either"), "{words}");
    assert!(house.network.texts().is_empty());
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_moves_to_another_line_passes_its_limits() {
    let site = || {
        let mut site = falling(|rcs| rcs.limits.parts = Some(1), |_| {});
        site.lines.swap(0, 1);
        Arc::make_mut(&mut site.lines[1]).fallback = None;
        // So that a long text has parts there.
        Arc::make_mut(&mut site.lines[1]).limits.long_texts = LongTexts::Parts;
        site
    };
    let house = House::with(site()).await;
    let room = house.conversation().await;
    for _ in 0..2 {
        house.network.answer(busy());
    }
    let long = say(&house, &room, &"x".repeat(161)).await;
    until_state(&house, &long, State::Queued).await;
    let short = say(&house, &room, "short").await;
    say(&house, &room, "!sb swap rcs").await;
    let words = refused(&house, &long).await;
    for part in ["goes by Agent now, and this message does not", "2 parts, and 1"] {
        assert!(words.contains(part), "{words}");
    }
    accepted_of(&house, &short).await;
    assert_eq!(house.agent().texts(), ["short"]);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_from_a_stranger_refuses_a_later_first_text() {
    let house = House::new().await;
    house.arrive(wish("carrier", LINE, false)).await;
    // Once more: it is one wish.
    house.arrive(wish("carrier", LINE, false)).await;
    let house = house.kill_and_restart().await;
    let room = begun(&house).await;
    let words = refused(&house, &say(&house, &room, "hello?").await).await;
    assert!(words.contains("asked for no more texts"), "{words}");
    house.say(&room, BOB, Message::text("!sb optouts")).await;
    house.homeserver.until_said("told by the network").await;
    house.arrive(wish("carrier", LINE, true)).await;
    house
        .homeserver
        .until_said("wishes texts from this line again")
        .await;
    accepted_of(&house, &say(&house, &room, "hello").await).await;
    assert_eq!(house.network.texts(), ["hello"]);
    let entries = log(&house).await;
    let of = |what: &str| entries.iter().filter(|entry| entry.what == what).count();
    assert_eq!((of("optout.set"), of("optout.lifted")), (1, 1));
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stranger_who_wishes_texts_again_gets_them_and_one_unknown_stays_so() {
    let house = House::new().await;
    house.arrive(wish("carrier", LINE, true)).await;
    let contacts = store::run(house.store.as_ref(), |tables| tables.holdings())
        .await
        .unwrap();
    let kept = contacts
        .iter()
        .find(|holding| holding.table == "contacts")
        .map(|holding| holding.rows);
    assert_eq!(kept, Some(0), "who has nothing against texts is not kept");
    house.arrive(wish("carrier", LINE, false)).await;
    house.arrive(wish("carrier", LINE, true)).await;
    let room = begun(&house).await;
    accepted_of(&house, &say(&house, &room, "hello").await).await;
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_strangers_wish_counts_for_both_lines_of_a_fallback() {
    for (connector, to) in [("carrier", LINE), ("rcs", "+447700900900")] {
        let house = House::with(both(Downgrade::Tell)).await;
        house.arrive(wish(connector, to, false)).await;
        let room = begun(&house).await;
        let words = refused(&house, &say(&house, &room, "hello?").await).await;
        assert!(words.contains("asked for no more texts"), "{words}");
        let wishes = store::run(house.store.as_ref(), |tables| tables.suppressions(9));
        assert_eq!(wishes.await.unwrap().len(), 2, "{connector}");
        assert!(house.agent().texts().is_empty() && house.network.texts().is_empty());
        house.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wish_for_an_address_of_no_line_is_kept_to_be_looked_at() {
    let mut site = both(Downgrade::Tell);
    Arc::make_mut(&mut site.lines[0]).connector = ConnectorId::new("carrier");
    Arc::make_mut(&mut site.lines[0]).fallback = None;
    let house = House::with(site).await;
    house.arrive(wish("carrier", "+447700900777", false)).await;
    let buried = || async {
        let buried = store::run(house.store.as_ref(), |tables| tables.inbox_buried(9));
        buried.await.unwrap()
    };
    house.text_in(PHONE, "marker").await;
    house.homeserver.until_said("marker").await;
    let buried = buried().await;
    assert_eq!(buried.len(), 1);
    assert!(
        buried[0].error.contains("that no line has"),
        "{}",
        buried[0].error
    );
    house.stop().await;
}

fn picture() -> Message {
    Message {
        parts: vec![Part {
            disposition: Disposition::Render,
            body: Body::Media(Media {
                name: "cat.png".into(),
                uri: "mxc://a/b".into(),
                ..Media::default()
            }),
        }],
        ..Message::default()
    }
}

/// The line's network, by what it carries.
fn carrying(network: &str, rule: impl FnOnce(&mut Limits)) -> Site {
    let mut site = limited(rule);
    site.capabilities.insert(
        ConnectorId::new("carrier"),
        Capabilities {
            networks: vec![network.into()],
            way: sms_way(),
            media: Support::Full,
            rich_cards: Support::Full,
            ..Capabilities::default()
        },
    );
    site
}

#[tokio::test(flavor = "multi_thread")]
async fn a_picture_has_a_price_of_its_own() {
    let house = House::with(carrying("sms", |limits| {
        priced(limits, 40_000, 100_000);
        limits.media_prices = vec![("+44".into(), Price(70_000))];
    }))
    .await;
    let room = house.conversation().await;
    accepted_of(&house, &house.say(&room, ALICE, picture()).await).await;
    let words = refused(&house, &say(&house, &room, "text").await).await;
    assert!(words.contains("would cost 0.04 EUR"), "{words}");
    let words = refused(&house, &house.say(&room, ALICE, picture()).await).await;
    assert!(words.contains("would cost 0.07 EUR"), "{words}");
    assert_eq!(house.network.sent.lock().unwrap().len(), 1);
    house.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn long_texts_by_rcs_cost_what_the_provider_makes_of_them() {
    for (rule, dear) in [
        (LongTexts::One, "0.04"),
        (LongTexts::Parts, "0.12"),
        (LongTexts::Media, "0.07"),
    ] {
        let house = House::with(carrying("rcs", |limits| {
            priced(limits, 40_000, 39_999);
            limits.media_prices = vec![("+44".into(), Price(70_000))];
            limits.long_texts = rule;
        }))
        .await;
        let room = house.conversation().await;
        for (text, cost) in [("x".repeat(160), "0.04"), ("x".repeat(321), dear)] {
            let words = refused(&house, &say(&house, &room, &text).await).await;
            assert!(
                words.contains(&format!("would cost {cost} EUR")),
                "{rule:?}: {words}"
            );
        }
        let card = say(&house, &room, "!sb card Table? | Tonight | Yes").await;
        let words = refused(&house, &card).await;
        assert!(words.contains("would cost 0.07 EUR"), "{rule:?}: {words}");
        house.stop().await;
    }
}
