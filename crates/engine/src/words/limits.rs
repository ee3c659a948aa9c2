//! What people read of limits, and of contacts who wish no more texts.

use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::limits::{Loops, Price};
use swingbridge_domain::store::SuppressedBy;

pub fn opted_out(contact: &str, enforced: bool, by: SuppressedBy) -> String {
    let who = match by {
        SuppressedBy::Contact => format!("{contact} asked for no more texts from this line"),
        SuppressedBy::Network => {
            format!("The network says that {contact} asked for no more texts from this line")
        }
    };
    match enforced {
        true => format!(
            "{who}. From now on nothing leaves for them, also nothing that was written before and waits. A text that says START \
             from them ends that; so can an admin (`optouts`)."
        ),
        false => format!("{who}. This line does not enforce that (`opt_out.rule: show`): please respect it."),
    }
}

pub fn opted_in(contact: &str) -> String {
    format!("{contact} wishes texts from this line again: they can be written to.")
}

pub fn opt_out_lifted(by: &str, reason: &str) -> String {
    format!("{by} ended this contact's opt-out: {reason}. They can be written to again.")
}

pub fn opted_out_refused() -> String {
    "Not sent: this contact asked for no more texts from this line. A text that says START from them ends that; an admin of this \
     gateway can with `optouts lift`, for a reason."
        .to_owned()
}

pub fn answered_by_itself(text: &str) -> String {
    format!("Answered by this gateway itself: {text}")
}

/// Whom to ask, of each setting.
fn operator(setting: &str) -> String {
    format!("The operator can change that: `{setting}`, for all lines or for this one.")
}

pub fn denied_prefix() -> String {
    format!(
        "Not sent: numbers of this range may not be texted from here. {}",
        operator("limits.denied_prefixes")
    )
}

pub fn premium() -> String {
    format!(
        "Not sent: this is the number of a premium or shared-cost service, which costs extra. {}",
        operator("limits.premium")
    )
}

pub fn country(code: Option<&str>) -> String {
    let what = match code {
        Some(code) => format!("this number is of a country ({code}) that may not be texted from here"),
        None => {
            "it is not known which country this number is of, and not all may be texted from here".to_owned()
        }
    };
    format!("Not sent: {what}. {}", operator("limits.countries"))
}

pub fn nameless(code: &str) -> String {
    format!(
        "Not sent: this line texts under a name, and names do not arrive in {code}. Write by a line that has a number. {}",
        operator("limits.nameless_countries")
    )
}

pub fn too_many_parts(parts: u32, most: u32) -> String {
    format!(
        "Not sent: this text would need {parts} parts, and {most} are allowed. Write it shorter, or in several messages. {}",
        operator("limits.parts")
    )
}

pub fn over_limit(whose: &str, limit: i64, per: &str, until: Timestamp, setting: &str) -> String {
    format!(
        "Not sent: as many messages as are allowed in one {per} ({limit}) {whose}. It begins anew at {until}. {}",
        operator(setting)
    )
}

pub fn spent(
    cost: Price,
    limit: Price,
    currency: &str,
    per: &str,
    until: Timestamp,
    setting: &str,
) -> String {
    let unit = match currency {
        "" => String::new(),
        currency => format!(" {currency}"),
    };
    format!(
        "Not sent: it would cost {cost}{unit}, and with it this line would spend more than {limit}{unit} in one {per}. It begins anew at \
         {until}. {}",
        operator(setting)
    )
}

pub fn no_price() -> String {
    format!(
        "Not sent: what this line may spend is limited, and there is no price for this number. {}",
        operator("limits.prices")
    )
}

pub fn rate_waits(setting: String) -> String {
    format!(
        "Waiting: as many messages as are allowed in one minute are on their way already. It will be sent when it is its turn. {}",
        operator(&setting)
    )
}

pub fn quiet_hours(until: Timestamp, zone: &str) -> String {
    format!(
        "Waiting until {until}: it is too late in the day, or too early, where this number is from ({zone}). {}",
        operator("limits.quiet_hours")
    )
}

fn within(loops: &Loops) -> String {
    format!("{} minutes", loops.within.as_secs().div_ceil(60))
}

pub fn machines_loop(loops: &Loops) -> String {
    format!(
        "Not sent: a machine seems to answer a machine here, so what bots write does not leave for now. When a person writes, or after {}, it \
         does again. {}",
        within(loops),
        operator("limits.loops")
    )
}

pub fn no_more_answers(loops: &Loops) -> String {
    format!(
        "A machine seems to answer what this gateway answers by itself: it stops that. When a person writes, or after {}, it answers again. {}",
        within(loops),
        operator("limits.loops")
    )
}
