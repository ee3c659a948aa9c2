use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

/// What the operator's tools read: `/health/live`, `/health/ready` and `/metrics`.
#[derive(Clone, Debug, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Operations {
    /// Address and port to listen on; `off` turns it off. It asks for no password: keep it on loopback or a private network.
    pub address: String,
}

impl Default for Operations {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:29371".into(),
        }
    }
}

impl Operations {
    /// The address, when the listener is on.
    pub fn listen(&self) -> Option<SocketAddr> {
        self.address.parse().ok()
    }

    pub fn check(&self, problems: &mut Vec<Problem>) {
        if self.address != "off" && self.listen().is_none() {
            problems.push(
                Problem::new("operations.address", "is no address with a port")
                    .cure("write it as 127.0.0.1:29371, or `off`"),
            );
        }
    }
}
