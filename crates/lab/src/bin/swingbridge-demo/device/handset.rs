//! The device under the relay: an emulated Android phone or Mac, as its person and its network see it.

use anyhow::Result;
use clap::ValueEnum;
use std::path::Path;
use std::process::Command;
use swingbridge_lab::macos::scenario::Scenario;
use swingbridge_lab::macos::schema::Release;
use swingbridge_lab::macos::{self, Mac};
use swingbridge_lab::smsc::Progress;
use swingbridge_lab::termux::{self, Phone};

/// Which device.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A phone under Termux, which texts by SMS
    Android,
    /// A Mac with Messages, which texts by iMessage
    Mac,
}

impl Kind {
    /// As it is called on the command line.
    pub fn word(self) -> &'static str {
        match self {
            Self::Android => "android",
            Self::Mac => "mac",
        }
    }

    /// As people speak of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Android => "Alice's Android phone",
            Self::Mac => "Alice's Mac",
        }
    }

    /// As `device init` calls what reaches it.
    pub fn connector(self) -> &'static str {
        match self {
            Self::Android => "termux",
            Self::Mac => "imessage",
        }
    }

    /// What the relay logs once it looks at the device.
    pub fn looks(self) -> &'static str {
        match self {
            Self::Android => "the phone answers",
            Self::Mac => "reads Messages' database",
        }
    }
}

/// A text on the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Text {
    pub id: u64,
    /// The contact's address.
    pub contact: String,
    /// Whether it went from the device to the contact.
    pub outgoing: bool,
    pub text: String,
    /// Milliseconds since 1970.
    pub at: i64,
    pub progress: Progress,
}

pub enum Handset {
    Android(Phone),
    Mac(Mac),
}

impl Handset {
    /// Sets the device up in `folder`, or takes the one that is there.
    pub fn open(kind: Kind, folder: &Path, contacts: &[(&str, &str)]) -> Result<Self> {
        match kind {
            Kind::Android => {
                let phone = Phone::new(folder, &termux::program()?)?;
                phone.keeps_time()?;
                let contacts: Vec<_> = contacts.iter().map(|(number, name)| (*name, *number)).collect();
                phone.contacts(&contacts)?;
                Ok(Self::Android(phone))
            }
            Kind::Mac => {
                let program = macos::program()?;
                let mac = if folder.exists() {
                    Mac::reopen(folder, &program)?
                } else {
                    let mac = Mac::with_program(folder, Release::Tahoe, &program)?;
                    for (number, name) in contacts {
                        mac.knows(name, &[number])?;
                    }
                    mac
                };
                // What is sent arrives and is read after a moment, as with a person who looks.
                mac.set_scenario(&Scenario::read_after(800))?;
                Ok(Self::Mac(mac))
            }
        }
    }

    /// Leads the relay to it: what on a true device is at its usual place.
    pub fn lead(&self, relay: &mut Command) {
        match self {
            Self::Android(phone) => {
                relay
                    .env("SWINGBRIDGE_CONNECTORS__SMS__PROGRAMS", phone.programs())
                    .env("SWINGBRIDGE_CONNECTORS__SMS__POLL", "0.2");
            }
            Self::Mac(mac) => {
                relay
                    .env("SWINGBRIDGE_CONNECTORS__IMESSAGE__DATABASE", mac.database())
                    .env("SWINGBRIDGE_CONNECTORS__IMESSAGE__STAGING", mac.staging())
                    .env(
                        "SWINGBRIDGE_CONNECTORS__IMESSAGE__ADDRESS_BOOK",
                        mac.address_book(),
                    )
                    .env("SWINGBRIDGE_CONNECTORS__IMESSAGE__OSASCRIPT", mac.osascript());
            }
        }
    }

    /// A contact writes to it.
    pub fn receives(&self, from: &str, text: &str) -> Result<()> {
        match self {
            Self::Android(phone) => drop(phone.receives(from, text)?),
            Self::Mac(mac) => drop(mac.says(from, text)?),
        }
        Ok(())
    }

    /// Its person writes on it by hand.
    pub fn writes(&self, to: &str, text: &str) -> Result<()> {
        match self {
            Self::Android(phone) => drop(phone.writes(to, text)?),
            Self::Mac(mac) => drop(mac.writes(to, text)?),
        }
        Ok(())
    }

    /// All that is on it, in order.
    pub fn texts(&self) -> Result<Vec<Text>> {
        match self {
            Self::Android(phone) => Ok(phone.texts()?.into_iter().filter_map(of_phone).collect()),
            Self::Mac(mac) => Ok(mac.texts()?.into_iter().filter_map(of_mac).collect()),
        }
    }
}

fn of_phone(text: termux::Text) -> Option<Text> {
    let progress = match text.kind.as_str() {
        "inbox" => Progress::Done,
        // A phone asks for no delivery receipts by Termux: this is all that is known.
        "sent" => Progress::Underway,
        "failed" => Progress::Failed,
        "draft" => return None,
        _ => Progress::Waiting,
    };
    Some(Text {
        id: u64::try_from(text.id).ok()?,
        contact: text.address,
        outgoing: text.kind != "inbox",
        text: text.body,
        at: text.at * 1000,
        progress,
    })
}

fn of_mac(text: macos::Text) -> Option<Text> {
    let progress = match &text {
        text if text.failed => Progress::Failed,
        text if text.delivered || !text.from_me => Progress::Done,
        text if text.sent => Progress::Underway,
        _ => Progress::Waiting,
    };
    Some(Text {
        id: u64::try_from(text.rowid).ok()?,
        contact: text.contact,
        outgoing: text.from_me,
        text: text.text,
        at: text.at,
        progress,
    })
}
