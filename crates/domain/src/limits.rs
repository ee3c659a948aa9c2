//! What a line may be used for, and how much: what its operator decided against abuse, and what the law asks.

use crate::address::Region;
use serde::{Deserialize, Serialize};
use std::fmt;
use std::time::Duration;

/// The limits of a line. Nothing is limited by default but what nobody means to send: to premium numbers, and under a name where names
/// do not arrive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Messages of the whole line, of each user on it, and to each contact.
    pub line: Rate,
    pub user: Rate,
    pub contact: Rate,
    /// The most parts (SMS segments) of one message.
    pub parts: Option<u32>,
    /// What the line may cost in a day and in a month, in UTC.
    pub spend_day: Option<Price>,
    pub spend_month: Option<Price>,
    /// The price of a part by the beginning of the number, with its `+`; that of an empty beginning is for all others.
    pub prices: Vec<(String, Price)>,
    /// The price of a message with a file or a card that the network carries itself (an MMS, a file by RCS), as a whole, in the same way.
    /// Where no beginning has one, it costs as much as one part.
    pub media_prices: Vec<(String, Price)>,
    /// How long texts count where they are not cut into segments by SMS.
    pub long_texts: LongTexts,
    /// What prices are in, as people read it: `EUR`.
    pub currency: String,
    /// The only countries that may be texted. `None`: all.
    pub countries: Option<Vec<Region>>,
    /// Beginnings of numbers that may not be texted: of international numbers with their `+`, of short codes without.
    pub denied: Vec<String>,
    /// Whether numbers of premium and shared-cost services may be texted.
    pub premium: bool,
    /// Where a sender's name instead of a number does not arrive.
    pub nameless: Vec<Region>,
    /// Texts of this line are sent to many: they keep the quiet hours.
    pub bulk: bool,
    pub quiet: Quiet,
    pub loops: Loops,
}

/// How many in a period; `None` is no limit. More than fit into a minute wait, more than fit into an hour or a day are refused. Periods are
/// those of the clock, in UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rate {
    pub minute: Option<u32>,
    pub hour: Option<u32>,
    pub day: Option<u32>,
}

/// When texts of bulk lines wait, in minutes since midnight where the phone's number is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quiet {
    pub from: u16,
    pub until: u16,
}

impl Quiet {
    /// Whether a minute of the day is in them. They may go over midnight; from and until the same minute they are none.
    pub fn holds(self, minute: u16) -> bool {
        match self.from <= self.until {
            true => (self.from..self.until).contains(&minute),
            false => minute >= self.from || minute < self.until,
        }
    }
}

impl Default for Quiet {
    fn default() -> Self {
        Self {
            from: 21 * 60,
            until: 8 * 60,
        }
    }
}

/// When a machine is answering a machine. Zero is no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Loops {
    /// The same text came this often.
    pub same: u32,
    /// This much was answered by machines, and no person wrote.
    pub exchanges: u32,
    pub within: Duration,
}

impl Default for Loops {
    fn default() -> Self {
        Self {
            same: 3,
            exchanges: 10,
            within: Duration::from_secs(600),
        }
    }
}

/// The countries and territories of the numbering plan of North America whose carriers drop a sender's name.
pub const NAMELESS: [&str; 7] = ["US", "CA", "PR", "VI", "GU", "AS", "MP"];

impl Default for Limits {
    fn default() -> Self {
        Self {
            line: Rate::default(),
            user: Rate::default(),
            contact: Rate::default(),
            parts: None,
            spend_day: None,
            spend_month: None,
            prices: Vec::new(),
            media_prices: Vec::new(),
            long_texts: LongTexts::default(),
            currency: String::new(),
            countries: None,
            denied: Vec::new(),
            premium: false,
            nameless: NAMELESS.iter().filter_map(|code| code.parse().ok()).collect(),
            bulk: false,
            quiet: Quiet::default(),
            loops: Loops::default(),
        }
    }
}

impl Limits {
    /// The price of a part to `number`, as an E.164 number or a short code: that of the longest beginning which it has.
    pub fn price_to(&self, number: &str) -> Option<Price> {
        longest(&self.prices, number)
    }

    /// The price of a whole message with a file to `number`.
    pub fn media_price_to(&self, number: &str) -> Option<Price> {
        longest(&self.media_prices, number).or_else(|| self.price_to(number))
    }
}

fn longest(prices: &[(String, Price)], number: &str) -> Option<Price> {
    prices
        .iter()
        .filter(|(beginning, _)| number.starts_with(beginning.as_str()))
        .max_by_key(|(beginning, _)| beginning.len())
        .map(|(_, price)| *price)
}

/// How a text of more than 160 bytes (UTF-8) counts where it is not cut into segments by SMS: providers of RCS differ.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LongTexts {
    /// As one part, like a short one.
    #[default]
    One,
    /// As one part for each 160 bytes: carriers in the US.
    Parts,
    /// As a message with a file: Google's "single message" elsewhere, beside the "basic" one.
    Media,
}

/// An amount of money in millionths of its unit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Price(pub i64);

impl std::str::FromStr for Price {
    type Err = &'static str;

    /// `12`, `0.0075`: not negative, at most six digits behind the point.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const WRONG: &str =
            "is no amount: write it as 12 or 0.0075, with at most six digits behind the point";
        let (whole, part) = text.trim().split_once('.').unwrap_or((text.trim(), ""));
        let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if (whole.is_empty() && part.is_empty()) || !digits(whole) || !digits(part) || part.len() > 6 {
            return Err(WRONG);
        }
        let whole: i64 = format!("0{whole}").parse().map_err(|_| WRONG)?;
        let part: i64 = format!("{part:0<6}").parse().map_err(|_| WRONG)?;
        let millionths = whole
            .checked_mul(1_000_000)
            .and_then(|whole| whole.checked_add(part));
        millionths.map(Price).ok_or(WRONG)
    }
}

impl fmt::Display for Price {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{}.{:06}", self.0 / 1_000_000, self.0 % 1_000_000);
        // Two digits behind the point at least, as people write money.
        let end = text.trim_end_matches('0').len().max(text.len() - 4);
        f.write_str(&text[..end])
    }
}

/// What becomes of a contact's wish to get no more texts from a line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptOutRule {
    /// Nothing leaves for them any more until they lift it, or an admin does.
    #[default]
    Enforce,
    /// The room is told, and people decide.
    Show,
}

/// Opt-out on a line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OptOut {
    pub rule: OptOutRule,
    /// What else is understood as STOP, in any letters.
    pub words: Vec<String>,
    /// What is answered once to a STOP, to a START and to a HELP; `None` answers nothing (the provider may do it).
    pub confirm_stop: Option<String>,
    pub confirm_start: Option<String>,
    pub help: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_and_written_exactly() {
        for (text, millionths, shown) in [
            ("12", 12_000_000, "12.00"),
            ("0.0075", 7_500, "0.0075"),
            (".5", 500_000, "0.50"),
            ("1.000001", 1_000_001, "1.000001"),
            ("0", 0, "0.00"),
        ] {
            let price: Price = text.parse().unwrap();
            assert_eq!(price, Price(millionths), "{text}");
            assert_eq!(price.to_string(), shown);
        }
        for wrong in ["", ".", "-1", "1,5", "0.0000001", "1e3", "99999999999999999"] {
            assert!(wrong.parse::<Price>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_longest_beginning_has_the_price() {
        let limits = Limits {
            prices: vec![
                (String::new(), Price(9)),
                ("+1".into(), Price(1)),
                ("+1876".into(), Price(5)),
            ],
            ..Limits::default()
        };
        assert_eq!(limits.price_to("+12125550100"), Some(Price(1)));
        assert_eq!(limits.price_to("+18765550100"), Some(Price(5)));
        assert_eq!(limits.price_to("+447700900456"), Some(Price(9)));
        assert_eq!(Limits::default().price_to("+447700900456"), None);
        let media = Limits {
            media_prices: vec![("+1".into(), Price(20))],
            ..limits
        };
        assert_eq!(media.media_price_to("+18765550100"), Some(Price(20)));
        assert_eq!(media.media_price_to("+447700900456"), Some(Price(9)));
        assert_eq!(media.price_to("+18765550100"), Some(Price(5)));
    }

    #[test]
    fn quiet_hours_go_over_midnight() {
        let night = Quiet::default();
        assert!(night.holds(21 * 60) && night.holds(0) && night.holds(8 * 60 - 1));
        assert!(!night.holds(8 * 60) && !night.holds(12 * 60) && !night.holds(21 * 60 - 1));
        let noon = Quiet {
            from: 720,
            until: 780,
        };
        assert!(noon.holds(750) && !noon.holds(780) && !noon.holds(0));
        let never = Quiet { from: 0, until: 0 };
        assert!((0..1440).all(|minute| !never.holds(minute)));
    }
}
