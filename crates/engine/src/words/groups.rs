//! What happens in groups, and what came from phones that has no shape of its own here.

/// So many are named in the name of a group that nobody named.
const NAMED: usize = 4;

/// A group that nobody named, by who is in it; `None` when that is not known.
pub fn members(members: &[String]) -> Option<String> {
    let first = members.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match members.len() {
        0 => None,
        count if count > NAMED => Some(format!("{first} and {} more", count - NAMED)),
        _ => Some(first),
    }
}

fn somebody(who: Option<&str>) -> &str {
    who.unwrap_or("Somebody")
}

pub fn group_renamed(by: Option<&str>, name: Option<&str>) -> String {
    match name {
        Some(name) => format!("{} named the group {name}.", somebody(by)),
        None => format!("{} took the group's name away.", somebody(by)),
    }
}

pub fn group_joined(by: Option<&str>, whom: Option<&str>) -> String {
    match by.filter(|by| Some(*by) != whom) {
        Some(by) => format!("{by} added {} to the group.", somebody(whom)),
        None => format!("{} joined the group.", somebody(whom)),
    }
}

pub fn group_left(by: Option<&str>, whom: Option<&str>) -> String {
    match by.filter(|by| Some(*by) != whom) {
        Some(by) => format!("{by} removed {} from the group.", somebody(whom)),
        None => format!("{} left the group.", somebody(whom)),
    }
}

pub fn group_picture(by: Option<&str>, there: bool) -> String {
    match there {
        true => format!("{} gave the group another picture.", somebody(by)),
        false => format!("{} took the group's picture away.", somebody(by)),
    }
}

pub fn reacted_to_something(key: &str) -> String {
    format!("[reacted {key} to an earlier message]")
}
