//! Whether what providers bring comes in.

use super::Report;
use crate::config::Config;
use crate::exit::Failure;
use crate::{http, wiring};
use axum::Router;
use axum::routing::get;
use swingbridge_connectors::check::reason;
use swingbridge_domain::connector::Shutdown;

const WHAT: &str = "providers' calls come in";
/// What stands behind this address alone is ours.
const PROBE: &str = "check";

/// Calls ourselves as a provider would. Without a running gateway we listen ourselves, and take nothing.
pub async fn check(config: &Config, running: bool, report: &mut Report) {
    let mut called = config
        .connectors
        .iter()
        .filter(|(_, account)| account.is_called())
        .map(|(name, _)| name.as_str())
        .peekable();
    if called.peek().is_none() {
        return;
    }
    let Some(address) = config.webhooks.listen() else {
        report.warn(
            WHAT,
            "webhooks.address is off: nothing that phones send by a provider is taken",
            "give an address and a port that the proxy passes providers' calls to",
        );
        return;
    };
    if running {
        // Connectors with a list of their own let nobody else in.
        let open = called.find(|name| !config.webhooks.allow.contains_key(*name));
        return match open {
            Some(name) => {
                say(
                    config,
                    &wiring::webhook_path(&wiring::keys(config), name),
                    405,
                    report,
                )
                .await
            }
            None => report.good(WHAT, "not tried, since webhooks.allow lets providers alone in"),
        };
    }
    let path = wiring::webhook_path(&wiring::keys(config), PROBE);
    let listener = http::listen("webhooks.address", &address.ip().to_string(), address.port()).await;
    let listener = match listener {
        Ok(listener) => listener,
        Err(Failure { exit, error }) => {
            let text = error.to_string();
            let (cause, cure) = text.split_once('\n').unwrap_or((&text, ""));
            return report.fail(exit, WHAT, cause, cure.trim());
        }
    };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let shutdown = Shutdown::when(async {
        let _ = stopped.await;
    });
    let router = Router::new().route(&path, get(async || "here"));
    let serving = tokio::spawn(http::serve(listener, router, shutdown));
    say(config, &path, 200, report).await;
    let _ = stop.send(());
    let _ = serving.await;
}

/// Asks for `path` by the public address, and says whether `wanted` is answered.
async fn say(config: &Config, path: &str, wanted: u16, report: &mut Report) {
    let public = wiring::public_url(config, "");
    let answer = match wiring::local_client() {
        Ok(client) => client.get(wiring::public_url(config, path)).send().await,
        Err(error) => Err(error),
    };
    let cause = match answer {
        Ok(answer) if answer.status().as_u16() == wanted => {
            return report.good(WHAT, &format!("by {public}"));
        }
        Ok(answer) => format!(
            "{public} leads elsewhere: it answers {}",
            answer.status().as_u16()
        ),
        Err(error) if error.is_timeout() => format!("{public} does not answer"),
        // The error names the address that only the provider is to know.
        Err(error) => format!("{public} cannot be reached: {}", reason(&error)),
    };
    report.warn(
        WHAT,
        &cause,
        "let the proxy there pass /_swingbridge/hook/ on to webhooks.address, unaltered. Where this machine cannot reach its own public \
         address, try it from elsewhere",
    );
}
