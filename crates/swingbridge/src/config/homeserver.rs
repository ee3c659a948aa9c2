use super::problem::Problem;
use super::validate::{http_url, server_name};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// The homeserver that the gateway serves.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Homeserver {
    /// Where the gateway reaches the homeserver's client API: `http://127.0.0.1:8008`.
    pub address: String,
    /// The homeserver's name, the part of user ids after the colon: `example.org`.
    pub domain: String,
    /// A file of certificates (PEM) to trust besides the public authorities.
    pub ca_file: Option<PathBuf>,
    /// The version of new rooms; without it, the homeserver's default.
    pub room_version: Option<String>,
}

impl Homeserver {
    pub fn check(&self, problems: &mut Vec<Problem>) {
        http_url(
            "homeserver.address",
            &self.address,
            "give the address of the homeserver's client API, such as http://127.0.0.1:8008",
            problems,
        );
        if self.domain.is_empty() {
            problems.push(
                Problem::new("homeserver.domain", "is not set")
                    .cure("give the part of your user ids after the colon, such as example.org"),
            );
        } else if !server_name(&self.domain) {
            problems.push(
                Problem::new("homeserver.domain", "is no server name").cure(
                    "give the part of your user ids after the colon, without https:// and without a path",
                ),
            );
        }
    }
}
