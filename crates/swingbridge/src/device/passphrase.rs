//! Where the passphrase of a vault comes from.

use super::seal::VaultError;
use crate::config::environment::{PASSPHRASE as VARIABLE, Variables};
use std::fs;
use std::io::IsTerminal;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use swingbridge_domain::secret::Secret;
use zeroize::Zeroizing;

/// A new vault takes no shorter one.
const SHORTEST: usize = 8;

/// A source of the passphrase. Nothing is read or asked before it is needed: a vault under the keychain needs none.
#[derive(Clone, Debug)]
pub enum Passphrase {
    /// A file that only its owner can read (`passphrase_file`). One line end at its end does not count.
    File(PathBuf),
    /// The text itself, from the environment.
    Given(Secret),
    /// Asked on the terminal, without echo.
    Asked,
    /// None: only a vault under the keychain can be opened.
    Absent,
}

impl Passphrase {
    /// The file before the variable before the terminal. The terminal is asked only where there is one.
    pub fn choose(file: Option<PathBuf>, variables: &Variables) -> Self {
        let given = variables.get(VARIABLE).filter(|text| !text.is_empty());
        match (file, given) {
            (Some(file), _) => Self::File(file),
            (None, Some(text)) => Self::Given(Secret::new(text)),
            (None, None) if std::io::stdin().is_terminal() => Self::Asked,
            (None, None) => Self::Absent,
        }
    }

    /// The passphrase. Of a new vault it is asked twice, and must have some length.
    ///
    /// # Errors
    /// When there is none, when the file cannot be read or can be read by others, and when a new one is too short. Asking
    /// again helps only after a person changed something.
    pub fn obtain(&self, new: bool) -> Result<Zeroizing<String>, VaultError> {
        let text = match self {
            Self::File(path) => of_file(path)?,
            Self::Given(secret) => Zeroizing::new(secret.expose().to_owned()),
            Self::Asked => ask(new)?,
            Self::Absent => {
                return Err(VaultError::Passphrase(format!(
                    "there is none: name a file with it as `passphrase_file`, set {VARIABLE}, or start from a terminal"
                )));
            }
        };
        if text.is_empty() {
            return Err(VaultError::Passphrase("it is empty: give one".into()));
        }
        if new && text.chars().count() < SHORTEST {
            return Err(VaultError::Passphrase(format!(
                "it is too short: a new one needs {SHORTEST} characters or more, best several words"
            )));
        }
        Ok(text)
    }
}

fn of_file(path: &Path) -> Result<Zeroizing<String>, VaultError> {
    let failed = |error: std::io::Error| {
        VaultError::Passphrase(format!(
            "{} cannot be read: {error}; give the path of a file that holds it",
            path.display()
        ))
    };
    let mode = fs::metadata(path).map_err(failed)?.permissions().mode();
    // What systemd hands over as a credential is readable by the unit alone, whatever its mode says.
    let credential = path.components().any(|part| part.as_os_str() == "credentials");
    if mode & 0o077 != 0 && !credential {
        return Err(VaultError::Loose {
            path: path.to_owned(),
            mode: mode & 0o7777,
        });
    }
    let text = Zeroizing::new(fs::read_to_string(path).map_err(failed)?);
    Ok(Zeroizing::new(text.trim_end_matches(['\n', '\r']).to_owned()))
}

fn ask(new: bool) -> Result<Zeroizing<String>, VaultError> {
    let prompt = |text: &str| {
        rpassword::prompt_password(text)
            .map(Zeroizing::new)
            .map_err(|error| VaultError::Passphrase(format!("it cannot be asked: {error}; set {VARIABLE}")))
    };
    if !new {
        return prompt("Passphrase of this device's secrets: ");
    }
    let first = prompt("A new passphrase for this device's secrets: ")?;
    if *prompt("The same again: ")? != *first {
        return Err(VaultError::Passphrase(
            "the two were not the same: begin again".into(),
        ));
    }
    Ok(first)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(text: &str, mode: u32) -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::TempDir::new().unwrap();
        let path = folder.path().join("passphrase");
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, path)
    }

    #[test]
    fn a_file_is_taken_without_its_line_end_and_before_the_variable() {
        let (_folder, path) = file("correct horse \n", 0o600);
        let variables = Variables::from([(VARIABLE.to_owned(), "another one".to_owned())]);
        let chosen = Passphrase::choose(Some(path), &variables);
        assert_eq!(*chosen.obtain(true).unwrap(), "correct horse ");
        let chosen = Passphrase::choose(None, &variables);
        assert_eq!(*chosen.obtain(true).unwrap(), "another one");
        assert!(!format!("{chosen:?}").contains("another"));
    }

    #[test]
    fn a_file_that_others_can_read_is_refused_with_its_cure() {
        for mode in [0o640, 0o604, 0o666] {
            let (_folder, path) = file("correct horse", mode);
            let told = Passphrase::File(path).obtain(false).unwrap_err().to_string();
            assert!(
                told.contains("chmod 600") && told.contains(&format!("{mode:04o}")),
                "{told}"
            );
        }
        let told = Passphrase::File("nowhere".into())
            .obtain(false)
            .unwrap_err()
            .to_string();
        assert!(told.contains("nowhere"), "{told}");
    }

    #[test]
    fn none_empty_and_short_ones_are_told_apart() {
        let told = |passphrase: &Passphrase, new| passphrase.obtain(new).unwrap_err().to_string();
        assert!(told(&Passphrase::Absent, false).contains(VARIABLE));
        assert!(told(&Passphrase::Given(Secret::new("")), false).contains("empty"));
        let short = Passphrase::Given(Secret::new("seven77"));
        assert!(told(&short, true).contains("too short"));
        // One that was good once stays good.
        assert_eq!(*short.obtain(false).unwrap(), "seven77");
    }
}
