//! Killed at any moment and started again: nothing is lost, and nothing is there twice for whoever passes over known ids.

use super::*;
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::Ordering;
use swingbridge_lab::macos::scenario::Scenario;

/// Seeded, so that a failure can be repeated.
struct Dice(u64);

impl Dice {
    fn throw(&mut self, sides: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % sides
    }
}

async fn story(seed: u64) {
    let mut dice = Dice(seed);
    let mut house = House::new(Release::Tahoe).await;
    let mut said: BTreeMap<String, String> = BTreeMap::new();
    let mut edited: HashSet<String> = HashSet::new();
    for step in 0..60 {
        match dice.throw(12) {
            0..=4 => {
                let who = [BOB, CAROL, "+447700900555"][usize::try_from(dice.throw(3)).unwrap()];
                let text = format!("text {step}");
                said.insert(house.mac.says(who, &text).unwrap(), text);
            }
            5 => {
                if let Some(guid) = said.keys().next().cloned() {
                    house.mac.db().edit(&guid, &format!("edited {step}")).unwrap();
                    edited.insert(guid);
                }
            }
            6 => house.mac.truncates_journal().unwrap(),
            7 => house.mac.db().renumber().unwrap(),
            8 => {
                let full = house.inbox.full.load(Ordering::Relaxed);
                house.inbox.full.store(!full, Ordering::Relaxed);
            }
            9 => {
                house.kill();
                house.mac.replace_file().unwrap();
                house.restart();
            }
            _ => house.restart(),
        }
        sleep(Duration::from_millis(dice.throw(15))).await;
    }
    house.inbox.full.store(false, Ordering::Relaxed);
    let all = |inbox: &Recorder| {
        let ids: HashSet<String> = by_id(inbox).into_iter().map(|(id, _)| id).collect();
        said.keys().all(|guid| ids.contains(guid))
    };
    house.inbox.until(all).await;
    house.settle().await;
    // As the engine does: the first of each id counts.
    let mut known = HashSet::new();
    let mut shown: BTreeMap<String, u32> = BTreeMap::new();
    for (id, inbound) in by_id(&house.inbox) {
        let Inbound::Message(message) = inbound else {
            continue;
        };
        if known.insert(id) && message.message.replaces.is_none() {
            *shown.entry(message.network_id.unwrap().0).or_default() += 1;
        }
    }
    for (guid, text) in &said {
        assert_eq!(shown.get(guid), Some(&1), "seed {seed}: {text}");
    }
    let markers = house
        .messages()
        .iter()
        .filter(|message| message.from.text == "+447700900999")
        .count();
    assert!(markers > 0);
    let expected: HashSet<&String> = said.keys().collect();
    let strangers = shown.keys().filter(|guid| !expected.contains(guid)).count();
    assert_eq!(strangers, 1, "seed {seed}: only the marker");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_lost_or_doubled_wherever_it_is_killed() {
    for seed in 1..=6 {
        story(seed).await;
    }
}

/// Killed between the script and the row: the row is ours, and is not shown as something that the person said besides.
#[tokio::test]
async fn a_send_that_was_cut_off_is_neither_repeated_nor_shown_again() {
    let mut house = House::new(Release::Tahoe).await;
    house.mac.says(BOB, "hello").unwrap();
    house.message(0).await;
    house.mac.set_scenario(&Scenario::row_after(300)).unwrap();
    let connector = house.connector.clone();
    let send = tokio::spawn(async move {
        let outbound = Outbound {
            id: MessageId(7),
            key: String::new(),
            line: LineId::new("mac"),
            from: Address::Number("+447700900001".into()),
            to: vec![Address::Number(BOB.into())],
            message: Message::text("cut off"),
            expires_at: None,
        };
        connector.send(outbound).await
    });
    let called = async {
        while house.mac.calls().unwrap().is_empty() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, called).await.unwrap();
    // The script itself lives on: it is Messages that sends.
    sleep(Duration::from_millis(100)).await;
    send.abort();
    house.kill();
    let row = async {
        while house.mac.rows().unwrap().is_empty() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(SOON, row).await.unwrap();
    house.restart();
    house.settle().await;
    assert_eq!(house.texts(), ["hello"]);
    assert_eq!(house.mac.calls().unwrap().len(), 1);
}
