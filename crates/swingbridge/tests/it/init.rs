//! What `init` and `--generate-registration` write.

use crate::program::{code, run, said};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use tempfile::TempDir;

const TOLD: &[&str] = &[
    "init",
    "--homeserver",
    "http://127.0.0.1:8008",
    "--domain",
    "example.org",
    "--smpp-host",
    "smsc.example.net",
    "--smpp-system-id",
    "me",
    "--smpp-password",
    "secret",
    "--line",
    "+447700900001",
    "--region",
    "GB",
    "--user",
    "@bob:example.org",
    "--admin",
    "@alice:example.org",
];

fn read(folder: &Path, name: &str) -> String {
    fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn what_is_written_holds_secrets_that_only_its_owner_can_read() {
    let folder = TempDir::new().unwrap();
    let output = run(folder.path(), TOLD);
    assert_eq!(code(&output), 0, "{}", said(&output));
    for name in ["config.yaml", "registration.yaml", "site.key"] {
        let mode = fs::metadata(folder.path().join(name))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let registration = read(folder.path(), "registration.yaml");
    assert!(registration.contains(r"^@sms_.*:example\.org$"), "{registration}");
    for homeserver in [
        "app_service_config_files",
        "app_service_api",
        "!admin appservices register",
    ] {
        assert!(said(&output).contains(homeserver), "{}", said(&output));
    }
    assert!(!said(&output).contains("secret\""), "{}", said(&output));
}

#[test]
fn nothing_is_overwritten_unasked_and_the_site_key_never() {
    let folder = TempDir::new().unwrap();
    assert_eq!(code(&run(folder.path(), TOLD)), 0);
    let before: Vec<String> = ["config.yaml", "registration.yaml", "site.key"]
        .map(|name| read(folder.path(), name))
        .into();
    let again = run(folder.path(), TOLD);
    assert_eq!(code(&again), 18, "{}", said(&again));
    let after: Vec<String> = ["config.yaml", "registration.yaml", "site.key"]
        .map(|name| read(folder.path(), name))
        .into();
    assert_eq!(before, after);

    let forced = run(folder.path(), &[TOLD, &["--force"]].concat());
    assert_eq!(code(&forced), 0, "{}", said(&forced));
    assert_eq!(read(folder.path(), "site.key"), before[2]);
    assert_ne!(read(folder.path(), "registration.yaml"), before[1]);
}

#[test]
fn what_init_was_not_told_is_named_and_can_follow() {
    let folder = TempDir::new().unwrap();
    let output = run(folder.path(), &["init", "--domain", "example.org"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    let text = said(&output);
    assert!(
        text.contains("homeserver.address") && text.contains("--generate-registration"),
        "{text}"
    );
    assert!(!folder.path().join("registration.yaml").exists());

    let config = read(folder.path(), "config.yaml")
        .replacen("address: \"\"", "address: \"http://127.0.0.1:8008\"", 1)
        .replacen("address: \"\"", "address: \"+447700900001\"", 1)
        .replacen("host: \"\"", "host: smsc.example.net", 1)
        .replacen("system_id: \"\"", "system_id: me", 1)
        .replacen("users: []", "users: [\"@alice:example.org\"]", 1)
        .replacen("#\"example.org\": user", "\"example.org\": user", 1);
    fs::write(folder.path().join("config.yaml"), config).unwrap();
    let output = run(folder.path(), &["-g"]);
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(read(folder.path(), "registration.yaml").contains("as_token"));
    assert_eq!(code(&run(folder.path(), &["-g"])), 18);
}

#[test]
fn a_folder_and_other_names_can_be_given() {
    let folder = TempDir::new().unwrap();
    assert_eq!(
        code(&run(folder.path(), &[TOLD, &["--directory", "deep/er"]].concat())),
        0
    );
    assert!(folder.path().join("deep/er/config.yaml").exists());
    assert!(folder.path().join("deep/er/registration.yaml").exists());
    let named = [TOLD, &["-c", "a/b.yaml", "-r", "a/c.yaml"]].concat();
    assert_eq!(code(&run(folder.path(), &named)), 0);
    assert!(read(folder.path(), "a/b.yaml").contains("registration: \"c.yaml\""));
    assert!(folder.path().join("a/c.yaml").exists());
}
