//! The stub homeserver beside Synapse: the same requests, the same answers.

use axum::http::{HeaderMap, StatusCode, Uri};
use reqwest::Method;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swingbridge_lab::homeserver::{Config, Registration, Stub};
use swingbridge_lab::synapse::{Options, Synapse};
use tokio::net::TcpListener;
use tokio::sync::watch;

const REGISTRATION: &str = r#"
id: fidelity
url: null
as_token: as-token-of-the-fidelity-test
hs_token: hs-token-of-the-fidelity-test
sender_localpart: rndq
rate_limited: false
receive_ephemeral: true
io.element.msc4190: true
protocols: [sms]
namespaces:
  users: [{regex: '^@sms_.*:localhost$', exclusive: true}]
  aliases: [{regex: '^#sms_.*:localhost$', exclusive: true}]
  rooms: []
"#;
const BOT: &str = "@sms_bot:localhost";
const GHOST: &str = "@sms_ghost:localhost";

/// One answer, as far as it can be compared.
#[derive(Debug, PartialEq)]
struct Seen {
    label: String,
    status: u16,
    code: Option<String>,
    keys: BTreeSet<String>,
}

/// Asks one homeserver and keeps what it said.
struct Script {
    http: reqwest::Client,
    base: String,
    alice: String,
    seen: Vec<Seen>,
}

impl Script {
    async fn ask(
        &mut self,
        who: &str,
        method: Method,
        path: &[&str],
        query: &[(&str, &str)],
        body: Value,
    ) -> Value {
        let label = format!("{who} {method} {} {query:?} {body}", path.join("/"));
        let mut url = reqwest::Url::parse(&self.base).unwrap();
        url.path_segments_mut().unwrap().pop_if_empty().extend(path);
        let token = if who == "alice" {
            self.alice.as_str()
        } else {
            "as-token-of-the-fidelity-test"
        };
        if who.starts_with('@') {
            url.query_pairs_mut().append_pair("user_id", who);
        }
        url.query_pairs_mut().extend_pairs(query);
        let mut request = self.http.request(method, url).bearer_auth(token);
        if !body.is_null() {
            request = request.json(&body);
        }
        let answer = request.send().await.unwrap();
        let status = answer.status().as_u16();
        let value: Value = answer.json().await.unwrap_or_default();
        let keys = value
            .as_object()
            .into_iter()
            .flat_map(|object| object.keys().cloned())
            .collect();
        let code = value["errcode"].as_str().map(str::to_owned);
        self.seen.push(Seen {
            label,
            status,
            code,
            keys,
        });
        value
    }

    async fn v3(&mut self, who: &str, method: Method, path: &[&str], body: Value) -> Value {
        let path: Vec<&str> = ["_matrix", "client", "v3"].iter().chain(path).copied().collect();
        self.ask(who, method, &path, &[], body).await
    }
}

/// What a gateway does, right and wrong.
async fn run(base: &str, alice: &str) -> Vec<Seen> {
    let mut script = Script {
        http: reqwest::Client::new(),
        base: base.into(),
        alice: alice.into(),
        seen: Vec::new(),
    };
    accounts(&mut script).await;
    for version in ["11", "12"] {
        creation(&mut script, version).await;
        conversation(&mut script, version).await;
    }
    media(&mut script).await;
    script.seen
}

async fn accounts(s: &mut Script) {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    s.v3("service", get.clone(), &["account", "whoami"], Value::Null)
        .await;
    s.v3(BOT, get.clone(), &["account", "whoami"], Value::Null).await;
    s.v3(
        "@alice:localhost",
        get.clone(),
        &["account", "whoami"],
        Value::Null,
    )
    .await;
    for body in [
        json!({"type": "m.login.application_service", "username": "sms_bot"}),
        json!({"type": "m.login.application_service", "username": "bob", "inhibit_login": true}),
        json!({"type": "m.login.application_service", "inhibit_login": true}),
        json!({"username": "sms_bot"}),
        json!({"type": "m.login.application_service", "username": "sms_bot", "inhibit_login": true}),
        json!({"type": "m.login.application_service", "username": "sms_bot", "inhibit_login": true}),
        json!({"type": "m.login.application_service", "username": "sms_ghost", "inhibit_login": true}),
    ] {
        // Without inhibit_login Synapse makes the user before it refuses the login: told apart by the repeats.
        if body["inhibit_login"].is_null() && body["username"] == "sms_bot" && !body["type"].is_null() {
            continue;
        }
        s.v3("service", post.clone(), &["register"], body).await;
    }
    for user in [BOT, GHOST] {
        s.v3(
            user,
            put.clone(),
            &["devices", "D1"],
            json!({"display_name": "one"}),
        )
        .await;
        s.v3(user, put.clone(), &["devices", "D1"], json!({})).await;
    }
    s.v3(BOT, get.clone(), &["devices", "D1"], Value::Null).await;
    s.v3(BOT, get.clone(), &["devices", "D2"], Value::Null).await;
    s.v3(BOT, get.clone(), &["devices"], Value::Null).await;
    let whoami = ["_matrix", "client", "v3", "account", "whoami"];
    s.ask(BOT, get.clone(), &whoami, &[("device_id", "D1")], Value::Null)
        .await;
    s.ask(BOT, get.clone(), &whoami, &[("device_id", "D2")], Value::Null)
        .await;
    s.v3(
        GHOST,
        put.clone(),
        &["profile", GHOST, "displayname"],
        json!({"displayname": "Ghost"}),
    )
    .await;
    s.v3(
        BOT,
        put.clone(),
        &["profile", GHOST, "displayname"],
        json!({"displayname": "Ghost"}),
    )
    .await;
    s.v3(BOT, get.clone(), &["profile", GHOST], Value::Null).await;
    s.v3(BOT, get.clone(), &["profile", "@nobody:localhost"], Value::Null)
        .await;
    s.v3(BOT, get.clone(), &["capabilities"], Value::Null).await;
    s.v3("service", get.clone(), &["sync"], Value::Null).await;
    s.v3(BOT, get.clone(), &["nothing"], Value::Null).await;
    let data = ["user", BOT, "account_data", "m.direct"];
    s.v3(BOT, get.clone(), &data, Value::Null).await;
    s.v3(BOT, put.clone(), &data, json!({"a": []})).await;
    s.v3(BOT, get, &data, Value::Null).await;
    s.v3(GHOST, put.clone(), &data, json!({"a": []})).await;
    s.v3(
        BOT,
        put,
        &["user", BOT, "account_data", "m.fully_read"],
        json!({}),
    )
    .await;
    s.v3(BOT, post, &["user", BOT, "filter"], json!({"room": {}}))
        .await;
    let ping = ["_matrix", "client", "v1", "appservice"];
    s.ask(
        "service",
        Method::POST,
        &[&ping[..], &["other", "ping"]].concat(),
        &[],
        json!({}),
    )
    .await;
    s.ask(
        "service",
        Method::POST,
        &[&ping[..], &["fidelity", "ping"]].concat(),
        &[],
        json!({}),
    )
    .await;
}

async fn creation(s: &mut Script, version: &str) {
    let post = Method::POST;
    for body in [
        json!({"power_level_content_override": {"users": {BOT: 100, GHOST: 50}}, "room_version": version}),
        json!({"power_level_content_override": {"users": {GHOST: 50}}, "room_version": version}),
        json!({"room_version": "99"}),
        json!({"room_version": version, "room_alias_name": "other"}),
        json!({"room_version": version, "room_alias_name": format!("sms_r{version}")}),
        json!({"room_version": version, "room_alias_name": format!("sms_r{version}")}),
        json!({"room_version": version, "room_alias_name": "sms b"}),
        json!({"room_version": version, "invite": ["nonsense"]}),
        json!({"room_version": version, "preset": "odd"}),
    ] {
        s.v3(BOT, post.clone(), &["createRoom"], body).await;
    }
    s.v3(
        "alice",
        post,
        &["createRoom"],
        json!({"room_alias_name": "sms_mine"}),
    )
    .await;
    let alias = format!("#sms_r{version}:localhost");
    let found = s
        .v3(BOT, Method::GET, &["directory", "room", &alias], Value::Null)
        .await;
    s.v3(
        BOT,
        Method::GET,
        &["directory", "room", "#sms_none:localhost"],
        Value::Null,
    )
    .await;
    s.v3(
        BOT,
        Method::PUT,
        &["directory", "room", &alias],
        json!({"room_id": found["room_id"]}),
    )
    .await;
    s.v3(
        BOT,
        Method::PUT,
        &["directory", "room", "#x:localhost"],
        json!({"room_id": found["room_id"]}),
    )
    .await;
    s.v3(
        BOT,
        Method::PUT,
        &["directory", "room", "#sms_y:localhost"],
        json!({"room_id": "!no:localhost"}),
    )
    .await;
    for _ in 0..2 {
        s.v3(BOT, Method::DELETE, &["directory", "room", &alias], Value::Null)
            .await;
    }
}

async fn conversation(s: &mut Script, version: &str) {
    let (get, post, put) = (Method::GET, Method::POST, Method::PUT);
    let made = json!({"room_version": version, "is_direct": true, "invite": ["@alice:localhost", GHOST], "name": "N", "topic": "T"});
    let room = s.v3(BOT, post.clone(), &["createRoom"], made).await["room_id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_eq!(room.contains(':'), version == "11", "{room}");
    let room = room.as_str();
    let text = json!({"msgtype": "m.text", "body": "x"});
    let send = |txn: &'static str| {
        [
            "_matrix",
            "client",
            "v3",
            "rooms",
            room,
            "send",
            "m.room.message",
            txn,
        ]
    };

    s.ask(GHOST, put.clone(), &send("t1"), &[], text.clone()).await;
    s.v3(GHOST, post.clone(), &["join", room], json!({})).await;
    s.v3(GHOST, post.clone(), &["rooms", room, "join"], json!({}))
        .await;
    let first = s
        .ask(
            GHOST,
            put.clone(),
            &send("t1"),
            &[("device_id", "D1")],
            text.clone(),
        )
        .await;
    let again = s
        .ask(
            GHOST,
            put.clone(),
            &send("t1"),
            &[("device_id", "D1")],
            text.clone(),
        )
        .await;
    assert_eq!(first["event_id"], again["event_id"]);
    let event = first["event_id"].as_str().unwrap().to_owned();
    s.ask(
        GHOST,
        put.clone(),
        &send("t2"),
        &[("device_id", "D9")],
        text.clone(),
    )
    .await;
    let timed = s
        .ask(GHOST, put.clone(), &send("t3"), &[("ts", "1000")], text.clone())
        .await;
    let timed = s
        .v3(
            BOT,
            get.clone(),
            &["rooms", room, "event", timed["event_id"].as_str().unwrap()],
            Value::Null,
        )
        .await;
    assert_eq!(timed["origin_server_ts"], 1000);
    s.ask("service", put.clone(), &send("t4"), &[], text.clone())
        .await;
    s.ask(BOT, put.clone(), &send("t5"), &[], json!([])).await;
    s.ask(BOT, put.clone(), &send("t6"), &[], json!({"body": "x"}))
        .await;
    s.v3(
        BOT,
        put.clone(),
        &["rooms", "!no:localhost", "send", "m.room.message", "t7"],
        text,
    )
    .await;

    let bridge = ["rooms", room, "state", "m.bridge", "key"];
    s.v3(BOT, get.clone(), &bridge, Value::Null).await;
    let one = s.v3(BOT, put.clone(), &bridge, json!({"a": 1})).await;
    let two = s.v3(BOT, put.clone(), &bridge, json!({"a": 1})).await;
    assert_eq!(
        one["event_id"], two["event_id"],
        "a state that holds already is no new event"
    );
    s.v3(BOT, get.clone(), &bridge, Value::Null).await;
    s.v3(GHOST, put.clone(), &bridge, json!({"a": 2})).await;
    s.v3("service", get.clone(), &bridge, Value::Null).await;
    s.v3(
        BOT,
        put.clone(),
        &["rooms", room, "state", "m.room.name"],
        json!({"name": "B"}),
    )
    .await;
    s.v3(
        BOT,
        put.clone(),
        &["rooms", room, "state", "m.x", "@alice:localhost"],
        json!({}),
    )
    .await;
    s.v3(
        BOT,
        put.clone(),
        &["rooms", room, "state", "m.room.power_levels", ""],
        json!({"users": {BOT: 100}}),
    )
    .await;

    for (who, target) in [
        (BOT, GHOST),
        (BOT, "@alice:localhost"),
        (BOT, "@nobody:localhost"),
        (BOT, "bad"),
        ("service", GHOST),
    ] {
        s.v3(
            who,
            post.clone(),
            &["rooms", room, "invite"],
            json!({"user_id": target}),
        )
        .await;
    }
    s.v3(BOT, post.clone(), &["rooms", room, "invite"], json!({}))
        .await;
    s.v3(
        BOT,
        post.clone(),
        &["rooms", "!no:localhost", "invite"],
        json!({"user_id": GHOST}),
    )
    .await;
    s.v3("service", post.clone(), &["join", room], json!({})).await;
    s.v3(BOT, post.clone(), &["join", "!no:localhost"], json!({}))
        .await;
    s.v3(BOT, post.clone(), &["join", "#sms_none:localhost"], json!({}))
        .await;
    s.v3("alice", post.clone(), &["join", room], json!({})).await;
    s.v3(
        BOT,
        post.clone(),
        &["rooms", room, "invite"],
        json!({"user_id": "@alice:localhost"}),
    )
    .await;

    for path in [
        &["members"][..],
        &["joined_members"],
        &["state"],
        &["event", &event],
        &["event", "$no"],
        &["messages"],
    ] {
        let path = [&["rooms", room], path].concat();
        s.v3(BOT, get.clone(), &path, Value::Null).await;
    }
    let messages = ["_matrix", "client", "v3", "rooms", room, "messages"];
    s.ask(
        BOT,
        get.clone(),
        &messages,
        &[("dir", "b"), ("limit", "3")],
        Value::Null,
    )
    .await;
    s.ask(
        BOT,
        get.clone(),
        &messages,
        &[("dir", "b"), ("from", "bogus")],
        Value::Null,
    )
    .await;
    s.ask("service", get.clone(), &messages, &[("dir", "b")], Value::Null)
        .await;
    s.v3(BOT, get.clone(), &["joined_rooms"], Value::Null).await;
    let sync = ["_matrix", "client", "v3", "sync"];
    s.ask(BOT, get.clone(), &sync, &[("since", "bogus")], Value::Null)
        .await;
    s.ask(BOT, get.clone(), &sync, &[("filter", "7")], Value::Null)
        .await;
    // Synapse keeps the answers to equal first syncs for a while.
    let limit = if version == "11" { 2 } else { 3 };
    let filter = json!({"room": {"timeline": {"limit": limit}}}).to_string();
    let synced = s
        .ask("alice", get.clone(), &sync, &[("filter", &filter)], Value::Null)
        .await;
    let timeline = &synced["rooms"]["join"][room]["timeline"];
    assert_eq!(
        (&timeline["limited"], timeline["events"].as_array().unwrap().len()),
        (&json!(true), limit)
    );
    assert!(timeline["prev_batch"].is_string());

    s.v3(
        BOT,
        post.clone(),
        &["rooms", room, "receipt", "m.read", &event],
        json!({}),
    )
    .await;
    s.v3(
        BOT,
        post.clone(),
        &["rooms", room, "receipt", "odd", &event],
        json!({}),
    )
    .await;
    s.v3(
        "service",
        post.clone(),
        &["rooms", room, "receipt", "m.read", &event],
        json!({}),
    )
    .await;
    s.v3(
        BOT,
        post.clone(),
        &["rooms", room, "read_markers"],
        json!({"m.fully_read": event}),
    )
    .await;
    let typing = json!({"typing": true, "timeout": 1000});
    s.v3(
        GHOST,
        put.clone(),
        &["rooms", room, "typing", GHOST],
        typing.clone(),
    )
    .await;
    s.v3(
        BOT,
        put.clone(),
        &["rooms", room, "typing", GHOST],
        typing.clone(),
    )
    .await;
    s.v3(
        "service",
        put.clone(),
        &["rooms", room, "typing", "@rndq:localhost"],
        typing,
    )
    .await;

    s.v3(
        BOT,
        put.clone(),
        &["rooms", room, "redact", &event, "r1"],
        json!({}),
    )
    .await;
    let redacted = s
        .v3(BOT, get, &["rooms", room, "event", &event], Value::Null)
        .await;
    assert_eq!(redacted["content"], json!({}));
    s.v3(
        GHOST,
        post.clone(),
        &["rooms", room, "kick"],
        json!({"user_id": BOT}),
    )
    .await;
    s.v3(
        BOT,
        post.clone(),
        &["rooms", room, "kick"],
        json!({"user_id": "@alice:localhost"}),
    )
    .await;
    s.v3(
        BOT,
        post.clone(),
        &["rooms", room, "kick"],
        json!({"user_id": "@alice:localhost"}),
    )
    .await;
    s.v3(BOT, post.clone(), &["rooms", room, "forget"], json!({}))
        .await;
    for _ in 0..2 {
        s.v3(GHOST, post.clone(), &["rooms", room, "leave"], json!({}))
            .await;
    }
    s.v3(GHOST, post.clone(), &["rooms", room, "forget"], json!({}))
        .await;
    s.v3(BOT, post, &["rooms", "!no:localhost", "leave"], json!({}))
        .await;
    s.ask(
        GHOST,
        put,
        &send("t9"),
        &[],
        json!({"msgtype": "m.text", "body": "x"}),
    )
    .await;
}

async fn media(s: &mut Script) {
    let made = s
        .ask(
            BOT,
            Method::POST,
            &["_matrix", "media", "v1", "create"],
            &[],
            json!({}),
        )
        .await;
    let uri = made["content_uri"].as_str().unwrap().to_owned();
    let id = uri.strip_prefix("mxc://localhost/").unwrap();
    let download = ["_matrix", "client", "v1", "media", "download", "localhost", id];
    let upload = ["_matrix", "media", "v3", "upload", "localhost", id];
    s.ask(BOT, Method::GET, &download, &[("timeout_ms", "10")], Value::Null)
        .await;
    s.ask(GHOST, Method::PUT, &upload, &[], json!({"a": 1})).await;
    s.ask(BOT, Method::PUT, &upload, &[], json!({"a": 1})).await;
    s.ask(BOT, Method::PUT, &upload, &[], json!({"a": 1})).await;
    let downloaded = s.ask(BOT, Method::GET, &download, &[], Value::Null).await;
    assert_eq!(downloaded, json!({"a": 1}));
    s.ask(
        BOT,
        Method::GET,
        &["_matrix", "media", "v3", "download", "localhost", id],
        &[],
        Value::Null,
    )
    .await;
    s.ask(
        BOT,
        Method::GET,
        &["_matrix", "client", "v1", "media", "download", "localhost", "nix"],
        &[],
        Value::Null,
    )
    .await;
    s.ask(
        BOT,
        Method::GET,
        &["_matrix", "client", "v1", "media", "config"],
        &[],
        Value::Null,
    )
    .await;
}

#[tokio::test]
async fn the_stub_answers_as_synapse_does() {
    let folder = tempfile::tempdir().unwrap();
    let registration = folder.path().join("registration.yaml");
    std::fs::write(&registration, REGISTRATION).unwrap();
    let options = Options {
        registrations: vec![registration],
        ..Options::default()
    };
    let Some(synapse) = Synapse::for_test(options).await else {
        return;
    };
    let alice = synapse.user("alice", "pass-alice").await.unwrap();
    let theirs = run(synapse.url(), alice.token()).await;

    let stub = Stub::start(Config::new(Registration::from_yaml(REGISTRATION).unwrap()))
        .await
        .unwrap();
    let alice = stub.user("alice").client().unwrap();
    let ours = run(&stub.url(), alice.token()).await;

    assert!(theirs.len() > 150, "{} requests", theirs.len());
    let mut differences = String::new();
    for (ours, theirs) in ours.iter().zip(&theirs) {
        // The stub may leave things out, but adds none.
        let told = ours.keys.is_subset(&theirs.keys) || ours.code.is_some();
        if (ours.status, &ours.code) != (theirs.status, &theirs.code) || !told {
            differences += &format!("ours {ours:?}\ntheirs {theirs:?}\n\n");
        }
    }
    assert!(differences.is_empty(), "{differences}");
    assert_eq!(ours.len(), theirs.len());
    let wrong = stub.violations();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// One push of a transaction, as far as it can be compared.
#[derive(Clone, Debug)]
struct Pushed {
    id: String,
    by_header: bool,
    body: Value,
}

impl Pushed {
    fn says(&self, text: &str) -> bool {
        self.events().any(|event| event["content"]["body"] == text)
    }

    fn events(&self) -> impl Iterator<Item = &Value> {
        self.body["events"].as_array().into_iter().flatten()
    }

    /// How many receipts and typing notices it holds, under both names.
    fn ephemeral(&self) -> (Option<usize>, Option<usize>) {
        let count = |key: &str| self.body[key].as_array().map(Vec::len);
        (count("ephemeral"), count("de.sorunome.msc2409.ephemeral"))
    }
}

/// An application service that keeps transactions and refuses as many as it is told to.
struct Service {
    url: String,
    seen: watch::Sender<Vec<Pushed>>,
    refusing: Arc<Mutex<usize>>,
}

impl Service {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let seen = watch::Sender::new(Vec::new());
        let refusing = Arc::new(Mutex::new(0_usize));
        let (keep, refuse) = (seen.clone(), refusing.clone());
        let answer = async move |uri: Uri, headers: HeaderMap, body: String| {
            let Some(id) = uri.path().strip_prefix("/_matrix/app/v1/transactions/") else {
                return (StatusCode::OK, axum::Json(json!({})));
            };
            let token = headers.get("authorization").map(|value| value.to_str().unwrap());
            let by_header = token == Some("Bearer hs-token-of-the-fidelity-test") && uri.query().is_none();
            let body = serde_json::from_str(&body).unwrap();
            keep.send_modify(|seen| {
                seen.push(Pushed {
                    id: id.to_owned(),
                    by_header,
                    body,
                })
            });
            let mut refuse = refuse.lock().unwrap();
            let status = if *refuse > 0 {
                StatusCode::INTERNAL_SERVER_ERROR
            } else {
                StatusCode::OK
            };
            *refuse = usize::saturating_sub(*refuse, 1);
            (status, axum::Json(json!({})))
        };
        let app = axum::Router::new().fallback(answer);
        tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
        Self { url, seen, refusing }
    }

    /// Waits until `found` finds something in what was pushed from the `from`th on.
    async fn until(&self, from: usize, found: impl Fn(&Pushed) -> bool) -> Vec<Pushed> {
        let mut seen = self.seen.subscribe();
        let wait = seen.wait_for(|seen| seen.iter().skip(from).any(&found));
        let wait = tokio::time::timeout(Duration::from_secs(30), wait).await;
        wait.expect("what was awaited was not pushed").unwrap()[from..].to_vec()
    }
}

impl Service {
    /// Waits until nothing has come for a while.
    async fn quiet(&self) {
        let mut seen = self.seen.subscribe();
        while tokio::time::timeout(Duration::from_secs(1), seen.changed())
            .await
            .is_ok()
        {}
    }
}

/// What one homeserver pushed: in the ordinary way, after a refusal, and after its restart.
struct Pushes {
    ordinary: Vec<Pushed>,
    refused: Vec<Pushed>,
    restarted: Vec<Pushed>,
}

async fn pushes(
    base: &str,
    alice: &swingbridge_lab::client::Client,
    service: &Service,
    restart: impl AsyncFnOnce(),
) -> Pushes {
    let mut s = Script {
        http: reqwest::Client::new(),
        base: base.into(),
        alice: alice.token().into(),
        seen: Vec::new(),
    };
    for name in ["sms_bot", "sms_ghost"] {
        let body = json!({"type": "m.login.application_service", "username": name, "inhibit_login": true});
        s.v3("service", Method::POST, &["register"], body).await;
    }
    let made = json!({"is_direct": true, "invite": [alice.user(), GHOST], "name": "N", "topic": "T"});
    let room = s.v3(BOT, Method::POST, &["createRoom"], made).await["room_id"]
        .as_str()
        .unwrap()
        .to_owned();
    s.v3(GHOST, Method::POST, &["join", &room], json!({})).await;
    alice.join(&room).await.unwrap();
    alice.send_text(&room, "first").await.unwrap();
    let ordinary = service.until(0, |pushed| pushed.says("first")).await;

    service.quiet().await;
    // Receipts are pushed as they come; what fails is repeated without them.
    let from = service.seen.borrow().len();
    *service.refusing.lock().unwrap() = 1;
    let second = alice.send_text(&room, "second").await.unwrap();
    service.until(from, |pushed| pushed.says("second")).await;
    alice.read(&room, &second).await.unwrap();
    alice.send_text(&room, "third").await.unwrap();
    let refused = service.until(from, |pushed| pushed.says("third")).await;

    // A homeserver that is stopped before it has noted our last answer goes on with its numbering.
    service.quiet().await;
    restart().await;
    let from = service.seen.borrow().len();
    alice.send_text(&room, "fourth").await.unwrap();
    let restarted = service.until(from, |pushed| pushed.says("fourth")).await;
    Pushes {
        ordinary,
        refused,
        restarted,
    }
}

/// What can be compared: types in order, keys, repetitions, ids.
fn compare(ours: &Pushes, theirs: &Pushes) {
    let types = |pushes: &[Pushed]| {
        let events = pushes.iter().flat_map(Pushed::events);
        events
            .map(|event| format!("{} {} {}", event["type"], event["state_key"], event["sender"]))
            .collect::<Vec<_>>()
    };
    assert_eq!(types(&ours.ordinary), types(&theirs.ordinary));

    let keys = |pushes: &[Pushed]| {
        let said = pushes
            .iter()
            .flat_map(Pushed::events)
            .find(|event| event["type"] == "m.room.message");
        said.unwrap()
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    let more: Vec<_> = keys(&ours.ordinary)
        .difference(&keys(&theirs.ordinary))
        .cloned()
        .collect();
    assert!(more.is_empty(), "Synapse's events have no {more:?}");
    let body = |pushes: &[Pushed]| {
        pushes[0]
            .body
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<BTreeSet<_>>()
    };
    let more: Vec<_> = body(&ours.ordinary)
        .difference(&body(&theirs.ordinary))
        .cloned()
        .collect();
    assert!(more.is_empty(), "Synapse's transactions have no {more:?}");

    for pushes in [ours, theirs] {
        let all = || {
            pushes
                .ordinary
                .iter()
                .chain(&pushes.refused)
                .chain(&pushes.restarted)
        };
        assert!(all().all(|pushed| pushed.by_header));
        let [failed, again, ..] = &pushes.refused[..] else {
            panic!("it was not pushed again")
        };
        assert_eq!(failed.id, again.id);
        let ids = |pushed: &Pushed| {
            pushed
                .events()
                .map(|event| event["event_id"].clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(ids(failed), ids(again));
        assert!(matches!(again.ephemeral(), (Some(0) | None, Some(0) | None)));
        assert_eq!(pushes.ordinary[0].id, "1");
        let number = |pushes: &[Pushed], text: &str| {
            let pushed = pushes.iter().find(|pushed| pushed.says(text));
            pushed.unwrap().id.parse::<u64>().unwrap()
        };
        let (third, fourth) = (
            number(&pushes.refused, "third"),
            number(&pushes.restarted, "fourth"),
        );
        assert!(fourth < third, "the numbering goes on: {third}, {fourth}");
    }
}

#[tokio::test]
async fn the_stub_pushes_as_synapse_does() {
    let folder = tempfile::tempdir().unwrap();
    let registration = folder.path().join("registration.yaml");
    let theirs = Service::start().await;
    let text = |service: &Service| REGISTRATION.replace("url: null", &format!("url: {}", service.url));
    std::fs::write(&registration, text(&theirs)).unwrap();
    let options = Options {
        registrations: vec![registration],
        ..Options::default()
    };
    let Some(mut synapse) = Synapse::for_test(options).await else {
        return;
    };
    let (base, alice) = (
        synapse.url().to_owned(),
        synapse.user("alice", "pass-alice").await.unwrap(),
    );
    let restart = async || {
        synapse.stop().await;
        synapse.start_again().await.unwrap();
    };
    let theirs = pushes(&base, &alice, &theirs, restart).await;

    let service = Service::start().await;
    let stub = Stub::start(Config::new(Registration::from_yaml(&text(&service)).unwrap()))
        .await
        .unwrap();
    let alice = stub.user("alice").client().unwrap();
    let ours = pushes(&stub.url(), &alice, &service, async || stub.restart()).await;
    compare(&ours, &theirs);
}
