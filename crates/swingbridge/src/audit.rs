//! What the program itself writes to the audit log: its starts and stops, its key, and what the operator changed.

use crate::config::fingerprint::Fingerprint;
use crate::wiring;
use std::collections::BTreeMap;
use std::sync::Arc;
use swingbridge_domain::audit::{self, About, Fault, Kind, Mark, NewEntry};
use swingbridge_domain::clock::Clock;
use swingbridge_domain::secret::Keys;
use swingbridge_domain::store::{self, Store, StoreError, Tables};

/// The setting that holds a digest of each section as it was at the last start.
const SECTIONS: &str = "settings_at_start";

pub struct Recorder {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    keys: Keys,
    sections: BTreeMap<String, String>,
}

impl Recorder {
    pub fn new(keys: Keys, settings: &Fingerprint, store: Arc<dyn Store>) -> Self {
        // Keyed: settings hold numbers, and a plain digest of one could be guessed.
        let digest = |text: &String| {
            let index = keys.index("settings", text);
            data_encoding::HEXLOWER.encode(&index[..8])
        };
        let sections = settings.0.iter();
        Self {
            sections: sections
                .map(|(name, text)| (name.clone(), digest(text)))
                .collect(),
            store,
            clock: wiring::clock(),
            keys,
        }
    }

    /// Verifies the log, and writes that the gateway starts and what was changed. Says the end of the log, which also goes to the
    /// program's own log: a copy of that elsewhere proves later that the log was not put back to an older state.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was written.
    pub async fn started(&self) -> Result<Mark, StoreError> {
        let (keys, now, sections) = (self.keys.clone(), self.clock.now(), self.sections.clone());
        let key = About::Key(data_encoding::HEXLOWER.encode(&keys.check_value()));
        let (faults, end) = store::run(self.store.as_ref(), move |tables| {
            let faults = audit::verify(tables, &keys, None)?.faults;
            let started = NewEntry::new(Kind::Started)
                .about(key)
                .detail(concat!("version ", env!("CARGO_PKG_VERSION")));
            let mut end = audit::append(tables, &keys, now, &started)?;
            if let Some(changed) = changed(tables, &sections)? {
                let entry = NewEntry::new(Kind::SettingsChanged).detail(changed);
                end = audit::append(tables, &keys, now, &entry)?;
            }
            Ok((faults, end))
        })
        .await?;
        // A database that is older than the log has none yet.
        if let Some(fault) = faults.iter().find(|fault| **fault != Fault::NoLog) {
            tracing::error!(
                faults = faults.len(),
                "the audit log was tampered with: {fault}; `swingbridge audit-log verify` says all of it"
            );
        }
        Ok(end)
    }

    /// Writes that the gateway stopped as it was asked to.
    pub async fn stopped(&self, settled: bool) {
        let (keys, now) = (self.keys.clone(), self.clock.now());
        let detail = match settled {
            true => "",
            false => "something was still under way",
        };
        let written = store::run(self.store.as_ref(), move |tables| {
            audit::append(tables, &keys, now, &NewEntry::new(Kind::Stopped).detail(detail))
        });
        match written.await {
            Ok(end) => tracing::debug!(audit_log = %end, "the stop stands in the audit log"),
            Err(error) => tracing::warn!(%error, "the stop cannot be written to the audit log"),
        }
    }
}

/// The names of the sections that are not as they were, and remembers how they are; `None` when nothing changed, or nothing is
/// known of before.
fn changed(tables: &mut dyn Tables, now: &BTreeMap<String, String>) -> Result<Option<String>, StoreError> {
    let before = tables.setting(SECTIONS)?;
    let text = serde_json::to_string(now).map_err(|error| StoreError::Failed(error.to_string()))?;
    if before.as_ref() == Some(&text) {
        return Ok(None);
    }
    tables.setting_set(SECTIONS, &text)?;
    let Some(before) = before else {
        return Ok(None);
    };
    let before: BTreeMap<String, String> = serde_json::from_str(&before).unwrap_or_default();
    let mut names: Vec<&str> = before
        .keys()
        .chain(now.keys())
        .filter(|name| before.get(*name) != now.get(*name))
        .map(String::as_str)
        .collect();
    names.sort_unstable();
    names.dedup();
    Ok(Some(names.join(", ")))
}
