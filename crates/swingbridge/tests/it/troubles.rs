//! What an operator meets some day: a full disk, a damaged database, a wrong token, a registration of another
//! configuration. Each is told with its cause, and nothing that was written meanwhile is lost.

use crate::site::{LINE, PATIENCE, Site};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use swingbridge_lab::homeserver::Config;
use swingbridge_lab::smsc;

const PHONE: &str = "+447700900456";

async fn site() -> Site {
    Site::new(|_: &mut Config| {}, smsc::Config::default()).await
}

/// Whether the texts stand in the room once each, in order.
async fn arrives_once(site: &Site, room: &str, texts: &[&str]) {
    let last = *texts.last().unwrap();
    let wait = site.stub.wait(PATIENCE, last, |world| {
        world
            .events
            .iter()
            .any(|event| event.body() == last)
            .then_some(())
    });
    wait.await
        .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    let bodies: Vec<String> = site
        .texts_of_phones(room)
        .iter()
        .map(|event| event.body().to_owned())
        .collect();
    let found: Vec<&str> = bodies
        .iter()
        .map(String::as_str)
        .filter(|body| texts.contains(body))
        .collect();
    assert_eq!(found, texts);
}

async fn reaches_the_phone_once(site: &Site, text: &str) {
    let wait = site.carrier.wait_for(text, PATIENCE, |view| {
        view.messages
            .iter()
            .any(|message| message.text == text)
            .then_some(())
    });
    wait.await
        .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    assert_eq!(
        site.carrier
            .messages()
            .iter()
            .filter(|message| message.text == text)
            .count(),
        1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_token_is_told_and_costs_no_text() {
    let mut site = site().await;
    site.start();
    let room = site.meet(PHONE).await;
    assert_eq!(site.stop().await, Some(0));

    let registration = site.folder().join("registration.yaml");
    let right = fs::read_to_string(&registration).unwrap();
    let line = right.lines().find(|line| line.starts_with("as_token")).unwrap();
    fs::write(
        &registration,
        right.replace(line, "as_token: some-other-token-that-nobody-knows"),
    )
    .unwrap();
    site.carrier.write(PHONE, LINE, "while the token was wrong");
    site.alice.say(&room, "to a gateway that cannot come").unwrap();
    site.start();
    assert_ne!(site.ended().await, Some(0));
    let log = site.log();
    assert!(log.contains("as_token") || log.contains("token"), "{log}");

    fs::write(&registration, right).unwrap();
    site.start();
    arrives_once(&site, &room, &["while the token was wrong"]).await;
    reaches_the_phone_once(&site, "to a gateway that cannot come").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_registration_of_another_configuration_is_told_and_costs_no_text() {
    let mut site = site().await;
    site.start();
    let room = site.meet(PHONE).await;
    assert_eq!(site.stop().await, Some(0));

    site.set("APPSERVICE__PREFIX", "other");
    site.carrier.write(PHONE, LINE, "while nothing matched");
    site.start();
    assert_ne!(site.ended().await, Some(0));
    let log = site.log();
    assert!(
        log.contains("registration.yaml") && log.contains("namespaces.users"),
        "{log}"
    );

    site.set("APPSERVICE__PREFIX", "sms");
    site.start();
    arrives_once(&site, &room, &["while nothing matched"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_database_is_told_and_left_as_it_is() {
    let mut site = site().await;
    site.start();
    let room = site.meet(PHONE).await;
    let path = site.folder().join("swingbridge.db");
    // All that is written must stand in the file itself: a log beside it would mend what is damaged here.
    let log = site.folder().join("swingbridge.db-wal");
    let emptied = async {
        while fs::metadata(&log).is_ok_and(|log| log.len() > 0) {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(20), emptied)
        .await
        .expect("the log is emptied when nothing happens");
    assert_eq!(site.stop().await, Some(0));

    let whole = fs::read(&path).unwrap();
    // The head of the file; a page in its middle; an end that is missing.
    let mut headless = whole.clone();
    headless[..100].fill(0x5A);
    let mut holed = whole.clone();
    holed[4096..8192].fill(0x5A);
    let cut = whole[..whole.len() / 2].to_vec();
    site.carrier.write(PHONE, LINE, "while it was damaged");
    for damaged in [headless, holed, cut] {
        fs::write(&path, &damaged).unwrap();
        site.start();
        assert_eq!(site.ended().await, Some(14), "{}", site.log());
        let log = site.log();
        let told = log
            .lines()
            .rev()
            .take(8)
            .any(|line| line.contains("damaged") || line.contains("swingbridge.db"));
        assert!(told, "{log}");
        assert_eq!(
            fs::read(&path).unwrap(),
            damaged,
            "it is evidence: nobody writes to it"
        );
    }

    fs::write(&path, &whole).unwrap();
    site.start();
    arrives_once(&site, &room, &["while it was damaged"]).await;
}

/// A gateway whose database lies on a small disk of its own, a mount that only it sees.
struct SmallDisk {
    command: Command,
    inside: PathBuf,
}

impl SmallDisk {
    /// `None` where mounts cannot be made.
    fn new(site: &mut Site) -> Option<Self> {
        let inside = site.folder().join("disk");
        fs::create_dir(&inside).unwrap();
        let try_it = Command::new("unshare")
            .args(["--mount", "--map-root-user", "mount", "-t", "tmpfs", "tmpfs"])
            .arg(&inside)
            .output();
        if !try_it.is_ok_and(|output| output.status.success()) {
            return None;
        }
        site.set("DATABASE__PATH", inside.join("swingbridge.db").to_str().unwrap());
        let plain = site.command();
        let mut command = Command::new("unshare");
        command.current_dir(site.folder());
        for (name, value) in plain.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args([
            "--mount",
            "--map-root-user",
            "sh",
            "-c",
            r#"mount -t tmpfs -o size=6m tmpfs "$0" && exec "$@""#,
        ]);
        command.arg(&inside).arg(plain.get_program()).arg("gateway");
        Some(Self { command, inside })
    }

    /// The disk as the gateway sees it.
    fn seen_by(&self, gateway: u32) -> PathBuf {
        Path::new("/proc")
            .join(gateway.to_string())
            .join("root")
            .join(self.inside.strip_prefix("/").unwrap())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_is_told_and_costs_no_text() {
    let mut site = site().await;
    let Some(disk) = SmallDisk::new(&mut site) else {
        let may_skip = std::env::var_os("CI").is_none_or(|ci| ci != "true");
        assert!(may_skip, "no mount can be made here, and nothing may be skipped");
        println!("skipped: no mount can be made here");
        return;
    };
    site.start_by(&disk.command);
    let room = site.meet(PHONE).await;
    let filler = disk.seen_by(site.id()).join("filler");
    assert!(
        fs::write(&filler, vec![0; 16 << 20]).is_err(),
        "the disk is not small"
    );

    let texts: Vec<String> = (0..30)
        .map(|number| format!("number {number} on a full disk"))
        .collect();
    for text in &texts {
        site.carrier.write(PHONE, LINE, text);
    }
    site.alice.say(&room, "from Matrix on a full disk").unwrap();
    site.log_says("full").await;
    site.assert_runs();
    // Nothing is acknowledged that is not kept.
    let held = site.carrier.wait_for("texts that wait", PATIENCE, |view| {
        (view.undelivered > 0).then_some(())
    });
    held.await.unwrap();
    let said = site
        .carrier
        .messages()
        .iter()
        .any(|message| message.text == "from Matrix on a full disk");
    assert!(!said, "it was sent although it could not be kept");

    fs::remove_file(&filler).unwrap();
    let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    let wait = site.stub.wait(PATIENCE, "all texts", |world| {
        let there = |text: &&str| world.events.iter().any(|event| event.body() == *text);
        texts.iter().all(there).then_some(())
    });
    wait.await
        .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    let mut bodies: Vec<String> = site
        .texts_of_phones(&room)
        .iter()
        .map(|event| event.body().to_owned())
        .collect();
    bodies.retain(|body| body.starts_with("number "));
    // The carrier repeats what was refused in its own order.
    bodies.sort_unstable();
    texts.sort_unstable();
    assert_eq!(bodies, texts);
    reaches_the_phone_once(&site, "from Matrix on a full disk").await;
}
