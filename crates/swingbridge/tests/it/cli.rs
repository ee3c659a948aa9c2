//! The command line and its exit codes.

use crate::program::{Site, code, run, said};
use std::fs;
use tempfile::TempDir;

#[test]
#[cfg(feature = "device")]
fn help_tells_the_commands_and_the_flags_that_bridge_users_know() {
    let folder = TempDir::new().unwrap();
    let output = run(folder.path(), &["--help"]);
    assert_eq!(code(&output), 0);
    insta::assert_snapshot!(said(&output));
}

#[test]
fn the_version_is_told() {
    let folder = TempDir::new().unwrap();
    for flag in ["-v", "--version"] {
        let output = run(folder.path(), &[flag]);
        assert_eq!(code(&output), 0);
        assert_eq!(
            said(&output),
            format!("swingbridge {}\n", env!("CARGO_PKG_VERSION"))
        );
    }
}

#[test]
fn each_failure_before_the_start_has_its_own_exit_code() {
    let folder = TempDir::new().unwrap();
    assert_eq!(code(&run(folder.path(), &["--no-such-flag"])), 2);
    assert_eq!(code(&run(folder.path(), &["gateway"])), 10);
    assert_eq!(code(&run(folder.path(), &["check", "-c", "elsewhere.yaml"])), 10);
    fs::write(folder.path().join("config.yaml"), "homserver: {}\n").unwrap();
    for command in [&["gateway"][..], &["check"], &["-g"], &["-c", "config.yaml"]] {
        let output = run(folder.path(), command);
        assert_eq!(code(&output), 11, "{}", said(&output));
        assert!(
            said(&output).contains("did you mean `homeserver`?"),
            "{}",
            said(&output)
        );
    }
}

#[test]
fn the_example_is_written_once() {
    let folder = TempDir::new().unwrap();
    assert_eq!(code(&run(folder.path(), &["-e", "-c", "new.yaml"])), 0);
    let first = fs::read_to_string(folder.path().join("new.yaml")).unwrap();
    assert!(first.contains("connectors:"));
    let again = run(folder.path(), &["-e", "-c", "new.yaml"]);
    assert_eq!(code(&again), 18, "{}", said(&again));
    assert_eq!(code(&run(folder.path(), &["-e", "-c", "new.yaml", "--force"])), 0);
}

#[test]
fn the_example_leads_to_a_registration_and_its_site_key_stays() {
    let folder = TempDir::new().unwrap();
    assert_eq!(code(&run(folder.path(), &["-e"])), 0);
    let key = fs::read(folder.path().join("site.key")).unwrap();
    let mut fill_in = crate::program::command(folder.path(), &["-g"]);
    let output = fill_in.env("BRIDGE_SMPP_PASSWORD", "secret").output().unwrap();
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(folder.path().join("registration.yaml").exists());
    assert_eq!(code(&run(folder.path(), &["-e", "--force"])), 0);
    assert_eq!(fs::read(folder.path().join("site.key")).unwrap(), key);
}

#[tokio::test(flavor = "multi_thread")]
async fn each_failure_at_the_start_has_its_own_exit_code() {
    let site = Site::new().await;
    let gateway = |variables: &[(&str, &str)]| {
        let mut command = crate::program::command(site.folder.path(), &["gateway"]);
        let output = command.envs(variables.iter().copied()).output().unwrap();
        (code(&output), said(&output))
    };

    let taken = std::net::TcpListener::bind(("127.0.0.1", site.port)).unwrap();
    let (status, text) = gateway(&[]);
    assert_eq!(status, 12, "{text}");
    assert!(
        text.contains("appservice.port") && text.contains("another gateway"),
        "{text}"
    );
    drop(taken);

    fs::write(
        site.path("damaged.db"),
        "this is no database, and long enough to be looked at as one ".repeat(20),
    )
    .unwrap();
    let (status, text) = gateway(&[("SWINGBRIDGE_DATABASE__PATH", "damaged.db")]);
    assert_eq!(status, 14, "{text}");

    let (status, text) = gateway(&[("SWINGBRIDGE_APPSERVICE__AS_TOKEN", "another")]);
    assert_eq!(status, 11, "{text}");
    assert!(
        text.contains("as_token") && text.contains("--generate-registration"),
        "{text}"
    );

    // A homeserver that knows neither the registration nor its token.
    fs::remove_file(site.path("registration.yaml")).unwrap();
    let (status, text) = gateway(&[
        ("SWINGBRIDGE_APPSERVICE__AS_TOKEN", "another"),
        ("SWINGBRIDGE_APPSERVICE__HS_TOKEN", "one"),
    ]);
    assert_eq!(status, 16, "{text}");
    assert!(text.contains("app_service_config_files"), "{text}");
}
