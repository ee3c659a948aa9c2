//! `register`: the account of a device, on a real Synapse and on a stub of what other homeservers answer.

use crate::program::{code, command, said};
use axum::extract::{Path as At, State};
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::{Arc, Mutex};
use swingbridge_lab::client::Client;
use swingbridge_lab::edge::{Authority, Edge};
use swingbridge_lab::synapse::{Options, Synapse};
use tempfile::TempDir;

/// Runs `register` while the test's own server answers.
async fn register(folder: &Path, homeserver: &str, more: &[&str]) -> Output {
    let arguments = [&["register", "--homeserver", homeserver], more].concat();
    let mut command = tokio::process::Command::from(command(folder, &arguments));
    command.output().await.unwrap()
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn password(folder: &Path, username: &str) -> String {
    let path = folder.join(format!("{username}.password"));
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    fs::read_to_string(path).unwrap().trim().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn synapse_makes_the_account_by_its_shared_secret_and_by_an_admins_token() {
    let Some(synapse) = Synapse::for_test(Options::default()).await else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let secrets = fs::read_to_string(synapse.folder().join("secrets.json")).unwrap();
    let shared = serde_json::from_str::<Value>(&secrets).unwrap()["shared"]
        .as_str()
        .unwrap()
        .to_owned();
    write(folder, "shared", &format!("{shared}\n"));

    // By the shared secret, with a password that was drawn.
    let by_secret = ["--username", "phone-alice", "--shared-secret-file", "shared"];
    let output = register(folder, synapse.url(), &by_secret).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    let drawn = password(folder, "phone-alice");
    assert!(
        said(&output).contains("@phone-alice:localhost"),
        "{}",
        said(&output)
    );
    for secret in [drawn.as_str(), shared.as_str()] {
        assert!(!said(&output).contains(secret), "{}", said(&output));
    }
    Client::login(synapse.url(), "phone-alice", &drawn).await.unwrap();

    // Again: told, and nothing is changed.
    let output = register(folder, synapse.url(), &by_secret).await;
    assert_eq!(code(&output), 19, "{}", said(&output));
    assert_eq!(password(folder, "phone-alice"), drawn);
    Client::login(synapse.url(), "phone-alice", &drawn).await.unwrap();

    // Another secret makes nothing and leaves nothing.
    write(folder, "wrong", "another");
    let output = register(
        folder,
        synapse.url(),
        &["--username", "x", "--shared-secret-file", "wrong"],
    )
    .await;
    assert_eq!(code(&output), 16, "{}", said(&output));
    assert!(
        said(&output).contains("registration_shared_secret"),
        "{}",
        said(&output)
    );
    assert!(!folder.join("x.password").exists());

    // By the token of an admin that was made in the same way, with the secret from the environment and a password of one's own.
    write(folder, "mine", "correct horse battery\n");
    let arguments = [
        "register",
        "--homeserver",
        synapse.url(),
        "--username",
        "boss",
        "--admin",
        "--password-file",
        "mine",
    ];
    let mut by_variable = tokio::process::Command::from(command(folder, &arguments));
    let output = by_variable
        .env("SWINGBRIDGE_REGISTER__SHARED_SECRET", &shared)
        .output()
        .await
        .unwrap();
    assert_eq!(code(&output), 0, "{}", said(&output));
    let token = |name: &'static str, password: &'static str| {
        let url = format!("{}/_matrix/client/v3/login", synapse.url());
        async move {
            let identifier = json!({ "type": "m.id.user", "user": name });
            let body = json!({ "type": "m.login.password", "identifier": identifier, "password": password });
            let answer = crate::program::client()
                .post(url)
                .json(&body)
                .send()
                .await
                .unwrap();
            answer.json::<Value>().await.unwrap()["access_token"]
                .as_str()
                .unwrap()
                .to_owned()
        }
    };
    write(folder, "token", &token("boss", "correct horse battery").await);
    let by_token = ["--username", "phone-bob", "--admin-token-file", "token"];
    let output = register(folder, synapse.url(), &by_token).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    let drawn = password(folder, "phone-bob");
    Client::login(synapse.url(), "phone-bob", &drawn).await.unwrap();

    // The same request would change the account that is there: it is not sent.
    let output = register(
        folder,
        synapse.url(),
        &[&by_token[..], &["--password-file", "other"]].concat(),
    )
    .await;
    assert_eq!(code(&output), 19, "{}", said(&output));
    assert!(!folder.join("other").exists());
    Client::login(synapse.url(), "phone-bob", &drawn).await.unwrap();

    // The token of somebody who is no admin, and none at all.
    write(folder, "mine", &drawn);
    let body = fs::read_to_string(folder.join("mine")).unwrap();
    let token = token("phone-bob", Box::leak(body.into_boxed_str())).await;
    write(folder, "token", &token);
    let output = register(
        folder,
        synapse.url(),
        &["--username", "phone-carol", "--admin-token-file", "token"],
    )
    .await;
    assert_eq!(code(&output), 16, "{}", said(&output));
    let output = register(folder, synapse.url(), &["--username", "phone-carol"]).await;
    assert_eq!(code(&output), 20, "{}", said(&output));
    assert!(
        said(&output).contains("register_new_matrix_user -u phone-carol"),
        "{}",
        said(&output)
    );
    assert!(!folder.join("phone-carol.password").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn synapse_with_registration_tokens_takes_one() {
    let settings = json!({ "enable_registration": true, "registration_requires_token": true });
    let Some(synapse) = Synapse::for_test(Options {
        settings,
        ..Options::default()
    })
    .await
    else {
        return;
    };
    let folder = TempDir::new().unwrap();
    let folder = folder.path();
    let output = register(folder, synapse.url(), &["--username", "phone-alice"]).await;
    assert_eq!(code(&output), 20, "{}", said(&output));
    assert!(
        said(&output).contains("--registration-token-file"),
        "{}",
        said(&output)
    );

    write(folder, "token", "nobody-made-this");
    let by_token = ["--username", "phone-alice", "--registration-token-file", "token"];
    let output = register(folder, synapse.url(), &by_token).await;
    assert_eq!(code(&output), 16, "{}", said(&output));

    let secrets = fs::read_to_string(synapse.folder().join("secrets.json")).unwrap();
    let shared = serde_json::from_str::<Value>(&secrets).unwrap()["shared"]
        .as_str()
        .unwrap()
        .to_owned();
    write(folder, "shared", &shared);
    write(folder, "boss.password", "correct horse battery");
    let output = register(
        folder,
        synapse.url(),
        &["--username", "boss", "--admin", "--shared-secret-file", "shared"],
    )
    .await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    let http = crate::program::client();
    let login = json!({ "type": "m.login.password", "identifier": { "type": "m.id.user", "user": "boss" }, "password": "correct horse battery" });
    let login = http
        .post(format!("{}/_matrix/client/v3/login", synapse.url()))
        .json(&login)
        .send()
        .await
        .unwrap();
    let login: Value = login.json().await.unwrap();
    let made = http
        .post(format!(
            "{}/_synapse/admin/v1/registration_tokens/new",
            synapse.url()
        ))
        .bearer_auth(login["access_token"].as_str().unwrap())
        .json(&json!({ "token": "for-phones", "uses_allowed": 1 }))
        .send()
        .await
        .unwrap();
    assert!(made.status().is_success());
    write(folder, "token", "for-phones");
    let output = register(folder, synapse.url(), &by_token).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    Client::login(synapse.url(), "phone-alice", &password(folder, "phone-alice"))
        .await
        .unwrap();
}

/// What a homeserver answers, by its way of making accounts.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// The shared secret, answered as Dendrite does.
    Dendrite,
    /// Anybody may register.
    Open,
    /// A token, then the dummy stage, as the Conduit family does.
    Token,
    /// A captcha.
    Captcha,
    /// An authentication service.
    Delegated,
    /// The answer to the request that makes the account never comes.
    Silent,
    /// Too many requests.
    Busy,
}

#[derive(Clone)]
struct Stub {
    manner: Manner,
    /// The bodies of requests that make accounts.
    asked: Arc<Mutex<Vec<Value>>>,
}

async fn stub(manner: Manner) -> (String, Stub) {
    let stub = Stub {
        manner,
        asked: Arc::default(),
    };
    let router = Router::new()
        .route("/_synapse/admin/v1/register", get(nonce).post(by_secret))
        .route("/_matrix/client/v3/register", axum::routing::post(by_everybody))
        .route("/_matrix/{*rest}", get(questions))
        .with_state(stub.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, stub)
}

type Reply = (StatusCode, Json<Value>);

fn reply(status: u16, body: Value) -> Reply {
    (StatusCode::from_u16(status).unwrap(), Json(body))
}

fn unknown() -> Reply {
    reply(
        404,
        json!({ "errcode": "M_UNRECOGNIZED", "error": "Unrecognized request" }),
    )
}

async fn nonce(State(stub): State<Stub>) -> Reply {
    match stub.manner {
        Manner::Dendrite | Manner::Silent => reply(200, json!({ "nonce": "abc" })),
        _ => unknown(),
    }
}

async fn by_secret(State(stub): State<Stub>, Json(body): Json<Value>) -> Reply {
    if stub.manner == Manner::Silent {
        stub.asked.lock().unwrap().push(body);
        std::future::pending::<()>().await;
        unreachable!()
    }
    let mut asked = stub.asked.lock().unwrap();
    let taken = asked.iter().any(|old| old["username"] == body["username"]);
    asked.push(body.clone());
    if taken {
        return reply(
            400,
            json!({ "errcode": "M_USER_IN_USE", "error": "Desired user ID is already taken." }),
        );
    }
    let user = format!("@{}:example.org", body["username"].as_str().unwrap());
    reply(
        200,
        json!({ "user_id": user, "access_token": "secret-token", "home_server": "example.org", "device_id": "X" }),
    )
}

async fn by_everybody(State(stub): State<Stub>, Json(body): Json<Value>) -> Reply {
    let mut asked = stub.asked.lock().unwrap();
    asked.push(body.clone());
    let flows = |stages: &[&str]| json!({ "session": "s1", "flows": [{ "stages": stages }], "params": {} });
    let done = reply(
        200,
        json!({ "user_id": format!("@{}:example.org", body["username"].as_str().unwrap()) }),
    );
    let auth = body["auth"]["type"].as_str().unwrap_or("");
    if !auth.is_empty() && body["auth"]["session"] != "s1" {
        return reply(
            400,
            json!({ "errcode": "M_BAD_JSON", "error": "no such session" }),
        );
    }
    match (stub.manner, auth) {
        (Manner::Open, "") => reply(401, flows(&["m.login.dummy"])),
        (Manner::Open, "m.login.dummy") => done,
        (Manner::Token, "") => reply(401, flows(&["m.login.registration_token", "m.login.dummy"])),
        (Manner::Token, "m.login.registration_token") if body["auth"]["token"] == "for-phones" => {
            let mut answer = flows(&["m.login.registration_token", "m.login.dummy"]);
            answer["completed"] = json!(["m.login.registration_token"]);
            reply(401, answer)
        }
        (Manner::Token, "m.login.registration_token") => {
            let mut answer = flows(&["m.login.registration_token", "m.login.dummy"]);
            answer["errcode"] = json!("M_FORBIDDEN");
            answer["error"] = json!("Invalid registration token.");
            reply(401, answer)
        }
        (Manner::Token, "m.login.dummy") => done,
        (Manner::Captcha, _) => reply(401, flows(&["m.login.recaptcha", "m.login.dummy"])),
        (Manner::Busy, _) => reply(
            429,
            json!({ "errcode": "M_LIMIT_EXCEEDED", "error": "Too many", "retry_after_ms": 2500 }),
        ),
        _ => reply(
            403,
            json!({ "errcode": "M_FORBIDDEN", "error": "Registration has been disabled" }),
        ),
    }
}

async fn questions(State(stub): State<Stub>, At(rest): At<String>, headers: HeaderMap) -> Reply {
    match (stub.manner, rest.as_str()) {
        (Manner::Delegated, "client/v1/auth_metadata") => {
            reply(200, json!({ "issuer": "https://account.example.org/" }))
        }
        (Manner::Captcha, "federation/v1/version") => reply(
            200,
            json!({ "server": { "name": "continuwuity", "version": "1" } }),
        ),
        (_, "client/v3/account/whoami") if headers.contains_key("authorization") => {
            reply(200, json!({ "user_id": "@boss:example.org" }))
        }
        _ => unknown(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn dendrite_makes_the_account_by_its_shared_secret() {
    let (url, stub) = stub(Manner::Dendrite).await;
    let folder = TempDir::new().unwrap();
    write(folder.path(), "shared", "s");
    let by_secret = ["--username", "phone-alice", "--shared-secret-file", "shared"];
    let output = register(folder.path(), &url, &by_secret).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(!said(&output).contains("secret-token"), "{}", said(&output));
    let asked = stub.asked.lock().unwrap()[0].clone();
    assert_eq!(asked["admin"], false);
    assert_eq!(asked["mac"].as_str().unwrap().len(), 40);
    assert_eq!(asked["password"], password(folder.path(), "phone-alice").as_str());
    let output = register(folder.path(), &url, &by_secret).await;
    assert_eq!(code(&output), 19, "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn open_registration_and_registration_tokens_are_used_where_they_are_offered() {
    let folder = TempDir::new().unwrap();
    let (url, stub_open) = stub(Manner::Open).await;
    let output = register(folder.path(), &url, &["--username", "phone-alice"]).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert_eq!(stub_open.asked.lock().unwrap()[1]["inhibit_login"], true);

    let (url, stub_token) = stub(Manner::Token).await;
    write(folder.path(), "token", "for-phones\n");
    write(folder.path(), "wrong", "for-nobody\n");
    let with = |token: &'static str| ["--username", "phone-bob", "--registration-token-file", token];
    let output = register(folder.path(), &url, &with("wrong")).await;
    assert_eq!(code(&output), 16, "{}", said(&output));
    assert!(!said(&output).contains("for-nobody"), "{}", said(&output));
    let output = register(folder.path(), &url, &with("token")).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(
        said(&output).contains("@phone-bob:example.org"),
        "{}",
        said(&output)
    );
    let stages: Vec<Value> = stub_token
        .asked
        .lock()
        .unwrap()
        .iter()
        .map(|body| body["auth"]["type"].clone())
        .collect();
    assert_eq!(
        stages[3..],
        [json!("m.login.registration_token"), json!("m.login.dummy")]
    );
    // An admin is not made in this way, and nothing is sent.
    let output = register(folder.path(), &url, &[&with("token")[..], &["--admin"]].concat()).await;
    assert_eq!(code(&output), 20, "{}", said(&output));
    assert_eq!(stub_token.asked.lock().unwrap().len(), stages.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn where_nothing_is_offered_the_admins_commands_are_told_for_the_homeserver_that_it_is() {
    let folder = TempDir::new().unwrap();
    let told = |manner, more: &'static [&'static str]| {
        let folder = folder.path();
        async move {
            let (url, _) = stub(manner).await;
            let output = register(folder, &url, &[&["--username", "phone-alice"], more].concat()).await;
            assert_eq!(code(&output), 20, "{}", said(&output));
            said(&output)
        }
    };
    write(folder.path(), "token", "t");
    let text = told(Manner::Captcha, &[]).await;
    assert!(
        text.contains("captcha") && text.contains("!admin users create-user phone-alice"),
        "{text}"
    );
    assert!(!text.contains("mas-cli"), "{text}");
    let text = told(Manner::Delegated, &["--admin-token-file", "token"]).await;
    assert!(
        text.contains("mas-cli manage register-user phone-alice"),
        "{text}"
    );
    assert!(
        text.contains("authentication service, which would not know"),
        "{text}"
    );
    assert!(!text.contains("create-account"), "{text}");
    // One that does not say what it is: all of them.
    let text = told(Manner::Dendrite, &[]).await;
    for command in [
        "register_new_matrix_user -u phone-alice --no-admin",
        "mas-cli",
        "create-account -config dendrite.yaml",
        "@conduit",
        "!admin users",
    ] {
        assert!(text.contains(command), "{command}: {text}");
    }
    assert!(!folder.path().join("phone-alice.password").exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_answer_is_told_and_the_password_is_kept() {
    let folder = TempDir::new().unwrap();
    write(folder.path(), "shared", "s");
    // A homeserver that takes the request and dies before it answers.
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (silent, stub_silent) = stub(Manner::Silent).await;
    let upstream = silent.trim_start_matches("http://").to_owned();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let (upstream, asked) = (upstream.clone(), stub_silent.asked.clone());
            tokio::spawn(async move {
                let mut far = tokio::net::TcpStream::connect(upstream).await.unwrap();
                let arrived = async {
                    while asked.lock().unwrap().is_empty() {
                        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
                    }
                };
                tokio::select! {
                    _ = tokio::io::copy_bidirectional(&mut near, &mut far) => {}
                    () = arrived => {}
                }
            });
        }
    });
    let output = register(
        folder.path(),
        &url,
        &["--username", "phone-alice", "--shared-secret-file", "shared"],
    )
    .await;
    assert_eq!(code(&output), 15, "{}", said(&output));
    assert!(said(&output).contains("not known"), "{}", said(&output));
    assert!(password(folder.path(), "phone-alice").len() > 30);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_site_that_asks_for_a_certificate_is_shown_one() {
    let folder = TempDir::new().unwrap();
    let (authority, elsewhere) = (
        Authority::new("the site").unwrap(),
        Authority::new("another site").unwrap(),
    );
    let (inner, _) = stub(Manner::Open).await;
    let edge = Edge::open(&inner, &authority.signs("127.0.0.1").unwrap(), Some(&authority)).await;
    let edge = edge.unwrap();
    let shown = authority.signs("phone-alice").unwrap();
    write(folder.path(), "site-ca.pem", &authority.certificate);
    write(folder.path(), "other-ca.pem", &elsewhere.certificate);
    write(folder.path(), "phone.pem", &shown.certificate);
    write(folder.path(), "phone.key", &shown.key);
    let with_ca = [
        "--username",
        "phone-alice",
        "--ca-file",
        "site-ca.pem",
        "--only-this-ca",
    ];
    let certificate = [
        "--client-cert-file",
        "phone.pem",
        "--client-key-file",
        "phone.key",
    ];

    let without = register(folder.path(), &edge.url(), &with_ca).await;
    assert_eq!(code(&without), 15, "{}", said(&without));
    let with = register(folder.path(), &edge.url(), &[&with_ca[..], &certificate].concat()).await;
    assert_eq!(code(&with), 0, "{}", said(&with));

    let other = [
        "--username",
        "phone-bob",
        "--ca-file",
        "other-ca.pem",
        "--only-this-ca",
    ];
    let untrusted = register(folder.path(), &edge.url(), &[&other[..], &certificate].concat()).await;
    assert_eq!(code(&untrusted), 15, "{}", said(&untrusted));
    let half = ["--username", "phone-bob", "--client-cert-file", "phone.pem"];
    let half = register(folder.path(), &edge.url(), &half).await;
    assert!(
        code(&half) == 2 && said(&half).contains("--client-key-file"),
        "{}",
        said(&half)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn each_trouble_names_its_cure() {
    let folder = TempDir::new().unwrap();
    let (url, _) = stub(Manner::Busy).await;
    let output = register(folder.path(), &url, &["--username", "phone-alice"]).await;
    assert_eq!(code(&output), 15, "{}", said(&output));
    assert!(said(&output).contains("in 3 seconds"), "{}", said(&output));

    let nobody = format!(
        "http://127.0.0.1:{}",
        swingbridge_lab::process::free_port().unwrap()
    );
    let output = register(folder.path(), &nobody, &["--username", "phone-alice"]).await;
    assert_eq!(code(&output), 15, "{}", said(&output));
    assert!(!folder.path().join("phone-alice.password").exists());

    for (arguments, status, word) in [
        (&["--username", "@alice:example.org"][..], 11, "phone-alice"),
        (
            &["--username", "phone-alice", "--shared-secret-file", "nowhere"],
            18,
            "nowhere",
        ),
        (
            &["--username", "phone-alice", "--shared-secret-file", "empty"],
            18,
            "one line",
        ),
        (
            &["--username", "phone-alice", "--password-file", "loose"],
            18,
            "chmod 600",
        ),
        (
            &["--username", "phone-alice", "--ca-file", "empty"],
            18,
            "certificate",
        ),
    ] {
        write(folder.path(), "empty", "");
        fs::write(folder.path().join("loose"), "password").unwrap();
        fs::set_permissions(folder.path().join("loose"), fs::Permissions::from_mode(0o644)).unwrap();
        let output = register(folder.path(), &nobody, arguments).await;
        assert_eq!(code(&output), status, "{}", said(&output));
        assert!(said(&output).contains(word), "{word}: {}", said(&output));
    }
    let output = register(folder.path(), "ftp://x", &["--username", "phone-alice"]).await;
    assert_eq!(code(&output), 11, "{}", said(&output));
}
