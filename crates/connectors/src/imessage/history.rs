//! What `message_summary_info` says of a message's edits and withdrawn parts: a binary property list.

use plist::Value;

/// What became of a message's parts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct History {
    /// Some part was edited.
    pub edited: bool,
    /// The parts that were withdrawn.
    pub unsent: Vec<u64>,
}

/// Reads it; anything that is not as expected says nothing.
pub(super) fn read(summary: &[u8]) -> History {
    let Ok(Value::Dictionary(summary)) = Value::from_reader(std::io::Cursor::new(summary)) else {
        return History::default();
    };
    let unsent = match summary.get("rp") {
        Some(Value::Array(parts)) => parts.iter().filter_map(Value::as_unsigned_integer).collect(),
        _ => Vec::new(),
    };
    History {
        edited: matches!(summary.get("ec"), Some(Value::Dictionary(parts)) if !parts.is_empty()),
        unsent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_property_list_says_nothing() {
        for bytes in [
            b"".as_slice(),
            b"bplist00",
            b"bplist00\xff\xff\xff\xff",
            b"<plist>",
        ] {
            assert_eq!(read(bytes), History::default());
        }
    }
}
