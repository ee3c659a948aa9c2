//! `--check`: the device, driven by a program, with a transcript for people. Alice's client is matrix-nio.

use super::handset::Kind;
use super::house::{CONTACTS, DeviceHouse, OWN};
use crate::house::{PASSWORD, USER};
use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use std::path::Path;
use std::time::{Duration, Instant};
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::smsc::key;

/// How long each step may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// A word that stands in every text here and nowhere else.
const WORD: &str = "kingfisher";

const LONG: &str = "A long kingfisher, to see it cross whole: emoji such as 🌉 and 📱 need two units of UTF-16 each, \
                    families such as 👩‍👩‍👧‍👦 need eleven, and none of them may be cut in two. €uro, naïve, Ελλάδα, 日本語 — all in one. \
                    🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉🌉. The end.";

/// What Alice's client shows of a message.
struct Came {
    room: String,
    id: String,
    content: Value,
}

impl Came {
    fn body(&self) -> &str {
        self.content["body"].as_str().unwrap_or_default()
    }
}

pub struct Check<'a> {
    house: &'a mut DeviceHouse,
    alice: Foreign,
    http: reqwest::Client,
    start: Instant,
    /// Every text that was written, in order, and whether it went to the contact.
    written: Vec<(bool, String)>,
}

impl Check<'_> {
    pub async fn run(house: &mut DeviceHouse) -> Result<()> {
        let user = format!("@{USER}:{}", house.synapse.server_name());
        let alice = Foreign::client(Script::Nio, house.synapse.url(), &user, PASSWORD)
            .await
            .context("matrix-nio is not there: `cargo xtask demo` sets it up")??;
        let mut check = Check {
            house,
            alice,
            http: reqwest::Client::new(),
            start: Instant::now(),
            written: Vec::new(),
        };
        println!("\n  seconds   transcript");
        check.say("alice is logged in with matrix-nio, a client that encrypts");
        check.transcript().await
    }

    async fn transcript(&mut self) -> Result<()> {
        let (ada, name) = CONTACTS.first().copied().context("no contact")?;
        let hello = format!("Hello from a phone, says the {WORD} 👋");
        self.writes(ada, OWN, &hello).await?;
        self.say(&format!("{name} writes to alice's device: {}", shortened(&hello)));
        self.joins().await?;
        let came = self.labelled(&hello).await?;
        let room = came.room;

        let answer = format!("Hello from Matrix, says the {WORD}");
        self.answers(&room, &answer).await?;
        if self.house.kind == Kind::Android {
            self.agrees(&room).await?;
        }
        self.arrives(&answer).await?;

        let back = format!("{LONG} (and back)");
        self.answers(&room, LONG).await?;
        self.arrives(LONG).await?;
        self.writes(ada, OWN, &back).await?;
        self.say(&format!("{name} writes: {}", shortened(&back)));
        self.labelled(&back).await?;

        let by_hand = format!("By hand on the device itself, a {WORD}");
        self.writes(OWN, ada, &by_hand).await?;
        self.say(&format!("alice writes on the device itself: {by_hand:?}"));
        self.labelled(&by_hand).await?;
        self.nothing_doubled().await?;
        self.nothing_is_read().await
    }

    fn say(&self, words: &str) {
        println!("  {:7.2}   {words}", self.start.elapsed().as_secs_f64());
    }

    /// On the page of phones, as a person does.
    async fn writes(&mut self, from: &str, to: &str, text: &str) -> Result<()> {
        let url = self.page(&format!("phones/{}/send", key(from)));
        let sent = self
            .http
            .post(url)
            .json(&json!({ "to": to, "text": text }))
            .send()
            .await?;
        ensure!(
            sent.status().is_success(),
            "the page of phones answers {}",
            sent.status()
        );
        self.written.push((from == OWN, text.to_owned()));
        Ok(())
    }

    fn page(&self, what: &str) -> String {
        format!("http://127.0.0.1:{}/api/{what}", self.house.ports.phones)
    }

    /// Accepts invitations until one leads to a conversation.
    async fn joins(&mut self) -> Result<()> {
        loop {
            let invited = self.alice.event("invited").await?;
            let join = json!({ "do": "join", "room": invited["room"] });
            self.alice.tell(join).await?;
            let joined = self.alice.event("joined").await?;
            if joined["encrypted"] == true {
                self.say("alice accepts the invitation to an encrypted room");
                return Ok(());
            }
        }
    }

    /// What alice's client decrypted.
    async fn sees(&mut self, part: &str) -> Result<Came> {
        let said = self.alice.event_with("message", |event| {
            let body = event["content"]["body"].as_str();
            body.is_some_and(|body| body.contains(part))
        });
        let said = said
            .await
            .with_context(|| format!("alice never sees {}", shortened(part)))?;
        ensure!(
            said["encrypted"] == true,
            "what should be encrypted came in clear: {}",
            shortened(part)
        );
        let text = |name: &str| said[name].as_str().unwrap_or_default().to_owned();
        Ok(Came {
            room: text("room"),
            id: text("id"),
            content: said["content"].clone(),
        })
    }

    /// A text of the device in Matrix, whole and with its label.
    async fn labelled(&mut self, text: &str) -> Result<Came> {
        let came = self.sees(text).await?;
        // Clients without profiles of messages see the name before the text.
        ensure!(
            came.body() == text || came.body().ends_with(&format!(": {text}")),
            "alice sees something else: {:?}",
            came.body()
        );
        let label = &came.content["dev.swingbridge.path"];
        ensure!(
            label["summary"] == "ends_at_device",
            "the label claims something else: {label}"
        );
        let profile = &came.content["com.beeper.per_message_profile"]["displayname"];
        let whose = profile
            .as_str()
            .map_or(String::new(), |name| format!(", under the name {name}"));
        self.say(&format!(
            "alice decrypts it{whose}; its label: {}",
            label["summary"].as_str().unwrap_or_default()
        ));
        Ok(came)
    }

    async fn answers(&mut self, room: &str, text: &str) -> Result<()> {
        let send = json!({ "do": "send", "room": room, "body": text });
        self.alice.tell(send).await?;
        self.alice.event("sent").await?;
        self.say(&format!("alice writes, encrypted: {}", shortened(text)));
        self.written.push((true, text.to_owned()));
        Ok(())
    }

    /// Nothing leaves before alice has agreed to who can read it.
    async fn agrees(&mut self, room: &str) -> Result<()> {
        let question = self.sees("Do you agree").await?;
        ensure!(question.room == room, "the question stands in another room");
        self.say(&format!("the relay asks: {}", question.body()));
        ensure!(
            self.outgoing().await?.is_empty(),
            "a text left before alice agreed to that"
        );
        self.say("alice's text waits; the phone has sent nothing");
        let react = json!({ "do": "react", "room": room, "id": question.id, "key": "✅" });
        self.alice.tell(react).await?;
        self.say("alice reacts with ✅");
        Ok(())
    }

    /// The contact's phone shows it.
    async fn arrives(&mut self, text: &str) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while !self.outgoing().await?.iter().any(|shown| shown == text) {
            ensure!(
                Instant::now() < deadline,
                "the contact's phone never shows {}",
                shortened(text)
            );
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let name = CONTACTS.first().map_or("", |(_, name)| name);
        self.say(&format!("{name}'s phone shows it whole"));
        Ok(())
    }

    /// What the contact's phone has from the device, as its page shows it.
    async fn outgoing(&self) -> Result<Vec<String>> {
        self.on_page(|message| message["from_phone"] == false).await
    }

    async fn on_page(&self, wanted: impl Fn(&Value) -> bool) -> Result<Vec<String>> {
        let phone = CONTACTS
            .first()
            .map(|(number, _)| key(number))
            .unwrap_or_default();
        let all: Vec<Value> = self.http.get(self.page("messages")).send().await?.json().await?;
        let of_phone = all.iter().filter(|message| message["phone"] == *phone);
        let texts = of_phone.filter(|message| wanted(message));
        Ok(texts
            .filter_map(|message| message["text"].as_str().map(str::to_owned))
            .collect())
    }

    async fn nothing_doubled(&mut self) -> Result<()> {
        let of = |outgoing: bool| -> Vec<String> {
            let of_way = self.written.iter().filter(|(way, _)| *way == outgoing);
            of_way.map(|(_, text)| text.clone()).collect()
        };
        let (there, back) = (
            self.outgoing().await?,
            self.on_page(|message| message["from_phone"] == true).await?,
        );
        ensure!(
            there == of(true) && back == of(false),
            "the contact's phone shows {} and {} texts instead of {} and {}, or others",
            there.len(),
            back.len(),
            of(true).len(),
            of(false).len()
        );
        self.say("the contact's phone has each text once, in order");
        Ok(())
    }

    /// Looks for the texts in all that the homeserver and the relay keep.
    async fn nothing_is_read(&mut self) -> Result<()> {
        self.house.stop().await?;
        self.say("relay and homeserver are ended, to look into their files");
        let handset = self.house.relay_folder().with_file_name("handset");
        let known = Search::through(&handset)?;
        ensure!(
            known.found > 0,
            "the search does not even find the texts on the device"
        );
        for (whose, folder) in [
            ("Synapse's", self.house.synapse.folder()),
            ("the relay's", self.house.relay_folder()),
        ] {
            let search = Search::through(folder)?;
            ensure!(
                search.found == 0,
                "{} of {whose} files hold what was written",
                search.found
            );
            ensure!(search.bytes > 10_000, "{whose} files are empty");
            self.say(&format!(
                "none of {whose} {} files ({:.1} MB) holds a word of it",
                search.files,
                search.bytes as f64 / 1e6
            ));
        }
        Ok(())
    }
}

#[derive(Default)]
struct Search {
    files: usize,
    bytes: usize,
    /// Files that hold the word, in UTF-8 or UTF-16.
    found: usize,
}

impl Search {
    fn through(folder: &Path) -> Result<Self> {
        let mut search = Self::default();
        search.below(folder)?;
        Ok(search)
    }

    fn below(&mut self, folder: &Path) -> Result<()> {
        for entry in std::fs::read_dir(folder)? {
            let path = entry?.path();
            if path.is_dir() {
                self.below(&path)?;
            } else if path.is_file() {
                let bytes =
                    std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
                self.files += 1;
                self.bytes += bytes.len();
                self.found += usize::from(holds(&bytes));
            }
        }
        Ok(())
    }
}

fn holds(bytes: &[u8]) -> bool {
    let wide: Vec<u8> = WORD.encode_utf16().flat_map(u16::to_le_bytes).collect();
    [WORD.as_bytes(), &wide]
        .iter()
        .any(|word| bytes.windows(word.len()).any(|window| window == *word))
}

fn shortened(text: &str) -> String {
    let start: String = text.chars().take(60).collect();
    if start.len() == text.len() {
        format!("\"{text}\"")
    } else {
        format!("\"{start} …\" ({} characters)", text.chars().count())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_is_in_every_text_and_is_found() {
        assert!(LONG.contains(WORD));
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("clean"), "nothing").unwrap();
        std::fs::create_dir(folder.path().join("below")).unwrap();
        std::fs::write(folder.path().join("below/dirty"), LONG).unwrap();
        let search = Search::through(folder.path()).unwrap();
        assert_eq!((search.files, search.found), (2, 1));
    }
}
