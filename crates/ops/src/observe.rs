//! What is measured from time to time: queues, connectors, the homeserver.

use crate::health::Health;
use crate::metrics::Exporter;
use metrics::gauge;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::clock::Clock;
use swingbridge_domain::connector::{Connector, Link, Shutdown};
use swingbridge_domain::id::LineId;
use swingbridge_domain::store::{self, Direction, LineDepth, QueueDepth, Store};
use tokio::time::MissedTickBehavior;

/// How often.
pub const EVERY: Duration = Duration::from_secs(10);

/// What is looked at.
pub struct Observed {
    pub store: Arc<dyn Store>,
    pub connectors: Vec<Arc<dyn Connector>>,
    pub lines: Vec<LineId>,
    pub health: Arc<Health>,
    pub clock: Arc<dyn Clock>,
    pub exporter: Exporter,
}

impl Observed {
    /// Measures until `shutdown`.
    pub async fn run(self, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut seen = BTreeSet::new();
        loop {
            tokio::select! {
                () = shutdown.requested() => return,
                _ = ticks.tick() => self.measure(&mut seen).await,
            }
        }
    }

    async fn measure(&self, seen: &mut BTreeSet<String>) {
        let depths = store::run(&*self.store, |tables| {
            Ok((tables.queue_depths()?, tables.line_depths()?))
        });
        let depths = depths.await;
        gauge!("swingbridge_store_up").set(f64::from(u8::from(depths.is_ok())));
        if let Ok((queues, lines)) = depths {
            measure_queues(&queues, seen, &*self.clock);
            measure_lines(&lines, &self.lines, &*self.clock);
        }
        let reached = self.health.reached().await;
        gauge!("swingbridge_homeserver_up").set(f64::from(u8::from(reached.is_ok())));
        for connector in &self.connectors {
            let health = connector.probe().await;
            let up = match health.state {
                Link::Connected => 1.0,
                Link::Degraded => 0.5,
                Link::Disconnected | Link::Refused => 0.0,
            };
            let id = connector.id().to_string();
            gauge!("swingbridge_connector_up", "connector" => id.clone()).set(up);
            if let Some(last) = health.last_traffic {
                let idle = self.clock.now().since(last).as_secs_f64();
                gauge!("swingbridge_connector_idle_seconds", "connector" => id).set(idle);
            }
        }
        self.exporter.fold();
    }
}

/// Sets the queues' gauges; a queue that was seen before and is empty now goes to zero.
fn measure_queues(depths: &[QueueDepth], seen: &mut BTreeSet<String>, clock: &dyn Clock) {
    seen.extend(depths.iter().map(|depth| depth.queue.clone()));
    for queue in seen.iter() {
        let depth = depths.iter().find(|depth| depth.queue == *queue);
        let rows = depth.map_or(0, |depth| depth.rows);
        let age = depth
            .and_then(|depth| depth.oldest)
            .map_or(Duration::ZERO, |oldest| clock.now().since(oldest));
        // Far below 2^52 rows.
        gauge!("swingbridge_queue_rows", "queue" => queue.clone()).set(rows as f64);
        gauge!("swingbridge_queue_oldest_seconds", "queue" => queue.clone()).set(age.as_secs_f64());
    }
}

/// Sets the lines' gauges, all of them, in both directions.
fn measure_lines(depths: &[LineDepth], lines: &[LineId], clock: &dyn Clock) {
    for line in lines {
        for (direction, word) in [(Direction::Out, "out"), (Direction::In, "in")] {
            let depth = depths
                .iter()
                .find(|depth| depth.line == *line && depth.direction == direction);
            let rows = depth.map_or(0, |depth| depth.rows);
            let age = depth
                .and_then(|depth| depth.oldest)
                .map_or(Duration::ZERO, |oldest| clock.now().since(oldest));
            // Far below 2^52 rows.
            gauge!("swingbridge_line_waiting", "line" => line.0.clone(), "direction" => word)
                .set(rows as f64);
            gauge!("swingbridge_line_oldest_seconds", "line" => line.0.clone(), "direction" => word)
                .set(age.as_secs_f64());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use metrics_exporter_prometheus::PrometheusBuilder;
    use swingbridge_domain::clock::Timestamp;

    struct At(i64);
    impl Clock for At {
        fn now(&self) -> Timestamp {
            Timestamp(self.0)
        }
    }

    fn depth(queue: &str, rows: u64, oldest: Option<i64>) -> QueueDepth {
        QueueDepth {
            queue: queue.into(),
            rows,
            oldest: oldest.map(Timestamp),
        }
    }

    #[test]
    fn a_queue_that_ran_empty_goes_to_zero() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let mut seen = BTreeSet::new();
        metrics::with_local_recorder(&recorder, || {
            measure_queues(&[depth("carrier", 2, Some(1_000))], &mut seen, &At(4_000));
        });
        let text = handle.render();
        assert!(
            text.contains("swingbridge_queue_rows{queue=\"carrier\"} 2"),
            "{text}"
        );
        assert!(
            text.contains("swingbridge_queue_oldest_seconds{queue=\"carrier\"} 3"),
            "{text}"
        );
        metrics::with_local_recorder(&recorder, || measure_queues(&[], &mut seen, &At(9_000)));
        let text = handle.render();
        assert!(
            text.contains("swingbridge_queue_rows{queue=\"carrier\"} 0"),
            "{text}"
        );
        assert!(
            text.contains("swingbridge_queue_oldest_seconds{queue=\"carrier\"} 0"),
            "{text}"
        );
    }

    #[test]
    fn every_line_is_measured_both_ways() {
        let recorder = PrometheusBuilder::new().build_recorder();
        let handle = recorder.handle();
        let waiting = LineDepth {
            line: LineId::new("main"),
            direction: Direction::Out,
            rows: 3,
            oldest: Some(Timestamp(1_000)),
        };
        metrics::with_local_recorder(&recorder, || {
            measure_lines(
                &[waiting],
                &[LineId::new("main"), LineId::new("desk")],
                &At(6_000),
            );
        });
        let text = handle.render();
        for wanted in [
            "swingbridge_line_waiting{line=\"main\",direction=\"out\"} 3",
            "swingbridge_line_waiting{line=\"main\",direction=\"in\"} 0",
            "swingbridge_line_waiting{line=\"desk\",direction=\"out\"} 0",
            "swingbridge_line_oldest_seconds{line=\"main\",direction=\"out\"} 5",
        ] {
            assert!(text.contains(wanted), "{wanted} is not in\n{text}");
        }
    }
}
