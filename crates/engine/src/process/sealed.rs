//! What lies sealed in rows.

use super::Work;
use crate::lanes::Kept;
use crate::payload::Payload;
use swingbridge_domain::store::{OutboxRow, StoreError, seal};

type Loaded<T> = Result<T, StoreError>;

impl Work<'_> {
    pub fn open<T: serde::de::DeserializeOwned>(&self, context: &str, sealed: &[u8]) -> Loaded<T> {
        let plain = self
            .keys
            .open(context, sealed)
            .map_err(|error| StoreError::Damaged(error.to_string()))?;
        serde_json::from_slice(&plain).map_err(|_| {
            StoreError::Damaged(format!(
                "a sealed {context} value is not what this version writes"
            ))
        })
    }

    /// What a row of the outbox holds.
    pub fn payload(&self, row: &OutboxRow, kept: Kept) -> Loaded<Payload> {
        match kept {
            Some(payload) => Ok(*payload),
            None => self.open(seal::OUTBOX, &row.sealed),
        }
    }

    pub fn seal<T: serde::Serialize>(&self, context: &str, value: &T) -> Loaded<Vec<u8>> {
        let plain =
            serde_json::to_vec(value).map_err(|_| StoreError::Failed("a value cannot be written".into()))?;
        Ok(self.keys.seal(context, &plain))
    }
}
