//! End-to-bridge encryption: the bridge's users as devices of their own in encrypted rooms.
//!
//! Read it in this order: `machine` (one of our users as a device), `machines` (those that are open), `ledger` (what must outlive a
//! restart besides), `rooms` (which rooms are encrypted, and for whom), `intake` (what a transaction brings for devices), `open`
//! (events that come encrypted), `waiting` (those whose key is not there yet), `queue` (what came while nobody listened), `seal` (what goes out).
//!
//! Keys are taken before events are opened, and are in a store before the homeserver hears 200. An event that cannot be opened is
//! kept until it can: it is never taken for seen because its ciphertext was.

mod intake;
mod ledger;
mod machine;
mod machines;
mod open;
mod queue;
mod rooms;
mod seal;
mod waiting;

pub(crate) use intake::{Extension, Notice};
pub(crate) use machine::PREFIX;
#[cfg(feature = "puppet")]
pub(crate) use open::{pause, unreadable};
pub(crate) use rooms::MEGOLM;

use crate::failure::Failure;
use crate::homeserver::Matrix;
use ledger::Ledger;
use machine::Machine;
use machines::Machines;
use ruma::{OwnedUserId, UserId};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;

/// How far the bridge goes with encryption.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mode {
    /// Not at all.
    #[default]
    Off,
    /// It takes part in rooms that people encrypt; those that it makes are plain.
    Allow,
    /// Rooms that it makes are encrypted, too.
    Default,
    /// Nothing is sent to a plain room, and nothing is taken from one.
    Require,
}

/// How long a place in a session is remembered, against events that somebody on the way sends twice. Longer than the gap that
/// is read after downtime.
const REMEMBER: Duration = Duration::from_secs(30 * 24 * 3600);

/// The state of encryption.
pub(crate) struct Crypto {
    machines: Machines,
    ledger: Ledger,
    rooms: rooms::Rooms,
    /// Whose machine has something to do.
    errands: Mutex<BTreeSet<OwnedUserId>>,
    wake: Notify,
    /// The homeserver gives our users no devices with keys, and why.
    unable: OnceLock<String>,
    ready: AtomicBool,
}

impl Matrix {
    /// Takes the folder of keys, which must lie on a disk of this machine. Called once, before anything is performed, unless the mode is
    /// [`Mode::Off`]. Blocks.
    ///
    /// # Errors
    /// [`Failure`] when the folder cannot be used, or another gateway uses it.
    pub fn open_keys(&self) -> Result<(), Failure> {
        if self.config.encryption == Mode::Off {
            return Ok(());
        }
        let folder: &Path = &self.config.crypto_folder;
        let cannot = |error: &dyn std::fmt::Display| {
            Failure::away(format!("the folder of keys, {}: {error}", folder.display()))
        };
        std::fs::create_dir_all(folder).map_err(|error| cannot(&error))?;
        let crypto = Crypto {
            machines: Machines::new(folder, self.keys.clone())?,
            ledger: Ledger::open(&folder.join("ledger.db")).map_err(|error| cannot(&error))?,
            rooms: rooms::Rooms::default(),
            errands: Mutex::default(),
            wake: Notify::new(),
            unable: OnceLock::new(),
            ready: AtomicBool::new(false),
        };
        let _ = self.crypto.set(Arc::new(crypto));
        Ok(())
    }

    /// What there is of encryption; `None` where there is none.
    ///
    /// # Errors
    /// [`Failure::Away`] before [`Matrix::open_keys`].
    pub(crate) fn crypto(&self) -> Result<Option<&Arc<Crypto>>, Failure> {
        if self.config.encryption == Mode::Off {
            return Ok(None);
        }
        match self.crypto.get() {
            Some(crypto) if crypto.unable.get().is_some() => Ok(None),
            Some(crypto) => Ok(Some(crypto)),
            None => Err(Failure::away("the keys are not opened yet")),
        }
    }

    /// Makes the bot's device with its keys. Finds out whether the homeserver lets us at all.
    ///
    /// # Errors
    /// [`Failure::Away`]; safe to repeat. What the homeserver can not do is no error: there are plain rooms then.
    pub async fn start_encryption(&self) -> Result<(), Failure> {
        let Some(crypto) = self.crypto()? else {
            return Ok(());
        };
        self.ensure_bot().await?;
        match self.machine(crypto, &self.bot).await {
            Ok(machine) => {
                machine.pump(&self.api).await?;
                let forget = Duration::as_millis(&REMEMBER) as i64;
                let until = swingbridge_domain::clock::Timestamp(self.clock.now().millis() - forget);
                crypto.ledger.forget_opened(until).await?;
                if !crypto.ready.swap(true, Ordering::Relaxed) {
                    tracing::info!(mode = ?self.config.encryption, "the bot has a device that encrypts");
                }
                Ok(())
            }
            Err(failure @ Failure::Refused { .. }) if !failure.is_unknown_token() => {
                tracing::error!(
                    %failure,
                    "the homeserver gives our users no devices with keys, so rooms stay plain. It needs MSC4190 (Synapse: \
                     io.element.msc4190: true in registration.yaml) and a restart after a change of that file"
                );
                let _ = crypto.unable.set(failure.to_string());
                Ok(())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Whether rooms that the bridge makes are encrypted.
    pub(crate) fn encrypts_new_rooms(&self) -> Result<bool, Failure> {
        let wanted = matches!(self.config.encryption, Mode::Default | Mode::Require);
        Ok(wanted && self.crypto()?.is_some())
    }

    async fn machine(&self, crypto: &Crypto, user: &UserId) -> Result<Arc<Machine>, Failure> {
        let fresh = !crypto.machines.has(user);
        let opened = crypto.machines.if_open(user).is_none();
        let machine = crypto.machines.get(&self.api, &self.people, user).await?;
        if opened && !fresh && *user != *self.bot {
            // What changed while it was closed it must ask for: devices, and keys to be uploaded. What people write is opened by the
            // bot, whose queue alone is read.
            crypto.errand(user);
        }
        Ok(machine)
    }
}

impl Crypto {
    /// Has the machine of `user` looked after soon.
    fn errand(&self, user: &UserId) {
        self.errands().insert(user.to_owned());
        self.wake.notify_one();
    }

    fn errands(&self) -> std::sync::MutexGuard<'_, BTreeSet<OwnedUserId>> {
        self.errands.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
