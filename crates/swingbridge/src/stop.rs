//! How the gateway is asked to stop, and that it does.

use std::future::Future;
use std::time::Duration;
use swingbridge_domain::connector::Shutdown;
use tokio::signal::unix::{SignalKind, signal};

/// The whole of the time from the first signal to the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// What a shell reports for a program that SIGTERM ended.
const ENDED_BY_SIGNAL: i32 = 143;

/// Requested by the first SIGTERM or SIGINT. A second one ends the program at once, and so does the end of its patience,
/// whatever the program is doing then.
pub fn on_signal() -> std::io::Result<Shutdown> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let (sender, receiver) = tokio::sync::oneshot::channel::<()>();
    tokio::spawn(async move {
        either(terminate.recv(), interrupt.recv()).await;
        tracing::info!("asked to stop: finishing what is under way");
        // A thread of its own: a stuck task or a stuck runtime must not keep the program alive.
        std::thread::spawn(|| {
            std::thread::sleep(PATIENCE);
            tracing::error!(
                "not finished in time: ending now; what was in flight is settled at the next start"
            );
            std::process::exit(ENDED_BY_SIGNAL);
        });
        let _ = sender.send(());
        either(terminate.recv(), interrupt.recv()).await;
        tracing::warn!("asked again: ending now; what was in flight is settled at the next start");
        std::process::exit(ENDED_BY_SIGNAL);
    });
    Ok(Shutdown::when(async {
        // Without a sender the runtime is ending anyway.
        let _ = receiver.await;
    }))
}

async fn either<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) {
    tokio::select! {
        _ = one => {}
        _ = other => {}
    }
}
