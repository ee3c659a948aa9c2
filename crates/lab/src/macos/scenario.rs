//! What the fake `osascript` plays for one call: steps in time, before and after it ends.

use serde::{Deserialize, Serialize};

/// The steps for each call from now on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Scenario {
    pub steps: Vec<Step>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Milliseconds after the step before.
    pub after: u64,
    pub act: Act,
}

/// One thing that happens.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Messages writes the row.
    Row(RowLook),
    /// `osascript` ends. What follows happens without it.
    End { code: i32, stderr: String },
    /// A column of the row changes.
    Set { column: String, value: i64 },
    /// A column of the row gets the present moment.
    Stamp { column: String },
    /// The row's service changes.
    Service(String),
    /// The row comes into its chat.
    Join,
    /// The row's file is entered.
    Attach,
    /// A second row with the same text, as the preview of a link.
    Preview,
}

/// How the row looks at first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowLook {
    pub joined: bool,
    pub from_me: bool,
    /// With its text.
    pub whole: bool,
    /// With its file.
    pub attached: bool,
}

const USUAL: RowLook = RowLook {
    joined: true,
    from_me: true,
    whole: true,
    attached: true,
};

fn step(after: u64, act: Act) -> Step {
    Step { after, act }
}

fn set(after: u64, column: &str, value: i64) -> Step {
    step(
        after,
        Act::Set {
            column: column.to_owned(),
            value,
        },
    )
}

fn end() -> Step {
    step(
        0,
        Act::End {
            code: 0,
            stderr: String::new(),
        },
    )
}

fn of(steps: impl IntoIterator<Item = Step>) -> Scenario {
    Scenario {
        steps: steps.into_iter().collect(),
    }
}

impl Scenario {
    /// It goes, and is sent at once.
    pub fn ok() -> Scenario {
        of([step(0, Act::Row(USUAL)), set(0, "is_sent", 1), end()])
    }

    /// It goes, and says that it is sent only after a while.
    pub fn sent_after(wait: u64) -> Scenario {
        of([step(0, Act::Row(USUAL)), end(), set(wait, "is_sent", 1)])
    }

    /// It goes, arrives and is read, each after a while.
    pub fn read_after(wait: u64) -> Scenario {
        let stamp = |wait: u64, column: &str| {
            step(
                wait,
                Act::Stamp {
                    column: column.to_owned(),
                },
            )
        };
        of([
            step(0, Act::Row(USUAL)),
            set(0, "is_sent", 1),
            end(),
            // Who looks between the two sees no flag without its date.
            stamp(wait, "date_delivered"),
            set(0, "is_delivered", 1),
            stamp(wait, "date_read"),
            set(0, "is_read", 1),
        ])
    }

    /// It seems to go, and fails after a while (22 is what a number without its `+` gets).
    pub fn error_after(wait: u64, error: i64) -> Scenario {
        of([step(0, Act::Row(USUAL)), end(), set(wait, "error", error)])
    }

    /// It ends well and writes an empty row in no chat (macOS 26, imsg#90).
    pub fn ghost() -> Scenario {
        let look = RowLook {
            joined: false,
            from_me: true,
            whole: false,
            attached: false,
        };
        of([
            step(0, Act::Row(look)),
            step(0, Act::Service("SMS".into())),
            end(),
        ])
    }

    /// It ends well and writes nothing.
    pub fn nothing() -> Scenario {
        of([end()])
    }

    /// The row comes only after a while.
    pub fn row_after(wait: u64) -> Scenario {
        of([end(), step(wait, Act::Row(USUAL)), set(0, "is_sent", 1)])
    }

    /// The chat or person cannot be looked up: nothing is sent (-1728, -1700).
    pub fn lookup_fails(code: i32) -> Scenario {
        of([failure(&format!("lookup ({code})"))])
    }

    /// The person has not allowed us to control Messages.
    pub fn not_allowed() -> Scenario {
        of([failure(
            "Not authorized to send Apple events to Messages. (-1743)",
        )])
    }

    /// It fails while sending, after which nobody knows.
    pub fn send_fails(code: i32) -> Scenario {
        of([failure(&format!("Messages got an error. ({code})"))])
    }

    /// It never ends, and writes nothing.
    pub fn hangs() -> Scenario {
        of([step(
            3_600_000,
            Act::End {
                code: 0,
                stderr: String::new(),
            },
        )])
    }

    /// It writes the row and never ends.
    pub fn sends_and_hangs() -> Scenario {
        let mut scenario = Scenario::hangs();
        scenario.steps.insert(0, step(0, Act::Row(USUAL)));
        scenario.steps.insert(1, set(0, "is_sent", 1));
        scenario
    }

    /// The row seems to be a contact's at first (imsg PR #87).
    pub fn flips_after(wait: u64) -> Scenario {
        let look = RowLook {
            from_me: false,
            ..USUAL
        };
        of([
            step(0, Act::Row(look)),
            end(),
            set(wait, "is_from_me", 1),
            set(0, "is_sent", 1),
        ])
    }

    /// The row comes into its chat only after a while.
    pub fn joins_after(wait: u64) -> Scenario {
        let look = RowLook {
            joined: false,
            ..USUAL
        };
        of([
            step(0, Act::Row(look)),
            end(),
            step(wait, Act::Join),
            set(0, "is_sent", 1),
        ])
    }

    /// The row's file is entered only after a while.
    pub fn attaches_after(wait: u64) -> Scenario {
        let look = RowLook {
            attached: false,
            ..USUAL
        };
        of([
            step(0, Act::Row(look)),
            end(),
            step(wait, Act::Attach),
            set(0, "is_sent", 1),
        ])
    }

    /// It goes, and nothing more is ever said of it.
    pub fn silent() -> Scenario {
        of([step(0, Act::Row(USUAL)), end()])
    }

    /// It leaves as SMS instead.
    pub fn downgraded_after(wait: u64) -> Scenario {
        of([
            step(0, Act::Row(USUAL)),
            end(),
            set(wait, "was_downgraded", 1),
            step(0, Act::Service("SMS".into())),
            set(0, "is_sent", 1),
        ])
    }

    /// The preview of its link becomes a second row after a while (imsg PR #64).
    pub fn preview_after(wait: u64) -> Scenario {
        of([
            step(0, Act::Row(USUAL)),
            set(0, "is_sent", 1),
            end(),
            step(wait, Act::Preview),
        ])
    }
}

fn failure(problem: &str) -> Step {
    step(
        0,
        Act::End {
            code: 1,
            stderr: format!("100:200: execution error: {problem}\n"),
        },
    )
}
