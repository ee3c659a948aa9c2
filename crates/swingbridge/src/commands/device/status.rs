//! `device status`: how well the device serves, as the running one wrote it down.

use super::load;
use crate::config::Sources;
use crate::device::sla::{Record, is_up, word};
use crate::device::watch::span;
use crate::exit::{Exit, Failure};
use crate::wiring;
use std::process::ExitCode;
use std::time::Duration;
use swingbridge_domain::clock::Timestamp;

/// Who has not looked for so long does not run any more.
const STALE: Duration = Duration::from_secs(60);

pub fn run(sources: &Sources, json: bool) -> Result<ExitCode, Failure> {
    let config = load(sources)?;
    let Some(record) = Record::read(&config.device.folder) else {
        return Err(Failure::msg(
            Exit::File,
            "this device has never run: start it with `swingbridge device`, or `swingbridge service install`",
        ));
    };
    let now = wiring::clock().now();
    let runs = now.since(record.looked_at) < STALE;
    if json {
        let text = serde_json::to_string_pretty(&record).map_err(|error| Failure::new(Exit::Other, error))?;
        println!("{text}");
    } else {
        print!("{}", report(&record, runs, now));
    }
    let well = runs && record.parts.values().all(|part| is_up(part.state));
    Ok(if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn report(record: &Record, runs: bool, now: Timestamp) -> String {
    let ago = |at: Timestamp| span(now.since(at));
    let mut text = match runs {
        true => format!(
            "{} runs since {} ({})\n",
            record.account,
            record.started_at,
            ago(record.started_at)
        ),
        false => format!(
            "{} does not run: it looked last at {} ({} ago)\n",
            record.account,
            record.looked_at,
            ago(record.looked_at)
        ),
    };
    text.push_str(&format!(
        "\n{:<16} {:<13} {:>10} {:>14} {:>10} {:>10}\n",
        "part", "state", "for", "last contact", "24 h", "30 days"
    ));
    for (name, part) in &record.parts {
        text.push_str(&format!(
            "{name:<16} {:<13} {:>10} {:>14} {:>10} {:>10}\n",
            word(part.state),
            ago(part.since),
            part.last_contact
                .map_or("-".to_owned(), |at| format!("{} ago", ago(at))),
            record.share(name, 24),
            record.share(name, 30 * 24),
        ));
        if !is_up(part.state) && !part.detail.is_empty() {
            text.push_str(&format!("    {}\n", part.detail));
        }
    }
    text.push_str("\nwaiting:");
    for (name, waiting) in &record.queues {
        let oldest = waiting
            .oldest
            .map_or(String::new(), |at| format!(", the oldest for {}", ago(at)));
        text.push_str(&format!(" {name} {}{oldest};", waiting.rows));
    }
    text.pop();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use swingbridge_domain::connector::{Health, Link};

    #[test]
    fn a_report_says_what_is_away_and_for_how_long_something_waits() {
        let at = |seconds: i64| Timestamp(1_800_000_000_000 + seconds * 1000);
        let health = |state, detail: &str| Health {
            state,
            detail: detail.into(),
            last_traffic: Some(at(0)),
        };
        let mut record = Record::default().started(at(0), "@phone-alice:example.org");
        for seconds in [30, 60, 90, 120] {
            let found = [
                ("homeserver".to_owned(), health(Link::Connected, "")),
                (
                    "sms".to_owned(),
                    health(Link::Refused, "SMS permission was taken away"),
                ),
            ];
            record.look(at(seconds), &found);
        }
        record.queues.insert(
            "sms".into(),
            crate::device::sla::Waiting {
                rows: 2,
                oldest: Some(at(0)),
            },
        );
        insta::assert_snapshot!(report(&record, true, at(3720)), @r"
        @phone-alice:example.org runs since 2027-01-15T08:00:00Z (1 h 2 min)

        part             state                for   last contact       24 h    30 days
        homeserver       connected      1 h 1 min  1 h 2 min ago   100.00 %   100.00 %
        sms              refused        1 h 1 min  1 h 2 min ago     0.00 %     0.00 %
            SMS permission was taken away

        waiting: sms 2, the oldest for 1 h 2 min
        ");
        assert!(report(&record, false, at(3720)).contains("does not run: it looked last at"));
    }
}
