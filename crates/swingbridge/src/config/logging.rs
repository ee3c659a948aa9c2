use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The log, on standard error. It never holds what people write, nor full numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Logging {
    /// `error`: a person must act. `warn`: it recovers by itself. `info`: what changes rarely. `debug`: every message's
    /// way. `trace`: every step.
    pub level: Level,
    /// `human`, or `json` with one object to a line.
    pub format: Format,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    Error,
    Warn,
    #[default]
    Info,
    Debug,
    Trace,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    #[default]
    Human,
    Json,
}
