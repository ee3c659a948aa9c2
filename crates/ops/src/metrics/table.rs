use super::{Kind, Metric};
use metrics::Unit;

const CONNECTOR: (&str, &str) = ("connector", "its name in the configuration");
const QUEUE: (&str, &str) = ("queue", "`inbox`, `homeserver` or a connector's name");

/// All metrics, by room.
pub const METRICS: &[Metric] = &[
    Metric {
        name: "swingbridge_build_info",
        kind: Kind::Gauge,
        unit: None,
        labels: &[("version", "of the program")],
        meaning: "Always 1",
    },
    Metric {
        name: "swingbridge_queue_rows",
        kind: Kind::Gauge,
        unit: None,
        labels: &[QUEUE],
        meaning: "What is committed and waits: in the inbox to be looked at, for the homeserver (phone to Matrix), for a connector (Matrix to phone)",
    },
    Metric {
        name: "swingbridge_queue_oldest_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &[QUEUE],
        meaning: "Age of the oldest entry of that queue; 0 when it is empty",
    },
    Metric {
        name: "swingbridge_homeserver_up",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        meaning: "1 while the homeserver answers",
    },
    Metric {
        name: "swingbridge_store_up",
        kind: Kind::Gauge,
        unit: None,
        labels: &[],
        meaning: "1 while the database takes writes",
    },
    Metric {
        name: "swingbridge_store_commit_seconds",
        kind: Kind::Histogram,
        unit: Some(Unit::Seconds),
        labels: &[],
        meaning: "One commit with all the jobs that share it",
    },
    Metric {
        name: "swingbridge_store_batch_jobs",
        kind: Kind::Histogram,
        unit: None,
        labels: &[],
        meaning: "How many jobs share a commit",
    },
    Metric {
        name: "swingbridge_store_failed_batches_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[],
        meaning: "Commits that failed; nothing of them was kept, and nothing was acknowledged",
    },
    Metric {
        name: "swingbridge_receipts_unmatched_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[CONNECTOR],
        meaning: "Delivery receipts that match no message: look at `message_ids` of the account",
    },
    Metric {
        name: "swingbridge_connector_up",
        kind: Kind::Gauge,
        unit: None,
        labels: &[CONNECTOR],
        meaning: "1 while the connector can send and receive, 0.5 while it is degraded",
    },
    Metric {
        name: "swingbridge_connector_idle_seconds",
        kind: Kind::Gauge,
        unit: Some(Unit::Seconds),
        labels: &[CONNECTOR],
        meaning: "Time since the network last carried a message or receipt (not a ping); absent until it did",
    },
    Metric {
        name: "swingbridge_smpp_bind_up",
        kind: Kind::Gauge,
        unit: None,
        labels: &[CONNECTOR, ("bind", "counted from 0")],
        meaning: "1 while the bind is up",
    },
    Metric {
        name: "swingbridge_smpp_pdus_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[
            CONNECTOR,
            ("direction", "`sent`, `received`"),
            ("command", "of SMPP"),
        ],
        meaning: "SMPP PDUs",
    },
    Metric {
        name: "swingbridge_smpp_submit_seconds",
        kind: Kind::Histogram,
        unit: Some(Unit::Seconds),
        labels: &[CONNECTOR],
        meaning: "From writing a submit_sm to its answer",
    },
    Metric {
        name: "swingbridge_smpp_submits_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[CONNECTOR, ("outcome", "what became of it")],
        meaning: "Short messages submitted (a long text is several)",
    },
    Metric {
        name: "swingbridge_smpp_deliveries_total",
        kind: Kind::Counter,
        unit: None,
        labels: &[CONNECTOR, ("outcome", "what became of it")],
        meaning: "Messages and receipts from the SMSC",
    },
];
