//! Asks whether the key is good, and what became of messages that no webhook told of.

use super::arrivals::{receipts, states};
use super::codes;
use super::config::Config;
use super::connector::Shared;
use crate::provider::http::{ANSWER, call};
use serde_json::Value;
use tokio::time::sleep;

/// How many messages are asked after in one round.
const ASKED: usize = 20;

enum Stop {
    Away(String),
    Refused,
    Store,
}

/// Runs until it is dropped.
pub async fn run(shared: &Shared) {
    let timing = shared.config.timing;
    let mut wait = timing.poll;
    loop {
        match round(shared).await {
            Ok(()) => {
                shared.account.connected(None);
                wait = timing.poll;
            }
            Err(Stop::Store) => {}
            Err(stop) => {
                match stop {
                    Stop::Away(detail) => shared.account.disconnected(&detail),
                    _ => _ = shared.refused(),
                }
                wait = (wait * 2).min(timing.longest_wait);
            }
        }
        sleep(wait).await;
    }
}

async fn round(shared: &Shared) -> Result<(), Stop> {
    let now = shared.account.clock.now();
    let _ = get(shared, &profile(&shared.config)).await?;
    let pending = shared
        .kept
        .look(|memory| memory.next(now, shared.config.timing.ask_after, ASKED));
    for (id, pending) in pending {
        shared.kept.change(|memory| memory.asks(&id));
        let found = get(shared, &format!("/messages/{id}")).await?;
        let payload = &found["data"];
        let states = states(payload);
        let told: String = states.iter().map(|(_, state)| format!("{state} ")).collect();
        if told != pending.state {
            let told = receipts(shared, payload);
            shared.account.deliver(told).await.map_err(|_| Stop::Store)?;
        }
        // Telnyx does not keep them for ever: one that is gone has no states.
        let last = states.iter().all(|(_, state)| codes::is_last(state));
        shared.kept.change(|memory| memory.reached(&id, &told, last));
    }
    shared.kept.change(|memory| memory.forget_old(now));
    if let Err(error) = shared.kept.write() {
        tracing::warn!(connector = %shared.account.id, %error, "states that come late may be missed after a restart");
    }
    Ok(())
}

/// Where the messaging profile is, or any where none is named.
pub fn profile(config: &Config) -> String {
    match &config.messaging_profile_id {
        Some(profile) => format!("/messaging_profiles/{profile}"),
        None => "/messaging_profiles?page%5Bsize%5D=1".to_owned(),
    }
}

/// Nothing, when it is not there.
async fn get(shared: &Shared, path: &str) -> Result<Value, Stop> {
    let request = shared.authorised(shared.account.http.get(&shared.at(path)));
    let answer = call(request, ANSWER)
        .await
        .map_err(|failure| Stop::Away(failure.to_string()))?;
    match answer.status {
        200..=299 => answer
            .json()
            .ok_or_else(|| Stop::Away("Telnyx's answer cannot be understood".to_owned())),
        401 => Err(Stop::Refused),
        // A key may be allowed to send and not to look.
        403 | 404 => Ok(Value::Null),
        status => Err(Stop::Away(format!("Telnyx answers {status}"))),
    }
}
