//! Killed at any moment, with providers that repeat what was not answered as theirs do: nothing is lost, and nothing is there twice.

use super::accounts::{self, now};
use super::house::{BOT, House, PATIENCE, Plan, from_phones};
use crate::program::client;
use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_lab::maap::{self, Maap};
use swingbridge_lab::rbm::{self, Rbm};
use swingbridge_lab::smsc::SystemClock;
use swingbridge_lab::telnyx::{self, Telnyx};
use swingbridge_lab::twilio::{self, Twilio};
use swingbridge_lab::webhook_http::{self, Provider};

const FRIEND: &str = "+447700900456";
/// Of the provider that has no connector of its own.
const ACME: &str = "+447700900007";
/// Moments that differ from round to round, and are the same in each run.
const ROUNDS: [u64; 5] = [130, 700, 20, 1300, 420];
const EACH: usize = 4;

struct Providers {
    twilio: Twilio,
    telnyx: Telnyx,
    google: (Rbm, rbm::Phone),
    platform: (Maap, maap::Phone),
    acme: Provider,
}

/// By the names of their connectors.
const ALL: [&str; 5] = ["twilio", "telnyx", "google", "platform", "acme"];

/// These take a message under its key once, however often it is handed over.
fn takes_once(name: &str) -> bool {
    matches!(name, "telnyx" | "google" | "acme")
}

/// These tell one thing after the other.
fn tells_in_order(name: &str) -> bool {
    matches!(name, "google" | "platform")
}

impl Providers {
    async fn start() -> Self {
        let twilio = Twilio::start(now()).await.unwrap();
        let telnyx = Telnyx::start(now()).await.unwrap();
        let google = Rbm::start(Arc::new(SystemClock)).await.unwrap();
        let platform = Maap::start().await.unwrap();
        let acme = Provider::start(now()).await.unwrap();
        // Three and five tries outlast the troubles here, as the real ones' outlast a restart.
        telnyx
            .troubles()
            .change(|trouble| trouble.tries_after = Some(Duration::from_secs(5)));
        acme.troubles()
            .change(|trouble| trouble.tries_after = Some(Duration::from_secs(1)));
        let (by_google, by_platform) = (google.phone(FRIEND), platform.phone(FRIEND));
        Self {
            google: (google, by_google),
            platform: (platform, by_platform),
            twilio,
            telnyx,
            acme,
        }
    }

    fn plan(&self) -> Plan {
        let in_britain = || json!({ "region": "GB" });
        Plan::default()
            .connector("twilio", accounts::twilio(&self.twilio))
            .connector("telnyx", accounts::telnyx(&self.telnyx))
            .connector("google", accounts::rbm(&self.google.0, &self.google.0.url()))
            .connector("platform", accounts::maap(&self.platform.0))
            .connector("acme", accounts::acme(&self.acme))
            .line("by-twilio", "twilio", twilio::NUMBER, in_britain())
            .line("by-telnyx", "telnyx", telnyx::NUMBER, in_britain())
            .line("by-google", "google", "Lab Agent", in_britain())
            .line("by-platform", "platform", "Lab Bot", in_britain())
            .line("by-acme", "acme", ACME, in_britain())
    }

    async fn told_of(&self, house: &House) {
        self.twilio.webhook(&house.webhook("twilio"));
        self.telnyx.webhook(&house.webhook("telnyx"));
        self.google.0.sets_up(&house.webhook("google")).await.unwrap();
        self.platform.0.hook(&house.webhook("platform"));
        self.acme.webhook(&house.webhook("acme"));
    }

    /// The friend writes.
    fn receives(&self, name: &str, text: &str) {
        match name {
            "twilio" => drop(self.twilio.receives(FRIEND, text)),
            "telnyx" => drop(self.telnyx.receives(FRIEND, text)),
            "google" => drop(self.google.1.writes(text)),
            "platform" => drop(self.platform.1.writes(text)),
            _ => drop(self.acme.receives(FRIEND, text)),
        }
    }

    /// What the provider took for the friend's phone, in order.
    fn sent(&self, name: &str) -> Vec<String> {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        match name {
            "twilio" => self.twilio.sent().into_iter().map(|sent| sent.text).collect(),
            "telnyx" => self.telnyx.sent().into_iter().map(|sent| sent.text).collect(),
            "google" => self
                .google
                .1
                .messages()
                .iter()
                .map(|one| text(one.text()))
                .collect(),
            "platform" => self
                .platform
                .1
                .messages()
                .iter()
                .map(|one| text(one.text()))
                .collect(),
            _ => self.acme.sent().into_iter().map(|sent| sent.text).collect(),
        }
    }
}

/// What was said in one conversation.
struct Talk {
    room: String,
    /// In order.
    came: Vec<String>,
    /// In order, with their events.
    left: Vec<(String, String)>,
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_random_under_load_by_providers_it_loses_nothing_and_doubles_nothing() {
    let providers = Providers::start().await;
    let Some(mut house) = House::open(providers.plan()).await else {
        return;
    };
    providers.told_of(&house).await;
    let mut talks: BTreeMap<&str, Talk> = BTreeMap::new();
    for name in ALL {
        let first = format!("the first by {name}");
        providers.receives(name, &first);
        let room = house.reads(&first).await.room;
        let talk = Talk {
            room,
            came: vec![first],
            left: Vec::new(),
        };
        talks.insert(name, talk);
    }
    for (round, wait) in ROUNDS.into_iter().enumerate() {
        for number in 0..EACH {
            for (name, talk) in &mut talks {
                let comes = format!("in {round}.{number} by {name}");
                providers.receives(name, &comes);
                talk.came.push(comes);
                let leaves = format!("out {round}.{number} by {name}");
                let event = house.writes(&talk.room, &leaves).await;
                talk.left.push((leaves, event));
            }
        }
        tokio::time::sleep(Duration::from_millis(wait)).await;
        house.restart();
    }
    settles(&house, &providers, &talks).await;
    // From here on providers are asked for what was missed, and have nothing that is not there already. One that only just began is not
    // asked to end before it listens for that.
    house.is_ready().await;
    house.stop().await;
    house.start();
    house.is_ready().await;
    for (name, talk) in &mut talks {
        let comes = format!("the last by {name}");
        providers.receives(name, &comes);
        talk.came.push(comes);
        let leaves = format!("the end by {name}");
        let event = house.writes(&talk.room, &leaves).await;
        talk.left.push((leaves, event));
    }
    settles(&house, &providers, &talks).await;
    house.stop().await;
    for (name, talk) in &talks {
        let history = house.alice.history(&talk.room).await.unwrap();
        is_there_once(&history, name, talk);
        left_once(&history, name, &providers.sent(name), talk);
    }
    house.is_discreet(&[" by twilio", " by google", &FRIEND[1..]]);
}

/// Waits until all is there that came, and all has left or is said to be in doubt.
async fn settles(house: &House, providers: &Providers, talks: &BTreeMap<&str, Talk>) {
    let missing = async || {
        let mut missing = Vec::new();
        for (name, talk) in talks {
            let history = house.alice.history(&talk.room).await.unwrap();
            let shown: BTreeSet<String> = from_phones(&history).into_iter().collect();
            missing.extend(talk.came.iter().filter(|text| !shown.contains(*text)).cloned());
            let sent: BTreeSet<String> = providers.sent(name).into_iter().collect();
            let waiting = talk.left.iter().filter(|(text, _)| !sent.contains(text));
            let waiting = waiting.filter(|(_, event)| !is_in_doubt(&history, event));
            missing.extend(waiting.map(|(text, _)| text.clone()));
        }
        missing
    };
    let begun = tokio::time::Instant::now();
    loop {
        let missing = missing().await;
        if missing.is_empty() {
            return;
        }
        assert!(
            begun.elapsed() < PATIENCE * 3,
            "{missing:#?}\n{}",
            house.gateway.log_tail(80)
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Alice has been told that nobody knows whether her message left.
fn is_in_doubt(history: &[Value], event: &str) -> bool {
    history.iter().any(|said| {
        let body = said["content"]["body"].as_str().unwrap_or_default();
        said["sender"] == BOT
            && body.contains("not known whether this was sent")
            && said["content"]["m.relates_to"]["m.in_reply_to"]["event_id"] == event
    })
}

fn is_there_once(history: &[Value], name: &str, talk: &Talk) {
    let mut shown = from_phones(history);
    let mut came = talk.came.clone();
    if !tells_in_order(name) {
        shown.sort();
        came.sort();
    }
    assert_eq!(shown, came, "{name}");
}

fn left_once(history: &[Value], name: &str, sent: &[String], talk: &Talk) {
    let mut unsure = 0;
    for (text, event) in &talk.left {
        let times = sent.iter().filter(|sent| *sent == text).count();
        assert!(times <= 1, "{text}: {sent:#?}");
        if times == 0 {
            unsure += 1;
            assert!(is_in_doubt(history, event), "{text}");
        }
    }
    // One send of a conversation is under way at a time; and what the network takes only once is sent again.
    let most = if takes_once(name) { 0 } else { ROUNDS.len() };
    assert!(unsure <= most, "{unsure} did not leave by {name}: {sent:#?}");
    let order: Vec<&str> = talk.left.iter().map(|(text, _)| text.as_str()).collect();
    let kept: Vec<&str> = order
        .into_iter()
        .filter(|text| sent.iter().any(|sent| sent == text))
        .collect();
    assert_eq!(sent, kept, "{name}: in the order in which they were written");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_with_success_is_there_though_it_was_killed_at_once() {
    let acme = Provider::start(now()).await.unwrap();
    let plan = Plan::default().connector("acme", accounts::acme(&acme)).line(
        "by-acme",
        "acme",
        ACME,
        json!({ "region": "GB" }),
    );
    let Some(mut house) = House::open(plan).await else {
        return;
    };
    let (url, http) = (house.webhook("acme"), client());
    let mut answered = vec!["the first".to_owned()];
    let calls = |text: String, id: String| {
        let body = json!({ "events": [webhook_http::message(&id, FRIEND, &text)] }).to_string();
        let mut request = http.post(&url).header("content-type", "application/json");
        for (name, value) in webhook_http::signature(&body, now()) {
            request = request.header(name, value);
        }
        let request = request.body(body);
        async move {
            let answer = request.send().await;
            (text, answer.map_or(0, |answer| answer.status().as_u16()))
        }
    };
    let (_, status) = calls("the first".to_owned(), "first".to_owned()).await;
    assert_eq!(status, 200);
    let room = house.reads("the first").await.room;
    let (mut refused, mut taken) = (0, 0);
    for round in 0..4_usize {
        let mut under_way: FuturesUnordered<_> = (0..24)
            .map(|number| calls(format!("text {round}.{number}"), format!("{round}-{number}")))
            .collect();
        let mut many = 0;
        while let Some((text, status)) = under_way.next().await {
            if status == 200 {
                answered.push(text);
                many += 1;
                // In another moment of each round's burst.
                if many == 1 + round * 5 {
                    house.gateway.kill();
                }
            } else {
                refused += 1;
            }
        }
        taken += many;
        house.start();
        house.is_ready().await;
    }
    // The kills fell into the bursts: else nothing was looked at.
    assert!(refused > 0 && taken > 0, "{taken} were taken, and {refused} not");
    let begun = tokio::time::Instant::now();
    loop {
        let shown = house.texts_of_phones(&room).await;
        let count = |text: &String| shown.iter().filter(|shown| *shown == text).count();
        let lost: Vec<&String> = answered.iter().filter(|text| count(text) == 0).collect();
        if lost.is_empty() {
            assert!(shown.iter().all(|text| count(text) == 1), "{shown:#?}");
            break;
        }
        assert!(
            begun.elapsed() < PATIENCE,
            "{lost:#?}\n{}",
            house.gateway.log_tail(60)
        );
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
