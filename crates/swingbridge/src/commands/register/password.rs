//! The password of the new account, in a file that only its owner can read.

use crate::commands::init::write_new;
use crate::config::secrets::readable_by_others;
use crate::edges::SystemEntropy;
use crate::exit::{Exit, Failure};
use std::fs;
use std::path::{Path, PathBuf};
use swingbridge_domain::clock::Entropy;
use swingbridge_domain::secret::Secret;
use zeroize::Zeroizing;

pub struct Password {
    pub text: Secret,
    pub path: PathBuf,
    /// It was drawn now.
    fresh: bool,
}

impl Password {
    /// Reads the file if it is there. Else draws a password and writes it, before anything is asked of the homeserver: were the
    /// answer lost, the account's only password must not be.
    pub fn take(file: Option<&Path>, username: &str) -> Result<Self, Failure> {
        let path = match file {
            Some(file) => file.to_owned(),
            None => PathBuf::from(format!("{}.password", username.replace('/', "_"))),
        };
        match fs::read_to_string(&path) {
            Ok(text) => {
                if let Some(warning) = readable_by_others(&path) {
                    return Err(Failure::msg(Exit::File, warning));
                }
                let text = Zeroizing::new(text);
                let text = text.trim_end_matches(['\n', '\r']);
                if text.is_empty() {
                    return Err(Failure::msg(
                        Exit::File,
                        format!(
                            "{} is empty: write a password into it, or delete it and one is drawn",
                            path.display()
                        ),
                    ));
                }
                Ok(Self {
                    text: Secret::new(text),
                    path,
                    fresh: false,
                })
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let text = drawn(&SystemEntropy);
                write_new(&path, &format!("{}\n", &*text), false)?;
                Ok(Self {
                    text: Secret::new(&**text),
                    path,
                    fresh: true,
                })
            }
            Err(error) => Err(Failure::msg(
                Exit::File,
                format!("{} cannot be read: {error}", path.display()),
            )),
        }
    }

    /// Deletes what was drawn for an account that was not made. A file that was there before stays.
    pub fn take_back(&self) {
        if self.fresh {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// 192 random bits, and an end that satisfies homeservers which ask for each kind of sign.
fn drawn(entropy: &dyn Entropy) -> Zeroizing<String> {
    let mut bytes = Zeroizing::new([0u8; 24]);
    entropy.fill(&mut *bytes);
    let mut text = Zeroizing::new(data_encoding::BASE64URL_NOPAD.encode(&*bytes));
    text.push_str("-Aa7");
    text
}
