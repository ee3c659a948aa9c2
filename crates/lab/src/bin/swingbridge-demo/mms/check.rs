//! `--mms --check`: a group that phones begin, with pictures both ways.

use super::{Group, PEOPLE, PICTURE, Said};
use crate::check::Check;
use crate::house::House;
use crate::rcs::check::agree;
use anyhow::{Context, Result, bail, ensure};
use serde_json::json;
use std::collections::BTreeSet;
use std::time::Duration;
use swingbridge_lab::client::Seen;
use swingbridge_lab::telnyx::NUMBER;
use tokio::time::{Instant, sleep};

const PATIENCE: Duration = Duration::from_secs(30);
const DINNER: &str = "Dinner at eight?";
const LOOK: &str = "The view from here";
const ANSWER: &str = "I'll be there";
const OURS: &str = "Ours is better";

pub async fn run(house: &House, group: &Group) -> Result<()> {
    println!("\n  seconds   transcript");
    let check = Check::new(house);
    let [erin, frank, _] = PEOPLE;
    group.phones.write(erin.0, DINNER, None);
    check.say(&format!(
        "{} writes to {}, {} and {NUMBER}: \"{DINNER}\"",
        erin.1, PEOPLE[1].1, PEOPLE[2].1
    ));
    let room = check.invitation().await?;
    // Nothing is shown before somebody has agreed to who can read it.
    agree(&check, house, &room, "Do you agree").await?;
    let first = house.alice.wait_for_text(&room, DINNER).await?;
    check.say(&format!(
        "alice is in the room \"{}\" and sees it",
        check.name_of(&room).await?
    ));

    group
        .phones
        .write(frank.0, LOOK, Some(("image/png".to_owned(), PICTURE.to_vec())));
    check.say(&format!("{} sends a picture: \"{LOOK}\"", frank.1));
    let second = picture(house, &room).await?;
    ensure!(
        second.sender() != first.sender(),
        "the picture is from the same ghost as the text"
    );
    let uri = second.event["content"]["url"].as_str().context("no file")?;
    let octets = house.alice.download(uri).await?;
    ensure!(octets == PICTURE, "alice's picture is another one");
    check.say(&format!(
        "alice sees it in the same room, from another ghost, {} octets like those that were sent",
        octets.len()
    ));

    let event = house.alice.send_text(&room, ANSWER).await?;
    check.say(&format!("alice writes: \"{ANSWER}\""));
    arrives(&check, house, group, &event, ANSWER, false).await?;
    let uri = house
        .alice
        .upload(PICTURE.to_vec(), "image/png", "bridge.png")
        .await?;
    let content = json!({ "msgtype": "m.image", "body": OURS, "filename": "bridge.png", "url": uri,
        "info": { "mimetype": "image/png", "size": PICTURE.len() } });
    let event = house.alice.send(&room, "m.room.message", content).await?;
    check.say(&format!("alice sends a picture: \"{OURS}\""));
    arrives(&check, house, group, &event, OURS, true).await?;

    let sent = group.phones.telnyx.sent();
    ensure!(
        sent.len() == 2 && sent.iter().all(|one| one.group),
        "{} messages left, and not all to the group",
        sent.len()
    );
    let history = house.alice.history(&room).await?;
    let from_phones = history
        .iter()
        .filter(|event| event["type"] == "m.room.message")
        .filter_map(|event| event["sender"].as_str())
        .filter(|sender| sender.starts_with("@sms_"));
    ensure!(
        from_phones.count() == 2,
        "something of the phones is there twice, or not at all"
    );
    check.say("each phone and the room have each message once");
    Ok(())
}

async fn picture(house: &House, room: &str) -> Result<Seen> {
    let seen = house
        .alice
        .wait_for("the picture of the phone", |seen| {
            let fits =
                seen.room == room && seen.is_message() && seen.event["content"]["msgtype"] == "m.image";
            fits.then(|| seen.clone())
        })
        .await?;
    Ok(seen)
}

/// Every phone of the group shows it, and alice sees that it does.
async fn arrives(
    check: &Check<'_>,
    house: &House,
    group: &Group,
    event: &str,
    text: &str,
    with_picture: bool,
) -> Result<()> {
    let deadline = Instant::now() + PATIENCE;
    let said = loop {
        let found = |one: &Said| one.from == NUMBER && one.text == text;
        if let Some(said) = group.phones.said().into_iter().find(found) {
            break said;
        }
        if Instant::now() > deadline {
            bail!("{text:?} does not come to the phones");
        }
        sleep(Duration::from_millis(20)).await;
    };
    let everybody: BTreeSet<String> = PEOPLE.iter().map(|(number, _)| (*number).to_owned()).collect();
    ensure!(
        said.to == everybody,
        "it came to {} of three phones",
        said.to.len()
    );
    if with_picture {
        let shown = said.pictures.first().and_then(|at| group.phones.picture(*at));
        ensure!(
            shown.is_some_and(|(mime, octets)| mime == "image/png" && octets == PICTURE),
            "the phones do not show the picture"
        );
    }
    let what = if with_picture { "it with the picture" } else { "it" };
    check.say(&format!("all three phones show {what}, from {NUMBER}"));
    house
        .alice
        .wait_for("the delivery to the phones", |seen| {
            let content = &seen.event["content"];
            let delivered = seen.kind() == "com.beeper.message_send_status"
                && content["m.relates_to"]["event_id"] == event
                && content["delivered_to_users"]
                    .as_array()
                    .is_some_and(|users| !users.is_empty());
            delivered.then_some(())
        })
        .await?;
    check.say("alice sees: delivered");
    Ok(())
}
