use super::duration::Span;
use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How long traces of messages are kept. What messages say is erased as soon as they are delivered, whatever stands here.
#[derive(Clone, Copy, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Retention {
    /// Ids and states of messages, by which receipts, replies and repetitions are recognised.
    pub messages: Span,
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            messages: Span::days(90),
        }
    }
}

impl Retention {
    pub fn check(&self, problems: &mut Vec<Problem>) {
        if self.messages < Span::days(1) {
            problems.push(
                Problem::new("retention.messages", "is shorter than a day").cure(
                    "homeservers and networks repeat messages for hours: keep their ids at least 1d, or texts may be doubled",
                ),
            );
        }
    }
}
