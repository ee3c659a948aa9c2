//! The provisioning API.

use crate::bridge::{Bridge, NUMBER, Plan, SHARED_SECRET, chat};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use swingbridge_domain::homeserver::{NewRoom, RoomKind};
use swingbridge_lab::homeserver::{Quirks, Stub};

async fn start() -> (Stub, Bridge) {
    Plan::new().await.on_stub(Quirks::synapse()).await
}

async fn ask(bridge: &Bridge, method: Method, path: &str, token: &str) -> (StatusCode, Value) {
    let url = format!("{}_matrix/provision/v3/{path}", bridge.address);
    let request = reqwest::Client::new().request(method, url).bearer_auth(token);
    let answer = request.send().await.unwrap();
    let status = answer.status();
    (
        status,
        serde_json::from_slice(&answer.bytes().await.unwrap()).unwrap_or_default(),
    )
}

#[tokio::test]
async fn people_use_it_with_their_own_token_and_tools_with_the_secret() {
    let (stub, bridge) = start().await;
    let alice = stub.user("alice").client().unwrap();
    let (status, whoami) = ask(&bridge, Method::GET, "whoami", alice.token()).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(whoami["homeserver"], "localhost");
    assert_eq!(whoami["bridge_bot"], bridge.bot_id());
    assert_eq!(whoami["command_prefix"], "!sms");
    assert_eq!(whoami["login_flows"], json!([]));
    assert_eq!(whoami["network"]["displayname"], "SMS");
    assert_eq!(whoami["logins"][0]["id"], "main");
    assert_eq!(whoami["logins"][0]["state"]["state_event"], "CONNECTED");
    assert_eq!(whoami["logins"][0]["profile"]["phone"], "+447700900000");
    let since = whoami["logins"][0]["state"]["timestamp"].as_i64().unwrap();
    assert!(
        (bridge.clock.now().millis() / 1000 - since).abs() < 60,
        "in seconds: {since}"
    );
    let as_alice = format!("logins?user_id={}", alice.user());
    assert_eq!(
        ask(&bridge, Method::GET, &as_alice, SHARED_SECRET).await,
        (StatusCode::OK, json!({"login_ids": ["main"]}))
    );
    assert_eq!(
        ask(&bridge, Method::GET, "login/flows", alice.token()).await.1,
        json!({"flows": []})
    );
}

#[tokio::test]
async fn strangers_are_turned_away_and_nobody_tries_tokens_out() {
    let (_stub, bridge) = start().await;
    let errcode = async |path: &str, token: &str| {
        let (status, body) = ask(&bridge, Method::GET, path, token).await;
        (
            status.as_u16(),
            body["errcode"].as_str().unwrap_or_default().to_owned(),
        )
    };
    assert_eq!(errcode("whoami", "").await, (401, "M_MISSING_TOKEN".into()));
    assert_eq!(
        errcode("whoami", SHARED_SECRET).await,
        (400, "M_MISSING_PARAM".into())
    );
    assert_eq!(
        errcode("whoami?user_id=@eve:elsewhere.org", SHARED_SECRET).await,
        (403, "M_FORBIDDEN".into())
    );
    for _ in 0..5 {
        assert_eq!(
            errcode("whoami", "made up").await,
            (401, "M_UNKNOWN_TOKEN".into())
        );
    }
    // A token asked about already costs the homeserver nothing; many different ones are somebody guessing.
    let mut refused = 0;
    for number in 0..130 {
        refused += u32::from(errcode("whoami", &format!("guess {number}")).await.0 == 429);
    }
    assert_eq!(
        refused, 11,
        "one token was asked about before, and 119 of the guesses"
    );
}

#[tokio::test]
async fn the_bridge_itself_may_not_use_it() {
    let (_stub, bridge) = start().await;
    bridge.matrix.ensure_bot().await.unwrap();
    let (status, _) = ask(&bridge, Method::GET, "whoami", bridge.config.as_token.expose()).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn chats_are_started_by_number() {
    let (stub, bridge) = start().await;
    let alice = stub.user("alice").client().unwrap();
    let number = NUMBER.replace('+', "%2B");
    let (status, found) = ask(
        &bridge,
        Method::GET,
        &format!("resolve_identifier/{number}"),
        alice.token(),
    )
    .await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(found["mxid"], bridge.ghost_id());
    assert_eq!(found["identifiers"], json!([format!("tel:{NUMBER}")]));
    assert_eq!(found.get("dm_room_mxid"), None);
    let create = format!("create_dm/{number}?login_id=main");
    let (status, made) = ask(&bridge, Method::POST, &create, alice.token()).await;
    assert_eq!(
        (status, &made["dm_room_mxid"]),
        (StatusCode::OK, &json!("!made:localhost"))
    );
    let (_, contacts) = ask(&bridge, Method::GET, "contacts", alice.token()).await;
    assert_eq!(contacts["contacts"][0]["mxid"], bridge.ghost_id());
    let (_, others) = ask(&bridge, Method::GET, "contacts?login_id=other", alice.token()).await;
    assert_eq!(others, json!({"contacts": []}));
    for (path, status, code) in [
        (
            format!("resolve_identifier/{number}?login_id=other"),
            404,
            "M_NOT_FOUND",
        ),
        ("resolve_identifier/garbage".to_owned(), 404, "M_NOT_FOUND"),
        ("nothing".to_owned(), 404, "M_UNRECOGNIZED"),
        ("create_dm/x".to_owned(), 405, "M_UNRECOGNIZED"),
    ] {
        let (found, body) = ask(&bridge, Method::GET, &path, alice.token()).await;
        assert_eq!(
            (found.as_u16(), body["errcode"].as_str()),
            (status, Some(code)),
            "{path}"
        );
    }
    let (status, body) = ask(&bridge, Method::POST, "login/start/qr", alice.token()).await;
    assert_eq!(
        (status, &body["errcode"]),
        (StatusCode::NOT_IMPLEMENTED, &json!("M_UNRECOGNIZED"))
    );
}

#[tokio::test]
async fn pages_of_other_origins_may_ask() {
    let (_stub, bridge) = start().await;
    let client = reqwest::Client::new();
    for (path, method, token, status) in [
        // What a browser asks before brings no token.
        ("whoami", Method::OPTIONS, "", StatusCode::OK),
        ("create_dm/x", Method::OPTIONS, "", StatusCode::OK),
        // Also a refusal can be read.
        ("whoami", Method::GET, "", StatusCode::UNAUTHORIZED),
        ("nothing", Method::GET, "", StatusCode::NOT_FOUND),
        (
            "login/flows?user_id=@alice:localhost",
            Method::GET,
            SHARED_SECRET,
            StatusCode::OK,
        ),
    ] {
        let url = format!("{}_matrix/provision/v3/{path}", bridge.address);
        let mut request = client
            .request(method, url)
            .header("origin", "https://app.example.org");
        if !token.is_empty() {
            request = request.bearer_auth(token);
        }
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), status, "{path}");
        let allows = |name: &str, word: &str| {
            let header = answer.headers().get(format!("access-control-allow-{name}"));
            assert!(
                header.unwrap().to_str().unwrap().contains(word),
                "{path}: {header:?}"
            );
        };
        allows("origin", "*");
        allows("methods", "POST");
        allows("headers", "Content-Type");
        allows("headers", "Authorization");
    }
}

#[tokio::test]
async fn rooms_that_there_are_are_told() {
    let (stub, bridge) = start().await;
    let alice = stub.user("alice").client().unwrap();
    let (_, none) = ask(&bridge, Method::GET, "whoami", alice.token()).await;
    assert_eq!(
        (none.get("management_room"), none["logins"][0].get("space_room")),
        (None, None)
    );
    let room = |kind, alias| NewRoom {
        kind,
        alias,
        ghost: None,
        ..chat("", alice.user())
    };
    let management = bridge.keys.pseudonym("management", alice.user());
    let management = bridge.room(room(RoomKind::Management, management)).await;
    let space = bridge
        .room(room(RoomKind::Space, bridge.keys.pseudonym("space", "main")))
        .await;
    let (_, whoami) = ask(&bridge, Method::GET, "whoami", alice.token()).await;
    assert_eq!(whoami["management_room"], management.as_str());
    assert_eq!(whoami["logins"][0]["space_room"], space.as_str());
}
