//! The gateway as a whole, against the lab's homeserver and carrier.

use crate::program::{CONTACT, LINE, Site, code, command, said};
use rustix::process::{Pid, Signal, kill_process};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::time::{Duration, Instant};
use swingbridge_lab::smsc::key;

const PATIENCE: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread")]
async fn texts_go_both_ways_and_a_signal_ends_it_in_time() {
    let site = Site::new().await;
    let alice = site.homeserver.user("alice");
    let mut gateway = site.start();
    site.wait_for(&mut gateway, "/health/ready", 200).await;

    site.carrier.write(CONTACT, LINE, "hello from the phone");
    let room = site
        .homeserver
        .wait(PATIENCE, "the text in a room", |world| {
            let found = world
                .events
                .iter()
                .find(|event| event.content["body"] == "hello from the phone");
            found.map(|event| event.room_id.clone())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", gateway.log_tail(40)));
    alice.accept_invites();
    alice.say(&room, "hello from Matrix").unwrap();
    site.carrier
        .wait_for("the text on the phone", PATIENCE, |view| {
            view.messages
                .iter()
                .find(|message| !message.from_phone && message.text == "hello from Matrix")
                .map(|_| ())
        })
        .await
        .unwrap_or_else(|error| panic!("{error}\n{}", gateway.log_tail(40)));

    let metrics = site.wait_for(&mut gateway, "/metrics", 200).await;
    for name in [
        "swingbridge_build_info",
        "swingbridge_smpp_submits_total",
        "swingbridge_messages_total",
    ] {
        assert!(metrics.contains(name), "{name} is missing in\n{metrics}");
    }
    // Neither the metrics nor the log hold a number or what was written.
    let log = gateway.log_tail(10_000);
    for secret in [&key(CONTACT)[..], &key(LINE), "hello from"] {
        assert!(!metrics.contains(secret), "the metrics hold {secret}");
        assert!(!log.contains(secret), "the log holds {secret}\n{log}");
    }

    let asked = Instant::now();
    let status = gateway.stop().await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", gateway.log_tail(40));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
    assert_eq!(site.carrier.sessions().len(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_its_homeserver_it_lives_and_is_not_ready() {
    let site = Site::new().await;
    site.homeserver.go_away();
    let mut gateway = site.start();
    site.wait_for(&mut gateway, "/health/live", 200).await;
    let told = site.wait_for(&mut gateway, "/health/ready", 503).await;
    assert!(told.contains("homeserver"), "{told}");
    site.homeserver.come_back();
    site.wait_for(&mut gateway, "/health/ready", 200).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn systemd_is_told_when_it_serves() {
    let site = Site::new().await;
    let path = site.path("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut child = command(site.folder.path(), &["gateway"])
        .env("NOTIFY_SOCKET", &path)
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut bytes = [0; 64];
    let length = socket.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"READY=1");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let length = socket.recv(&mut bytes).unwrap();
    assert_eq!(&bytes[..length], b"STOPPING=1");
    assert_eq!(child.wait().unwrap().code(), Some(0));
}

#[tokio::test(flavor = "multi_thread")]
async fn check_tries_everything_without_and_beside_a_running_gateway() {
    let site = Site::new().await;
    let check = || command(site.folder.path(), &["check"]).output().unwrap();
    let alone = tokio::task::block_in_place(check);
    assert_eq!(code(&alone), 0, "{}", said(&alone));
    for tried in [
        "the registration matches",
        "the database opens",
        "the site key is the database's",
        "the homeserver answers",
        "the homeserver reaches the gateway",
        "connector smpp binds",
    ] {
        assert!(
            said(&alone).contains(&format!("ok    {tried}")),
            "{tried} is missing in\n{}",
            said(&alone)
        );
    }

    let mut gateway = site.start();
    site.wait_for(&mut gateway, "/health/ready", 200).await;
    let beside = tokio::task::block_in_place(check);
    assert_eq!(code(&beside), 0, "{}", said(&beside));
    assert!(
        said(&beside).contains("the running gateway has it"),
        "{}",
        said(&beside)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn check_names_cause_and_cure_of_what_is_broken() {
    let site = Site::new().await;
    let check = |variables: &[(&str, &str)]| {
        let mut command = command(site.folder.path(), &["check"]);
        let output =
            tokio::task::block_in_place(|| command.envs(variables.iter().copied()).output().unwrap());
        (code(&output), said(&output))
    };
    let (status, text) = check(&[("BRIDGE_SMPP_PASSWORD", "mistaken")]);
    assert_eq!(status, 17, "{text}");
    assert!(
        text.contains("FAIL  connector smpp binds") && !text.contains("mistaken"),
        "{text}"
    );

    let (status, text) = check(&[("SWINGBRIDGE_APPSERVICE__PREFIX", "phone")]);
    assert_eq!(status, 11, "{text}");
    assert!(text.contains("namespaces.users"), "{text}");

    let mut gateway = site.start();
    site.wait_for(&mut gateway, "/health/ready", 200).await;
    gateway.stop().await.unwrap();
    let (status, text) = check(&[("SWINGBRIDGE_SITE_KEY", &"7".repeat(64))]);
    assert_eq!(status, 14, "{text}");
    assert!(
        text.contains("FAIL  the site key") && !text.contains("7777"),
        "{text}"
    );

    site.homeserver.go_away();
    let (status, text) = check(&[]);
    assert_eq!(status, 15, "{text}");
    assert!(text.contains("FAIL  the homeserver answers"), "{text}");
    site.homeserver.come_back();

    site.homeserver.hold_pushes(false);
    let (status, text) = check(&[("SWINGBRIDGE_APPSERVICE__HS_TOKEN", "another")]);
    assert_eq!(status, 11, "{text}");
    assert!(
        text.contains("FAIL  the homeserver reaches the gateway"),
        "{text}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_homeserver_holds_up_neither_the_start_nor_the_end() {
    let site = Site::new().await;
    // It takes connections and never answers.
    let silent = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let mut command = command(site.folder.path(), &["gateway"]);
    command.env("SWINGBRIDGE_HOMESERVER__ADDRESS", address);
    let mut gateway = site.start_by(&command);
    site.wait_for(&mut gateway, "/health/live", 200).await;
    site.wait_for(&mut gateway, "/health/ready", 503).await;
    let asked = Instant::now();
    let status = gateway.stop().await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", gateway.log_tail(40));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_finest_log_in_json_holds_no_text_no_number_and_no_secret() {
    let site = Site::new().await;
    let alice = site.homeserver.user("alice");
    let mut command = command(site.folder.path(), &["gateway"]);
    command
        .env("SWINGBRIDGE_LOGGING__FORMAT", "json")
        .env("SWINGBRIDGE_LOGGING__LEVEL", "trace");
    let mut gateway = site.start_by(&command);
    site.wait_for(&mut gateway, "/health/ready", 200).await;
    site.carrier.write(CONTACT, LINE, "zucchini from the phone");
    let room = site
        .homeserver
        .wait(PATIENCE, "the text in a room", |world| {
            let found = world
                .events
                .iter()
                .find(|event| event.content["body"] == "zucchini from the phone");
            found.map(|event| event.room_id.clone())
        })
        .await
        .unwrap();
    alice.accept_invites();
    alice.say(&room, "zucchini from Matrix").unwrap();
    site.carrier
        .wait_for("the text on the phone", PATIENCE, |view| {
            view.messages
                .iter()
                .find(|message| message.text == "zucchini from Matrix")
                .map(|_| ())
        })
        .await
        .unwrap();
    gateway.stop().await.unwrap();

    let log = std::fs::read_to_string(site.path("gateway.log")).unwrap();
    assert!(log.lines().count() > 10, "{log}");
    for line in log.lines() {
        let object: serde_json::Value =
            serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        assert!(
            object["level"].is_string() && object["timestamp"].is_string(),
            "{line}"
        );
    }
    // The message's way is told all the same.
    for state in ["queued", "accepted"] {
        assert!(log.contains(&format!(r#""state":"{state}""#)), "{log}");
    }
    let registration = std::fs::read_to_string(site.path("registration.yaml")).unwrap();
    let tokens = registration.lines().filter(|line| line.contains("_token:"));
    let secrets = tokens.filter_map(|line| line.split_whitespace().nth(1));
    let digits = key(CONTACT);
    for secret in secrets.chain(["zucchini", &digits, digits.trim_start_matches("44")]) {
        let line = log.lines().find(|line| line.contains(secret));
        assert!(line.is_none(), "the log holds what it must not: {line:?}");
    }
}

/// Sends the head of a transaction and the beginning of its body, and nothing more.
fn begin_a_transaction(site: &Site) -> TcpStream {
    let registration = std::fs::read_to_string(site.path("registration.yaml")).unwrap();
    let token = registration
        .lines()
        .find_map(|line| line.strip_prefix("hs_token: "))
        .unwrap();
    let mut stream = TcpStream::connect(("127.0.0.1", site.port)).unwrap();
    write!(
        stream,
        "PUT /_matrix/app/v1/transactions/1 HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {token}\r\n\
         content-type: application/json\r\nexpect: 100-continue\r\ncontent-length: 100\r\n\r\n{{"
    )
    .unwrap();
    // The gateway reads the body: the request is under way.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    stream
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_that_never_ends_does_not_keep_it_and_a_second_signal_ends_it_at_once() {
    let site = Site::new().await;
    let mut gateway = site.start();
    site.wait_for(&mut gateway, "/health/ready", 200).await;
    let _endless = begin_a_transaction(&site);
    let asked = Instant::now();
    let status = gateway.stop().await.unwrap();
    assert_eq!(status.code(), Some(0), "{}", gateway.log_tail(40));
    assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());

    let mut child = command(site.folder.path(), &["gateway"])
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    site.wait_for(&mut gateway, "/health/ready", 200).await;
    let _endless = begin_a_transaction(&site);
    let process = Pid::from_child(&child);
    let asked = Instant::now();
    kill_process(process, Signal::TERM).unwrap();
    // It has heard the first one when it takes no connections any more.
    while TcpStream::connect(("127.0.0.1", site.port)).is_ok() {
        assert!(asked.elapsed() < PATIENCE, "it goes on taking connections");
        std::thread::yield_now();
    }
    kill_process(process, Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(143));
    assert!(asked.elapsed() < Duration::from_secs(4), "{:?}", asked.elapsed());
}
