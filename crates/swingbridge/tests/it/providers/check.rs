//! `check` with accounts at providers: what is wrong is told with its cause and its cure, and nothing secret.

use super::accounts::{self, now};
use super::house::Plan;
use crate::program::{Site, code, command, said};
use serde_json::{Value, json};
use std::sync::Arc;
use swingbridge_lab::edge::{Authority, Edge};
use swingbridge_lab::maap::Maap;
use swingbridge_lab::process::free_port;
use swingbridge_lab::rbm::Rbm;
use swingbridge_lab::smsc::SystemClock;
use swingbridge_lab::telnyx::{self, Telnyx};
use swingbridge_lab::twilio::{self, Twilio};
use swingbridge_lab::webhook_http::Provider;

const SECRET: &str = "a-secret-that-nobody-may-see";

struct Providers {
    twilio: Twilio,
    telnyx: Telnyx,
    google: Rbm,
    platform: Maap,
    acme: Provider,
}

impl Providers {
    async fn start() -> Self {
        Self {
            twilio: Twilio::start(now()).await.unwrap(),
            telnyx: Telnyx::start(now()).await.unwrap(),
            google: Rbm::start(Arc::new(SystemClock)).await.unwrap(),
            platform: Maap::start().await.unwrap(),
            acme: Provider::start(now()).await.unwrap(),
        }
    }

    /// The right settings, by connector.
    fn accounts(&self) -> [(&'static str, Value); 5] {
        [
            ("twilio", accounts::twilio(&self.twilio)),
            ("telnyx", accounts::telnyx(&self.telnyx)),
            ("google", accounts::rbm(&self.google, &self.google.url())),
            ("platform", accounts::maap(&self.platform)),
            ("acme", accounts::acme(&self.acme)),
        ]
    }
}

/// What `check` says with these accounts beside the carrier's, and how it ends.
async fn checked(accounts: impl IntoIterator<Item = (&'static str, Value)>) -> (i32, String) {
    let site = Site::new().await;
    let mut plan = Plan::default();
    for (name, settings) in accounts {
        let address = match name {
            "twilio" => twilio::NUMBER,
            "telnyx" => telnyx::NUMBER,
            "acme" => "+447700900007",
            _ => "Lab Agent",
        };
        plan = plan
            .connector(name, settings)
            .line(name, name, address, json!({}));
    }
    plan.write(&site.path("config.yaml"));
    let hooks = format!("127.0.0.1:{}", free_port().unwrap());
    let mut command = command(site.folder.path(), &["check"]);
    command.env("SWINGBRIDGE_WEBHOOKS__ADDRESS", &hooks);
    command.env("SWINGBRIDGE_WEBHOOKS__PUBLIC_URL", format!("http://{hooks}"));
    let output = tokio::task::block_in_place(|| command.output().unwrap());
    (code(&output), said(&output))
}

/// What is said of a connector: how it begins, and the line with the cure.
fn verdict<'a>(told: &'a str, connector: &str) -> (&'a str, &'a str) {
    let what = format!("connector {connector} reaches its provider");
    let mut lines = told.lines();
    let line = lines
        .find(|line| line.contains(&what))
        .unwrap_or_else(|| panic!("{what}: {told}"));
    (line, lines.next().unwrap_or_default())
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_that_take_the_account_are_said_to_be_well_and_nothing_is_sent() {
    let providers = Providers::start().await;
    let (exit, told) = checked(providers.accounts()).await;
    assert_eq!(exit, 0, "{told}");
    for (name, _) in providers.accounts() {
        assert!(verdict(&told, name).0.starts_with("ok"), "{told}");
    }
    // Each under its own name, in whatever order they stand.
    assert!(told.contains("ok    connector smpp binds: SMPP"), "{told}");
    assert!(
        told.contains("ok    providers' calls come in: by http://127.0.0.1:"),
        "{told}"
    );
    assert!(providers.twilio.sent().is_empty() && providers.telnyx.sent().is_empty());
    assert!(providers.acme.sent().is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_credentials_are_told_with_the_setting_to_compare() {
    let providers = Providers::start().await;
    let mut wrong = providers.accounts();
    wrong[0].1["auth_token"] = SECRET.into();
    wrong[1].1["api_key"] = SECRET.into();
    let key = wrong[2].1["service_account"].as_str().unwrap();
    wrong[2].1["service_account"] = key.replace("lab@", "somebody.else@").into();
    wrong[3].1["oauth"]["client_secret"] = SECRET.into();
    let (exit, told) = checked(wrong).await;
    assert_eq!(exit, 17, "{told}");
    for (connector, cause, cure) in [
        ("twilio", "Twilio refuses the account's credentials", "auth_token"),
        ("telnyx", "Telnyx refuses the API key", "api_key"),
        (
            "google",
            "Google does not know the service account (invalid_grant)",
            "service_account_file",
        ),
        (
            "platform",
            "the operator's sign-in refuses client_id or client_secret",
            "token_url",
        ),
    ] {
        let (line, next) = verdict(&told, connector);
        assert!(
            line.starts_with("FAIL") && line.contains(cause),
            "{connector}: {told}"
        );
        assert!(next.contains(cure), "{connector}: {told}");
    }
    // Nobody knows without sending; so nothing is promised.
    assert!(
        verdict(&told, "acme")
            .0
            .contains("whether it takes the credentials, the first message shows"),
        "{told}"
    );
    assert!(!told.contains(SECRET) && !told.contains("PRIVATE KEY"), "{told}");

    let mut token = providers.accounts()[3].clone();
    token.1["oauth"] = Value::Null;
    token.1["token"] = SECRET.into();
    let (exit, told) = checked([token]).await;
    assert_eq!(exit, 17, "{told}");
    let (line, next) = verdict(&told, "platform");
    assert!(line.contains("the platform refuses the bot's token"), "{told}");
    assert!(next.contains("bot_id") && !told.contains(SECRET), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_that_are_not_reached_are_told_with_what_the_system_says() {
    let providers = Providers::start().await;
    let closed = format!("http://127.0.0.1:{}", free_port().unwrap());
    let mut away = providers.accounts();
    away[0].1["url"] = closed.clone().into();
    away[1].1["url"] = "http://nowhere.invalid".into();
    away[2].1["service_account"] = swingbridge_lab::rbm::service_account(&format!("{closed}/token")).into();
    away[3].1["url"] = format!("{closed}/rcs/bot/v1").into();
    // A certificate of an authority that nobody named.
    let authority = Authority::new("Somebody").unwrap();
    let edge = Edge::open(
        &providers.acme.url(),
        &authority.signs("127.0.0.1").unwrap(),
        None,
    )
    .await
    .unwrap();
    away[4].1["send"]["url"] = format!("{}/v1/messages", edge.url()).into();
    let (exit, told) = checked(away).await;
    assert_eq!(exit, 17, "{told}");
    for (connector, cause, cure) in [
        (
            "twilio",
            "Twilio cannot be reached: Connection refused",
            "address of the API",
        ),
        ("telnyx", "Telnyx cannot be reached: ", "DNS"),
        (
            "google",
            "Google's sign-in cannot be reached: Connection refused",
            "firewalls",
        ),
        (
            "platform",
            "the platform cannot be reached: Connection refused",
            "firewalls",
        ),
        (
            "acme",
            "the certificate of Acme at 127.0.0.1 is not trusted",
            "ca_file",
        ),
    ] {
        let (line, next) = verdict(&told, connector);
        assert!(
            line.starts_with("FAIL") && line.contains(cause),
            "{connector}: {told}"
        );
        assert!(next.contains(cure), "{connector}: {told}");
    }
    // An address may hold what only the account's owner is to know.
    assert!(!told.contains(twilio::ACCOUNT), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_public_address_that_leads_elsewhere_is_told() {
    let (providers, site) = (Providers::start().await, Site::new().await);
    let [(name, account), ..] = providers.accounts();
    let plan = Plan::default()
        .connector(name, account)
        .line(name, name, twilio::NUMBER, json!({}));
    plan.write(&site.path("config.yaml"));
    for (public, cause) in [
        (providers.acme.url(), "leads elsewhere: it answers"),
        (
            format!("http://127.0.0.1:{}", free_port().unwrap()),
            "cannot be reached: Connection refused",
        ),
    ] {
        let mut command = command(site.folder.path(), &["check"]);
        command.env(
            "SWINGBRIDGE_WEBHOOKS__ADDRESS",
            format!("127.0.0.1:{}", free_port().unwrap()),
        );
        command.env("SWINGBRIDGE_WEBHOOKS__PUBLIC_URL", &public);
        let output = tokio::task::block_in_place(|| command.output().unwrap());
        let told = said(&output);
        assert_eq!(
            code(&output),
            0,
            "what is seen from here alone is no failure: {told}"
        );
        assert!(
            told.contains("warn  providers' calls come in: ") && told.contains(cause),
            "{told}"
        );
        assert!(
            told.contains("/_swingbridge/hook/ on to webhooks.address"),
            "{told}"
        );
        // The address that only the provider is to know stays so.
        assert!(!told.contains("/hook/check"), "{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_address_that_is_printed_for_a_provider_is_the_one_that_its_signatures_are_checked_over() {
    let (providers, site) = (Providers::start().await, Site::new().await);
    let own = "https://elsewhere.example.org/a/path";
    let mut account = accounts::twilio(&providers.twilio);
    account["public_url"] = own.into();
    Plan::default()
        .connector("twilio", account)
        .line("twilio", "twilio", twilio::NUMBER, json!({}))
        .connector("telnyx", accounts::telnyx(&providers.telnyx))
        .line("telnyx", "telnyx", telnyx::NUMBER, json!({}))
        .write(&site.path("config.yaml"));
    let mut command = command(site.folder.path(), &["webhooks"]);
    command.env("SWINGBRIDGE_WEBHOOKS__PUBLIC_URL", "https://hooks.example.org/");
    let told = said(&tokio::task::block_in_place(|| command.output().unwrap()));
    assert!(told.contains(&format!("twilio\t{own}\n")), "{told}");
    assert!(
        told.contains("telnyx\thttps://hooks.example.org/_swingbridge/hook/telnyx/"),
        "{told}"
    );
}
