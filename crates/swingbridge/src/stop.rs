//! How the program is asked to stop, and that it does.

use crate::notify::Notifier;
use std::future::Future;
use std::time::Duration;
use swingbridge_domain::connector::Shutdown;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::JoinSet;

/// The whole of the time from the first signal to the end.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long what is under way may take at the end, so that closing the store has time too.
const DRAIN: Duration = Duration::from_secs(8);
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

/// How the parts of the program ended.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// One of them did not as it should.
    pub failed: bool,
    /// All that was under way came to its end.
    pub settled: bool,
}

/// Waits until the program is asked to stop or a part of it fails, then lets what is under way come to its end. A part that fails takes
/// the others along: half a program would look alive and move nothing. So does `broken`.
pub async fn when_done(
    tasks: &mut JoinSet<()>,
    shutdown: &Shutdown,
    notifier: &Notifier,
    broken: impl Future<Output = ()>,
) -> Ended {
    tokio::pin!(broken);
    loop {
        tokio::select! {
            // First of all: parts that have ended because they were asked to are no failure, however fast they were.
            biased;
            () = shutdown.requested() => break,
            () = &mut broken => {
                notifier.stopping();
                return Ended { failed: true, settled: false };
            }
            ended = tasks.join_next() => match ended {
                Some(Ok(())) => {}
                Some(Err(_)) | None => {
                    notifier.stopping();
                    return Ended { failed: true, settled: false };
                }
            },
        }
    }
    notifier.stopping();
    let mut failed = false;
    let settled = tokio::time::timeout(DRAIN, async {
        while let Some(ended) = tasks.join_next().await {
            failed |= ended.is_err();
        }
    });
    let settled = settled.await.is_ok();
    if !settled {
        tracing::warn!("something is still under way: leaving it; it is settled at the next start");
        tasks.shutdown().await;
    }
    Ended { failed, settled }
}

async fn either<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) {
    tokio::select! {
        _ = one => {}
        _ = other => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn parts_that_end_at_once_when_asked_are_no_failure() {
        // Which of two things that are ready is looked at first is a matter of chance.
        for _ in 0..64 {
            let mut tasks = JoinSet::new();
            let shutdown = Shutdown::when(std::future::ready(()));
            let stopping = shutdown.clone();
            tasks.spawn(async move { stopping.requested().await });
            tokio::task::yield_now().await;
            let broken = std::future::pending();
            let ended = when_done(&mut tasks, &shutdown, &Notifier::default(), broken).await;
            assert!(!ended.failed && ended.settled, "{ended:?}");
        }
    }

    #[tokio::test]
    async fn a_part_that_ends_in_a_panic_is_a_failure() {
        let mut tasks = JoinSet::new();
        tasks.spawn(async { panic!("a part fails") });
        let (shutdown, broken) = (Shutdown::never(), std::future::pending());
        let ended = when_done(&mut tasks, &shutdown, &Notifier::default(), broken).await;
        assert!(ended.failed && !ended.settled, "{ended:?}");
    }
}
