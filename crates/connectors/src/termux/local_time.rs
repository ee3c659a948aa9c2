//! Times without a zone, as Termux prints them.
//!
//! Which moment such a time was depends on the rules of its zone on that day. `date` knows them, on the phone too; without it the
//! moment is not known, and nothing is guessed. In the hour that comes twice when clocks are set back, `date` takes one of both.

use super::command::{Failure, run};
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;
use tokio::process::Command;

/// `2026-01-31 12:00:00`, checked to be of that form.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct LocalTime(String);

impl FromStr for LocalTime {
    type Err = ();
    fn from_str(text: &str) -> Result<Self, ()> {
        let form = b"dddd-dd-dd dd:dd:dd";
        let fits = text.len() == form.len()
            && text.bytes().zip(form).all(|(octet, form)| match form {
                b'd' => octet.is_ascii_digit(),
                other => octet == *other,
            });
        if fits { Ok(Self(text.to_owned())) } else { Err(()) }
    }
}

/// Turns local times into moments.
#[derive(Debug)]
pub struct Zone {
    name: Option<String>,
    limit: Duration,
}

impl Zone {
    pub fn new(name: Option<String>, limit: Duration) -> Self {
        Self { name, limit }
    }

    /// The moments that are known.
    ///
    /// # Errors
    /// `date` is not there, or is of a kind that cannot do this.
    pub async fn moments(
        &self,
        times: impl IntoIterator<Item = LocalTime>,
    ) -> Result<BTreeMap<LocalTime, Timestamp>, Failure> {
        let mut times: Vec<LocalTime> = times.into_iter().collect();
        times.sort();
        times.dedup();
        if times.is_empty() {
            return Ok(BTreeMap::new());
        }
        let lines: String = times.iter().map(|time| format!("{}\n", time.0)).collect();
        let mut command = Command::new("date");
        command.args(["-f", "-", "+%s"]);
        if let Some(name) = &self.name {
            command.env("TZ", name);
        }
        let printed = run("date", command, Some(&lines), self.limit).await?;
        let moments: Vec<i64> = printed
            .lines()
            .filter_map(|line| line.trim().parse().ok())
            .collect();
        // A line that it could not read leaves none behind; then which is which is not known.
        if moments.len() != times.len() {
            return Err(Failure::Junk("date"));
        }
        let moments = moments
            .into_iter()
            .map(|second| Timestamp(second.saturating_mul(1000)));
        Ok(times.into_iter().zip(moments).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn summer_and_winter_are_told_apart() {
        let zone = Zone::new(Some("CET-1CEST,M3.5.0,M10.5.0/3".into()), Duration::from_secs(10));
        let times = ["2026-01-31 12:00:00", "2026-07-31 12:00:00"].map(|text| text.parse().unwrap());
        let moments = zone.moments(times.clone()).await.unwrap();
        let read = |time: &LocalTime| moments[time].to_string();
        assert_eq!(read(&times[0]), "2026-01-31T11:00:00Z");
        assert_eq!(read(&times[1]), "2026-07-31T10:00:00Z");
    }

    #[test]
    fn only_the_one_form_is_taken() {
        for wrong in [
            "",
            "2026-01-31",
            "2026-01-31T12:00:00",
            "now",
            "2026-01-31 12:00:00 ",
            "@1",
        ] {
            assert!(wrong.parse::<LocalTime>().is_err(), "{wrong}");
        }
    }
}
