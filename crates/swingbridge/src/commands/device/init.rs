//! `device init`: a device.yaml to begin with, and a passphrase for what the device seals.

use crate::cli::{DeviceConnector, DeviceInit};
use crate::config::{self, LoadError, Sources};
use crate::device::files;
use crate::edges::SystemEntropy;
use crate::exit::{Ends, Exit, Failure};
use std::path::Path;
use swingbridge_domain::clock::Entropy;

/// Beside the configuration.
const PASSPHRASE: &str = "device.passphrase";

pub fn run(options: &DeviceInit, sources: &Sources) -> Result<(), Failure> {
    let path = &sources.config;
    if path.exists() && !options.force {
        return Err(Failure::msg(
            Exit::File,
            format!("{} is there already: --force replaces it", path.display()),
        ));
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    std::fs::create_dir_all(folder).ends(Exit::File)?;
    files::write(path, template(options).as_bytes()).ends(Exit::File)?;
    println!("wrote {}", path.display());
    // Never replaced: what it sealed would be lost.
    let passphrase = folder.join(PASSPHRASE);
    if !passphrase.exists() {
        let mut drawn = [0; 24];
        SystemEntropy.fill(&mut drawn);
        let text = data_encoding::BASE32_NOPAD.encode(&drawn).to_lowercase();
        files::write(&passphrase, format!("{text}\n").as_bytes()).ends(Exit::File)?;
        println!("wrote {}", passphrase.display());
    }
    match config::device::load(sources) {
        Ok(_) => println!("\nNext:\n{}", next(options)),
        Err(LoadError::Invalid(problems)) => {
            println!("\nTo be filled in first. {problems}\n\nThen:\n{}", next(options));
        }
        Err(error) => return Err(Failure::load(error)),
    }
    Ok(())
}

fn next(options: &DeviceInit) -> String {
    let homeserver = options.homeserver.as_deref().unwrap_or("URL");
    format!(
        "  swingbridge register --username phone-NAME --homeserver {homeserver} …   makes the device's account\n  \
         swingbridge device login --user phone-NAME --password-file FILE\n  \
         swingbridge device verify                       compares emoji with your own client, once\n  \
         swingbridge service install                     starts it, now and after each restart\n"
    )
}

fn quoted(text: &str) -> String {
    // JSON is YAML, whatever the characters.
    serde_json::to_string(text).unwrap_or_default()
}

/// The file, with what was told filled in.
pub fn template(options: &DeviceInit) -> String {
    let given = |value: &Option<String>, example: &str| match value {
        Some(value) => quoted(value),
        None => format!("\"\"    # such as {example}"),
    };
    let (name, connector) = match options.connector {
        DeviceConnector::Termux => ("sms", TERMUX),
        DeviceConnector::SmsGateway => ("sms", SMS_GATEWAY),
        DeviceConnector::Imessage => ("imessage", IMESSAGE),
        DeviceConnector::Bluebubbles => ("imessage", BLUEBUBBLES),
    };
    let region = match &options.region {
        Some(region) => format!("    region: {}\n", quoted(region)),
        None => "    # region: GB\n".to_owned(),
    };
    format!(
        "# A device of swingbridge. All settings: docs/generated/device.md, or `swingbridge docs device-config`.\n\n\
         device:\n  \
           # The account that you use in your own client. Nobody else is served.\n  \
           owner: {owner}\n  \
           # Keys, queue and files. Keep it on a disk of the device's own, and out of backups that others can read.\n  \
           folder: swingbridge-device\n  \
           # The key to what is sealed in there goes into the system's keychain, where there is one at the first login.\n  \
           keychain: true\n  \
           # Where there is none, this opens it. Whoever then has this file and that folder can read along as this device.\n  \
           passphrase_file: {PASSPHRASE}\n\n\
         homeserver:\n  \
           address: {homeserver}\n  \
           # For a site with an authority of its own, and for one that asks for a certificate of yours:\n  \
           # ca_file: site-ca.pem\n  \
           # client_cert_file: device.pem\n  \
           # client_key_file: device.key\n\n\
         connectors:\n  \
           {name}:\n{connector}\n\
         lines:\n  \
           phone:\n    \
             connector: {name}\n    \
             # The device's own number or address, in quotes.\n    \
             address: {number}\n    \
             # By whose rules numbers without a country code are read.\n\
         {region}    \
             # What the homeserver sees in room names: the `name` in the address book, or numbers `masked` or `full`.\n    \
             # display: name\n\n\
         # Before something leaves that others than your own device can read, you are asked once: `line`, or for each\n\
         # `conversation`. A message that would go less protected than the one before it: `refuse`, `ask` or `tell`.\n\
         # privacy:\n\
         #   consent: line\n\
         #   downgrade: ask\n",
        owner = given(&options.owner, "\"@alice:example.org\""),
        homeserver = given(&options.homeserver, "\"https://matrix.example.org\""),
        number = given(&options.number, "\"+447700900123\""),
    )
}

const TERMUX: &str = "    type: termux
    # The SIM to send by: 0 is the first slot.
    # sim_slot: 0
    # Days of texts to bring over at the first start.
    # history_days: 30
";

const SMS_GATEWAY: &str = "    type: sms_gateway
    # What the app shows as its local address, and its user and password.
    url: http://192.168.1.20:8080
    user: sms
    password_file: sms-gateway.password
";

const IMESSAGE: &str = "    type: imessage
    # Days of messages to bring over at the first start.
    # history_days: 30
";

const BLUEBUBBLES: &str = "    type: bluebubbles
    url: https://mac.example.org:1234
    password_file: bluebubbles.password
";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::environment::Variables;

    #[test]
    fn a_new_device_keeps_its_key_in_the_keychain_and_has_a_passphrase_where_there_is_none() {
        let folder = tempfile::TempDir::new().unwrap();
        let options = DeviceInit {
            owner: Some("@alice:example.org".into()),
            homeserver: Some("https://matrix.example.org".into()),
            connector: DeviceConnector::Termux,
            number: Some("+447700900123".into()),
            region: Some("GB".into()),
            force: false,
        };
        let sources = Sources {
            config: folder.path().join("device.yaml"),
            registration: None,
            variables: Variables::new(),
        };
        run(&options, &sources).unwrap();
        let device = config::device::load(&sources).unwrap().device;
        assert!(device.keychain);
        assert_eq!(device.passphrase_file, Some(folder.path().join(PASSPHRASE)));
    }
}
