//! Where a message goes, and under whose name.

use crate::words;
use swingbridge_domain::address::{Address, Region};
use swingbridge_domain::line::Line;

pub(super) struct Barred {
    pub words: String,
    pub reason: &'static str,
    /// For the audit log.
    pub detail: &'static str,
}

/// What bars a line's texts from an address, if anything does. Of a group whose network names it by its members' numbers, each of them
/// counts; nothing is known of who is in another.
pub(super) fn judge(line: &Line, address: &Address) -> Option<Barred> {
    match address {
        Address::Group(thread) => {
            let members = thread.split(',').filter_map(member);
            members
                .filter(|member| *member != line.address)
                .find_map(|member| judge_one(line, &member))
        }
        one => judge_one(line, one),
    }
}

/// A member of a group, where its name in the thread is an E.164 number.
fn member(name: &str) -> Option<Address> {
    let name = name.trim();
    let digits = name.strip_prefix('+')?;
    let is_number = (7..=15).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| Address::Number(name.to_owned()))
}

fn judge_one(line: &Line, address: &Address) -> Option<Barred> {
    let limits = &line.limits;
    let given = address.full();
    let is_number = matches!(address, Address::Number(_) | Address::Short(_));
    if is_number && limits.denied.iter().any(|beginning| given.starts_with(beginning)) {
        return Some(Barred {
            words: words::denied_prefix(),
            reason: "denied",
            detail: "a number of a denied range: limits.denied_prefixes",
        });
    }
    if !limits.premium && address.is_premium() {
        return Some(Barred {
            words: words::premium(),
            reason: "premium",
            detail: "a premium or shared-cost number: limits.premium",
        });
    }
    let named = matches!(line.address, Address::Name(_)) && !limits.nameless.is_empty();
    if !is_number || (limits.countries.is_none() && !named) {
        return None;
    }
    let country = address.country(line.region);
    let is_of = |countries: &[Region]| country.is_some_and(|country| countries.contains(&country));
    if limits.countries.as_ref().is_some_and(|allowed| !is_of(allowed)) {
        return Some(Barred {
            words: words::country(country.as_ref().map(Region::as_str)),
            reason: "country",
            detail: "a country that is not allowed: limits.countries",
        });
    }
    (named && is_of(&limits.nameless)).then(|| Barred {
        words: words::nameless(country.as_ref().map_or("that country", Region::as_str)),
        reason: "sender_name",
        detail: "a sender's name where names do not arrive: limits.nameless_countries",
    })
}
