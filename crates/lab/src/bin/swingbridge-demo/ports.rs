//! Ports on the loopback interface: the same in every run, unless somebody else took one.

use std::{
    collections::HashSet,
    fs,
    net::TcpListener,
    path::{Path, PathBuf},
};

use anyhow::Result;
use serde::{Deserialize, Serialize};
use swingbridge_lab::process::free_port;

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ports {
    pub homeserver: u16,
    pub gateway: u16,
    pub operations: u16,
    pub smpp: u16,
    pub phones: u16,
    pub chat: u16,
}

const USUAL: Ports = Ports {
    homeserver: 18008,
    gateway: 29370,
    operations: 29371,
    smpp: 12775,
    phones: 18081,
    chat: 18080,
};

impl Ports {
    /// Those of the last run in this folder, or the usual ones; each that is taken is exchanged for a free one.
    pub fn choose(folder: &Path) -> Result<Self> {
        let last = fs::read(path(folder))
            .ok()
            .and_then(|text| serde_json::from_slice(&text).ok());
        let Ports {
            homeserver,
            gateway,
            operations,
            smpp,
            phones,
            chat,
        } = last.unwrap_or(USUAL);
        let mut chosen = HashSet::new();
        let mut free = |wanted: u16| -> Result<u16> {
            let mut port = wanted;
            while TcpListener::bind(("127.0.0.1", port)).is_err() || !chosen.insert(port) {
                port = free_port()?;
            }
            Ok(port)
        };
        Ok(Self {
            homeserver: free(homeserver)?,
            gateway: free(gateway)?,
            operations: free(operations)?,
            smpp: free(smpp)?,
            phones: free(phones)?,
            chat: free(chat)?,
        })
    }

    /// Remembers them, and moves files that name the ports of the last run to these.
    pub fn keep(&self, folder: &Path, files: &[PathBuf]) -> Result<()> {
        if let Some(last) = fs::read(path(folder))
            .ok()
            .and_then(|text| serde_json::from_slice::<Self>(&text).ok())
        {
            for file in files.iter().filter(|file| file.exists()) {
                let text = fs::read_to_string(file)?;
                let moved = self.moved(&last, &text);
                if moved != text {
                    // Over the old content, so that the file keeps its mode.
                    fs::write(file, moved)?;
                }
            }
        }
        Ok(fs::write(path(folder), serde_json::to_vec(self)?)?)
    }

    fn moved(&self, last: &Self, text: &str) -> String {
        let pairs = |ports: &Self| {
            [
                ports.homeserver,
                ports.gateway,
                ports.operations,
                ports.smpp,
                ports.phones,
                ports.chat,
            ]
        };
        // In two steps, so that two ports that changed places do not meet.
        let marked = pairs(last)
            .iter()
            .enumerate()
            .fold(text.to_owned(), |text, (index, port)| {
                text.replace(&format!("127.0.0.1:{port}"), &format!("127.0.0.1:<{index}>"))
            });
        pairs(self)
            .iter()
            .enumerate()
            .fold(marked, |text, (index, port)| {
                text.replace(&format!("127.0.0.1:<{index}>"), &format!("127.0.0.1:{port}"))
            })
    }
}

fn path(folder: &Path) -> PathBuf {
    folder.join("ports.json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_taken_port_is_exchanged_and_files_follow() {
        let folder = tempfile::tempdir().unwrap();
        let first = Ports::choose(folder.path()).unwrap();
        let config = folder.path().join("config.yaml");
        fs::write(
            &config,
            format!(
                "url: http://127.0.0.1:{}/\nport: {}\n",
                first.gateway, first.gateway
            ),
        )
        .unwrap();
        first.keep(folder.path(), &[]).unwrap();

        let _taken = TcpListener::bind(("127.0.0.1", first.gateway)).unwrap();
        let second = Ports::choose(folder.path()).unwrap();
        assert_ne!(second.gateway, first.gateway);
        assert_eq!(second.homeserver, first.homeserver);
        second.keep(folder.path(), std::slice::from_ref(&config)).unwrap();
        let text = fs::read_to_string(&config).unwrap();
        assert_eq!(
            text,
            format!(
                "url: http://127.0.0.1:{}/\nport: {}\n",
                second.gateway, first.gateway
            )
        );
    }

    #[test]
    fn ports_that_change_places_do_not_meet() {
        let first = Ports {
            homeserver: 1,
            gateway: 2,
            operations: 3,
            smpp: 4,
            phones: 5,
            chat: 6,
        };
        let second = Ports {
            homeserver: 2,
            gateway: 1,
            ..first
        };
        assert_eq!(
            second.moved(&first, "127.0.0.1:1 127.0.0.1:2"),
            "127.0.0.1:2 127.0.0.1:1"
        );
    }
}
