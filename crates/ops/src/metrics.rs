//! Every metric of Swingbridge, as one table, and the exporter for Prometheus.
//!
//! Whatever any room emits through the `metrics` crate is listed here; a test compares the two. The documentation is
//! made from the same table.

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use std::fmt::Write as _;

mod table;

pub use table::METRICS;

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Option<metrics::Unit>,
    /// The labels and what they hold.
    pub labels: &'static [(&'static str, &'static str)],
    pub meaning: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        }
    }
}

/// The upper bounds of histograms of times, in seconds: from a commit to a phone that was switched off.
const SECONDS: &[f64] = &[
    0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
    300.0, 1800.0, 7200.0, 43200.0,
];
/// Those of histograms of counts.
const COUNTS: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 512.0];

/// The metrics could not be set up: the program did it twice.
#[derive(Debug, thiserror::Error)]
#[error("the metrics cannot be set up: {0}")]
pub struct InstallError(String);

/// What was measured, as Prometheus reads it.
#[derive(Clone)]
pub struct Exporter(PrometheusHandle);

/// Sets up the recorder of this process; `version` is the program's. Call once, before anything is measured.
///
/// # Errors
/// [`InstallError`] when a recorder is there already.
pub fn install(version: &'static str) -> Result<Exporter, InstallError> {
    let handle = builder()?
        .install_recorder()
        .map_err(|error| InstallError(error.to_string()))?;
    describe();
    metrics::gauge!("swingbridge_build_info", "version" => version).set(1.0);
    Ok(Exporter(handle))
}

fn builder() -> Result<PrometheusBuilder, InstallError> {
    METRICS
        .iter()
        .filter(|metric| metric.kind == Kind::Histogram)
        .try_fold(PrometheusBuilder::new(), |builder, metric| {
            let bounds = match metric.unit {
                Some(metrics::Unit::Seconds) => SECONDS,
                _ => COUNTS,
            };
            builder.set_buckets_for_metric(Matcher::Full(metric.name.into()), bounds)
        })
        .map_err(|error| InstallError(error.to_string()))
}

fn describe() {
    for metric in METRICS {
        let unit = metric.unit.unwrap_or(metrics::Unit::Count);
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, unit, metric.meaning),
            Kind::Gauge => metrics::describe_gauge!(metric.name, unit, metric.meaning),
            Kind::Histogram => metrics::describe_histogram!(metric.name, unit, metric.meaning),
        }
    }
}

impl Exporter {
    /// In Prometheus' text format.
    pub fn render(&self) -> String {
        self.0.render()
    }

    /// Folds what was measured into the histograms. Call every few seconds, or memory grows between two scrapes.
    pub fn fold(&self) {
        self.0.run_upkeep();
    }
}

/// The list of metrics as documentation.
pub fn markdown() -> String {
    let mut out = String::from(
        "# Metrics\n\nServed as `/metrics` on the operations address. Labels hold names that the operator chose and fixed \
         words, never a number, a Matrix id or what people write.\n\n\
         | metric | type | unit | labels | meaning |\n|---|---|---|---|---|\n",
    );
    for metric in METRICS {
        let labels: Vec<String> = metric
            .labels
            .iter()
            .map(|(name, holds)| format!("`{name}` ({holds})"))
            .collect();
        let unit = metric.unit.map_or("", |unit| unit.as_str());
        // Writing to a text never fails.
        let _ = writeln!(
            out,
            "| `{}` | {} | {unit} | {} | {} |",
            metric.name,
            metric.kind.word(),
            labels.join(", "),
            metric.meaning
        );
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_conventions_of_prometheus() {
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("swingbridge_"), "{name}");
            assert_eq!(metric.kind == Kind::Counter, name.ends_with("_total"), "{name}");
            if matches!(metric.unit, Some(metrics::Unit::Seconds)) {
                assert!(name.ends_with("_seconds"), "{name}");
            }
            assert_eq!(
                METRICS.iter().filter(|other| other.name == name).count(),
                1,
                "{name}"
            );
        }
    }

    #[test]
    fn measured_values_are_exported_with_their_meaning() {
        let recorder = builder().unwrap().build_recorder();
        let handle = recorder.handle();
        metrics::with_local_recorder(&recorder, || {
            describe();
            metrics::gauge!("swingbridge_queue_rows", "queue" => "inbox").set(3.0);
            metrics::histogram!("swingbridge_smpp_submit_seconds", "connector" => "carrier").record(0.02);
        });
        let text = Exporter(handle).render();
        assert!(text.contains("# TYPE swingbridge_queue_rows gauge"), "{text}");
        assert!(text.contains("# HELP swingbridge_queue_rows"), "{text}");
        assert!(
            text.contains("swingbridge_queue_rows{queue=\"inbox\"} 3"),
            "{text}"
        );
        assert!(
            text.contains("swingbridge_smpp_submit_seconds_bucket{connector=\"carrier\",le=\"0.025\"} 1"),
            "{text}"
        );
    }
}
