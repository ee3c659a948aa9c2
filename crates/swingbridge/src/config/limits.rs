use super::duration::Span;
use super::problem::Problem;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use std::collections::BTreeMap;
use swingbridge_domain::address::Region;
use swingbridge_domain::limits::{self, LongTexts, Loops, OptOutRule, Price, Quiet};

/// What lines may be used for, and how much: against abuse, and against bills that nobody expected. A line can have limits of its own under
/// `lines.NAME.limits`; what it does not say is as here. Periods are those of the clock, in UTC. The guide:
/// [limits.md](../guide/limits.md).
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Limits {
    /// Messages of a line as a whole.
    pub line: Rate,
    /// Messages of each Matrix user on a line.
    pub user: Rate,
    /// Messages from a line to each contact.
    pub contact: Rate,
    /// The most parts (SMS segments) of one message, as far as that can be told before it leaves.
    pub parts: Option<u32>,
    /// What a line may cost; needs `prices`.
    pub spend: Spend,
    /// The price of one part by the beginning of the number, and `default` for all others: `{"+44": 0.04, "+1": 0.0079, default: 0.1}`. The
    /// longest beginning counts.
    pub prices: BTreeMap<String, Amount>,
    /// The price of a message with a file or a card that the network carries itself (an MMS, a file or a card by RCS), as a whole, written as
    /// `prices` are. Where no beginning has one, such a message costs as much as one part.
    pub media_prices: BTreeMap<String, Amount>,
    /// How a text of more than 160 bytes (UTF-8) counts on networks that do not cut it into SMS segments: `one` (as one part), `parts` (one
    /// part for each 160 bytes, as RCS is billed in the US) or `media` (as a message with a file: Google's "single message", as RCS is billed
    /// elsewhere). Without it: `one`.
    #[schemars(with = "Option<String>")]
    pub long_texts: Option<LongTexts>,
    /// What prices are in, as people read it: `EUR`.
    pub currency: Option<String>,
    /// The only countries that may be texted, as two letters of ISO 3166-1: `[GB, IE]`. Without it: all. `GB` does not stand for `GG`, `IM` and
    /// `JE`, nor `US` for other countries with +1.
    #[schemars(with = "Option<Vec<String>>")]
    pub countries: Option<Vec<Region>>,
    /// Beginnings of numbers that may not be texted: of international numbers with their `+`, of short codes without: `["+4470", "8"]`, in quotes.
    pub denied_prefixes: Option<Vec<String>>,
    /// Whether numbers that are known as those of premium or shared-cost services may be texted. Without it: they may not.
    pub premium: Option<bool>,
    /// Countries in which a line whose address is a name does not text, since names do not arrive there. Without it: US, CA and the
    /// territories that are numbered with them.
    #[schemars(with = "Option<Vec<String>>")]
    pub nameless_countries: Option<Vec<Region>>,
    /// When texts of lines with `bulk: true` wait, by the clock where the number is from: `"21:00-08:00"`, which it is without this; or
    /// `off`.
    pub quiet_hours: Option<String>,
    /// When machines seem to answer machines.
    pub loops: LoopGuard,
}

/// How many in a period; what is not set is not limited.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Rate {
    /// More than these in a minute wait, for an hour at most.
    pub minute: Option<u32>,
    /// More than these in an hour are refused.
    pub hour: Option<u32>,
    /// More than these in a day are refused.
    pub day: Option<u32>,
}

/// What a line may cost.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Spend {
    /// In a day; what would go over it is refused.
    pub day: Option<Amount>,
    /// In a month; what would go over it is refused.
    pub month: Option<Amount>,
}

/// When what bots write (`m.notice`) and what the gateway answers by itself no longer leaves in a conversation, until a person writes. 0 is
/// never.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct LoopGuard {
    /// After the phone sent the same text this often. Without it: 3.
    pub same: Option<u32>,
    /// After machines wrote this often. Without it: 10.
    pub exchanges: Option<u32>,
    /// Within this time. Without it: 10m.
    #[schemars(with = "Option<String>")]
    pub within: Option<Span>,
}

/// An amount of money.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(transparent)]
pub struct Amount(#[schemars(with = "f64")] pub Price);

impl Serialize for Amount {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Amount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl de::Visitor<'_> for Visitor {
            type Value = Amount;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an amount, such as 12 or 0.0075")
            }

            fn visit_u64<E: de::Error>(self, value: u64) -> Result<Amount, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_i64<E: de::Error>(self, value: i64) -> Result<Amount, E> {
                self.visit_str(&value.to_string())
            }

            fn visit_f64<E: de::Error>(self, value: f64) -> Result<Amount, E> {
                // The shortest way to write it is the one in which it was written.
                self.visit_str(&value.to_string())
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Amount, E> {
                text.parse().map(Amount).map_err(E::custom)
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// The price that counts where no beginning does.
const DEFAULT: &str = "default";

impl Limits {
    /// Checks what stands under `path`.
    pub fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let at = |key: &str| format!("{path}.{key}");
        for (name, rate) in [
            ("line", self.line),
            ("user", self.user),
            ("contact", self.contact),
        ] {
            for (period, limit) in [("minute", rate.minute), ("hour", rate.hour), ("day", rate.day)] {
                if limit == Some(0) {
                    problems.push(
                        Problem::new(at(&format!("{name}.{period}")), "is 0, so nothing could be sent")
                            .cure("give a number, or leave it out for no limit"),
                    );
                }
            }
        }
        if self.parts == Some(0) {
            problems.push(
                Problem::new(at("parts"), "is 0, so nothing could be sent")
                    .cure("give a number of parts, such as 6"),
            );
        }
        for (key, prices) in [("prices", &self.prices), ("media_prices", &self.media_prices)] {
            for beginning in prices.keys().filter(|key| *key != DEFAULT) {
                if !is_beginning(beginning) || !beginning.starts_with('+') {
                    problems.push(
                        Problem::new(at(key), format!("`{beginning}` is no beginning of a number")).cure(
                            "write + and digits, in quotes, such as \"+44\": 0.04; or `default` for all others",
                        ),
                    );
                }
            }
        }
        for beginning in self.denied_prefixes.iter().flatten() {
            if !is_beginning(beginning) {
                problems.push(
                    Problem::new(
                        at("denied_prefixes"),
                        format!("`{beginning}` is no beginning of a number"),
                    )
                    .cure("write digits, with + before international numbers, in quotes: [\"+4470\"]"),
                );
            }
        }
        if self.countries.as_ref().is_some_and(Vec::is_empty) {
            problems.push(
                Problem::new(at("countries"), "is empty, so nothing could be sent")
                    .cure("list the countries that may be texted, or leave it out for all"),
            );
        }
        if self
            .quiet_hours
            .as_ref()
            .is_some_and(|text| quiet(text).is_none())
        {
            problems.push(
                Problem::new(at("quiet_hours"), "is no time of the day")
                    .cure("write from and until as \"21:00-08:00\", or `off`"),
            );
        }
        if self.loops.within.is_some_and(|span| span < Span::seconds(1)) {
            problems.push(Problem::new(at("loops.within"), "must be at least 1s"));
        }
    }

    /// What a line is limited to that says `own` itself; `path` is that of the line. `self` is what all lines have.
    pub fn of_line(
        &self,
        own: &Limits,
        bulk: bool,
        path: &str,
        problems: &mut Vec<Problem>,
    ) -> limits::Limits {
        let built_in = limits::Limits::default();
        let rate = |own: Rate, all: Rate| limits::Rate {
            minute: own.minute.or(all.minute),
            hour: own.hour.or(all.hour),
            day: own.day.or(all.day),
        };
        let price = |own: Option<Amount>, all: Option<Amount>| own.or(all).map(|amount| amount.0);
        let prices = |own: &BTreeMap<String, Amount>, all: &BTreeMap<String, Amount>| {
            let prices = match own.is_empty() {
                true => all,
                false => own,
            };
            let beginning = |beginning: &str| match beginning {
                DEFAULT => String::new(),
                beginning => beginning.to_owned(),
            };
            let prices = prices.iter();
            prices
                .map(|(written, amount)| (beginning(written), amount.0))
                .collect()
        };
        let quiet_hours = own.quiet_hours.as_ref().or(self.quiet_hours.as_ref());
        let loops = (own.loops, self.loops, Loops::default());
        let limits = limits::Limits {
            line: rate(own.line, self.line),
            user: rate(own.user, self.user),
            contact: rate(own.contact, self.contact),
            parts: own.parts.or(self.parts),
            spend_day: price(own.spend.day, self.spend.day),
            spend_month: price(own.spend.month, self.spend.month),
            prices: prices(&own.prices, &self.prices),
            media_prices: prices(&own.media_prices, &self.media_prices),
            long_texts: own.long_texts.or(self.long_texts).unwrap_or_default(),
            currency: own
                .currency
                .clone()
                .or_else(|| self.currency.clone())
                .unwrap_or_default(),
            countries: own.countries.clone().or_else(|| self.countries.clone()),
            denied: own
                .denied_prefixes
                .clone()
                .or_else(|| self.denied_prefixes.clone())
                .unwrap_or_default(),
            premium: own.premium.or(self.premium).unwrap_or(built_in.premium),
            nameless: own
                .nameless_countries
                .clone()
                .or_else(|| self.nameless_countries.clone())
                .unwrap_or(built_in.nameless),
            bulk,
            quiet: quiet_hours.and_then(|text| quiet(text)).unwrap_or_default(),
            loops: Loops {
                same: loops.0.same.or(loops.1.same).unwrap_or(loops.2.same),
                exchanges: loops
                    .0
                    .exchanges
                    .or(loops.1.exchanges)
                    .unwrap_or(loops.2.exchanges),
                within: loops
                    .0
                    .within
                    .or(loops.1.within)
                    .map_or(loops.2.within, |span| span.0),
            },
        };
        let capped = limits.spend_day.is_some() || limits.spend_month.is_some();
        if capped && !limits.prices.iter().any(|(beginning, _)| beginning.is_empty()) {
            problems.push(
                Problem::new(
                    format!("{path}.limits.prices"),
                    "there is no `default` price, and `spend` is limited",
                )
                .cure("give one under `limits.prices`: what has no price cannot be counted, and is refused"),
            );
        }
        limits
    }
}

fn is_beginning(text: &str) -> bool {
    let digits = text.strip_prefix('+').unwrap_or(text);
    !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn quiet(text: &str) -> Option<Quiet> {
    if text.trim() == "off" {
        return Some(Quiet { from: 0, until: 0 });
    }
    let minute = |text: &str| -> Option<u16> {
        let (hour, minute) = text.trim().split_once(':')?;
        let (hour, minute): (u16, u16) = (hour.parse().ok()?, minute.parse().ok()?);
        (hour < 24 && minute < 60).then_some(hour * 60 + minute)
    };
    let (from, until) = text.split_once('-')?;
    Some(Quiet {
        from: minute(from)?,
        until: minute(until)?,
    })
}

/// What becomes of STOP and its kin: a contact's wish to get no more texts from a line. The words are listed in the guide:
/// [limits.md](../guide/limits.md). A line can have its own under `lines.NAME.opt_out`.
#[derive(Clone, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct OptOut {
    /// `enforce` (nothing leaves for them any more) or `show` (the room is told, and people decide). Without it: `enforce` on lines
    /// with an `inbox_room` or several users, `show` on those of one person.
    #[schemars(with = "Option<String>")]
    pub rule: Option<OptOutRule>,
    /// Words that are understood as STOP besides the built-in ones, when they are all that a text says.
    pub words: Vec<String>,
    /// What a STOP is answered with, once. Without it: nothing, which is right where the provider answers itself.
    pub confirm_stop: Option<String>,
    /// What a START after it is answered with.
    pub confirm_start: Option<String>,
    /// What HELP is answered with: who you are, and how you are reached.
    pub help: Option<String>,
}

impl OptOut {
    pub fn check(&self, path: &str, problems: &mut Vec<Problem>) {
        let texts = [
            ("confirm_stop", &self.confirm_stop),
            ("confirm_start", &self.confirm_start),
            ("help", &self.help),
        ];
        for (key, text) in texts {
            if text.as_ref().is_some_and(|text| text.trim().is_empty()) {
                problems.push(
                    Problem::new(format!("{path}.{key}"), "is empty")
                        .cure("write what is answered, or leave it out to answer nothing"),
                );
            }
        }
    }

    /// What holds for a line that says `own` itself. `shared`: it is not one person's alone.
    pub fn of_line(&self, own: &OptOut, shared: bool) -> limits::OptOut {
        let by_default = match shared {
            true => OptOutRule::Enforce,
            false => OptOutRule::Show,
        };
        let text = |own: &Option<String>, all: &Option<String>| own.clone().or_else(|| all.clone());
        limits::OptOut {
            rule: own.rule.or(self.rule).unwrap_or(by_default),
            words: self.words.iter().chain(&own.words).cloned().collect(),
            confirm_stop: text(&own.confirm_stop, &self.confirm_stop),
            confirm_start: text(&own.confirm_start, &self.confirm_start),
            help: text(&own.help, &self.help),
        }
    }
}
