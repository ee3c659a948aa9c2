//! The person at the device: their word counts there, and only there. Their client is matrix-js-sdk; and a site that asks for certificates.

use crate::device::login::{
    PASSWORD, PHONES, device, init, log_in, logs, private, start, termux_api, with_phone,
};
use crate::program::{code, said};
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;
use swingbridge_lab::client::Client;
use swingbridge_lab::edge::{Authority, Edge};
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::process::Process;
use swingbridge_lab::synapse::{Options, Synapse};
use swingbridge_lab::{peers, termux};
use tempfile::TempDir;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

const ACCOUNT: &str = "@phone-alice:localhost";

/// A running relay, and its owner at their client.
struct Home {
    // Ended in this order.
    relay: Process,
    alice: Foreign,
    room: String,
    folder: TempDir,
    _phone: termux::Phone,
    _synapse: Synapse,
}

impl Home {
    /// `None` where a peer is absent and may be.
    async fn open() -> Option<Self> {
        peers::matrix_js()?;
        let folder = TempDir::new().unwrap();
        let synapse = Synapse::for_test(Options::default()).await?;
        synapse.user("alice", PASSWORD).await.unwrap();
        synapse.user("phone-alice", PHONES).await.unwrap();
        let phone = termux::Phone::new(&folder.path().join("phone"), &termux_api()).unwrap();
        init(folder.path(), synapse.url());
        let login = log_in(folder.path(), &phone, &[]);
        assert_eq!(code(&login), 0, "{}", said(&login));
        let alice = Foreign::client(Script::MatrixJs, synapse.url(), "@alice:localhost", PASSWORD).await?;
        let mut alice = alice.unwrap();
        alice.tell(json!({ "do": "identity" })).await.unwrap();
        alice.event("identity").await.unwrap();
        let relay = start(folder.path(), &phone);
        logs(&relay, "the phone answers").await;
        alice
            .tell(json!({ "do": "direct", "user": ACCOUNT }))
            .await
            .unwrap();
        let created = alice.event("created").await.unwrap();
        Some(Self {
            relay,
            alice,
            room: created["room"].as_str().unwrap().to_owned(),
            folder,
            _phone: phone,
            _synapse: synapse,
        })
    }

    async fn event(&mut self, name: &str) -> Value {
        match self.alice.event(name).await {
            Ok(event) => event,
            Err(error) => panic!("{name}: {error}\n{}", self.relay.log_tail(60)),
        }
    }

    async fn asks(&mut self) {
        let ask = json!({ "do": "verify", "user": ACCOUNT, "room": self.room });
        self.alice.tell(ask).await.unwrap();
    }

    async fn trusts(&mut self) -> bool {
        let ask = json!({ "do": "trust", "user": ACCOUNT });
        self.alice.tell(ask).await.unwrap();
        self.event("trust").await["verified"] == true
    }
}

/// A person's terminal with `device verify` in it.
struct Terminal {
    child: Child,
    keys: Option<ChildStdin>,
    screen: BufReader<ChildStdout>,
}

impl Terminal {
    fn open(folder: &Path, arguments: &[&str]) -> Self {
        let mut command = Command::from(device(folder, &["verify"]));
        command.args(arguments).kill_on_drop(true);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let screen = BufReader::new(child.stdout.take().unwrap());
        let keys = child.stdin.take();
        Self { child, keys, screen }
    }

    async fn line(&mut self) -> String {
        let mut line = String::new();
        let read = self.screen.read_line(&mut line);
        let read = tokio::time::timeout(Duration::from_secs(30), read).await;
        assert_ne!(read.unwrap().unwrap(), 0, "it ended");
        line.trim_end().to_owned()
    }

    async fn pictures(&mut self) -> Vec<String> {
        let mut pictures = Vec::new();
        while pictures.len() < 7 {
            let line = self.line().await;
            if let Some((symbol, _)) = line
                .trim_start()
                .split_once("  ")
                .filter(|_| line.starts_with("    "))
            {
                pictures.push(symbol.to_owned());
            }
        }
        pictures
    }

    async fn types(&mut self, text: &str) {
        self.keys
            .as_mut()
            .unwrap()
            .write_all(text.as_bytes())
            .await
            .unwrap();
    }

    /// Its exit code, and all that it still said.
    async fn ends(mut self) -> (i32, String) {
        let mut text = String::new();
        self.screen.read_to_string(&mut text).await.unwrap();
        let mut errors = self.child.stderr.take().unwrap();
        errors.read_to_string(&mut text).await.unwrap();
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        (ended.unwrap().unwrap().code().unwrap(), text)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_running_relay_is_verified_at_its_own_terminal_and_nowhere_else() {
    let Some(mut home) = Home::open().await else {
        return;
    };
    let socket = home.folder.path().join("swingbridge-device/verify.sock");
    let mode = std::fs::metadata(&socket).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // Nobody is at the device: the owner is told where to go, and what they say in the chat confirms nothing.
    home.asks().await;
    let told = home.alice.event_with("message", |event| {
        let body = event["content"]["body"].as_str().unwrap_or_default();
        body.contains("`swingbridge device verify`") && event["sender"] == ACCOUNT
    });
    assert_eq!(told.await.unwrap()["encrypted"], true);
    let say = json!({ "do": "send", "room": home.room, "body": "yes" });
    home.alice.tell(say).await.unwrap();
    home.event("sent").await;
    assert!(!home.trusts().await);

    let mut terminal = Terminal::open(home.folder.path(), &[]);
    let shown = terminal.pictures().await;
    assert_eq!(home.event("pictures").await["pictures"], json!(shown));
    // There is one person, at one terminal.
    let (exit, text) = Terminal::open(home.folder.path(), &["--wait"]).ends().await;
    assert_eq!(exit, 16, "{text}");
    assert!(text.contains("at another terminal"), "{text}");
    home.alice.tell(json!({ "do": "same" })).await.unwrap();
    assert!(!home.trusts().await, "the person at the device has not spoken");
    terminal.types("perhaps\nyes\n").await;
    let (exit, text) = terminal.ends().await;
    assert_eq!(exit, 0, "{text}");
    assert!(text.contains("Verified."), "{text}");
    home.event("verified").await;
    let trusted = async {
        while !home.trusts().await {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(20), trusted)
        .await
        .unwrap();

    // Who sees others is protected, and who goes away has confirmed nothing.
    for leaves in [false, true] {
        let mut terminal = Terminal::open(home.folder.path(), &["--wait"]);
        assert!(terminal.line().await.starts_with("Waiting"));
        home.asks().await;
        terminal.pictures().await;
        home.event("pictures").await;
        if leaves {
            drop(terminal.keys.take());
        } else {
            terminal.types("no\n").await;
        }
        let (exit, text) = terminal.ends().await;
        assert_eq!(exit, 16, "{text}");
        let words = ["do not trust this connection", "nobody looked at the emoji"];
        assert!(text.contains(words[usize::from(leaves)]), "{text}");
        home.event("unverified").await;
    }

    // The other side may break it off while the person looks.
    let mut terminal = Terminal::open(home.folder.path(), &["--wait"]);
    terminal.line().await;
    home.asks().await;
    terminal.pictures().await;
    home.event("pictures").await;
    home.alice.tell(json!({ "do": "different" })).await.unwrap();
    let (exit, text) = terminal.ends().await;
    assert_eq!(exit, 16, "{text}");
    assert!(text.contains("the emoji differed"), "{text}");

    // A relay that stops lets nobody wait.
    let mut terminal = Terminal::open(home.folder.path(), &["--wait"]);
    terminal.line().await;
    let stopped = home.relay.stop().await.unwrap();
    assert_eq!(stopped.code(), Some(0), "{}", home.relay.log_tail(60));
    let (exit, text) = terminal.ends().await;
    assert_eq!(exit, 16, "{text}");
    assert!(text.contains("the relay is stopping"), "{text}");
    assert!(!socket.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_asks_for_certificates_is_shown_those_of_the_file() {
    let Some(synapse) = Synapse::for_test(Options::default()).await else {
        return;
    };
    synapse.user("phone-alice", PHONES).await.unwrap();
    let authority = Authority::new("the site").unwrap();
    let identity = authority.signs("127.0.0.1").unwrap();
    let edge = Edge::open(synapse.url(), &identity, Some(&authority))
        .await
        .unwrap();
    let folder = TempDir::new().unwrap();
    let at = folder.path();
    let phone = termux::Phone::new(&at.join("phone"), &termux_api()).unwrap();
    init(at, &edge.url());
    let log_in = |files: &[(&str, &str)]| {
        let login = device(
            at,
            &["login", "--user", "phone-alice", "--password-file", "password"],
        );
        let mut login = with_phone(login, &phone);
        for (key, file) in files {
            login.env(format!("SWINGBRIDGE_HOMESERVER__{key}"), file);
        }
        login.output().unwrap()
    };
    let mine = authority.signs("phone-alice").unwrap();
    private(&at.join("ca.pem"), &authority.certificate);
    private(&at.join("cert.pem"), &mine.certificate);
    private(&at.join("key.pem"), &mine.key);
    let stranger = log_in(&[]);
    assert_eq!(code(&stranger), 15, "{}", said(&stranger));
    assert!(
        said(&stranger).contains("not trusted here"),
        "{}",
        said(&stranger)
    );
    let nobody = log_in(&[("CA_FILE", "ca.pem"), ("ONLY_THIS_CA", "true")]);
    assert_eq!(code(&nobody), 15, "{}", said(&nobody));
    assert!(
        // It may be gone before it has said that it asks for one.
        [
            "asks for a client certificate",
            "may ask for a client certificate"
        ]
        .iter()
        .any(|words| said(&nobody).contains(words)),
        "{}",
        said(&nobody)
    );
    let friend = log_in(&[
        ("CA_FILE", "ca.pem"),
        ("ONLY_THIS_CA", "true"),
        ("CLIENT_CERT_FILE", "cert.pem"),
        ("CLIENT_KEY_FILE", "key.pem"),
    ]);
    assert_eq!(code(&friend), 0, "{}", said(&friend));
    assert!(
        said(&friend).contains("Logged in as @phone-alice:localhost"),
        "{}",
        said(&friend)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_asks_in_the_direct_chat_how_well_the_device_serves() {
    let Some(mut home) = Home::open().await else {
        return;
    };
    // Until it has looked at its parts for the first time there is nothing to tell.
    for _ in 0..5 {
        tokio::time::sleep(Duration::from_secs(4)).await;
        let ask = json!({ "do": "send", "room": home.room, "body": "Uptime" });
        home.alice.tell(ask).await.unwrap();
    }
    let answers = |event: &Value| {
        let body = event["content"]["body"].as_str().unwrap_or_default();
        event["sender"] == ACCOUNT && body.contains("homeserver: connected for") && body.contains("sms: ")
    };
    let answer = home.alice.event_with("message", answers).await;
    if let Err(error) = answer {
        panic!("{error}\n{}", home.relay.log_tail(60));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_of_another_account_than_was_asked_for_is_given_up() {
    let settings = json!({ "login_via_existing_session": { "enabled": true, "require_ui_auth": false } });
    let options = Options {
        settings,
        ..Options::default()
    };
    let Some(synapse) = Synapse::for_test(options).await else {
        return;
    };
    let folder = TempDir::new().unwrap();
    synapse.user("phone-alice", PHONES).await.unwrap();
    let owner = synapse.user("alice", PASSWORD).await.unwrap();
    // Synapse gives each of them one token a minute.
    let mallory = synapse.user("mallory", PASSWORD).await.unwrap();
    let eve = synapse.user("eve", PASSWORD).await.unwrap();
    init(folder.path(), synapse.url());
    let sessions = async |client: &Client| {
        let listed = client.get(&["_matrix", "client", "v3", "devices"], &[]);
        listed.await.unwrap()["devices"].as_array().unwrap().len()
    };
    for (client, asked, word) in [
        (&mallory, &["--user", "phone-alice"][..], "@mallory:localhost"),
        (&eve, &["--as-owner"], "@eve:localhost"),
        (&owner, &[], "the owner's own account"),
    ] {
        let before = sessions(client).await;
        let give = ["_matrix", "client", "v1", "login", "get_token"];
        let given = client.post(&give, json!({})).await.unwrap();
        private(
            &folder.path().join("token"),
            given["login_token"].as_str().unwrap(),
        );
        let login = [&["login", "--token-file", "token"], asked].concat();
        let refused = device(folder.path(), &login).output().unwrap();
        assert_eq!(code(&refused), 16, "{}", said(&refused));
        assert!(said(&refused).contains(word), "{}", said(&refused));
        assert_eq!(sessions(client).await, before, "one that nobody uses stays open");
    }
}
