//! Who has RCS: what Google said a while ago is believed for a while.

use super::api::Api;
use crate::rcs::api::Failure;
use crate::rcs::recent::Recent;
use crate::rcs::uuid;
use futures_util::StreamExt;
use futures_util::stream;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::connector::Reach;

/// How many numbers are remembered.
const REMEMBERED: usize = 20_000;
/// How long it is believed that a number has no RCS, at most.
const NO_AGE: Duration = Duration::from_secs(5 * 60);
/// Fewer are asked after one by one: Google takes no smaller lists.
const SMALLEST_LIST: usize = 500;
const LARGEST_LIST: usize = 10_000;
/// How many are asked after at once, one by one.
const AT_ONCE: usize = 8;

pub struct Reachable {
    age: Duration,
    known: Mutex<Recent<Known>>,
}

#[derive(Clone)]
struct Known {
    at: Timestamp,
    has: Has,
}

/// What is known of a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Has {
    Nothing,
    /// RCS, and the features that Google named; `None` where it was asked in bulk.
    Rcs(Option<Vec<String>>),
}

impl Has {
    /// Whether the phone shows this. What is not known is tried.
    pub fn feature(&self, name: &str) -> bool {
        match self {
            Self::Rcs(Some(features)) if !features.is_empty() => {
                features.iter().any(|feature| feature == name)
            }
            _ => true,
        }
    }
}

impl Reachable {
    pub fn new(age: Duration) -> Self {
        Self {
            age,
            known: Mutex::new(Recent::new(REMEMBERED)),
        }
    }

    /// What Google says of a number, now or lately.
    ///
    /// # Errors
    /// Nothing was sent to the phone.
    pub async fn check(&self, api: &Api, number: &str, now: Timestamp) -> Result<Has, Failure> {
        if let Some(has) = self.lately(number, now) {
            return Ok(has);
        }
        let request = uuid(&["capability", number, &now.millis().to_string()]);
        let has = match api.capabilities(number, &request).await {
            Ok(told) => {
                let features = told.get("features").and_then(Value::as_array);
                let features = features.into_iter().flatten();
                Has::Rcs(Some(
                    features
                        .filter_map(|one| one.as_str().map(str::to_owned))
                        .collect(),
                ))
            }
            Err(failure) if failure.status() == Some(404) => Has::Nothing,
            Err(failure) => return Err(failure),
        };
        self.learn(number, has.clone(), now);
        Ok(has)
    }

    pub fn learn(&self, number: &str, has: Has, now: Timestamp) {
        self.known().insert(number, Known { at: now, has });
    }

    /// The number was heard by RCS: it has it, whatever was said before.
    pub fn heard(&self, number: &str, now: Timestamp) {
        if self.lately(number, now) == Some(Has::Nothing) {
            self.learn(number, Has::Rcs(None), now);
        }
    }

    /// Asks after many; what cannot be learnt now is [`Reach::Unknown`].
    pub async fn check_all(&self, api: &Api, addresses: &[Address], now: Timestamp) -> Vec<Reach> {
        let number = |address: &Address| match address {
            Address::Number(number) => Some(number.clone()),
            _ => None,
        };
        let unknown: HashSet<String> = addresses
            .iter()
            .filter_map(number)
            .filter(|number| self.lately(number, now).is_none())
            .collect();
        let mut unknown: Vec<String> = unknown.into_iter().collect();
        unknown.sort();
        if unknown.len() < SMALLEST_LIST {
            // Collected, for the compiler cannot see through the lifetimes of a lazy one.
            let asked: Vec<_> = unknown
                .iter()
                .map(|number| self.check(api, number, now))
                .collect();
            let mut answers = stream::iter(asked).buffer_unordered(AT_ONCE);
            while let Some(answer) = answers.next().await {
                if let Err(failure) = answer {
                    tracing::warn!(%failure, "whether a number has RCS cannot be learnt now");
                }
            }
        } else {
            let lists = unknown.len().div_ceil(LARGEST_LIST);
            for list in unknown.chunks(unknown.len().div_ceil(lists)) {
                self.check_list(api, list, now).await;
            }
        }
        let reach = |address: &Address| match number(address) {
            // RCS knows no other addresses.
            None => Reach::No,
            Some(number) => match self.lately(&number, now) {
                Some(Has::Rcs(_)) => Reach::Yes,
                Some(Has::Nothing) => Reach::No,
                None => Reach::Unknown,
            },
        };
        addresses.iter().map(reach).collect()
    }

    async fn check_list(&self, api: &Api, list: &[String], now: Timestamp) {
        let numbers: Vec<&str> = list.iter().map(String::as_str).collect();
        let told = match api.batch(&numbers).await {
            Ok(told) => told,
            Err(failure) => {
                tracing::warn!(%failure, numbers = list.len(), "which numbers have RCS cannot be learnt now");
                return;
            }
        };
        let reachable: HashSet<&str> = told
            .get("reachableUsers")
            .and_then(Value::as_array)
            .into_iter()
            .flatten()
            .filter_map(Value::as_str)
            .collect();
        for number in list {
            let has = match reachable.contains(number.as_str()) {
                true => Has::Rcs(None),
                false => Has::Nothing,
            };
            self.learn(number, has, now);
        }
    }

    fn lately(&self, number: &str, now: Timestamp) -> Option<Has> {
        let known = self.known();
        let known = known.get(number)?;
        let good = match known.has {
            Has::Nothing => self.age.min(NO_AGE),
            Has::Rcs(_) => self.age,
        };
        (now.since(known.at) < good).then(|| known.has.clone())
    }

    fn known(&self) -> MutexGuard<'_, Recent<Known>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
