//! A homeserver behind TLS with a certificate of the site's own authority.

use crate::bridge::{Now, Plan};
use std::sync::Arc;
use swingbridge_domain::secret::Keys;
use swingbridge_lab::edge::{Authority, Edge};
use swingbridge_lab::homeserver::Quirks;
use swingbridge_matrix::{BuildError, Matrix};

#[tokio::test]
async fn a_homeserver_of_a_private_authority_is_trusted_only_when_told_so() {
    let plan = Plan::new().await;
    let (stub, bridge) = plan.on_stub(Quirks::synapse()).await;
    let authority = Authority::new("the site").unwrap();
    let identity = authority.signs("127.0.0.1").unwrap();
    let edge = Edge::open(&stub.url(), &identity, None).await.unwrap();
    let mut config = bridge.config.clone();
    config.homeserver = url::Url::parse(&edge.url()).unwrap();
    let build = |config| Matrix::new(config, bridge.keys.clone(), Arc::new(Now));
    let stranger = build(config.clone()).unwrap().probe().await;
    let fault = stranger[0].result.clone().unwrap_err();
    assert!(fault.may_pass && fault.cause.contains("certificate"), "{fault}");
    config.roots = Some(authority.certificate.clone().into_bytes());
    let friend = build(config.clone()).unwrap().probe().await;
    assert!(friend.iter().all(|finding| finding.result.is_ok()), "{friend:?}");
    config.roots = Some(b"no certificate".to_vec());
    assert!(matches!(build(config), Err(BuildError::Roots(_))));
}

#[tokio::test]
async fn what_can_not_work_is_refused_at_once() {
    let config = Plan::new().await.config;
    let keys = Keys::derive(&[1; 32], Arc::new(crate::bridge::Dice));
    let build = |config| Matrix::new(config, keys.clone(), Arc::new(Now));
    assert!(build(config.clone()).is_ok());
    let mut wrong = config.clone();
    wrong.homeserver = url::Url::parse("ftp://example.org").unwrap();
    assert!(matches!(build(wrong), Err(BuildError::Address(_))));
    let mut wrong = config.clone();
    wrong.server_name = "not a server".into();
    assert!(matches!(
        build(wrong),
        Err(BuildError::Name {
            what: "server_name",
            ..
        })
    ));
    for bot in ["", "SmsBot", "sms bot", "sms:bot"] {
        let mut wrong = config.clone();
        wrong.bot = bot.into();
        assert!(
            matches!(build(wrong), Err(BuildError::Name { what: "bot", .. })),
            "{bot}"
        );
    }
}
