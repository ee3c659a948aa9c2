use super::duration::Span;
use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swingbridge_domain::consent::{Downgrade, Rule};

/// Who can read what passes, and what people are asked before it does.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Privacy {
    /// Who runs this gateway, as people read it when they are asked: `Example Ltd`.
    pub operator: Option<String>,
    /// What a line asks of its users before anything of theirs is passed on: `line` (each agrees once, for all conversations of the
    /// line), `conversation` (for each), or `policy` (the organisation whose line it is has decided: they are told, not asked).
    #[schemars(with = "String")]
    pub consent: Rule,
    /// What becomes of a message that would go less protected than the one before it: `refuse`, `ask` (it waits for its writer's word)
    /// or `tell`.
    #[schemars(with = "String")]
    pub downgrade: Downgrade,
    /// How long a text from a phone waits, sealed, until somebody agrees; then it is erased, and that is said.
    pub hold: Span,
}

impl Default for Privacy {
    fn default() -> Self {
        Self {
            operator: None,
            consent: Rule::Line,
            downgrade: Downgrade::Ask,
            hold: Span::days(7),
        }
    }
}

impl Privacy {
    pub fn check(&self, problems: &mut Vec<Problem>) {
        if self.hold < Span::seconds(60) {
            problems.push(
                Problem::new("privacy.hold", "is shorter than a minute")
                    .cure("give people time to answer: 7d, or at least 1h"),
            );
        }
        if self.operator.as_ref().is_some_and(|name| name.trim().is_empty()) {
            problems.push(
                Problem::new("privacy.operator", "is empty")
                    .cure("say who runs this gateway, or leave it out"),
            );
        }
    }
}
