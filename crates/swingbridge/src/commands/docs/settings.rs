//! All settings, from the types that read them: names and defaults as they are written, meanings from the schema.

use crate::config::connectors::GATEWAY;
use crate::config::{
    appservice, database, encryption, files, homeserver, limits, lines, logging, messages, operations,
    privacy, provisioning, retention, secrets, webhooks,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;
use std::fmt::Write as _;
use swingbridge_connectors::{maap, rbm, smpp, telnyx, twilio, webhook_http};

const HEAD: &str = "# Configuration

All settings of `config.yaml`, made by `swingbridge docs config`. A commented example: [config.example.yaml](config.example.yaml);
how to go about it: [the guide](../guide/configuration.md).

Every secret `x` (marked) may be given as `x_file` instead, the path of a file that holds it. Relative paths begin at the
configuration's own folder. Times have a unit: `500ms`, `30s`, `15m`, `24h`, `7d`; those below `timing` are numbers of seconds.
";

pub fn markdown() -> String {
    let mut out = String::from(HEAD);
    section::<homeserver::Homeserver>("homeserver", &mut out);
    section::<appservice::Appservice>("appservice", &mut out);
    section::<database::Database>("database", &mut out);
    out.push_str(
        "\n## site_key\n\nSecret. 32 random bytes as 64 hexadecimal digits, from which all other keys of the site derive. `swingbridge init` \
         makes them in a file of their own, for `site_key_file`. See [the guide](../guide/operation.md#the-site-key).\n",
    );
    out.push_str("\n## connectors\n\nAccounts on phone networks, each under a name of your choice.\n");
    let _ = writeln!(
        out,
        "\n| setting | default | meaning |\n|---|---|---|\n| `connectors.NAME.type` | `smpp` | The kind of account: {}. |",
        words(GATEWAY)
    );
    connector::<smpp::Config>("smpp", &mut out);
    connector::<rbm::Config>("rbm", &mut out);
    connector::<maap::Config>("maap", &mut out);
    connector::<twilio::Config>("twilio", &mut out);
    connector::<telnyx::Config>("telnyx", &mut out);
    connector::<webhook_http::Config>("webhook", &mut out);
    out.push_str("\n## lines\n\nOur own numbers, each under a name of your choice. The first one that a user may use is the user's own.\n");
    table::<lines::Line>("lines.NAME", &mut out);
    out.push_str(
        "\n## permissions\n\nWho may do what. Keys are user ids (`\"@alice:example.org\"`), homeservers (`\"example.org\"`) or `\"*\"`; the most \
         exact one counts. Values: `user` may use the lines that name them, `admin` may also use the admin commands.\n",
    );
    section::<messages::Messages>("messages", &mut out);
    section::<limits::Limits>("limits", &mut out);
    section::<limits::OptOut>("opt_out", &mut out);
    section::<encryption::Encryption>("encryption", &mut out);
    section::<files::Files>("files", &mut out);
    section::<privacy::Privacy>("privacy", &mut out);
    section::<provisioning::Provisioning>("provisioning", &mut out);
    section::<webhooks::Webhooks>("webhooks", &mut out);
    section::<operations::Operations>("operations", &mut out);
    section::<logging::Logging>("logging", &mut out);
    section::<retention::Retention>("retention", &mut out);
    out
}

#[cfg(feature = "device")]
const DEVICE_HEAD: &str = "# Configuration of a device

All settings of `device.yaml`, made by `swingbridge docs device-config`; `swingbridge device init` writes a commented one to begin with. How to go
about it: [the guide](../guide/device.md).

Every secret `x` (marked) may be given as `x_file` instead, the path of a file that holds it. Relative paths begin at the
configuration's own folder. Times have a unit: `500ms`, `30s`, `15m`, `24h`, `7d`; those of connectors are numbers of seconds.
";

/// The settings of a device.
#[cfg(feature = "device")]
pub fn device() -> String {
    use crate::config::connectors::DEVICE;
    use crate::config::device;
    use swingbridge_connectors::{bluebubbles, imessage, sms_gateway, termux};
    let mut out = String::from(DEVICE_HEAD);
    section::<device::Device>("device", &mut out);
    section::<device::Homeserver>("homeserver", &mut out);
    out.push_str(
        "\n## connectors\n\nHow the device reaches its messages, each under a name of your choice. `connectors.NAME.type` says which: ",
    );
    let _ = writeln!(out, "{}.", words(DEVICE));
    connector::<termux::Config>("termux", &mut out);
    connector::<sms_gateway::Config>("sms_gateway", &mut out);
    connector::<imessage::Config>("imessage", &mut out);
    connector::<bluebubbles::Config>("bluebubbles", &mut out);
    out.push_str(
        "\n## lines\n\nThe device's own numbers and addresses, each under a name of your choice. They are the owner's alone: `users` and \
         `inbox_room` are of no use here.\n",
    );
    table::<lines::Line>("lines.NAME", &mut out);
    section_of("messages", &messages::Messages::of_device(), &mut out);
    section::<limits::Limits>("limits", &mut out);
    section::<limits::OptOut>("opt_out", &mut out);
    section::<privacy::Privacy>("privacy", &mut out);
    section::<device::Webhooks>("webhooks", &mut out);
    section::<operations::Operations>("operations", &mut out);
    section::<logging::Logging>("logging", &mut out);
    section::<retention::Retention>("retention", &mut out);
    out
}

/// A type with its defaults and its schema.
struct Described {
    defaults: serde_yaml_ng::Value,
    schema: Value,
}

impl Described {
    fn of<T: JsonSchema + Serialize>(value: &T) -> Self {
        Self {
            defaults: serde_yaml_ng::to_value(value).unwrap_or_default(),
            schema: schemars::schema_for!(T).to_value(),
        }
    }
}

fn section<T: JsonSchema + Serialize + Default>(name: &str, out: &mut String) {
    section_of(name, &T::default(), out);
}

fn section_of<T: JsonSchema + Serialize>(name: &str, defaults: &T, out: &mut String) {
    let described = Described::of(defaults);
    let meaning = text(described.schema.get("description"));
    let _ = writeln!(out, "\n## {name}\n\n{meaning}");
    out.push_str("\n| setting | default | meaning |\n|---|---|---|\n");
    rows(&described, name, out);
}

fn connector<T: JsonSchema + Serialize + Default>(kind: &str, out: &mut String) {
    let _ = writeln!(out, "\n### `type: {kind}`");
    out.push_str("\n| setting | default | meaning |\n|---|---|---|\n");
    let described = Described::of(&T::default());
    let root = Root {
        schema: &described.schema,
        kind: Some(kind),
    };
    walk(
        &described.defaults,
        &described.schema,
        &root,
        "connectors.NAME",
        out,
    );
}

fn table<T: JsonSchema + Serialize + Default>(path: &str, out: &mut String) {
    out.push_str("\n| setting | default | meaning |\n|---|---|---|\n");
    rows(&Described::of(&T::default()), path, out);
}

fn rows(described: &Described, path: &str, out: &mut String) {
    let root = Root {
        schema: &described.schema,
        kind: None,
    };
    walk(&described.defaults, &described.schema, &root, path, out);
}

/// What is the same all the way down.
struct Root<'a> {
    schema: &'a Value,
    /// Of the connector, where it is one.
    kind: Option<&'a str>,
}

/// Goes through the settings in the order in which they are written down, deeper ones after their section.
fn walk(defaults: &serde_yaml_ng::Value, schema: &Value, root: &Root<'_>, path: &str, out: &mut String) {
    let Some(properties) = schema.get("properties").and_then(Value::as_object) else {
        return;
    };
    let mut order: Vec<String> = match defaults {
        serde_yaml_ng::Value::Mapping(mapping) => mapping
            .keys()
            .filter_map(|key| key.as_str().map(str::to_owned))
            .collect(),
        _ => Vec::new(),
    };
    order.extend(
        properties
            .keys()
            .filter(|key| !order.contains(key))
            .cloned()
            .collect::<Vec<_>>(),
    );
    for key in order {
        let Some(property) = properties.get(&key) else {
            continue;
        };
        let default = defaults.get(key.as_str()).unwrap_or(&serde_yaml_ng::Value::Null);
        let inner = resolved(property, root.schema);
        let here = format!("{path}.{key}");
        let meaning = match text(property.get("description")) {
            own if own.is_empty() => text(inner.get("description")),
            own => own,
        };
        let choices = choices(inner, root.schema, &meaning);
        let parts: Vec<&str> = here.split('.').collect();
        let secret = match secrets::is_secret(root.kind, &parts) {
            true => " **Secret.**",
            false => "",
        };
        let deep = inner.get("properties").is_some();
        let shown = if deep { String::new() } else { shown(default) };
        let _ = writeln!(out, "| `{here}` | {shown} | {meaning}{choices}{secret} |");
        if deep {
            walk(default, inner, root, &here, out);
        }
    }
}

/// The schema itself, where `schema` only points at it or allows nothing besides.
fn resolved<'a>(schema: &'a Value, root: &'a Value) -> &'a Value {
    if let Some(reference) = schema.get("$ref").and_then(Value::as_str) {
        return root.pointer(reference.trim_start_matches('#')).unwrap_or(schema);
    }
    let several = schema
        .get("anyOf")
        .or_else(|| schema.get("allOf"))
        .and_then(Value::as_array);
    let some = several.and_then(|list| {
        list.iter()
            .find(|one| one.get("type").and_then(Value::as_str) != Some("null"))
    });
    some.map_or(schema, |one| resolved(one, root))
}

/// The words that a setting can be, with what each means; nothing when `told` names them all.
fn choices(schema: &Value, root: &Value, told: &str) -> String {
    let listed = |schema: &Value| -> Vec<String> {
        let words = schema.get("enum").and_then(Value::as_array).into_iter().flatten();
        words
            .filter_map(|word| Some(format!("`{}`", word.as_str()?)))
            .collect()
    };
    let mut found = listed(schema);
    for one in schema
        .get("oneOf")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let one = resolved(one, root);
        let meaning = text(one.get("description"));
        if let Some(word) = one.get("const").and_then(Value::as_str) {
            let meaning = meaning.trim_end_matches('.');
            found.push(if meaning.is_empty() {
                format!("`{word}`")
            } else {
                format!("`{word}` ({meaning})")
            });
        }
        found.extend(listed(one));
    }
    if found.iter().all(|word| told.contains(word.as_str())) {
        return String::new();
    }
    format!(" One of {}.", found.join(", "))
}

fn shown(default: &serde_yaml_ng::Value) -> String {
    use serde_yaml_ng::Value as Yaml;
    match default {
        Yaml::Null => String::new(),
        Yaml::String(text) if text.is_empty() => String::new(),
        Yaml::String(text) => format!("`{text}`"),
        Yaml::Number(number) => format!("`{}`", number.to_string().trim_end_matches(".0")),
        Yaml::Sequence(list) if list.is_empty() => "`[]`".into(),
        other => format!("`{}`", serde_yaml_ng::to_string(other).unwrap_or_default().trim()),
    }
}

fn words(words: &[&str]) -> String {
    words
        .iter()
        .map(|word| format!("`{word}`"))
        .collect::<Vec<_>>()
        .join(", ")
}

/// A description on one line.
fn text(description: Option<&Value>) -> String {
    let text = description.and_then(Value::as_str).unwrap_or_default();
    text.split_whitespace()
        .collect::<Vec<_>>()
        .join(" ")
        .replace('|', "\\|")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::de::DeserializeOwned;
    use serde_json::json;
    use std::fmt::Debug;
    use swingbridge_connectors::{bluebubbles, imessage, sms_gateway, termux};

    const WORD: &str = "hunter2";

    /// The settings of a connector that hold a text and do not print it.
    fn silent<T>() -> Vec<String>
    where
        T: JsonSchema + Serialize + Default + DeserializeOwned + Debug,
    {
        fn texts(schema: &Value, root: &Value, path: &str, found: &mut Vec<String>) {
            let properties = schema.get("properties").and_then(Value::as_object);
            for (key, property) in properties.into_iter().flatten() {
                let (inner, here) = (resolved(property, root), format!("{path}/{key}"));
                let kinds = [inner.get("type"), property.get("type")];
                let is_text = |kind: &Value| kind == "string" || kind[0] == "string";
                if kinds.into_iter().flatten().any(is_text) && inner.get("enum").is_none() {
                    found.push(here.clone());
                }
                texts(inner, root, &here, found);
            }
        }
        let schema = Described::of(&T::default()).schema;
        let mut found = Vec::new();
        texts(&schema, &schema, "", &mut found);
        let prints = |path: &String| {
            let parts: Vec<&str> = path.trim_start_matches('/').split('/').collect();
            let with = parts
                .iter()
                .rev()
                .fold(json!(WORD), |inner, part| json!({ *part: inner }));
            let read: Result<T, _> = serde_json::from_value(with);
            match read {
                Ok(config) => format!("{config:?}").contains(WORD),
                // A secret takes every text.
                Err(_) => true,
            }
        };
        found.retain(|path| !prints(path));
        found
    }

    #[test]
    fn every_secret_of_every_connector_is_marked_as_one_and_may_come_from_a_file() {
        for (kind, found) in [
            ("smpp", silent::<smpp::Config>()),
            ("rbm", silent::<rbm::Config>()),
            ("maap", silent::<maap::Config>()),
            ("twilio", silent::<twilio::Config>()),
            ("telnyx", silent::<telnyx::Config>()),
            ("webhook", silent::<webhook_http::Config>()),
            ("termux", silent::<termux::Config>()),
            ("sms_gateway", silent::<sms_gateway::Config>()),
            ("imessage", silent::<imessage::Config>()),
            ("bluebubbles", silent::<bluebubbles::Config>()),
        ] {
            let known = secrets::of_connector(Some(kind)).map(|path| format!("/{}", path.join("/")));
            let (mut known, mut found): (Vec<String>, _) = (known.collect(), found);
            known.sort();
            found.sort();
            assert_eq!(known, found, "{kind}");
        }
    }
}
