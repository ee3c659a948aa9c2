//! The machines that are open: as many as are in use, and some more.

use super::machine::{Machine, broken};
use crate::api::Api;
use crate::failure::Failure;
use crate::people::People;
use ruma::{OwnedUserId, UserId};
use std::collections::HashMap;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use swingbridge_domain::secret::Keys;
use tokio::sync::OnceCell;

/// How many machines stay open. Each has two connections to its store.
const OPEN: usize = 48;

pub(super) struct Machines {
    folder: PathBuf,
    keys: Keys,
    slots: Mutex<Slots>,
    /// Where connections are closed, whoever lets go of the last one: the store's own thread may.
    runtime: tokio::runtime::Handle,
    /// Held as long as the folder is ours: two programs with the same machine would ruin its sessions.
    _lock: File,
}

#[derive(Default)]
struct Slots {
    clock: u64,
    open: HashMap<OwnedUserId, Slot>,
}

struct Slot {
    cell: Arc<OnceCell<Arc<Machine>>>,
    used: u64,
}

impl Machines {
    /// Takes the folder. Blocks. Must be called within a runtime.
    pub fn new(folder: &Path, keys: Keys) -> Result<Self, Failure> {
        let lock = File::create(folder.join(".lock")).map_err(broken)?;
        if lock.try_lock().is_err() {
            let text = format!("{}: another gateway works with the keys here", folder.display());
            return Err(Failure::away(text));
        }
        Ok(Self {
            folder: folder.to_owned(),
            keys,
            slots: Mutex::default(),
            runtime: tokio::runtime::Handle::current(),
            _lock: lock,
        })
    }

    /// Where the user's machine is. The name of the folder gives nobody's name away.
    fn place(&self, user: &UserId) -> PathBuf {
        self.folder
            .join(self.keys.pseudonym("crypto folder", user.as_str()))
    }

    /// Whether the user has a machine, open or not.
    pub fn has(&self, user: &UserId) -> bool {
        let there = || {
            self.lock()
                .open
                .get(user)
                .is_some_and(|slot| slot.cell.initialized())
        };
        there() || self.place(user).exists()
    }

    /// The user's machine, opened or made when it is not there.
    ///
    /// # Errors
    /// [`Failure`], as [`Machine::open`].
    pub async fn get(&self, api: &Api, people: &People, user: &UserId) -> Result<Arc<Machine>, Failure> {
        let cell = {
            let mut slots = self.lock();
            slots.clock += 1;
            let now = slots.clock;
            let slot = slots.open.entry(user.to_owned()).or_insert_with(|| Slot {
                cell: Arc::default(),
                used: now,
            });
            slot.used = now;
            let cell = slot.cell.clone();
            slots.close_some();
            cell
        };
        let open = async || {
            let key = self.keys.index("crypto store", user.as_str());
            let machine = Machine::open(api, people, self.place(user), &key, user).await?;
            Ok(Arc::new(machine))
        };
        cell.get_or_try_init(open).await.cloned()
    }

    /// Those that are open now.
    pub fn open(&self) -> Vec<Arc<Machine>> {
        let slots = self.lock();
        slots
            .open
            .values()
            .filter_map(|slot| slot.cell.get().cloned())
            .collect()
    }

    /// The user's machine, if it is open.
    pub fn if_open(&self, user: &UserId) -> Option<Arc<Machine>> {
        self.lock().open.get(user)?.cell.get().cloned()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Slots> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        // The library closes its connections by tasks of the runtime, and panics where it finds none.
        let _within = self.runtime.enter();
        self.lock().open.clear();
    }
}

impl Slots {
    /// Closes the machines that were not used for longest. One that is in use stays: a second on the same store would not know of
    /// its sessions.
    fn close_some(&mut self) {
        while self.open.len() > OPEN {
            let idle = |slot: &Slot| {
                Arc::strong_count(&slot.cell) == 1
                    && slot
                        .cell
                        .get()
                        .is_none_or(|machine| Arc::strong_count(machine) == 1)
            };
            let oldest = self
                .open
                .iter()
                .filter(|(_, slot)| idle(slot))
                .min_by_key(|(_, slot)| slot.used)
                .map(|(user, _)| user.clone());
            match oldest {
                Some(user) => self.open.remove(&user),
                None => return,
            };
        }
    }
}
