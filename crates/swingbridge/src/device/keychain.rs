//! The system's keychain: Apple's, or the Secret Service (GNOME Keyring, KWallet, KeePassXC) of a Linux desktop, where the program
//! is built with that feature.
//!
//! It keeps one key for each vault and nothing else, since keychains limit the size of what they take and may ask the person
//! each time.

use keyring_core::api::CredentialStore;
use keyring_core::{Entry, Error};
use std::sync::Arc;
use zeroize::Zeroizing;

/// What the keys are filed under; the account is the vault's id.
const SERVICE: &str = "dev.swingbridge.device";

/// A keychain that answered.
pub struct Keychain(Arc<CredentialStore>);

impl Keychain {
    /// The keychain of this system, or why there is none. Blocks, also on a dialogue with the person where the keychain is locked.
    pub fn of_system() -> Result<Self, String> {
        apart(|| system().map(Self))
    }

    #[cfg(test)]
    pub fn over(store: Arc<CredentialStore>) -> Self {
        Self(store)
    }

    /// The key of a vault, or nothing when the keychain has none.
    pub fn key(&self, vault: &str) -> Result<Option<Zeroizing<Vec<u8>>>, String> {
        let store = self.0.clone();
        apart(move || match entry(&store, vault)?.get_secret() {
            Ok(key) => Ok(Some(Zeroizing::new(key))),
            Err(Error::NoEntry) => Ok(None),
            Err(error) => Err(told(&error)),
        })
    }

    /// Keeps the key of a vault, and reads it back: some keychains accept what they cannot hold.
    pub fn keep(&self, vault: &str, key: &[u8]) -> Result<(), String> {
        let store = self.0.clone();
        apart(move || {
            let entry = entry(&store, vault)?;
            entry.set_secret(key).map_err(|error| told(&error))?;
            let kept = Zeroizing::new(entry.get_secret().map_err(|error| told(&error))?);
            if *kept != key {
                return Err("it gave back another key than it was given".into());
            }
            Ok(())
        })
    }
}

fn entry(store: &Arc<CredentialStore>, vault: &str) -> Result<Entry, String> {
    Entry::new_in_store(store, SERVICE, vault).map_err(|error| told(&error))
}

#[cfg(target_os = "macos")]
fn system() -> Result<Arc<CredentialStore>, String> {
    let store = apple_native_keyring_store::keychain::Store::new().map_err(|error| told(&error))?;
    Ok(store)
}

#[cfg(all(target_os = "linux", feature = "secret-service"))]
fn system() -> Result<Arc<CredentialStore>, String> {
    let store = zbus_secret_service_keyring_store::Store::new().map_err(|error| told(&error))?;
    Ok(store)
}

#[cfg(not(any(target_os = "macos", all(target_os = "linux", feature = "secret-service"))))]
fn system() -> Result<Arc<CredentialStore>, String> {
    Err("this build knows none; on a Linux desktop, build with the feature `secret-service`".into())
}

/// The error in words that hold no secret: some of its variants carry the bytes that were asked for.
fn told(error: &Error) -> String {
    match error {
        Error::PlatformFailure(cause) => format!("it failed: {cause}"),
        Error::NoStorageAccess(cause) => format!("it cannot be reached, or is locked: {cause}"),
        Error::NoEntry => "it has no such entry".into(),
        Error::Ambiguous(_) => "it has several entries for the same vault: delete the wrong one".into(),
        _ => "it cannot keep or give such an entry".into(),
    }
}

/// Runs it on a thread of its own: D-Bus brings its own runtime, which may not be started inside ours.
fn apart<T: Send>(act: impl FnOnce() -> Result<T, String> + Send) -> Result<T, String> {
    std::thread::scope(|scope| match scope.spawn(act).join() {
        Ok(result) => result,
        Err(_) => Err("it failed in a way that nobody foresaw".into()),
    })
}

#[cfg(all(test, target_os = "linux", feature = "secret-service"))]
mod tests {
    use super::*;
    use std::process::Command;

    /// Unlocks a new keyring in a session of its own, and runs there the test that is named.
    const SESSION: &str = r#"printf word | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1
        exec "$1" --ignored --exact "$2""#;

    #[test]
    fn gnome_keyring_keeps_a_key() {
        let there = |program| Command::new(program).arg("--version").output().is_ok();
        if !there("dbus-run-session") || !there("gnome-keyring-daemon") {
            eprintln!("skipped, for want of dbus-run-session or gnome-keyring-daemon");
            return;
        }
        let home = tempfile::TempDir::new().unwrap();
        let (_, module) = module_path!().split_once("::").unwrap();
        let output = Command::new("dbus-run-session")
            .args(["--", "sh", "-c", SESSION, "sh"])
            .arg(std::env::current_exe().unwrap())
            .arg(format!("{module}::in_a_session"))
            .env("HOME", home.path())
            .env("XDG_RUNTIME_DIR", home.path())
            .output()
            .unwrap();
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(
            output.status.success() && text.contains("1 passed"),
            "{text}{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    #[tokio::test]
    #[ignore = "the test above runs it, in a session of its own"]
    async fn in_a_session() {
        let chain = Keychain::of_system().unwrap();
        assert_eq!(chain.key("one").unwrap(), None);
        chain.keep("one", &[7; 32]).unwrap();
        chain.keep("two", &[8; 32]).unwrap();
        let again = Keychain::of_system().unwrap();
        assert_eq!(&**again.key("one").unwrap().unwrap(), &[7; 32]);
        assert_eq!(again.key("three").unwrap(), None);
    }
}
