//! What the connectors to RCS services share beyond what those of all providers do: names for messages, what a message says and its
//! buttons, files, requests with a token, and what is said of a message of which a part was refused.

pub mod api;
pub mod buttons;
pub mod content;
pub mod files;
pub mod recent;

use crate::provider::http::rejected;
use sha2::{Digest, Sha256};
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::{Revoked, SendError};
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::inbox::NetworkAddress;

/// A UUID (RFC 9562) that is the same for the same parts, with the marks of one made from a name.
pub fn uuid(parts: &[&str]) -> String {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part.as_bytes());
    }
    let digest = digest.finalize();
    let mut octets = [0; 16];
    octets.copy_from_slice(&digest[..16]);
    octets[6] = (octets[6] & 0x0F) | 0x50;
    octets[8] = (octets[8] & 0x3F) | 0x80;
    let hex = data_encoding::HEXLOWER.encode(&octets);
    let (a, b, c, d, e) = (&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]);
    format!("{a}-{b}-{c}-{d}-{e}")
}

/// The one number that a message goes to, with its `+`.
///
/// # Errors
/// [`SendError::Rejected`]: these services know one number at a time.
pub fn recipient(to: &[Address]) -> Result<&str, SendError> {
    match to {
        [Address::Number(number)] => Ok(number),
        [_] => Err(rejected(
            Reason::BadAddress,
            "RCS reaches phone numbers with a country code only",
        )),
        _ => Err(rejected(
            Reason::BadAddress,
            "this connector sends to one number at a time",
        )),
    }
}

/// What became of the parts of a message that were tried to be taken back, one after the other.
#[derive(Default)]
pub struct TakenBack {
    withdrawn: bool,
    late: bool,
    not: bool,
}

impl TakenBack {
    pub fn note(&mut self, part: Revoked) {
        match part {
            Revoked::Withdrawn => self.withdrawn = true,
            Revoked::TooLate => self.late = true,
            Revoked::Impossible | Revoked::InPart => self.not = true,
        }
    }

    /// Of the whole message.
    pub fn whole(&self) -> Revoked {
        match (self.withdrawn, self.late, self.not) {
            (true, false, false) => Revoked::Withdrawn,
            (true, ..) => Revoked::InPart,
            (false, true, false) => Revoked::TooLate,
            (false, ..) => Revoked::Impossible,
        }
    }
}

/// What is said of a message of which a part was refused after others were taken, and the others were tried to be taken back. Only
/// where the phone certainly gets nothing of it may it go again, by this way or another; else it would get those parts twice.
pub fn in_part(refused: SendError, taken_back: &Result<Revoked, SendError>) -> SendError {
    match (refused, taken_back) {
        (refused, Ok(Revoked::Withdrawn)) => refused,
        (SendError::Rejected { detail, .. } | SendError::RetryAfter { detail, .. }, _) => {
            rejected(Reason::InPart, detail)
        }
        (doubt, _) => doubt,
    }
}

pub fn network_address(text: &str) -> NetworkAddress {
    NetworkAddress {
        text: text.to_owned(),
        hint: swingbridge_domain::address::Hint::International,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_the_same_for_the_same_parts_and_no_other() {
        let one = uuid(&["key", "0"]);
        assert_eq!(one, uuid(&["key", "0"]));
        assert_ne!(one, uuid(&["key0", ""]));
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "5");
    }
}
