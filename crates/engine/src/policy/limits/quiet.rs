//! Quiet hours of lines that send to many, by the clock of the country that a number is from.

use chrono::{DateTime, Duration, NaiveTime, TimeZone, Timelike, Utc};
use chrono_tz::Tz;
use swingbridge_domain::address::Address;
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::line::Line;

/// A country to a line, and the time zones at the ends of where people live in it.
const ZONES: &str = include_str!("zones.txt");

/// When a text may leave that must not leave at `now`, with the zone that says so. A country with several zones is quiet while it is quiet in
/// one of them.
pub(super) fn until(line: &Line, address: &Address, now: Timestamp) -> Option<(Timestamp, String)> {
    let limits = &line.limits;
    if !limits.bulk {
        return None;
    }
    let zones = zones(line, address);
    let mut at = now;
    let mut because = None;
    // Each turn ends the quiet of one zone, which may be that of another: as often as there are zones is enough.
    for _ in 0..=zones.len() {
        let quiet = zones.iter().find_map(|zone| {
            let local = zone.from_utc_datetime(&DateTime::<Utc>::from_timestamp_millis(at.0)?.naive_utc());
            let minute = u16::try_from(local.hour() * 60 + local.minute()).ok()?;
            limits.quiet.holds(minute).then_some((zone, local))
        });
        let Some((zone, local)) = quiet else {
            break;
        };
        because = Some(zone.name().to_owned());
        let ends = NaiveTime::from_num_seconds_from_midnight_opt(u32::from(limits.quiet.until) * 60, 0)?;
        let today = local.date_naive();
        let day = match local.time() < ends {
            true => today,
            false => today.succ_opt()?,
        };
        // Where the clock is put forward over that moment, it is the first one after it.
        let end = (0..4)
            .map(|hour| day.and_time(ends) + Duration::hours(hour))
            .find_map(|end| zone.from_local_datetime(&end).latest())?;
        at = Timestamp(end.timestamp_millis());
    }
    because.map(|zone| (at, zone))
}

fn zones(line: &Line, address: &Address) -> Vec<Tz> {
    // Two states of the United States are far from the others, and have area codes of their own.
    let named = match address {
        Address::Number(number) if number.starts_with("+1808") => vec!["Pacific/Honolulu"],
        Address::Number(number) if number.starts_with("+1907") => vec!["America/Anchorage"],
        _ => {
            let country = address.country(line.region).or(line.region);
            let of = |line: &&'static str| {
                country.is_some_and(|country| line.split(' ').next() == Some(country.as_str()))
            };
            let found = ZONES.lines().find(of);
            found.map_or_else(Vec::new, |line| line.split(' ').skip(1).collect())
        }
    };
    let zones: Vec<Tz> = named.iter().filter_map(|name| name.parse().ok()).collect();
    match zones.is_empty() {
        true => vec![Tz::UTC],
        false => zones,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_zone_of_the_table_is_known() {
        for line in ZONES.lines() {
            let (country, zones) = line.split_once(' ').unwrap();
            assert_eq!(country.len(), 2);
            for zone in zones.split(' ') {
                assert!(zone.parse::<Tz>().is_ok(), "{zone}");
            }
        }
    }
}
