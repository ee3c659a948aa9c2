//! Looks at the parts of the device from time to time, writes down what it saw, and tells the owner what they must know.

use super::sla::{Record, Turn, Waiting};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{Connector, Health, Shutdown};
use swingbridge_domain::id::UserId;
use swingbridge_domain::store::QueueDepth;
use swingbridge_engine::Engine;
use swingbridge_matrix::puppet::Puppet;

/// How often.
const EVERY: Duration = Duration::from_secs(15);
/// The parts need a moment to come up before they are looked at first.
const FIRST: Duration = Duration::from_secs(3);
/// The part that is always there.
pub const HOMESERVER: &str = "homeserver";

pub struct Watch {
    pub folder: PathBuf,
    pub owner: UserId,
    pub puppet: Arc<Puppet>,
    pub engine: Engine,
    pub connectors: Vec<Arc<dyn Connector>>,
    pub clock: Arc<dyn Clock>,
}

impl Watch {
    /// Watches until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let account = self.puppet.user();
        let record = Record::read(&self.folder).unwrap_or_default();
        let mut record = record.started(self.clock.now(), account.as_str());
        let mut pause = FIRST;
        loop {
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = shutdown.requested() => return,
            }
            self.look(&mut record).await;
            pause = EVERY;
        }
    }

    async fn look(&self, record: &mut Record) {
        let mut found: Vec<(String, Health)> = vec![(HOMESERVER.to_owned(), self.puppet.health())];
        for connector in &self.connectors {
            found.push((connector.id().to_string(), connector.probe().await));
        }
        let turns = record.look(self.clock.now(), &found);
        if let Ok(queues) = self.engine.queue_depths().await {
            let waiting = |queue: QueueDepth| {
                let waiting = Waiting {
                    rows: queue.rows,
                    oldest: queue.oldest,
                };
                (queue.queue, waiting)
            };
            record.queues = queues.into_iter().map(waiting).collect();
        }
        if let Err(error) = record.write(&self.folder) {
            tracing::warn!(%error, "what was measured cannot be written down");
        }
        for turn in turns {
            let words = words(&turn);
            tracing::warn!("{words}");
            // While the homeserver is away the words wait in the queue, and say then what was.
            if let Err(error) = self.engine.tell(&self.owner, &words).await {
                tracing::warn!(%error, "the owner cannot be told");
            }
        }
    }
}

fn words(turn: &Turn) -> String {
    match turn {
        Turn::Away { part, detail } if detail.is_empty() => format!("No connection to {part}."),
        Turn::Away { part, detail } => format!("No connection to {part}: {detail}."),
        Turn::Back { part, after } => format!("{part} is connected again, after {}.", span(*after)),
    }
}

/// `2 h 5 min`.
pub fn span(time: Duration) -> String {
    let minutes = time.as_secs() / 60;
    match (minutes / (24 * 60), minutes / 60 % 24, minutes % 60) {
        (0, 0, 0) => format!("{} s", time.as_secs()),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {minutes} min"),
        (days, hours, _) => format!("{days} d {hours} h"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_said_as_people_say_them() {
        for (seconds, text) in [
            (5, "5 s"),
            (125, "2 min"),
            (2 * 3600 + 300, "2 h 5 min"),
            (26 * 3600, "1 d 2 h"),
        ] {
            assert_eq!(span(Duration::from_secs(seconds)), text);
        }
    }
}
