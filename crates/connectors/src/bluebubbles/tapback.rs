//! Tapbacks: Apple's six names, and the emoji that mean the same.

/// What a message that is about another one does to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Tapback {
    /// With one of Apple's names (`love`), or `emoji`, or `sticker`.
    Put(String),
    TakenBack(String),
}

const NAMES: [(&str, u16, &str, &[&str]); 6] = [
    (
        "love",
        2000,
        "❤️",
        &[
            "❤", "♥", "🩷", "🧡", "💛", "💚", "🩵", "💙", "💜", "💕", "💗", "💓", "💖", "😍", "🥰",
        ],
    ),
    ("like", 2001, "👍", &["👍"]),
    ("dislike", 2002, "👎", &["👎"]),
    ("laugh", 2003, "😂", &["😂", "🤣", "😆", "😄", "😹"]),
    ("emphasize", 2004, "‼️", &["‼", "❗", "❕"]),
    ("question", 2005, "❓", &["❓", "❔", "⁉"]),
];

/// Reads the server's word or number; `None` when it is about a message in another way (a poll vote, an edit of old systems).
pub(super) fn read(kind: &str) -> Option<Tapback> {
    let number = match kind.parse::<u16>() {
        Ok(number) => number,
        Err(_) => {
            let (name, put) = match kind.strip_prefix('-') {
                Some(name) => (name, false),
                None => (kind, true),
            };
            let known = NAMES.iter().any(|(known, ..)| *known == name) || name == "sticker";
            return known.then(|| build(name, put));
        }
    };
    let (put, base) = match number {
        2000..=2007 => (true, number),
        3000..=3007 => (false, number - 1000),
        1000 => return Some(build("sticker", true)),
        _ => return None,
    };
    let name = NAMES
        .iter()
        .find(|(_, code, ..)| *code == base)
        .map(|(name, ..)| *name);
    Some(build(
        name.unwrap_or(if base == 2006 { "emoji" } else { "sticker" }),
        put,
    ))
}

fn build(name: &str, put: bool) -> Tapback {
    match put {
        true => Tapback::Put(name.to_owned()),
        false => Tapback::TakenBack(name.to_owned()),
    }
}

/// The emoji of one of Apple's names.
pub(super) fn emoji(name: &str) -> Option<&'static str> {
    NAMES
        .iter()
        .find(|(known, ..)| *known == name)
        .map(|(_, _, emoji, _)| *emoji)
}

/// Apple's name for an emoji that means the same, whatever its skin tone.
pub(super) fn name(emoji: &str) -> Option<&'static str> {
    let bare: String = emoji
        .chars()
        .filter(|c| !matches!(c, '\u{fe0e}' | '\u{fe0f}' | '\u{1f3fb}'..='\u{1f3ff}'))
        .collect();
    NAMES
        .iter()
        .find(|(.., same)| same.contains(&bare.as_str()))
        .map(|(name, ..)| *name)
}

/// The message that it is about: the server gives `p:0/GUID` (a part of it), `bp:GUID` (its preview) or the bare guid.
pub(super) fn target(associated: &str) -> &str {
    let after_part = associated.split_once('/').map_or(associated, |(_, guid)| guid);
    after_part.strip_prefix("bp:").unwrap_or(after_part)
}

/// The emoji in the words that Messages writes for it (`Reacted 🎉 to “…”`): the server does not give it otherwise. What is quoted
/// is not looked at.
pub(super) fn emoji_in(words: &str) -> Option<String> {
    let before_quote = words.split(['“', '"', '„', '«', '「']).next().unwrap_or_default();
    before_quote
        .split_whitespace()
        .find(|word| word.chars().any(is_pictograph))
        .map(str::to_owned)
}

fn is_pictograph(c: char) -> bool {
    matches!(c, '\u{203c}' | '\u{2049}' | '\u{20e3}' | '\u{2190}'..='\u{2bff}' | '\u{1f000}'..='\u{1faff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_numbers_are_read_alike() {
        for (given, meant) in [
            ("love", Some(Tapback::Put("love".into()))),
            ("-question", Some(Tapback::TakenBack("question".into()))),
            ("2003", Some(Tapback::Put("laugh".into()))),
            ("3001", Some(Tapback::TakenBack("like".into()))),
            ("2006", Some(Tapback::Put("emoji".into()))),
            ("3006", Some(Tapback::TakenBack("emoji".into()))),
            ("1000", Some(Tapback::Put("sticker".into()))),
            ("4000", None),
            ("", None),
            ("nonsense", None),
        ] {
            assert_eq!(read(given), meant, "{given}");
        }
    }

    #[test]
    fn only_emoji_that_mean_the_same_become_tapbacks() {
        assert_eq!(name("👍🏽"), Some("like"));
        assert_eq!(name("❤"), name("❤️"));
        assert_eq!(name("‼️"), Some("emphasize"));
        assert_eq!(name("🎉"), None);
        for (known, _, emoji, _) in NAMES {
            assert_eq!(name(emoji), Some(known));
        }
    }

    #[test]
    fn targets_lose_their_part() {
        for given in ["p:0/AB-1", "p:12/AB-1", "bp:AB-1", "AB-1"] {
            assert_eq!(target(given), "AB-1");
        }
    }

    #[test]
    fn the_emoji_is_taken_from_the_words_not_from_the_quote() {
        assert_eq!(emoji_in("Reacted 🎉 to “well done 😀”").as_deref(), Some("🎉"));
        assert_eq!(emoji_in("Reagierte mit 👩‍🚀 auf „x“").as_deref(), Some("👩‍🚀"));
        assert_eq!(emoji_in("Loved “🎉”"), None);
    }
}
