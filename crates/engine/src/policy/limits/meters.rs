//! How much was sent, in messages and in money, and what that leaves.

use super::{Measure, Refusal};
use crate::effect::Effect;
use crate::state::Talk;
use crate::step::Scene;
use crate::words;
use chrono::{DateTime, Datelike, Months, NaiveTime, Utc};
use std::time::Duration;
use swingbridge_domain::audit::{About, Kind, NewEntry};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::id::UserId;
use swingbridge_domain::limits::Price;
use swingbridge_domain::store::TallyKey;

/// How far ahead of now a message may be put where minutes are full; more is refused.
pub(super) const AHEAD: Duration = Duration::from_secs(3600);

/// Something that is counted because it is limited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Meter {
    pub of: Counted,
    pub per: Per,
    /// The most in a period, in messages or in millionths of the currency.
    pub limit: i64,
    pub key: TallyKey,
    /// What was counted, by the beginning of the period; for minutes also of those to come.
    pub counts: Vec<(Timestamp, i64)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    Line,
    User,
    Contact,
    Spend,
}

/// A period of the clock, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    Minute,
    Hour,
    Day,
    Month,
}

impl Per {
    pub fn begin(self, now: Timestamp) -> Timestamp {
        let millis = match self {
            Per::Minute => 60_000,
            Per::Hour => 3_600_000,
            Per::Day => 86_400_000,
            Per::Month => return month(now, 0),
        };
        Timestamp(now.0 - now.0.rem_euclid(millis))
    }

    pub fn end(self, now: Timestamp) -> Timestamp {
        let begin = self.begin(now);
        match self {
            Per::Minute => begin + Duration::from_secs(60),
            Per::Hour => begin + Duration::from_secs(3600),
            Per::Day => begin + Duration::from_secs(86_400),
            Per::Month => month(now, 1),
        }
    }

    pub fn word(self) -> &'static str {
        match self {
            Per::Minute => "minute",
            Per::Hour => "hour",
            Per::Day => "day",
            Per::Month => "month",
        }
    }
}

/// The beginning of the month of `now`, or of a later one.
fn month(now: Timestamp, later: u32) -> Timestamp {
    let day = DateTime::<Utc>::from_timestamp_millis(now.0)
        .unwrap_or_default()
        .date_naive();
    let first = day.with_day(1).unwrap_or(day);
    let first = first.checked_add_months(Months::new(later)).unwrap_or(first);
    Timestamp(first.and_time(NaiveTime::MIN).and_utc().timestamp_millis())
}

impl Meter {
    /// The setting by which its operator limits it.
    pub fn setting(&self) -> String {
        match self.of {
            Counted::Line => format!("limits.line.{}", self.per.word()),
            Counted::User => format!("limits.user.{}", self.per.word()),
            Counted::Contact => format!("limits.contact.{}", self.per.word()),
            Counted::Spend => format!("limits.spend.{}", self.per.word()),
        }
    }

    fn count(&self, at: Timestamp) -> i64 {
        self.counts
            .iter()
            .find(|(begin, _)| *begin == at)
            .map_or(0, |(_, count)| *count)
    }

    /// Where it is noted that a period's first refusal went to the audit log.
    fn mark(&self, now: Timestamp) -> Timestamp {
        self.per.begin(now) + Duration::from_millis(1)
    }

    fn add(&self, at: Timestamp, amount: i64) -> Effect {
        Effect::Tally {
            key: self.key,
            at,
            amount,
        }
    }
}

/// What fits, and when.
#[derive(Default)]
pub(super) struct Spent {
    pub counted: Vec<Effect>,
    pub not_before: Option<Timestamp>,
    /// Whose minute is full.
    pub setting: String,
}

pub(super) fn judge(
    scene: &Scene<'_>,
    talk: &Talk,
    user: &UserId,
    measure: Measure,
) -> Result<Spent, Refusal> {
    let meters = &scene.state.meters;
    let mut spent = Spent::default();
    for meter in meters.iter().filter(|meter| meter.per != Per::Minute) {
        let amount = match meter.of {
            Counted::Spend => cost(talk, measure)?,
            _ => 1,
        };
        let at = meter.per.begin(scene.now);
        if meter.count(at).saturating_add(amount) > meter.limit {
            return Err(over(scene, talk, user, meter, amount));
        }
        spent.counted.push(meter.add(at, amount));
    }
    let minutes: Vec<&Meter> = meters.iter().filter(|meter| meter.per == Per::Minute).collect();
    let Some(first) = minutes.first() else {
        return Ok(spent);
    };
    let now = Per::Minute.begin(scene.now);
    let mut at = now;
    let mut full = None;
    while let Some(meter) = minutes.iter().find(|meter| meter.count(at) >= meter.limit) {
        full.get_or_insert(*meter);
        at = at + Duration::from_secs(60);
        if at.since(now) >= AHEAD {
            return Err(over(scene, talk, user, full.unwrap_or(first), 1));
        }
    }
    spent.counted.extend(minutes.iter().map(|meter| meter.add(at, 1)));
    if let Some(full) = full {
        spent.not_before = Some(at);
        spent.setting = full.setting();
    }
    Ok(spent)
}

/// What a message costs.
fn cost(talk: &Talk, measure: Measure) -> Result<i64, Refusal> {
    let limits = &talk.line.limits;
    // A group has the `default` price: what its network calls it may begin like a number, that of one member among many.
    let number = match talk.is_group() {
        true => "",
        false => talk.who.address.full(),
    };
    let (price, times) = match measure.media {
        true => (limits.media_price_to(number), 1),
        false => (limits.price_to(number), measure.parts),
    };
    match price {
        Some(Price(price)) => Ok(price.saturating_mul(i64::from(times))),
        None => Err(Refusal::new(words::no_price(), "spend")),
    }
}

fn over(scene: &Scene<'_>, talk: &Talk, user: &UserId, meter: &Meter, amount: i64) -> Refusal {
    let until = meter.per.end(scene.now);
    let (words, reason) = match meter.of {
        Counted::Spend => (
            words::spent(
                Price(amount),
                Price(meter.limit),
                &talk.line.limits.currency,
                meter.per.word(),
                until,
                &meter.setting(),
            ),
            "spend",
        ),
        Counted::Line | Counted::User | Counted::Contact => (
            words::over_limit(
                whose(meter.of),
                meter.limit,
                meter.per.word(),
                until,
                &meter.setting(),
            ),
            "limit",
        ),
    };
    let mut refusal = Refusal::new(words, reason);
    let mark = meter.mark(scene.now);
    if meter.count(mark) == 0 {
        // Once in a period: whoever tries on and on fills no log.
        refusal.also = vec![
            meter.add(mark, 1),
            Effect::Audit(
                NewEntry::new(Kind::PolicyApplied)
                    .by(user)
                    .about(About::Line(talk.line.id.clone()))
                    .detail(format!("over {}", meter.setting())),
            ),
        ];
    }
    refusal
}

fn whose(of: Counted) -> &'static str {
    match of {
        Counted::Line => "this line has sent",
        Counted::User => "you have sent on this line",
        Counted::Contact | Counted::Spend => "were sent from this line to this contact",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn periods_are_those_of_the_clock() {
        // 2026-01-31T23:59:30Z
        let now = Timestamp(1_769_903_970_000);
        for (per, begin, end) in [
            (Per::Minute, "2026-01-31T23:59:00Z", "2026-02-01T00:00:00Z"),
            (Per::Hour, "2026-01-31T23:00:00Z", "2026-02-01T00:00:00Z"),
            (Per::Day, "2026-01-31T00:00:00Z", "2026-02-01T00:00:00Z"),
            (Per::Month, "2026-01-01T00:00:00Z", "2026-02-01T00:00:00Z"),
        ] {
            assert_eq!(per.begin(now).to_string(), begin, "{per:?}");
            assert_eq!(per.end(now).to_string(), end, "{per:?}");
            assert_eq!(per.begin(per.end(now)), per.end(now), "{per:?}");
        }
    }
}
