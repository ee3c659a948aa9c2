//! A site that asks for certificates before anything else: a TLS edge that demands a client's, with one of the site's own authority.

use super::house::{KEY, PASSWORD, Phone, homeserver};
use crate::bridge::Now;
use serde_json::json;
use std::sync::Arc;
use swingbridge_domain::connector::{Link, Shutdown};
use swingbridge_domain::id::UserId;
use swingbridge_domain::secret::Secret;
use swingbridge_lab::client::Client;
use swingbridge_lab::edge::{Authority, Edge, Identity};
use swingbridge_lab::foreign::{Foreign, Script};
use swingbridge_lab::synapse::Synapse;
use swingbridge_matrix::puppet::{Config, Puppet, login};
use tempfile::TempDir;
use url::Url;

struct Site {
    authority: Authority,
    edge: Edge,
    synapse: Synapse,
    outside: Client,
}

impl Site {
    async fn open() -> Option<Self> {
        let (synapse, outside) = homeserver().await?;
        let authority = Authority::new("the site").unwrap();
        let identity = authority.signs("127.0.0.1").unwrap();
        let edge = Edge::open(synapse.url(), &identity, Some(&authority)).await;
        Some(Self {
            edge: edge.unwrap(),
            authority,
            synapse,
            outside,
        })
    }

    /// As the site's own people have it: its authority alone, and a certificate of theirs.
    fn config(&self, folder: &TempDir, shown: Option<&Identity>) -> Config {
        let url = Url::parse(&self.edge.url()).unwrap();
        let owner = UserId::new(self.outside.user());
        let mut config = Config::new(url, owner, folder.path().join("puppet"));
        config.roots = Some(self.authority.certificate.clone().into_bytes());
        config.only_these_roots = true;
        config.client_identity =
            shown.map(|shown| Secret::new(format!("{}\n{}", shown.certificate, shown.key)));
        config
    }
}

#[tokio::test]
async fn with_its_certificate_the_device_works_as_anywhere() {
    let Some(site) = Site::open().await else {
        return;
    };
    let client = Foreign::client(Script::Nio, site.synapse.url(), site.outside.user(), PASSWORD).await;
    let Some(Ok(mut alice)) = client else {
        return;
    };
    let shown = site.authority.signs("phone-alice").unwrap();
    let folder = TempDir::new().unwrap();
    let mut phone = Phone::by(site.config(&folder, Some(&shown)), false).await;
    phone.start_new().await;
    let room = phone.room("c", site.outside.user()).await;
    alice.tell(json!({ "do": "join", "room": room })).await.unwrap();
    alice.event("joined").await.unwrap();
    phone.say(&room, "a guarded swan", "outbox-1").await;
    let reads = |event: &serde_json::Value| event["content"]["body"] == "a guarded swan";
    alice.event_with("message", reads).await.unwrap();
    alice
        .tell(json!({ "do": "send", "room": room, "body": "an answering swan" }))
        .await
        .unwrap();
    phone.inbox.wait_for_text("an answering swan").await;
}

#[tokio::test]
async fn without_the_right_certificates_it_says_which_one_is_wrong() {
    let Some(site) = Site::open().await else {
        return;
    };
    let elsewhere = Authority::new("another site").unwrap();
    let folder = TempDir::new().unwrap();
    let good = site.authority.signs("phone-alice").unwrap();
    let stranger = elsewhere.signs("phone-alice").unwrap();
    let old = site.authority.signed_once("phone-alice").unwrap();
    let says = async |config: &Config| {
        let secret = Secret::new(PASSWORD);
        let refused = login::with_password(config, "phone-alice", &secret, None).await;
        refused.unwrap_err().to_string()
    };
    for (shown, words) in [
        // It may be gone before it has said that it asks for one.
        (
            None,
            [
                "asks for a client certificate, and none was given",
                "it may ask for a client certificate",
            ]
            .as_slice(),
        ),
        (Some(&stranger), &["does not accept our client certificate"]),
        (Some(&old), &["our client certificate has expired"]),
    ] {
        let said = says(&site.config(&folder, shown)).await;
        assert!(words.iter().any(|words| said.contains(words)), "{said}");
    }
    // What the edge shows.
    let mut config = site.config(&folder, Some(&good));
    config.roots = Some(elsewhere.certificate.clone().into_bytes());
    let said = says(&config).await;
    assert!(said.contains("an authority that is not trusted here"), "{said}");
    // Besides the system's authorities it is trusted as little.
    config.only_these_roots = false;
    let said = says(&config).await;
    assert!(said.contains("an authority that is not trusted here"), "{said}");
    let old = site.authority.signed_once("127.0.0.1").unwrap();
    let edge = Edge::open(site.synapse.url(), &old, Some(&site.authority))
        .await
        .unwrap();
    let mut config = site.config(&folder, Some(&good));
    config.homeserver = Url::parse(&edge.url()).unwrap();
    let said = says(&config).await;
    assert!(said.contains("its certificate has expired"), "{said}");
    let other = site.authority.signs("matrix.example.org").unwrap();
    let edge = Edge::open(site.synapse.url(), &other, Some(&site.authority))
        .await
        .unwrap();
    config.homeserver = Url::parse(&edge.url()).unwrap();
    let said = says(&config).await;
    assert!(said.contains("another name than the address"), "{said}");
}

#[tokio::test]
async fn a_certificate_that_expires_while_it_runs_is_said_and_waited_for() {
    let Some(site) = Site::open().await else {
        return;
    };
    let good = site.authority.signs("phone-alice").unwrap();
    let folder = TempDir::new().unwrap();
    let mut phone = Phone::by(site.config(&folder, Some(&good)), false).await;
    phone.close().await;
    // As at the first start after the last day of it.
    let old = site.authority.signed_once("phone-alice").unwrap();
    let config = site.config(&folder, Some(&old));
    let puppet = loop {
        match Puppet::open(config.clone(), &phone.session, None, &KEY, Arc::new(Now)).await {
            Ok(puppet) => break puppet,
            Err(error) => assert!(error.to_string().contains("in use"), "{error}"),
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    };
    let run = tokio::spawn(puppet.clone().run(phone.inbox.clone(), Shutdown::never()));
    let said = async {
        loop {
            let health = puppet.health();
            if health.detail.contains("our client certificate has expired") {
                return health.state;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    };
    let state = tokio::time::timeout(std::time::Duration::from_secs(20), said).await;
    assert_eq!(state.unwrap(), Link::Disconnected);
    assert!(!run.is_finished(), "a person puts it right, and then it goes on");
    run.abort();
}
