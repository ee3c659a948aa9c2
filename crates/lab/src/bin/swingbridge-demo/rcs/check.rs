//! `--rcs --check`: a card answered by a button, a phone that loses RCS, and the fallback that somebody agrees to.

use super::Google;
use crate::check::Check;
use crate::gateway;
use crate::house::House;
use anyhow::{Context, Result, ensure};
use serde_json::json;
use std::time::Duration;
use swingbridge_lab::smsc;

const PATIENCE: Duration = Duration::from_secs(30);
const BY_SMS: &str = "See you at eight";
const AGAIN: &str = "RCS is back";

pub async fn run(house: &House, google: &Google) -> Result<()> {
    println!("\n  seconds   transcript");
    let check = Check::new(house);
    let room = check.start_chat().await?;
    reaches(&check, house, &room, true).await?;

    let card = "!sms card Table for two? | Tonight at eight. | Yes, please | Another day";
    let event = house.alice.send_text(&room, card).await?;
    check.say(&format!("alice writes: {card}"));
    agree(&check, house, &room, "go by RCS. They").await?;
    google
        .rbm
        .until(|| google.bob.shown().len() == 1)
        .await
        .context("the card on the phone")?;
    let shown = google.bob.shown().remove(0);
    let buttons: Vec<String> = shown.buttons().into_iter().map(|button| button.label).collect();
    ensure!(
        buttons == ["Yes, please", "Another day"],
        "the card has the buttons {buttons:?}"
    );
    check.say(&format!(
        "Bob's phone shows the card by RCS, with the buttons {buttons:?}"
    ));
    let label = labelled(house, &event).await?;
    check.say(&format!("alice sees: delivered; its way: {label}"));
    google.bob.taps(&shown.id, 0).context("the button is not there")?;
    check.say("Bob taps \"Yes, please\"");
    let answer = house.alice.wait_for_text(&room, "Yes, please").await?;
    let refers = answer.event["content"]["m.relates_to"]["m.in_reply_to"]["event_id"].clone();
    ensure!(
        refers == json!(event),
        "the answer refers to {refers} instead of the card"
    );
    check.say("alice sees it as Bob's answer to the card");

    google.bob.has_rcs(false);
    check.say("Bob's phone loses RCS");
    let event = house.alice.send_text(&room, BY_SMS).await?;
    check.say(&format!("alice writes: \"{BY_SMS}\""));
    let told = check.heard_from_the_bot(&room, "it goes by SMS instead").await?;
    check.say(&format!("the bot says: {}", told.body()));
    ensure!(
        on_the_phone(house, BY_SMS) == 0,
        "it left by SMS before anybody agreed"
    );
    agree(&check, house, &room, "go by SMS. They").await?;
    agree(&check, house, &room, "less protected").await?;
    house
        .carrier
        .wait_for("the text on the phone by SMS", PATIENCE, |view| {
            view.messages
                .iter()
                .find(|message| message.text == BY_SMS)
                .cloned()
        })
        .await?;
    check.say("Bob's phone shows it by SMS");
    let label = labelled(house, &event).await?;
    check.say(&format!("alice sees: delivered; its way: {label}"));

    house
        .carrier
        .write(gateway::CONTACT, gateway::LINE, "On my way")
        .context("too long")?;
    let seen = house.alice.wait_for_text(&room, "On my way").await?;
    ensure!(seen.room == room, "the SMS came into another room");
    check.say("Bob answers by SMS: it is in the same room");

    google.bob.has_rcs(true);
    google.bob.writes("Here again");
    let seen = house.alice.wait_for_text(&room, "Here again").await?;
    ensure!(seen.room == room, "the RCS message came into another room");
    check.say("Bob's phone has RCS again and writes by it: it is in the same room");
    house.alice.send_text(&room, AGAIN).await?;
    google
        .rbm
        .until(|| google.bob.shown().iter().any(|one| one.text() == Some(AGAIN)))
        .await
        .context("the text on the phone by RCS")?;
    check.say(&format!(
        "alice writes \"{AGAIN}\", and Bob's phone shows it by RCS"
    ));

    let by_rcs: Vec<_> = google.bob.messages();
    let both = by_rcs.iter().filter(|one| one.text() == Some(BY_SMS)).count();
    ensure!(both == 0, "the text that went by SMS went by RCS as well");
    ensure!(
        by_rcs.len() == 2,
        "RCS brought {} messages instead of 2",
        by_rcs.len()
    );
    ensure!(
        on_the_phone(house, BY_SMS) == 1 && on_the_phone(house, AGAIN) == 0,
        "SMS doubled something"
    );
    ensure!(
        house.carrier.accounts().doubled().count() == 0,
        "the carrier doubled something"
    );
    check.say("the phone has each message once");
    Ok(())
}

/// Asks whether the agent reaches the phone.
async fn reaches(check: &Check<'_>, house: &House, room: &str, expected: bool) -> Result<()> {
    house.alice.send_text(room, "!sms reach").await?;
    let words = if expected { "reaches" } else { "does not reach" };
    let told = check.heard_from_the_bot(room, &format!("): {words}")).await?;
    check.say(&format!("alice asks for `reach`; the bot: {}", told.body()));
    Ok(())
}

/// Agrees to the bot's next question with these words.
pub async fn agree(check: &Check<'_>, house: &House, room: &str, part: &str) -> Result<()> {
    let question = check.heard_from_the_bot(room, part).await?;
    check.say(&format!("the bot asks: {}", question.body()));
    let content = json!({
        "m.relates_to": { "rel_type": "m.annotation", "event_id": question.id(), "key": "✅" }
    });
    house.alice.send(room, "m.reaction", content).await?;
    check.say("alice reacts with ✅");
    Ok(())
}

/// The label of a message's way, once it has reached the phone.
async fn labelled(house: &House, event: &str) -> Result<String> {
    let about = |seen: &swingbridge_lab::client::Seen| {
        let content = &seen.event["content"];
        let ours =
            seen.kind() == "com.beeper.message_send_status" && content["m.relates_to"]["event_id"] == event;
        ours.then(|| content.clone())
    };
    let label = house
        .alice
        .wait_for("the label of its way", |seen| {
            let content = about(seen)?;
            let path = content.get("dev.swingbridge.path")?;
            Some(legs(path))
        })
        .await?;
    house
        .alice
        .wait_for("the delivery to the phone", |seen| {
            let content = about(seen)?;
            let users = content["delivered_to_users"].as_array()?;
            (!users.is_empty()).then_some(())
        })
        .await?;
    Ok(label)
}

/// A way in words: what protects each of its legs.
fn legs(path: &serde_json::Value) -> String {
    let place = |place: &serde_json::Value| match place.as_str() {
        Some(word) => word.to_owned(),
        None => place.to_string().replace(['{', '}', '"'], ""),
    };
    let legs = path["legs"].as_array().cloned().unwrap_or_default();
    let told: Vec<String> = legs
        .iter()
        .map(|leg| {
            let protection = place(&leg["protection"]);
            format!("{} to {}: {protection}", place(&leg["from"]), place(&leg["to"]))
        })
        .collect();
    told.join("; ")
}

fn on_the_phone(house: &House, text: &str) -> usize {
    let own = |message: &&smsc::Message| !message.from_phone && message.text == text;
    house.carrier.messages().iter().filter(own).count()
}
