//! A phone under Termux: the commands of Termux:API, over a folder that is its memory.
//!
//! One program, `swingbridge-termux-api`, is each `termux-*` command by the name that it is started under. [`Phone`] is the other
//! end: what a person and the network do with the phone. Output, options and failures follow termux-api-package and the app
//! (v0.53.0): times without a zone, no SIM, an error as an object, a bad slot that fails in silence.
//!
//! *Emulated*: it was written after the source of Termux:API and compared with no phone.

mod commands;
mod state;

pub use commands::main;
pub use state::{Contact, Notification, Scenario, Text};

use state::Folder;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// The commands that the program knows.
pub const COMMANDS: [&str; 5] = [
    "termux-sms-list",
    "termux-sms-send",
    "termux-sms-inbox",
    "termux-contact-list",
    "termux-notification-list",
];

/// The program `swingbridge-termux-api`.
///
/// # Errors
/// When it cannot be built.
pub fn program() -> anyhow::Result<PathBuf> {
    crate::program::built("swingbridge-termux-api", "termux")
}

/// The phone, seen from its network and its owner's hand.
#[derive(Debug)]
pub struct Phone {
    folder: Folder,
    programs: PathBuf,
}

impl Phone {
    /// A phone whose memory is `folder`, with `termux-*` programs in `folder/bin`. `program` is the built
    /// `swingbridge-termux-api`.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn new(folder: &Path, program: &Path) -> io::Result<Self> {
        let programs = folder.join("bin");
        std::fs::create_dir_all(&programs)?;
        let state = Folder::new(folder)?;
        for command in COMMANDS {
            let script = programs.join(command);
            // Scripts, as the real ones are: what they start must be ended with them.
            let text = format!(
                "#!/bin/sh\nTERMUX_LAB='{}' '{}' {command} \"$@\"\n",
                folder.display(),
                program.display()
            );
            std::fs::write(&script, text)?;
            #[cfg(unix)]
            std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
        }
        Ok(Self {
            folder: state,
            programs,
        })
    }

    /// The folder of its programs.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.programs
    }

    /// A text comes in. Gives its number in the phone's database.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn receives(&self, from: &str, text: &str) -> io::Result<i64> {
        self.folder.change(|world| world.add("inbox", from, text))
    }

    /// The owner sends a text on the phone itself.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn writes(&self, to: &str, text: &str) -> io::Result<i64> {
        self.folder.change(|world| world.add("sent", to, text))
    }

    /// Its clock goes with ours from now on, instead of a second for each text.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn keeps_time(&self) -> io::Result<()> {
        self.folder.change(|world| world.in_time = true)
    }

    /// Every text in its database, by number.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn texts(&self) -> io::Result<Vec<Text>> {
        self.folder.look(|world| world.texts.clone())
    }

    /// All that left the phone, in order: to whom, and what.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn sent(&self) -> io::Result<Vec<(String, String)>> {
        self.folder.look(|world| {
            let sent = world.on_air.iter();
            sent.map(|text| (text.address.clone(), text.body.clone()))
                .collect()
        })
    }

    /// Waits until `many` texts have left, half a minute at most.
    ///
    /// # Errors
    /// They do not, or the folder cannot be read.
    pub async fn sends(&self, many: usize) -> io::Result<Vec<(String, String)>> {
        for _ in 0..1500 {
            let sent = self.sent()?;
            if sent.len() >= many {
                return Ok(sent);
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Err(io::Error::other(format!("the phone sent no {many} texts")))
    }

    /// The owner deletes a text.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn deletes(&self, id: i64) -> io::Result<()> {
        self.folder
            .change(|world| world.texts.retain(|text| text.id != id))
    }

    /// The database is replaced: the newest `kept` texts come back under new numbers from 1 on.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn is_reset(&self, kept: usize) -> io::Result<()> {
        self.folder.change(|world| {
            let skip = world.texts.len().saturating_sub(kept);
            world.texts.drain(..skip);
            for (at, text) in world.texts.iter_mut().enumerate() {
                text.id = at as i64 + 1;
            }
        })
    }

    /// Sets a text's box by hand, as a network that answers late does.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn moves(&self, id: i64, to: &str) -> io::Result<()> {
        self.folder.change(|world| {
            for text in world.texts.iter_mut().filter(|text| text.id == id) {
                to.clone_into(&mut text.kind);
            }
        })
    }

    /// Android withholds a text from programs, or gives it free.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn withholds(&self, id: i64, hidden: bool) -> io::Result<()> {
        self.folder.change(|world| {
            for text in world.texts.iter_mut().filter(|text| text.id == id) {
                text.hidden = hidden;
            }
        })
    }

    /// Replaces the address book.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn contacts(&self, contacts: &[(&str, &str)]) -> io::Result<()> {
        self.folder.change(|world| {
            world.contacts = contacts
                .iter()
                .map(|(name, number)| Contact {
                    name: (*name).to_owned(),
                    number: (*number).to_owned(),
                })
                .collect();
        })
    }

    /// Shows a notification.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn notifies(&self, package: &str, title: &str, content: &str) -> io::Result<()> {
        self.folder.change(|world| {
            let at = world.clock();
            world.notifications.push(Notification {
                package: package.to_owned(),
                title: title.to_owned(),
                content: content.to_owned(),
                at,
            });
        })
    }

    /// Changes what goes wrong.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn plays(&self, change: impl FnOnce(&mut Scenario)) -> io::Result<()> {
        self.folder.change(|world| change(&mut world.scenario))
    }
}
