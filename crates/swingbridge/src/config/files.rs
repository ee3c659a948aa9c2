use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Pictures, voice messages and other files that a connector carries itself.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Files {
    /// The folder for files on their way to a network, opened, each until its send is answered. A relative path begins beside
    /// `database.path`. It is made when it is not there, for the gateway's user alone; no backup needs it.
    pub path: PathBuf,
    /// The largest file that is carried, in MiB, either way. What the homeserver takes may be less.
    pub largest: u64,
}

impl Default for Files {
    fn default() -> Self {
        Self {
            path: "files".into(),
            largest: 50,
        }
    }
}

impl Files {
    pub fn check(&self, problems: &mut Vec<Problem>) {
        if self.path.as_os_str().is_empty() {
            problems
                .push(Problem::new("files.path", "is empty").cure("give a folder for files on their way"));
        }
        // Files are in memory while they are encrypted.
        if !(1..=2048).contains(&self.largest) {
            problems.push(
                Problem::new("files.largest", "is not between 1 and 2048").cure("give MiB, such as 50"),
            );
        }
    }
}
