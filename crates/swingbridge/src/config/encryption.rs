use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// End-to-end encryption between people's clients and the gateway. The gateway reads what passes it; the homeserver does not.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Encryption {
    /// `default` makes encrypted rooms; `allow` takes part in rooms that people encrypt, and makes plain ones; `require` also says
    /// nothing in plain rooms and takes nothing from them; `off` takes no part.
    pub mode: Mode,
    /// The folder of the keys, on a disk of this machine. It is made when it is not there. Back it up with the database, and
    /// never put an older one back: see the guide.
    pub path: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    Off,
    Allow,
    #[default]
    Default,
    Require,
}

impl Default for Encryption {
    fn default() -> Self {
        Self {
            mode: Mode::Default,
            path: "crypto".into(),
        }
    }
}

impl Encryption {
    pub fn check(&self, problems: &mut Vec<Problem>) {
        if self.path.as_os_str().is_empty() && self.mode != Mode::Off {
            problems.push(Problem::new("encryption.path", "is empty").cure("give a folder for the keys"));
        }
    }
}
