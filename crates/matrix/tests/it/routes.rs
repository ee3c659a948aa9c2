//! What the homeserver may ask of us, asked by hand.

use crate::bridge::{Bridge, NUMBER, Plan};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use std::sync::atomic::Ordering;
use swingbridge_lab::homeserver::{Quirks, Stub};

async fn start() -> (Stub, Bridge) {
    let (stub, bridge) = Plan::new().await.on_stub(Quirks::synapse()).await;
    // The stub's own pushes would mix with ours.
    stub.hold_pushes(true);
    (stub, bridge)
}

/// Asks with the right token in the header.
async fn ask(bridge: &Bridge, method: Method, path: &str, body: Value) -> (StatusCode, Value) {
    ask_with(
        bridge,
        method,
        path,
        Some(bridge.config.hs_token.expose()),
        body.to_string(),
    )
    .await
}

async fn ask_with(
    bridge: &Bridge,
    method: Method,
    path: &str,
    token: Option<&str>,
    body: String,
) -> (StatusCode, Value) {
    let url = format!("{}{path}", bridge.address.as_str().trim_end_matches('/'));
    let mut request = reqwest::Client::new().request(method, url).body(body);
    if let Some(token) = token {
        request = request.bearer_auth(token);
    }
    let answer = request.send().await.unwrap();
    let status = answer.status();
    let body = answer.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}

fn text(id: &str) -> Value {
    json!({
        "type": "m.room.message", "room_id": "!r:localhost", "sender": "@alice:localhost", "event_id": id,
        "origin_server_ts": 1, "content": {"msgtype": "m.text", "body": id},
    })
}

const TXN: &str = "/_matrix/app/v1/transactions/1";

#[tokio::test]
async fn only_the_homeserver_is_let_in_with_either_form_of_its_token() {
    let (_stub, bridge) = start().await;
    let token = bridge.config.hs_token.expose().to_owned();
    let empty = json!({ "events": [] }).to_string();
    let put = async |path: &str, token: Option<&str>| {
        ask_with(&bridge, Method::PUT, path, token, empty.clone()).await
    };
    assert_eq!(put(TXN, Some(&token)).await, (StatusCode::OK, json!({})));
    assert_eq!(
        put(&format!("{TXN}?access_token={token}"), None).await.0,
        StatusCode::OK
    );
    assert_eq!(
        put(&format!("{TXN}?access_token={token}"), Some("old")).await.0,
        StatusCode::OK
    );
    let (status, body) = put(TXN, None).await;
    assert_eq!(
        (status, &body["errcode"]),
        (StatusCode::UNAUTHORIZED, &json!("M_MISSING_TOKEN"))
    );
    for wrong in [&token[1..], bridge.config.as_token.expose()] {
        let (status, body) = put(TXN, Some(wrong)).await;
        assert_eq!(
            (status, &body["errcode"]),
            (StatusCode::FORBIDDEN, &json!("M_FORBIDDEN")),
            "{wrong}"
        );
        assert!(!body.to_string().contains(&token));
    }
    assert_eq!(
        put(&format!("{TXN}?access_token=wrong"), None).await.0,
        StatusCode::FORBIDDEN
    );
}

#[tokio::test]
async fn old_paths_serve_and_unknown_ones_say_so() {
    let (_stub, bridge) = start().await;
    let transaction = json!({ "events": [text("$old")] });
    assert_eq!(
        ask(&bridge, Method::PUT, "/transactions/9", transaction).await.0,
        StatusCode::OK
    );
    bridge.inbox.wait_for_text("$old").await;
    assert_eq!(
        ask(&bridge, Method::GET, "/rooms/%23sms_x:localhost", json!({}))
            .await
            .0,
        StatusCode::NOT_FOUND
    );
    let old = "/_matrix/app/unstable/thirdparty/protocol/sms";
    assert_eq!(ask(&bridge, Method::GET, old, json!({})).await.0, StatusCode::OK);
    for (method, path, status) in [
        (Method::GET, "/_matrix/app/v1/nothing", StatusCode::NOT_FOUND),
        (Method::GET, "/nothing", StatusCode::NOT_FOUND),
        (Method::POST, TXN, StatusCode::METHOD_NOT_ALLOWED),
        (
            Method::GET,
            "/_matrix/app/v1/ping",
            StatusCode::METHOD_NOT_ALLOWED,
        ),
    ] {
        let (found, body) = ask(&bridge, method, path, json!({})).await;
        assert_eq!(
            (found, &body["errcode"]),
            (status, &json!("M_UNRECOGNIZED")),
            "{path}"
        );
    }
    assert_eq!(
        ask(&bridge, Method::POST, "/_matrix/app/v1/ping", json!({})).await,
        (StatusCode::OK, json!({}))
    );
}

#[tokio::test]
async fn one_transaction_is_one_commit_and_its_odd_events_cost_nothing_else() {
    let (_stub, bridge) = start().await;
    let transaction = json!({
        "events": [text("$1"), "not an event", {"type": "m.room.message"}, 7, null, text("$2"), {"content": []}, text("$3")],
        "ephemeral": [{"type": "m.typing"}], "de.sorunome.msc2409.to_device": "odd", "org.matrix.msc3202.device_lists": 1,
    });
    assert_eq!(
        ask(&bridge, Method::PUT, TXN, transaction.clone()).await.0,
        StatusCode::OK
    );
    assert_eq!(*bridge.inbox.calls.lock().unwrap(), [3]);
    // The same id with other events is another transaction; the same event is the same event.
    let more = json!({ "events": [text("$3"), text("$4")] });
    assert_eq!(ask(&bridge, Method::PUT, TXN, more).await.0, StatusCode::OK);
    let ids: Vec<String> = bridge
        .inbox
        .events
        .lock()
        .unwrap()
        .iter()
        .map(|event| event.event.0.clone())
        .collect();
    assert_eq!(ids, ["$1", "$2", "$3", "$4"]);
    // Nothing for us: nothing is committed.
    assert_eq!(ask(&bridge, Method::PUT, TXN, json!({})).await.0, StatusCode::OK);
    assert_eq!(bridge.inbox.calls.lock().unwrap().len(), 2);
}

#[tokio::test]
async fn what_is_no_transaction_or_can_not_be_committed_is_not_acknowledged() {
    let (_stub, bridge) = start().await;
    let token = Some(bridge.config.hs_token.expose());
    let (status, body) = ask_with(&bridge, Method::PUT, TXN, token, "{\"events\": [".into()).await;
    assert_eq!(
        (status, &body["errcode"]),
        (StatusCode::BAD_REQUEST, &json!("M_NOT_JSON"))
    );
    bridge.inbox.refuses.store(true, Ordering::SeqCst);
    let transaction = json!({ "events": [text("$1")] });
    let (status, body) = ask(&bridge, Method::PUT, TXN, transaction.clone()).await;
    assert_eq!(
        (status, &body["errcode"]),
        (StatusCode::SERVICE_UNAVAILABLE, &json!("M_UNKNOWN"))
    );
    // The next one may be newer: the bridge learns of the gap.
    assert_eq!(bridge.inbox.refusals.load(Ordering::SeqCst), 1);
    bridge.inbox.refuses.store(false, Ordering::SeqCst);
    assert_eq!(
        ask(&bridge, Method::PUT, TXN, transaction).await.0,
        StatusCode::OK
    );
    assert_eq!(bridge.inbox.events.lock().unwrap().len(), 1);
}

/// Synapse may keep one back until we were away once more.
#[tokio::test]
async fn a_gap_in_the_numbers_of_transactions_is_told() {
    let (_stub, bridge) = start().await;
    let gaps = || bridge.inbox.gaps.load(Ordering::SeqCst);
    let mut told = Vec::new();
    for id in ["1", "2", "2", "4", "hash"] {
        let path = format!("/_matrix/app/v1/transactions/{id}");
        let transaction = json!({ "events": [text(&format!("${id}"))] });
        assert_eq!(
            ask(&bridge, Method::PUT, &path, transaction).await.0,
            StatusCode::OK
        );
        told.push(gaps());
    }
    // Of what came before the first nothing is known.
    assert_eq!(told, [1, 1, 1, 2, 2]);
}

#[tokio::test]
async fn a_full_transaction_fits() {
    let (_stub, bridge) = start().await;
    let events: Vec<Value> = (0..100)
        .map(|number| {
            let mut event = text(&format!("${number}"));
            event["content"]["body"] = json!("x".repeat(60_000));
            event
        })
        .collect();
    assert_eq!(
        ask(&bridge, Method::PUT, TXN, json!({ "events": events }))
            .await
            .0,
        StatusCode::OK
    );
    assert_eq!(*bridge.inbox.calls.lock().unwrap(), [100]);
}

#[tokio::test]
async fn users_exist_when_the_directory_knows_them_and_are_made_then() {
    let (stub, bridge) = start().await;
    let user = async |user: &str| {
        ask(
            &bridge,
            Method::GET,
            &format!("/_matrix/app/v1/users/{user}"),
            json!({}),
        )
        .await
        .0
    };
    assert_eq!(user(&bridge.ghost_id()).await, StatusCode::OK);
    assert!(stub.look(|world| world.users.contains_key(&bridge.ghost_id())));
    assert_eq!(user(&bridge.bot_id()).await, StatusCode::OK);
    assert_eq!(user("@sms_unknown:localhost").await, StatusCode::NOT_FOUND);
    assert_eq!(user("@alice:localhost").await, StatusCode::NOT_FOUND);
    bridge.phones.down.store(true, Ordering::SeqCst);
    assert_eq!(
        user("@sms_unknown:localhost").await,
        StatusCode::SERVICE_UNAVAILABLE
    );
}

#[tokio::test]
async fn numbers_lead_to_ghosts_and_ghosts_never_to_numbers() {
    let (_stub, bridge) = start().await;
    let get = async |path: &str| {
        ask(
            &bridge,
            Method::GET,
            &format!("/_matrix/app/v1/thirdparty/{path}"),
            json!({}),
        )
        .await
    };
    let number = NUMBER.replace('+', "%2B");
    let (status, found) = get(&format!("user/sms?phone={number}")).await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(
        found,
        json!([{"userid": bridge.ghost_id(), "protocol": "sms", "fields": {"phone": NUMBER}}])
    );
    for nothing in [
        "user/sms?phone=garbage".to_owned(),
        "user/sms".to_owned(),
        format!("user/irc?phone={number}"),
        format!("user?userid={}", bridge.ghost_id()),
        "location?alias=%23sms_x:localhost".to_owned(),
        format!("location/sms?phone={number}"),
    ] {
        assert_eq!(get(&nothing).await, (StatusCode::OK, json!([])), "{nothing}");
    }
    let (status, protocol) = get("protocol/sms").await;
    assert_eq!(status, StatusCode::OK);
    assert_eq!(protocol["user_fields"], json!(["phone"]));
    assert!(protocol["field_types"]["phone"]["regexp"].is_string());
    assert_eq!(get("protocol/irc").await.0, StatusCode::NOT_FOUND);
}
