//! The commands: their options, what they print, and how they fail.

use super::state::{Folder, Text, World};
use regex::Regex;
use serde_json::{Value, json};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::{Command, ExitCode};

/// Runs the command that `arguments` begin with. `TERMUX_LAB` names the phone's folder.
pub fn main(arguments: &[String], folder: &Path) -> ExitCode {
    let Some((command, options)) = arguments.split_first() else {
        eprintln!("which command? give it as the first argument");
        return ExitCode::from(2);
    };
    let outcome = Folder::new(folder).and_then(|folder| run(command, options, &folder));
    match outcome {
        Ok(code) => code,
        Err(error) => {
            eprintln!("{command}: {error}");
            ExitCode::from(70)
        }
    }
}

fn run(command: &str, options: &[String], folder: &Folder) -> io::Result<ExitCode> {
    let world = folder.look(World::clone)?;
    let among = |list: &[String]| list.iter().any(|name| name == command);
    if among(&world.scenario.hang) {
        wait_for_ever()?;
    }
    if among(&world.scenario.silent) {
        return Ok(ExitCode::SUCCESS);
    }
    if among(&world.scenario.junk) {
        println!("[ {{ \"threadid\": 1, \"ty");
        return Ok(ExitCode::SUCCESS);
    }
    match command {
        "termux-sms-list" => sms_list(options, &world),
        "termux-sms-send" => sms_send(options, folder, &world),
        "termux-sms-inbox" => {
            println!("termux-sms-inbox has been replaced by termux-sms-list");
            Ok(ExitCode::from(1))
        }
        "termux-contact-list" => contact_list(&world),
        "termux-notification-list" => notification_list(&world),
        other => {
            eprintln!("no such command: {other}");
            Ok(ExitCode::from(127))
        }
    }
}

/// As the real scripts hang: in a program that they started.
fn wait_for_ever() -> io::Result<()> {
    Command::new("sleep").arg("100000").status().map(|_| ())
}

fn refused(world: &World, permissions: &[&str]) -> Option<ExitCode> {
    let missing: Vec<String> = permissions
        .iter()
        .filter(|name| world.scenario.denied.iter().any(|denied| denied == *name))
        .map(|name| format!("android.permission.{name}"))
        .collect();
    if missing.is_empty() {
        return None;
    }
    let error = format!(
        "Please grant the following permission to use this command: {}",
        missing.join(", ")
    );
    println!("{}", json!({ "error": error }));
    Some(ExitCode::SUCCESS)
}

fn sms_list(options: &[String], world: &World) -> io::Result<ExitCode> {
    let (mut limit, mut offset, mut kind) = (10_usize, 0_usize, "all".to_owned());
    let (mut selection, mut order, mut reversed) = (String::new(), "date DESC".to_owned(), true);
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        let mut value = || rest.next().cloned().unwrap_or_default();
        if let Some(given) = option.strip_prefix("--message-selection=") {
            given.clone_into(&mut selection);
        } else if let Some(given) = option.strip_prefix("--message-sort-order=") {
            given.clone_into(&mut order);
        } else if option == "--message-return-no-order-reverse" {
            reversed = false;
        } else {
            match option.as_str() {
                "-l" => limit = value().parse().unwrap_or(10),
                "-o" => offset = value().parse().unwrap_or(0),
                "-t" => kind = value(),
                other => {
                    println!("termux-sms-list: illegal option {other}");
                    return Ok(ExitCode::from(1));
                }
            }
        }
    }
    if !matches!(
        kind.as_str(),
        "all" | "inbox" | "sent" | "draft" | "outbox" | "failed" | "queued"
    ) {
        println!("termux-sms-list: Unsupported type '{kind}'.");
        return Ok(ExitCode::from(1));
    }
    if world.scenario.store_build {
        println!("Reading SMS is no longer permitted by Google");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(code) = refused(world, &["READ_SMS", "READ_CONTACTS"]) {
        return Ok(code);
    }
    let Some(condition) = Condition::parse(&selection) else {
        println!(
            "{}",
            json!({ "error": "near syntax error (code 1 SQLITE_ERROR)" })
        );
        return Ok(ExitCode::SUCCESS);
    };
    let of_kind = |text: &&Text| match kind.as_str() {
        "all" => true,
        "queued" => text.kind.is_empty(),
        kind => text.kind == kind,
    };
    let mut rows: Vec<&Text> = world
        .texts
        .iter()
        .filter(of_kind)
        .filter(|text| !text.hidden && condition.holds(text))
        .collect();
    match order.as_str() {
        "_id ASC" => rows.sort_by_key(|text| text.id),
        "_id DESC" => rows.sort_by_key(|text| -text.id),
        "date ASC" => rows.sort_by_key(|text| text.at),
        _ => rows.sort_by_key(|text| -text.at),
    }
    let mut rows: Vec<Value> = rows
        .into_iter()
        .skip(offset)
        .take(limit)
        .map(|text| row(world, text))
        .collect();
    if reversed {
        rows.reverse();
    }
    print_list(&rows)?;
    Ok(ExitCode::SUCCESS)
}

fn row(world: &World, text: &Text) -> Value {
    let mut row = json!({
        "threadid": text.thread,
        "type": text.kind,
        "read": text.kind != "inbox",
        "address": text.address,
        "number": text.address,
        "received": local(text.at),
        "body": text.body,
        "_id": text.id,
    });
    let name = world
        .contacts
        .iter()
        .find(|contact| contact.number == text.address);
    if let Some(name) = name {
        let sender = match text.kind.as_str() {
            "inbox" => name.name.as_str(),
            _ => "You",
        };
        row["sender"] = sender.into();
    }
    row
}

/// `A AND (B OR C)` of comparisons with `_id` and `date`: what the selection of a cursor needs of SQL.
enum Condition {
    True,
    Compare(&'static str, bool, i64),
    In(Vec<i64>),
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

impl Condition {
    fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        if text.is_empty() {
            return Some(Self::True);
        }
        for (word, make) in [(" OR ", Self::Any as fn(Vec<Self>) -> Self), (" AND ", Self::All)] {
            let parts = split(text, word);
            if parts.len() > 1 {
                return parts
                    .iter()
                    .map(|part| Self::parse(part))
                    .collect::<Option<_>>()
                    .map(make);
            }
        }
        if let Some(inner) = text.strip_prefix('(').and_then(|text| text.strip_suffix(')')) {
            return Self::parse(inner);
        }
        if let Some(list) = text
            .strip_prefix("_id IN (")
            .and_then(|list| list.strip_suffix(')'))
        {
            let ids = list.split(',').map(|id| id.trim().parse());
            return ids.collect::<Result<_, _>>().ok().map(Self::In);
        }
        let compare = Regex::new(r"^(_id|date) (>=|>) (-?\d+)$").ok()?;
        let found = compare.captures(text)?;
        let column = match &found[1] {
            "_id" => "_id",
            _ => "date",
        };
        Some(Self::Compare(column, &found[2] == ">=", found[3].parse().ok()?))
    }

    fn holds(&self, text: &Text) -> bool {
        match self {
            Self::True => true,
            Self::In(ids) => ids.contains(&text.id),
            Self::All(parts) => parts.iter().all(|part| part.holds(text)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(text)),
            Self::Compare(column, equal, than) => {
                let value = match *column {
                    "_id" => text.id,
                    _ => text.at * 1000,
                };
                value > *than || *equal && value == *than
            }
        }
    }
}

/// Splits at a word that stands outside of brackets.
fn split<'a>(text: &'a str, word: &str) -> Vec<&'a str> {
    let (mut parts, mut depth, mut from) = (Vec::new(), 0_i32, 0);
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            b'(' => depth += 1,
            b')' => depth -= 1,
            _ if depth == 0 && text.get(at..).is_some_and(|rest| rest.starts_with(word)) => {
                parts.push(&text[from..at]);
                from = at + word.len();
            }
            _ => {}
        }
    }
    parts.push(&text[from..]);
    parts
}

fn sms_send(options: &[String], folder: &Folder, world: &World) -> io::Result<ExitCode> {
    let (mut numbers, mut slot, mut words) = (None, 0_u32, Vec::new());
    let mut rest = options.iter();
    while let Some(option) = rest.next() {
        match option.as_str() {
            "-n" => numbers = rest.next().cloned(),
            "-s" => slot = rest.next().and_then(|slot| slot.parse().ok()).unwrap_or(99),
            other if other.starts_with('-') => {
                println!("termux-sms-send: illegal option {other}");
                return Ok(ExitCode::from(1));
            }
            word => words.push(word.to_owned()),
        }
    }
    let Some(numbers) = numbers else {
        println!("termux-sms-send: no recipient number given");
        return Ok(ExitCode::from(1));
    };
    let mut text = words.join(" ");
    if words.is_empty() {
        io::stdin().read_to_string(&mut text)?;
    }
    if world.scenario.store_build {
        println!("Sending SMS is no longer permitted by Google");
        return Ok(ExitCode::SUCCESS);
    }
    if let Some(code) = refused(world, &["SEND_SMS", "READ_PHONE_STATE"]) {
        return Ok(code);
    }
    let slots = match world.scenario.slots.as_slice() {
        [] => &[0],
        slots => slots,
    };
    // A slot without a SIM: nothing happens and nothing is said.
    if slots.contains(&slot) && !text.trim().is_empty() {
        folder.change(|world| {
            for number in numbers.split(',') {
                deliver(world, number, text.trim());
            }
        })?;
    }
    if world.scenario.hangs_after_sending {
        wait_for_ever()?;
    }
    Ok(ExitCode::SUCCESS)
}

fn deliver(world: &mut World, number: &str, text: &str) {
    let lands = match world.scenario.lands.as_str() {
        "" => "sent".to_owned(),
        other => other.to_owned(),
    };
    let mut sent = Text {
        id: 0,
        thread: 0,
        kind: lands.clone(),
        address: number.to_owned(),
        body: text.to_owned(),
        at: 0,
        hidden: false,
    };
    if lands != "nowhere" {
        sent.id = world.add(&lands, number, text);
    }
    if lands != "failed" {
        world.on_air.push(sent);
    }
}

fn contact_list(world: &World) -> io::Result<ExitCode> {
    if let Some(code) = refused(world, &["READ_CONTACTS"]) {
        return Ok(code);
    }
    let list: Vec<Value> = world
        .contacts
        .iter()
        .map(|contact| json!({ "name": contact.name, "number": contact.number }))
        .collect();
    print_list(&list)?;
    Ok(ExitCode::SUCCESS)
}

fn notification_list(world: &World) -> io::Result<ExitCode> {
    if world
        .scenario
        .denied
        .iter()
        .any(|denied| denied == "NOTIFICATIONS")
    {
        println!(
            "{}",
            json!({ "error": "Please enable Notification Access for Termux:API" })
        );
        return Ok(ExitCode::SUCCESS);
    }
    let list: Vec<Value> = world
        .notifications
        .iter()
        .enumerate()
        .map(|(id, shown)| {
            json!({
                "id": id,
                "tag": "",
                "key": format!("0|{}|{id}|null|10123", shown.package),
                "group": "",
                "packageName": shown.package,
                "title": shown.title,
                "content": shown.content,
                "when": local(shown.at),
            })
        })
        .collect();
    print_list(&list)?;
    Ok(ExitCode::SUCCESS)
}

fn print_list(list: &[Value]) -> io::Result<()> {
    let mut out = io::stdout().lock();
    serde_json::to_writer_pretty(&mut out, list)?;
    writeln!(out)
}

/// The phone stands in a zone one hour east of Greenwich, without summer time.
fn local(at: i64) -> String {
    let text = swingbridge_domain::clock::Timestamp((at + 3600) * 1000).to_string();
    text.replace('T', " ").replace('Z', "")
}
