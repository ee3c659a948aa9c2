//! Never lost, never doubled: thousands of texts each way while everything that can fail does.
//!
//! The gateway is killed at random moments, the carrier drops connections, delays and repeats, the homeserver fails, limits,
//! repeats and reorders. What may happen to a text is decided by a seed that is printed; `SWINGBRIDGE_SEED` repeats it
//! and `SWINGBRIDGE_ENDURANCE` sets how many texts go each way.

use crate::site::{LINE, PATIENCE, Site};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::time::Duration;
use swingbridge_lab::faults::{Fault, Plan};
use swingbridge_lab::homeserver::{Faults, Quirks, World};
use swingbridge_lab::postgres::Postgres;
use swingbridge_lab::smsc::{self, Mark};

const PHONES: usize = 40;
/// How many texts the connector works on at once, by default.
const AT_ONCE: u64 = 20;
/// The pause between two steps; in each, one text goes each way.
const PACE: Duration = Duration::from_millis(20);

fn number(name: &str, otherwise: u64) -> u64 {
    let given = std::env::var_os(name).and_then(|value| value.to_str()?.parse().ok());
    given.unwrap_or(otherwise)
}

fn phone(index: usize) -> String {
    format!("+4477009001{index:02}")
}

/// What happens at some steps besides texts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// The gateway is killed and started again so many steps later.
    Kill {
        away: usize,
    },
    /// The homeserver restarts, with so many steps between.
    HomeserverAway {
        steps: usize,
    },
    /// All connections with the carrier break.
    CarrierBreaks,
    CarrierAway {
        steps: usize,
    },
    /// The homeserver's pushes stop for a while and come in a burst.
    PushesHeld {
        steps: usize,
    },
}

/// When what happens.
fn troubles(random: &mut StdRng, steps: usize, calm: Range<usize>) -> BTreeMap<usize, Trouble> {
    let mut plan = BTreeMap::new();
    let mut at = calm.start;
    while at < steps {
        let away = random.random_range(0..25);
        let trouble = match random.random_range(0..10) {
            0..5 => Trouble::Kill { away },
            5 => Trouble::HomeserverAway { steps: away },
            6 | 7 => Trouble::CarrierBreaks,
            8 => Trouble::CarrierAway { steps: away },
            _ => Trouble::PushesHeld { steps: away },
        };
        plan.insert(at, trouble);
        at += random.random_range(calm.clone());
    }
    plan
}

/// A text, some of them long and in several alphabets.
fn text(random: &mut StdRng, start: &str) -> String {
    let endings = ["", " ok", " grüße", " 😀", " привет", " [€]"];
    let mut text = format!("{start}{}", endings.choose(random).unwrap());
    if random.random_bool(0.05) {
        text += &" and on and on it goes".repeat(random.random_range(8..20));
    }
    text
}

struct Sent {
    event: String,
    room: String,
    phone: usize,
    text: String,
}

struct Run {
    site: Site,
    random: StdRng,
    /// Where phones' texts came to be: phone to room.
    rooms: BTreeMap<usize, String>,
    /// How far the homeserver's events were looked through for new rooms.
    seen: usize,
    /// What phones wrote: phone and text.
    written: Vec<(usize, String)>,
    /// What Alice wrote.
    said: Vec<Sent>,
    /// Steps at which what was taken away comes back.
    mends: BTreeMap<usize, Vec<Trouble>>,
    kills: usize,
    /// How often what was in flight was cut off.
    breaks: u64,
    /// Phones write the same words more than once.
    equal_texts: bool,
}

/// Against whom a run is made, and how long it is.
struct Conditions {
    seed: u64,
    /// Texts each way.
    each: usize,
    quirks: Quirks,
    carrier: smsc::Config,
    /// The steps from one trouble to the next.
    calm: Range<usize>,
    homeserver_restarts: bool,
    /// Phones write the same words more than once.
    equal_texts: bool,
    /// More for `init`.
    init: Vec<String>,
}

impl Conditions {
    fn new(quirks: Quirks, each: usize) -> Self {
        let seed = number("SWINGBRIDGE_SEED", 20_261_123);
        let carrier = smsc::Config {
            faults: Plan::rough(seed),
            response_timeout: Duration::from_secs(3),
            ..smsc::Config::default()
        };
        Self {
            seed,
            each,
            quirks,
            carrier,
            calm: 40..120,
            homeserver_restarts: true,
            equal_texts: true,
            init: Vec::new(),
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_lost_and_none_is_doubled() {
    let each = number("SWINGBRIDGE_ENDURANCE", 2_000) as usize;
    endure(Conditions::new(Quirks::synapse(), each)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_lost_beside_a_homeserver_with_hashed_ids_and_its_token_in_the_query() {
    endure(Conditions::new(Quirks::palpo(), 150)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_lost_beside_a_homeserver_with_growing_batches_and_doubled_state() {
    let mut conditions = Conditions::new(Quirks::dendrite(), 150);
    // It gives our users no devices, and so forgets what was sent when it restarts: then texts can be doubled in
    // rooms, and nobody can help it.
    conditions.homeserver_restarts = false;
    endure(conditions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_doubled_by_a_carrier_that_names_no_messages() {
    let mut conditions = Conditions::new(Quirks::synapse(), 150);
    conditions.carrier.mark = Mark::None;
    conditions.equal_texts = false;
    // Within one session such a carrier's repetition looks like a second text; after a lost one it must not.
    conditions.carrier.faults = Plan::rough(conditions.seed)
        .with(Fault::RepeatDelivery, 0.0)
        .with(Fault::DropAfterDelivery, 0.05);
    endure(conditions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_text_is_lost_on_postgresql() {
    let Some(postgres) = Postgres::for_test().await else {
        return;
    };
    let mut conditions = Conditions::new(Quirks::synapse(), 150);
    let database = postgres.database("swingbridge").await.unwrap();
    conditions.init = vec!["--postgres".into(), database];
    endure(conditions).await;
}

async fn endure(conditions: Conditions) {
    let Conditions {
        seed,
        each,
        quirks,
        carrier,
        calm,
        homeserver_restarts,
        equal_texts,
        init,
    } = conditions;
    println!("SWINGBRIDGE_SEED={seed} SWINGBRIDGE_ENDURANCE={each}");
    let init: Vec<&str> = init.iter().map(String::as_str).collect();
    let site = Site::with(
        |config| {
            config.seed = seed;
            config.quirks = quirks;
            config.quirks.reorder_rooms = true;
            config.quirks.repeat_events = 0.2;
            config.quirks.batch = config.quirks.batch.min(20);
            config.faults = Faults {
                lost_push: 0.01,
                ..Faults::some_of_all()
            };
        },
        carrier,
        &init,
    )
    .await;
    (0..PHONES).for_each(|index| site.stub.watch_number(&phone(index)));
    let mut run = Run {
        site,
        random: StdRng::seed_from_u64(seed),
        rooms: BTreeMap::new(),
        seen: 0,
        written: Vec::new(),
        said: Vec::new(),
        mends: BTreeMap::new(),
        kills: 0,
        breaks: 0,
        equal_texts,
    };
    let mut troubles = troubles(&mut run.random, each, calm);
    troubles.retain(|_, trouble| homeserver_restarts || !matches!(trouble, Trouble::HomeserverAway { .. }));
    run.storm(each, &troubles).await;
    run.calm().await;
    run.came_in_once();
    let uncertain = run.went_out_once();
    run.went_out_in_order(&uncertain);
    run.goes_on_by_retry(&uncertain).await;
    run.was_strict();
    println!(
        "{} in, {} out, {} kills, {} breaks, {} uncertain",
        run.written.len(),
        run.said.len(),
        run.kills,
        run.breaks,
        uncertain.len()
    );
}

impl Run {
    /// Texts both ways, and troubles.
    async fn storm(&mut self, each: usize, troubles: &BTreeMap<usize, Trouble>) {
        self.site.start();
        let mut pace = tokio::time::interval(PACE);
        let mut step = 0;
        while self.written.len() < each || self.said.len() < each {
            pace.tick().await;
            step += 1;
            assert!(step < each * 10, "no room came to be\n{}", self.site.log());
            self.site.assert_runs();
            for mend in self.mends.remove(&step).unwrap_or_default() {
                self.mend(mend);
            }
            if let Some(trouble) = troubles.get(&step) {
                self.trouble(step, *trouble);
            }
            self.look_for_rooms();
            if self.written.len() < each {
                self.phone_writes();
            }
            if self.said.len() < each {
                self.alice_says();
            }
        }
        for mend in std::mem::take(&mut self.mends).into_values().flatten() {
            self.mend(mend);
        }
    }

    fn trouble(&mut self, step: usize, trouble: Trouble) {
        let steps = match trouble {
            // One thing at a time: while the gateway is away it cannot be killed.
            Trouble::Kill { .. }
                if self
                    .mends
                    .values()
                    .flatten()
                    .any(|mend| matches!(mend, Trouble::Kill { .. })) =>
            {
                return;
            }
            Trouble::Kill { away } => {
                self.site.kill();
                self.kills += 1;
                self.breaks += 1;
                away
            }
            Trouble::HomeserverAway { steps } => {
                self.site.stub.go_away();
                steps
            }
            Trouble::CarrierBreaks => {
                self.breaks += 1;
                return self.site.carrier.drop_sessions();
            }
            Trouble::CarrierAway { steps } => {
                self.breaks += 1;
                self.site.carrier.set_down(true);
                steps
            }
            Trouble::PushesHeld { steps } => {
                self.site.stub.hold_pushes(true);
                steps
            }
        };
        self.mends.entry(step + steps + 1).or_default().push(trouble);
    }

    fn mend(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Kill { .. } => self.site.start(),
            Trouble::HomeserverAway { .. } => self.site.stub.come_back(),
            Trouble::CarrierAway { .. } => self.site.carrier.set_down(false),
            Trouble::PushesHeld { .. } => self.site.stub.hold_pushes(false),
            Trouble::CarrierBreaks => {}
        }
    }

    fn look_for_rooms(&mut self) {
        self.site.alice.accept_invites();
        let alice = self.site.alice.id();
        let (seen, found) = self.site.stub.look(|world| {
            let new = world.events[self.seen..]
                .iter()
                .filter(|event| event.sender != alice);
            let found = new.filter_map(|event| {
                Some((
                    event.body().strip_prefix("text-in-")?.to_owned(),
                    event.room_id.clone(),
                ))
            });
            (world.events.len(), found.collect::<Vec<_>>())
        });
        self.seen = seen;
        for (text, room) in found {
            let phone = text
                .split('-')
                .next()
                .and_then(|index| index.parse().ok())
                .unwrap();
            let known = self.rooms.entry(phone).or_insert_with(|| room.clone());
            assert_eq!(*known, room, "one conversation has one room");
        }
    }

    fn phone_writes(&mut self) {
        let index = self.random.random_range(0..PHONES);
        let start = format!("text-in-{index}-{}", self.written.len());
        let mut text = text(&mut self.random, &start);
        // Some people write the same again and again; each is a text of its own.
        if self.equal_texts && self.random.random_bool(0.1) {
            text = format!("text-in-{index}-again");
        }
        self.site.carrier.write(&phone(index), LINE, &text).unwrap();
        self.written.push((index, text));
    }

    fn alice_says(&mut self) {
        let alice = self.site.alice.id().to_owned();
        let (site, rooms) = (&self.site, &self.rooms);
        let joined = rooms.iter().filter(|(_, room)| {
            site.stub
                .look(|world| world.membership(room, &alice) == Some("join"))
        });
        let joined: Vec<_> = joined.collect();
        let Some((index, room)) = joined.choose(&mut self.random) else {
            return;
        };
        let (index, room) = (**index, (*room).clone());
        let start = format!("text-out-{index}-{}", self.said.len());
        let text = text(&mut self.random, &start);
        let event = self.site.alice.say(&room, &text).unwrap();
        self.said.push(Sent {
            event,
            room,
            phone: index,
            text,
        });
    }

    /// No more faults; everything comes to rest.
    async fn calm(&mut self) {
        let broken = [
            Fault::DropBeforeTaking,
            Fault::DropBeforeResponse,
            Fault::DropAfterResponse,
            Fault::DropAfterDelivery,
        ];
        self.breaks += broken
            .iter()
            .map(|fault| self.site.carrier.struck(*fault))
            .sum::<u64>();
        self.site.stub.set_faults(Faults::none());
        self.site.carrier.set_faults(Plan::none());
        // What the homeserver never pushed is found at a start; and an end in good order leaves nothing in doubt.
        assert_eq!(self.site.stop().await, Some(0), "{}", end(&self.site.log()));
        self.site.start();
        let wait = self
            .site
            .carrier
            .wait_for("all texts of phones to be taken", PATIENCE, |view| {
                (view.undelivered == 0).then_some(())
            });
        wait.await
            .unwrap_or_else(|error| panic!("{error}\n{}", self.site.log()));
        let wait = self
            .site
            .stub
            .wait(2 * PATIENCE, "all texts to have arrived and a fate", |world| {
                (self.open(world).is_empty() && world.pushes.is_idle()).then_some(())
            });
        if let Err(error) = wait.await {
            let open = self.site.stub.look(|world| self.open(world));
            let metrics = self.site.operations("/metrics").await.unwrap_or_default().1;
            let rows = metrics.lines().filter(|line| line.contains("queue_rows"));
            let rows: Vec<&str> = rows.collect();
            panic!("{error}\n{open:#?}\n{rows:#?}\n{}", end(&self.site.log()));
        }
        self.site.assert_runs();
        self.look_for_rooms();
    }

    /// What has not come to its end: texts that are not in Matrix, and texts whose fate is not told.
    fn open(&self, world: &World) -> Vec<String> {
        let mut there: HashMap<&str, usize> = HashMap::new();
        for event in &world.events {
            *there.entry(event.body()).or_default() += 1;
        }
        let mut open = Vec::new();
        for ((_, text), times) in self.expected() {
            if there.get(text).copied().unwrap_or(0) < times {
                open.push(format!("{text} is not in Matrix {times} times"));
            }
        }
        let told = fates(world);
        for sent in &self.said {
            let fate = told.get(&sent.event).unwrap_or(&Value::Null);
            let (status, state) = (fate["status"].as_str(), fate["dev.swingbridge.state"].as_str());
            // All phones are on: what was sent is delivered, and the carrier has said so.
            if !matches!(
                (status, state),
                (Some("SUCCESS"), Some("delivered")) | (Some("FAIL_RETRIABLE"), _)
            ) {
                open.push(format!("{} is {status:?} {state:?}", sent.text));
            }
        }
        open
    }

    /// How often each text of each phone should be in Matrix.
    fn expected(&self) -> HashMap<(usize, &str), usize> {
        let mut expected = HashMap::new();
        for (phone, text) in &self.written {
            *expected.entry((*phone, text.as_str())).or_default() += 1;
        }
        expected
    }

    /// Every text of a phone stands in its room as often as it was written.
    fn came_in_once(&self) {
        let mut wrong = Vec::new();
        let mut in_all = 0;
        let mut times: HashMap<(usize, String), usize> = HashMap::new();
        for (phone, room) in &self.rooms {
            for event in self.site.texts_of_phones(room) {
                in_all += usize::from(event.body().starts_with("text-in-"));
                *times.entry((*phone, event.body().to_owned())).or_default() += 1;
            }
        }
        for ((phone, text), expected) in self.expected() {
            let found = times.get(&(phone, text.to_owned())).copied().unwrap_or(0);
            if found != expected {
                wrong.push(format!("{text}: {found}, written {expected}"));
            }
        }
        assert!(wrong.is_empty(), "{wrong:#?}");
        assert_eq!(in_all, self.written.len());
    }

    /// Every text of Alice's is at its phone once, or was said to be uncertain; answers the uncertain ones.
    fn went_out_once(&self) -> Vec<usize> {
        let accounts = self.site.carrier.accounts();
        let doubled: Vec<_> = accounts.doubled().collect();
        assert!(doubled.is_empty(), "doubled to phones: {doubled:?}");
        let arrived = arrived(&self.site);
        let (fates, notices) = self.site.stub.look(|world| (fates(world), notices(world)));
        let mut uncertain = Vec::new();
        for (index, sent) in self.said.iter().enumerate() {
            let times = arrived
                .get(&(sent.phone, sent.text.clone()))
                .copied()
                .unwrap_or(0);
            let fate = &fates[&sent.event];
            match (fate["status"].as_str(), fate["dev.swingbridge.state"].as_str()) {
                (Some("SUCCESS"), _) => assert_eq!(times, 1, "said to be sent: {} {fate}", sent.text),
                (Some("FAIL_RETRIABLE"), Some("uncertain")) => {
                    assert!(times <= 1, "{}", sent.text);
                    assert!(notices.contains(&sent.event), "not said in words: {}", sent.text);
                    uncertain.push(index);
                }
                other => panic!("{other:?} for {} {fate}", sent.text),
            }
        }
        // Only what was in flight when something broke can be uncertain: at most a window each time.
        let long = uncertain
            .iter()
            .filter(|index| self.said[**index].text.chars().count() > 70)
            .count();
        assert!(
            accounts.incomplete <= long,
            "a long text is at a phone in part, and nobody was told"
        );
        assert!(
            uncertain.len() as u64 <= self.breaks * AT_ONCE,
            "{} uncertain of {} breaks",
            uncertain.len(),
            self.breaks
        );
        uncertain
    }

    /// Texts of one conversation come to the phone in the order in which they were written, those in doubt left out.
    fn went_out_in_order(&self, uncertain: &[usize]) {
        let doubtful: BTreeSet<usize> = uncertain.iter().copied().collect();
        let messages = self.site.carrier.messages();
        let lost = self.site.stub.look(|world| world.pushes.lost.clone());
        let sure = self.said.iter().enumerate();
        // What the homeserver did not push came later.
        let sure = sure.filter(|(index, sent)| !doubtful.contains(index) && !lost.contains(&sent.event));
        let mut written: BTreeMap<usize, Vec<&str>> = BTreeMap::new();
        for (_, sent) in sure {
            written.entry(sent.phone).or_default().push(&sent.text);
        }
        for (index, texts) in written {
            let known: BTreeSet<&str> = texts.iter().copied().collect();
            let key = smsc::key(&phone(index));
            let here = messages
                .iter()
                .filter(|message| !message.from_phone && message.phone == key);
            let arrived: Vec<&str> = here
                .map(|message| message.text.as_str())
                .filter(|text| known.contains(text))
                .collect();
            assert_eq!(arrived, texts, "the order on phone {index}");
        }
    }

    /// What did not arrive is sent by the user's `retry`, once.
    async fn goes_on_by_retry(&mut self, uncertain: &[usize]) {
        let before = arrived(&self.site);
        let lost: Vec<&Sent> = uncertain.iter().map(|index| &self.said[*index]).collect();
        let lost: Vec<&Sent> = lost
            .into_iter()
            .filter(|sent| !before.contains_key(&(sent.phone, sent.text.clone())))
            .collect();
        for sent in &lost {
            let content = json!({
                "msgtype": "m.text",
                "body": "!sms retry",
                "m.relates_to": {"m.in_reply_to": {"event_id": sent.event}},
            });
            self.site
                .alice
                .send(&sent.room, "m.room.message", content)
                .unwrap();
        }
        let wait = self
            .site
            .carrier
            .wait_for("what was sent again", PATIENCE, |view| {
                let there: BTreeSet<&str> = view
                    .messages
                    .iter()
                    .map(|message| message.text.as_str())
                    .collect();
                lost.iter()
                    .all(|sent| there.contains(sent.text.as_str()))
                    .then_some(())
            });
        wait.await
            .unwrap_or_else(|error| panic!("{error}\n{}", end(&self.site.log())));
        let wait = self
            .site
            .stub
            .wait(PATIENCE, "success of what was sent again", |world| {
                let fates = fates(world);
                lost.iter()
                    .all(|sent| fates[&sent.event]["status"] == "SUCCESS")
                    .then_some(())
            });
        wait.await
            .unwrap_or_else(|error| panic!("{error}\n{}", end(&self.site.log())));
        assert_eq!(self.site.carrier.accounts().doubled().count(), 0);
    }

    /// The homeserver has nothing to complain of, and no log tells what was written or to whom.
    fn was_strict(&self) {
        assert_eq!(self.site.stub.violations(), Vec::<String>::new());
        let log = self.site.log();
        for secret in ["text-in-", "text-out-", "7009001"] {
            let line = log.lines().find(|line| line.contains(secret));
            assert_eq!(line, None, "the log tells");
        }
    }
}

/// The last state told of each event.
fn fates(world: &World) -> HashMap<String, Value> {
    let statuses = world
        .events
        .iter()
        .filter(|event| event.kind == "com.beeper.message_send_status");
    statuses
        .filter_map(|event| {
            let about = event.content["m.relates_to"]["event_id"].as_str()?;
            Some((about.to_owned(), event.content.clone()))
        })
        .collect()
}

/// The events that were answered in words by the bot.
fn notices(world: &World) -> BTreeSet<String> {
    let notices = world
        .events
        .iter()
        .filter(|event| event.content["msgtype"] == "m.notice");
    notices
        .filter_map(|event| {
            event.content["m.relates_to"]["m.in_reply_to"]["event_id"]
                .as_str()
                .map(str::to_owned)
        })
        .collect()
}

/// How often each text came to a phone.
fn arrived(site: &Site) -> HashMap<(usize, String), usize> {
    let phones: HashMap<String, usize> = (0..PHONES)
        .map(|index| (smsc::key(&phone(index)), index))
        .collect();
    let texts = site.carrier.accounts().texts.into_iter();
    texts
        .map(|(text, times)| ((phones[&text.destination], text.text), times))
        .collect()
}

fn end(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
