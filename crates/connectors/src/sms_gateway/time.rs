//! Moments as the app writes them (RFC 3339), read and written.

use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

/// Reads `2025-11-14T04:39:53.000+03:00` or with `Z`; `None` when it is of another form.
pub fn read(text: &str) -> Option<Timestamp> {
    let number = |from: usize, to: usize| -> Option<i64> {
        let digits = text.get(from..to)?;
        digits
            .bytes()
            .all(|octet| octet.is_ascii_digit())
            .then(|| digits.parse().ok())?
    };
    let sign = |at: usize, wanted: &str| text.get(at..=at).is_some_and(|found| wanted.contains(found));
    if !(sign(4, "-") && sign(7, "-") && sign(10, "Tt ") && sign(13, ":") && sign(16, ":")) {
        return None;
    }
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let fits =
        (1..=12).contains(&month) && (1..=31).contains(&day) && hour < 24 && minute < 60 && second <= 60;
    if !fits {
        return None;
    }
    let rest = text.get(19..)?;
    let (fraction, zone) = match rest.strip_prefix('.') {
        Some(rest) => rest.split_at(rest.find(|c: char| !c.is_ascii_digit()).unwrap_or(rest.len())),
        None => ("", rest),
    };
    let millis: i64 = format!("{fraction:0<3}").get(..3)?.parse().ok()?;
    // The civil calendar in eras of 400 years that begin in March (Howard Hinnant).
    let (shifted, month) = match month > 2 {
        true => (year, month - 3),
        false => (year - 1, month + 9),
    };
    let era = shifted.div_euclid(400);
    let of_era = shifted.rem_euclid(400);
    let of_year = (153 * month + 2) / 5 + day - 1;
    let days = era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468;
    let local = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp((local - offset(zone)?) * 1000 + millis))
}

/// Seconds east of Greenwich.
fn offset(zone: &str) -> Option<i64> {
    if matches!(zone, "Z" | "z") {
        return Some(0);
    }
    let (east, rest) = match zone.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let digits: String = rest.chars().filter(|c| *c != ':').collect();
    if digits.len() != 4 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let (hours, minutes): (i64, i64) = (digits[..2].parse().ok()?, digits[2..].parse().ok()?);
    Some(east * (hours * 3600 + minutes * 60))
}

/// As the API takes it.
pub fn write(at: Timestamp) -> String {
    at.to_string()
}

/// The moment `back` before `at`.
pub fn before(at: Timestamp, back: Duration) -> Timestamp {
    Timestamp((at - back).millis().max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_of_a_moment_is_read() {
        for (text, expected) in [
            ("2025-11-14T04:39:53.000+03:00", "2025-11-14T01:39:53Z"),
            ("2025-11-14T01:39:53Z", "2025-11-14T01:39:53Z"),
            ("2024-02-29T23:59:59.9-0100", "2024-03-01T00:59:59Z"),
        ] {
            assert_eq!(read(text).unwrap().to_string(), expected);
        }
        assert_eq!(read("1970-01-01T00:00:01.25Z"), Some(Timestamp(1250)));
        for wrong in [
            "",
            "2025-11-14",
            "2025-13-14T01:39:53Z",
            "2025-11-14T01:39:53",
            "2025-11-14T01:39:5éZ",
            "not a date at all, really",
        ] {
            assert_eq!(read(wrong), None, "{wrong}");
        }
    }
}
