//! Telling systemd how far we are (`sd_notify(3)`), where it asks for it.

use std::os::unix::net::{SocketAddr, UnixDatagram};

/// The socket that systemd gave us, if any.
#[derive(Clone, Debug, Default)]
pub struct Notifier(Option<String>);

impl Notifier {
    /// `socket` is what stands in `NOTIFY_SOCKET`.
    pub fn new(socket: Option<&String>) -> Self {
        Self(socket.filter(|path| path.starts_with(['/', '@'])).cloned())
    }

    /// Says that the gateway serves.
    pub fn ready(&self) {
        self.tell("READY=1");
    }

    /// Says that the gateway is about to end.
    pub fn stopping(&self) {
        self.tell("STOPPING=1");
    }

    fn tell(&self, state: &str) {
        let Some(path) = &self.0 else {
            return;
        };
        let sent = || -> std::io::Result<()> {
            let address = address(path)?;
            UnixDatagram::unbound()?.send_to_addr(state.as_bytes(), &address)?;
            Ok(())
        };
        if let Err(error) = sent() {
            tracing::warn!(%error, state, "systemd cannot be told");
        }
    }
}

fn address(path: &str) -> std::io::Result<SocketAddr> {
    // Where systemd is there are names without files, too.
    #[cfg(target_os = "linux")]
    if let Some(name) = path.strip_prefix('@') {
        use std::os::linux::net::SocketAddrExt;
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn systemd_is_told_on_its_socket() {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("notify").display().to_string();
        let socket = UnixDatagram::bind(&path).unwrap();
        Notifier::new(Some(&path)).ready();
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..length], b"READY=1");
        // Without a socket nothing happens.
        Notifier::new(None).ready();
    }
}
