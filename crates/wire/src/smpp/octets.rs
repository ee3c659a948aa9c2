use bytes::Bytes;
use std::{borrow::Cow, fmt, ops::Deref};

/// Raw octets of a PDU field: a C-octet string without its NUL, an octet string, a TLV's value.
///
/// Cheap to clone; decoded ones share the frame's memory. The bytes are kept as they came, since real SMSCs
/// put other things than ASCII there. `Debug` shows the length alone: these fields hold numbers and bodies.
#[derive(Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Octets(Bytes);

impl Octets {
    /// Octets that live as long as the program; no allocation.
    pub const fn from_static(bytes: &'static [u8]) -> Octets {
        Octets(Bytes::from_static(bytes))
    }

    /// The octets as text: UTF-8 (so ASCII) where they are, else each octet as its Latin-1 character.
    pub fn text(&self) -> Cow<'_, str> {
        match std::str::from_utf8(&self.0) {
            Ok(text) => Cow::Borrowed(text),
            Err(_) => Cow::Owned(self.0.iter().map(|&octet| char::from(octet)).collect()),
        }
    }

    /// The octets up to the first NUL.
    pub fn until_nul(&self) -> Octets {
        match self.0.iter().position(|&octet| octet == 0) {
            Some(end) => Octets(self.0.slice(..end)),
            None => self.clone(),
        }
    }

    /// The shared buffer itself.
    pub fn into_bytes(self) -> Bytes {
        self.0
    }
}

impl Deref for Octets {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Octets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{} octets]", self.0.len())
    }
}

impl From<Bytes> for Octets {
    fn from(bytes: Bytes) -> Octets {
        Octets(bytes)
    }
}

impl From<Vec<u8>> for Octets {
    fn from(bytes: Vec<u8>) -> Octets {
        Octets(bytes.into())
    }
}

impl From<&[u8]> for Octets {
    fn from(bytes: &[u8]) -> Octets {
        Octets(Bytes::copy_from_slice(bytes))
    }
}

impl From<String> for Octets {
    fn from(text: String) -> Octets {
        Octets(text.into())
    }
}

impl From<&str> for Octets {
    fn from(text: &str) -> Octets {
        text.as_bytes().into()
    }
}

impl<const N: usize> From<[u8; N]> for Octets {
    fn from(bytes: [u8; N]) -> Octets {
        bytes.as_slice().into()
    }
}
