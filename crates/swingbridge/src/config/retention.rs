use super::duration::Span;
use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long traces are kept. What messages say is erased as soon as they are delivered, whatever stands here. `swingbridge retention
/// report` says what is kept now.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Retention {
    /// Ids and states of messages, by which receipts, replies and repetitions are recognised.
    pub messages: Span,
    /// Entries of the audit log. The default is a year and a month, so that a yearly audit finds a whole year.
    pub audit: Span,
    /// What arrived and could not be processed, with its sealed contents: kept for an admin to look at (`buried`) and to try again
    /// (`requeue`), then erased.
    pub buried: Span,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            messages: Span::days(90),
            audit: Span::days(400),
            buried: Span::days(30),
        }
    }
}

impl Retention {
    pub fn check(&self, problems: &mut Vec<Problem>) {
        let mut at_least_a_day = |name: &str, span: Span, cure: &str| {
            if span < Span::days(1) {
                problems.push(Problem::new(format!("retention.{name}"), "is shorter than a day").cure(cure));
            }
        };
        at_least_a_day(
            "messages",
            self.messages,
            "homeservers and networks repeat messages for hours: keep their ids at least 1d, or texts may be doubled",
        );
        at_least_a_day(
            "audit",
            self.audit,
            "keep entries at least 1d; an audit log that is shorter than the time between two looks at it shows nothing",
        );
        at_least_a_day(
            "buried",
            self.buried,
            "keep it at least 1d, so that somebody can look at it before it is lost",
        );
    }
}
