//! The clock, the randomness and the private folders of this machine, which everything else is given as arguments.

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use swingbridge_domain::clock::{Clock, Entropy, Timestamp};

pub struct SystemClock;

impl Clock for SystemClock {
    #[allow(
        clippy::disallowed_methods,
        reason = "this is the one place that reads the clock"
    )]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is set wrong; 0 is as good as anything.
        Timestamp(since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX)))
    }
}

pub struct SystemEntropy;

impl Entropy for SystemEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        // A generator of the thread's own, seeded and often reseeded by the system: asking the system for each nonce costs more
        // than to seal a text. Without a seed it panics, and then nothing here may go on.
        rand::fill(bytes);
    }
}

/// Makes a folder for its user alone, or makes it so.
///
/// # Errors
/// The disk's.
pub fn private_folder(path: &Path) -> std::io::Result<()> {
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)?;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o700))
}
