//! Settings from the environment: `SWINGBRIDGE_SECTION__KEY`, and `BRIDGE_SMPP_…` for a single SMPP account.

use super::connectors::FIRST;
use super::problem::{Origin, Problem};
use super::secrets::kind_of;
use super::tree::{Kind, Node};
use std::collections::BTreeMap;

/// The environment as the program was started with.
pub type Variables = BTreeMap<String, String>;

const PREFIX: &str = "SWINGBRIDGE_";

/// The passphrase of a device's secrets. It is no setting: it stands in no file of settings.
pub const PASSPHRASE: &str = "SWINGBRIDGE_PASSPHRASE";

/// What `swingbridge register` takes from the environment.
const REGISTER: &str = "SWINGBRIDGE_REGISTER__";

/// Kubernetes tells every program in a namespace of the services there: of one that is called `swingbridge` by names that begin like ours
/// (`SWINGBRIDGE_SERVICE_HOST`, `SWINGBRIDGE_PORT_29318_TCP_ADDR`). No section is called so.
fn of_kubernetes(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    rest == "PORT" || rest.starts_with("PORT_") || rest.starts_with("SERVICE_")
}

/// The names that configure one SMPP account, and the settings they stand for.
pub const SMPP: &[(&str, &str)] = &[
    ("BRIDGE_SMPP_HOST", "host"),
    ("BRIDGE_SMPP_PORT", "port"),
    ("BRIDGE_SMPP_SYSTEM_ID", "system_id"),
    ("BRIDGE_SMPP_PASSWORD", "password"),
    ("BRIDGE_SMPP_PASSWORD_FILE", "password_file"),
];

/// Reads the environment, once. What is no Unicode is passed over: no setting of ours can be.
pub fn variables() -> Variables {
    std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// Puts the variables' values over those of the file.
pub fn apply(root: &mut Node, variables: &Variables, problems: &mut Vec<Problem>) {
    for (name, value) in variables {
        let Some(path) = name.strip_prefix(PREFIX) else {
            continue;
        };
        if name == PASSPHRASE || name.starts_with(REGISTER) || of_kubernetes(name) {
            continue;
        }
        let node = Node::loose(value, Origin::Variable(name.clone()));
        let parts: Vec<String> = path.split("__").map(str::to_ascii_lowercase).collect();
        if parts.iter().any(String::is_empty) {
            problems.push(Problem::new(name, "names no setting").cure(format!(
                "write {PREFIX}SECTION__KEY, with two underscores between the two"
            )));
            continue;
        }
        set(root, &parts, node);
    }
    apply_smpp(root, variables, problems);
}

/// Sets the value at a path; keys that are there are found whatever their case, and `_` also stands for `-` and `.`.
fn set(node: &mut Node, path: &[String], value: Node) {
    let Some((first, rest)) = path.split_first() else {
        return;
    };
    let map = node.map_mut();
    let like = |name: &str| name.to_ascii_lowercase().replace(['-', '.'], "_") == *first;
    let place = match map.iter().position(|(name, _)| like(name)) {
        Some(place) => place,
        None => {
            let origin = value.origin.clone();
            map.push((
                first.clone(),
                Node {
                    kind: Kind::Null,
                    origin,
                },
            ));
            map.len() - 1
        }
    };
    let (_, inner) = &mut map[place];
    if rest.is_empty() {
        // The value and the `…_file` of the same secret exclude each other: the variable wins over the file.
        *inner = value;
        let twin = match first.strip_suffix("_file") {
            Some(name) => name.to_owned(),
            None => format!("{first}_file"),
        };
        map.retain(|(name, node)| *name != twin || matches!(node.origin, Origin::Variable(_)));
    } else {
        set(inner, rest, value);
    }
}

/// `BRIDGE_SMPP_…` sets up the connector `smpp`, or goes over the one SMPP account that there is.
fn apply_smpp(root: &mut Node, variables: &Variables, problems: &mut Vec<Problem>) {
    let given: Vec<(&str, &str, &String)> = SMPP
        .iter()
        .filter_map(|(name, key)| Some((*name, *key, variables.get(*name)?)))
        .collect();
    let Some((first, _, _)) = given.first() else {
        return;
    };
    // An entry that is of another kind is no account of ours, whatever it is called.
    let is_smpp = |(_, connector): &&(String, Node)| kind_of(connector) == Some(FIRST);
    let accounts: Vec<String> = match root.get("connectors").map(|node| &node.kind) {
        Some(Kind::Map(map)) => map.iter().filter(is_smpp).map(|(id, _)| id.clone()).collect(),
        _ => Vec::new(),
    };
    let id = match accounts.as_slice() {
        [] => FIRST.to_owned(),
        many if many.iter().any(|id| id == FIRST) => FIRST.to_owned(),
        [one] => one.clone(),
        _ => {
            problems.push(
                Problem::new(
                    *first,
                    format!("there are several SMPP accounts, and none is called `{FIRST}`"),
                )
                .cure(format!(
                    "use {PREFIX}CONNECTORS__NAME__HOST and so on, or call one of them `{FIRST}`"
                )),
            );
            return;
        }
    };
    for (name, key, value) in given {
        let node = Node::loose(value, Origin::Variable(name.to_owned()));
        set(
            root,
            &[
                "connectors".into(),
                id.to_ascii_lowercase().replace(['-', '.'], "_"),
                key.into(),
            ],
            node,
        );
    }
}
