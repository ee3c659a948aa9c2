//! Homeservers, and proxies before them, that answer what no specification has.

use crate::bridge::{Bridge, Now, Plan};
use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use reqwest::StatusCode;
use serde_json::{Value, json};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use swingbridge_domain::clock::Clock;
use swingbridge_domain::homeserver::{Action, Homeserver, PerformError};
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_domain::inbox::What;
use tokio::net::TcpListener;

/// A server that answers by `answer`, and the bridge on it.
async fn on(answer: impl Fn(&str) -> Response + Clone + Send + Sync + 'static) -> Bridge {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(async move |request: Request| answer(request.uri().path()));
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    Plan::new().await.serve(&url, Arc::new(Now))
}

fn json_of(value: Value) -> Response {
    axum::Json(value).into_response()
}

#[tokio::test]
async fn a_proxy_in_the_way_is_no_verdict() {
    let read = Action::MarkRead {
        room: RoomId::new("!r:localhost"),
        event: EventId::new("$e"),
    };
    let html = "<html>secret words of a proxy</html>";
    for (status, delay) in [
        (StatusCode::BAD_GATEWAY, None),
        (StatusCode::NOT_FOUND, None),
        (StatusCode::FORBIDDEN, None),
        (StatusCode::UNAUTHORIZED, None),
        (StatusCode::OK, None),
        (StatusCode::TOO_MANY_REQUESTS, Some(Duration::from_secs(7))),
        (StatusCode::SERVICE_UNAVAILABLE, Some(Duration::from_secs(7))),
    ] {
        let bridge = on(move |_| match delay {
            Some(_) => (status, [("retry-after", "7")], html).into_response(),
            None => (status, html).into_response(),
        })
        .await;
        match bridge.matrix.perform(&read, "t").await {
            Err(PerformError::Later { delay: found, detail }) => {
                assert_eq!(found, delay, "{status}");
                assert!(!detail.contains("secret words"), "{detail}");
            }
            other => panic!("{status}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn a_homeserver_that_does_not_know_where_to_stop_tells_nothing_old() {
    let now = Now.now().millis();
    let event = move |id: String, age: i64| {
        json!({
            "type": "m.room.message", "sender": "@alice:localhost", "event_id": id, "room_id": "!r:localhost",
            "origin_server_ts": now - age, "content": {"msgtype": "m.text", "body": "x"},
        })
    };
    const DAY: i64 = 24 * 3_600_000;
    let pages = Arc::new(Mutex::new(0));
    let count = pages.clone();
    let bridge = on(move |path| match path.rsplit('/').next() {
        Some("displayname") => json_of(json!({ "displayname": "sms bridge" })),
        Some("sync") => json_of(json!({
            "next_batch": "s2",
            "rooms": {"join": {"!r:localhost": {"timeline": {
                "limited": true, "prev_batch": "p0", "events": [event("$newest".into(), 0)],
            }}}},
        })),
        Some("messages") => {
            let mut page = count.lock().unwrap();
            *page += 1;
            // The first page is the gap, with old events at its end; then the whole history, without end.
            let age = if *page == 1 { 1000 } else { 30 * DAY };
            let chunk = [
                event(format!("$a{page}"), age),
                event(format!("$b{page}"), 30 * DAY),
            ];
            json_of(json!({ "start": "p", "end": format!("p{page}"), "chunk": chunk }))
        }
        _ => json_of(json!({})),
    })
    .await;
    let token = bridge.matrix.missed(None).await.unwrap().token;
    let missed = bridge.matrix.missed(Some(&token)).await.unwrap();
    let ids: Vec<&str> = missed
        .arrivals
        .iter()
        .map(|arrival| match &arrival.what {
            What::Room(event) => event.event.as_str(),
            What::Network(_) => panic!("not from a room"),
        })
        .collect();
    assert_eq!(ids, ["$a1", "$newest"]);
    assert_eq!(*pages.lock().unwrap(), 2);
}

#[tokio::test]
async fn the_picture_is_set_only_where_it_differs() {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let seen = calls.clone();
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().fallback(async move |request: Request| {
        seen.lock().unwrap().push(request.method().to_string());
        match request.uri().path().rsplit('/').next() {
            Some("displayname") => json_of(json!({ "displayname": "sms bridge" })),
            _ => json_of(json!({ "avatar_url": "mxc://localhost/old" })),
        }
    });
    tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
    let mut plan = Plan::new().await;
    plan.config.bot_avatar = Some("mxc://localhost/old".into());
    let mut bridge = plan.serve(&url, Arc::new(Now));
    bridge.matrix.ensure_bot().await.unwrap();
    assert_eq!(*calls.lock().unwrap(), ["GET", "GET"]);
    bridge.config.bot_avatar = Some("mxc://localhost/new".into());
    bridge.forget();
    bridge.matrix.ensure_bot().await.unwrap();
    assert_eq!(calls.lock().unwrap().last().map(String::as_str), Some("PUT"));
}
