//! The settings of group MMS.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Group MMS by Twilio's Conversations API, in the United States and Canada.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Conversations {
    /// The Conversation Service (`IS…`) that the number's groups are in. Its webhook must be this connector's `public_url`.
    pub service_sid: String,
    /// Where the Conversations API is.
    pub url: String,
    /// Where files of conversations are (the Media Content Service).
    pub media_url: String,
}

impl Default for Conversations {
    fn default() -> Self {
        Self {
            service_sid: String::new(),
            url: "https://conversations.twilio.com".to_owned(),
            media_url: "https://mcs.us1.twilio.com".to_owned(),
        }
    }
}
