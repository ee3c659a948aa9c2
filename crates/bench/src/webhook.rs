//! From a provider's webhook to the request at the homeserver, and from a transaction to the request at the provider: what is ours, with
//! every step committed. And a minute of a thousand webhooks a second.

use crate::Places;
use crate::gateway::Gateway;
use crate::homeserver::Void;
use crate::proxy::{self, Seen, mark};
use crate::report::{Aim, Part, median};
use crate::session::runtime;
use crate::site::{ALICE, number, room};
use crate::smsc::Smsc;
use anyhow::{Context, Result, ensure};
use axum::body::Bytes;
use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use swingbridge_lab::process::free_port;
use tokio::net::TcpListener;

const TRIPS: u32 = 200;
const WARM: u32 = 20;
/// Webhooks a second, for how long, over how many conversations.
const RATE: u32 = 1_000;
const SECONDS: u32 = 60;
const CONVERSATIONS: u32 = 2_000;
/// Requests of the provider under way at once, at most: it does not wait for one before it sends the next.
const AT_ONCE: usize = 256;
const SECRET: &str = "a secret of the bench";
const CONNECTOR: &str = "hook";

/// Measures.
///
/// # Errors
/// When a message gets lost.
pub fn measure(part: &mut Part, places: &Places) -> Result<()> {
    let measured = runtime()?.block_on(run(places))?;
    let middle = |times: &[Duration]| {
        let mut times: Vec<f64> = times.iter().map(|time| time.as_secs_f64() * 1e3).collect();
        median(&mut times)
    };
    part.ours(
        "webhook to the send request, median",
        middle(&measured.inward),
        "ms",
        Some(Aim::AtMost(5.0)),
    );
    part.ours(
        "transaction to the provider's request, median",
        middle(&measured.outward),
        "ms",
        Some(Aim::AtMost(5.0)),
    );
    let total = f64::from(RATE * SECONDS);
    part.ours("webhooks offered", f64::from(RATE), "/s", None);
    part.ours(
        "webhooks answered with success",
        f64::from(measured.taken) / total * 100.0,
        "%",
        Some(Aim::AtLeast(100.0)),
    );
    part.ours(
        "answered a second, by the last answer",
        f64::from(measured.taken) / measured.answered_in.as_secs_f64(),
        "/s",
        Some(Aim::AtLeast(f64::from(RATE) * 0.98)),
    );
    part.ours(
        "shown at the homeserver",
        measured.shown as f64 / total * 100.0,
        "%",
        Some(Aim::AtLeast(100.0)),
    );
    part.ours(
        "until the last was shown",
        measured.shown_in.as_secs_f64(),
        "s",
        None,
    );
    part.note(format!(
        "{TRIPS} of each one after the other, then {RATE} webhooks a second for {SECONDS} s over {CONVERSATIONS} conversations; a provider, a \
         homeserver that takes everything, and the gateway on one machine; synchronous = full"
    ));
    Ok(())
}

struct Measured {
    inward: Vec<Duration>,
    outward: Vec<Duration>,
    taken: u32,
    answered_in: Duration,
    shown: u64,
    shown_in: Duration,
}

async fn run(places: &Places) -> Result<Measured> {
    let (at_homeserver, at_provider) = (Seen::default(), Seen::default());
    let smsc = Smsc::start(None)?;
    let void = Void::start().await?;
    let before_void = proxy::start(Arc::new(Mutex::new(void.address)), at_homeserver.clone()).await?;
    let provider = provider(at_provider.clone()).await?;
    let mut gateway = Gateway::init(
        &places.programs,
        &format!("http://{before_void}"),
        smsc.address,
        None,
    )?;
    gateway.fill(CONVERSATIONS).await?;
    let hooks = format!("127.0.0.1:{}", free_port()?);
    for (name, value) in [
        ("WEBHOOKS__ADDRESS", hooks.clone()),
        ("WEBHOOKS__PUBLIC_URL", format!("http://{hooks}")),
        ("LINES__MAIN__CONNECTOR", CONNECTOR.to_owned()),
        ("CONNECTORS__HOOK__TYPE", "webhook".to_owned()),
        ("CONNECTORS__HOOK__PROVIDER", "Bench".to_owned()),
        ("CONNECTORS__HOOK__SEND__URL", provider),
        ("CONNECTORS__HOOK__SEND__FORM__TO", "{to}".to_owned()),
        ("CONNECTORS__HOOK__SEND__FORM__TEXT", "{text}".to_owned()),
        ("CONNECTORS__HOOK__SEND__ID", "/id".to_owned()),
        (
            "CONNECTORS__HOOK__RECEIVE__SIGNATURE__SCHEME",
            "shared_secret".to_owned(),
        ),
        (
            "CONNECTORS__HOOK__RECEIVE__SIGNATURE__HEADER",
            "x-secret".to_owned(),
        ),
        ("CONNECTORS__HOOK__RECEIVE__SIGNATURE__SECRET", SECRET.to_owned()),
    ] {
        gateway.settings.push((name.to_owned(), value));
    }
    let hook = gateway.webhook_of(CONNECTOR)?;
    let token = gateway.hs_token()?;
    let (_process, _) = gateway.start().await?;
    let http = reqwest::Client::builder().no_proxy().build()?;

    let mut inward = Vec::new();
    for trip in 0..WARM + TRIPS {
        let sign = mark("in", trip);
        let begun = Instant::now();
        let taken = tell(&http, &hook, trip, &sign).await?;
        ensure!(taken, "a webhook was refused");
        let seen = until(&at_homeserver, &sign)
            .await
            .context("a text was not shown")?;
        if trip >= WARM {
            inward.push(seen.saturating_duration_since(begun));
        }
    }
    let mut outward = Vec::new();
    for trip in 0..WARM + TRIPS {
        let sign = mark("out", trip);
        let body = json!({ "events": [{
            "type": "m.room.message", "room_id": room(trip), "sender": ALICE, "origin_server_ts": 0,
            "event_id": format!("$webhook{trip}AAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"),
            "content": { "msgtype": "m.text", "body": sign },
        }] });
        let url = format!(
            "http://127.0.0.1:{}/_matrix/app/v1/transactions/bench{trip}",
            gateway.port
        );
        let begun = Instant::now();
        let answer = http.put(url).bearer_auth(&token).json(&body).send().await?;
        ensure!(
            answer.status().is_success(),
            "a transaction was answered {}",
            answer.status()
        );
        let seen = until(&at_provider, &sign).await.context("a text was not sent")?;
        if trip >= WARM {
            outward.push(seen.saturating_duration_since(begun));
        }
    }

    let before = void.messages();
    let begun = Instant::now();
    let taken = load(&http, &hook).await?;
    let answered_in = begun.elapsed();
    let total = u64::from(RATE * SECONDS);
    let mut shown = void.messages() - before;
    while shown < total && begun.elapsed() < Duration::from_secs(u64::from(SECONDS) * 4) {
        tokio::time::sleep(Duration::from_millis(100)).await;
        shown = void.messages() - before;
    }
    Ok(Measured {
        inward,
        outward,
        taken,
        answered_in,
        shown: shown.min(total),
        shown_in: begun.elapsed(),
    })
}

/// Offers webhooks at a steady rate, whatever becomes of those before; answers how many were taken.
async fn load(http: &reqwest::Client, hook: &str) -> Result<u32> {
    let taken = Arc::new(AtomicU64::new(0));
    let slots = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
    let mut ticks = tokio::time::interval(Duration::from_millis(10));
    let mut under_way = tokio::task::JoinSet::new();
    for first in (0..RATE * SECONDS).step_by(RATE as usize / 100) {
        ticks.tick().await;
        for one in first..first + RATE / 100 {
            let slot = slots.clone().acquire_owned().await?;
            let (http, hook, taken) = (http.clone(), hook.to_owned(), taken.clone());
            under_way.spawn(async move {
                // The provider sends again what was not taken; here each is sent once.
                if tell(&http, &hook, 1_000_000 + one, "a text of the load")
                    .await
                    .is_ok_and(|taken| taken)
                {
                    taken.fetch_add(1, Ordering::Relaxed);
                }
                drop(slot);
            });
        }
        while under_way.try_join_next().is_some() {}
    }
    while under_way.join_next().await.is_some() {}
    Ok(u32::try_from(taken.load(Ordering::Relaxed))?)
}

async fn tell(http: &reqwest::Client, hook: &str, id: u32, text: &str) -> Result<bool> {
    let body = json!({ "id": format!("bench{id}"), "from": number(id % CONVERSATIONS), "text": text });
    let answer = http
        .post(hook)
        .header("x-secret", SECRET)
        .json(&body)
        .send()
        .await?;
    Ok(answer.status().is_success())
}

async fn until(seen: &Seen, sign: &str) -> Option<Instant> {
    let begun = Instant::now();
    loop {
        if let Some(at) = seen.when(sign) {
            return Some(at);
        }
        if begun.elapsed() > Duration::from_secs(10) {
            return None;
        }
        tokio::time::sleep(Duration::from_micros(200)).await;
    }
}

/// A provider that takes everything. Gives where.
async fn provider(seen: Seen) -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/send", listener.local_addr()?);
    let count = Arc::new(AtomicU64::new(0));
    let router = Router::new().route("/send", post(take)).with_state((seen, count));
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(url)
}

async fn take(State((seen, count)): State<(Seen, Arc<AtomicU64>)>, body: Bytes) -> Json<Value> {
    seen.look(&body, Instant::now());
    Json(json!({ "id": format!("taken{}", count.fetch_add(1, Ordering::Relaxed)) }))
}
