//! The gateway as a whole, against the lab's homeserver and carrier.

use crate::program::{CONTACT, LINE, Site, code, command, said};
use rustix::process::{Pid, Signal, kill_process};
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
