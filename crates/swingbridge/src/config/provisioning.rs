use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use swingbridge_domain::secret::Secret;

/// The provisioning API (`/_matrix/provision/v3`), by which people's clients and other programs start chats.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Provisioning {
    /// A secret with which a program acts for any user; at least 16 characters. Without it, only people's own access tokens
    /// count. `disable` turns the API off.
    #[schemars(with = "Option<String>")]
    pub shared_secret: Secret,
}

const SHORTEST: usize = 16;

impl Provisioning {
    pub fn enabled(&self) -> bool {
        self.shared_secret.expose() != "disable"
    }

    /// The secret, when there is one.
    pub fn secret(&self) -> Option<&Secret> {
        (self.enabled() && !self.shared_secret.is_empty()).then_some(&self.shared_secret)
    }

    pub fn check(&self, problems: &mut Vec<Problem>) {
        if self
            .secret()
            .is_some_and(|secret| secret.expose().len() < SHORTEST)
        {
            problems.push(
                Problem::new("provisioning.shared_secret", "is too short to be safe")
                    .cure("use at least 16 random characters, or `disable`"),
            );
        }
    }
}
