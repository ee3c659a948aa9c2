//! What the engine writes to the audit log, and what it forgets.

use crate::house::*;
use std::time::Duration;
use swingbridge_domain::audit::{self, Entry, Kind, NewEntry};
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::message::Message;
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store;

async fn log(house: &House) -> Vec<Entry> {
    let rows = store::run(house.store.as_ref(), |tables| tables.audit_rows(0, 99));
    let rows = rows.await.unwrap();
    rows.iter().map(|row| Entry::parse(row).unwrap()).collect()
}

fn keys() -> Keys {
    Keys::derive(&[7; 32], std::sync::Arc::new(TestEntropy))
}

async fn waits_for(house: &House, what: &str) -> Entry {
    let waiting = async {
        loop {
            if let Some(entry) = log(house).await.into_iter().find(|entry| entry.what == what) {
                return entry;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap_or_else(|_| panic!("{what} never stood in the log"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_admins_and_users_do_stands_in_the_log() {
    let house = House::new().await;
    let room = house.conversation().await;
    house.say(&room, BOB, Message::text("!sb requeue")).await;
    let requeued = waits_for(&house, "admin.requeued").await;
    assert_eq!(requeued.who, BOB);
    house.say(&room, ALICE, Message::text("!sb requeue")).await;
    let refused = waits_for(&house, "admin.refused").await;
    assert_eq!(refused.who, ALICE);
    house.say(&room, ALICE, Message::text("!sb delete-portal")).await;
    let deleted = waits_for(&house, "portal.deleted").await;
    assert!(deleted.about.is_some());

    let first: Vec<String> = log(&house).await.into_iter().map(|entry| entry.what).collect();
    assert_eq!(first[..2], ["log.begun", "key.first-used"]);
    let verdict = store::run(house.store.as_ref(), |tables| {
        audit::verify(tables, &keys(), None)
    });
    assert!(verdict.await.unwrap().is_whole());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_older_than_the_retention_is_forgotten() {
    let house = House::new().await;
    let now = house.clock.now();
    let days = |count: u64| Duration::from_secs(count * 24 * 3600);
    store::run(house.store.as_ref(), move |tables| {
        for age in [31, 29] {
            let id = tables.inbox_push(vec![1], now - days(age))?;
            tables.inbox_bury(id, "why")?;
        }
        Ok(())
    })
    .await
    .unwrap();
    let erased = waits_for(&house, "retention.erased").await;
    assert_eq!(erased.detail, "1 buried");
    let left = store::run(house.store.as_ref(), |tables| tables.inbox_buried(9));
    assert_eq!(left.await.unwrap().len(), 1);

    // 401 days later, at the next start.
    house.advance(days(401));
    let old = log(&house).await.len();
    let house = house.kill_and_restart().await;
    let now: Timestamp = house.clock.now();
    store::run(house.store.as_ref(), move |tables| {
        audit::append(tables, &keys(), now, &NewEntry::new(Kind::Started))
    })
    .await
    .unwrap();
    let waiting = async {
        while log(&house)
            .await
            .first()
            .is_none_or(|first| first.number <= old as i64)
        {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), waiting)
        .await
        .unwrap();
    let verdict = store::run(house.store.as_ref(), |tables| {
        audit::verify(tables, &keys(), None)
    });
    let verdict = verdict.await.unwrap();
    assert!(
        verdict.is_whole() && verdict.forgotten == old as i64,
        "{verdict:?}"
    );
}
