//! The owner at other clients, and under their own name.

use super::handset::{FRIEND, Kind};
use super::house::{ACCOUNT, Device, OWNER, Plan, body};
use swingbridge_lab::foreign::Script;

#[tokio::test(flavor = "multi_thread")]
async fn the_owner_at_matrix_js_sdk_reads_is_asked_and_answers() {
    let plan = Plan {
        client: Script::MatrixJs,
        ..Plan::of(Kind::Termux)
    };
    let Some(mut device) = Device::open(plan).await else {
        return;
    };
    device.handset.receives(FRIEND, "from the phone");
    let room = device.enters().await;
    let came = device.says("from the phone").await;
    assert_eq!(came["sender"], ACCOUNT, "{came}");
    assert_eq!(
        came["content"]["dev.swingbridge.path"]["summary"], "ends_at_device",
        "{came}"
    );
    device.writes(&room, "from a client on js").await;
    device.agrees(&room, &[]).await;
    assert_eq!(
        device.sends(1).await,
        [(FRIEND.to_owned(), "from a client on js".to_owned())]
    );
    device.handset.receives(FRIEND, "and back");
    device.says("and back").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_owner_writes_on_the_device_is_shown_as_theirs() {
    let plan = Plan {
        as_owner: true,
        ..Plan::of(Kind::IMessage)
    };
    let Some(mut device) = Device::open(plan).await else {
        return;
    };
    // Nobody accepts an invitation: the owner's second session is in at once.
    device.handset.receives(FRIEND, "who is there?");
    let came = device.says("who is there?").await;
    assert_eq!(came["sender"], ACCOUNT, "{came}");
    let room = came["room"].as_str().unwrap().to_owned();

    device.handset.writes(FRIEND, "it is me, on the Mac");
    let own = device.says("it is me, on the Mac").await;
    assert_eq!(own["sender"], OWNER, "{own}");
    assert_eq!(own["content"]["body"], "it is me, on the Mac", "{own}");
    assert!(
        own["content"]["com.beeper.per_message_profile"].is_null(),
        "{own}"
    );

    // What they write in their client leaves once, and what they wrote on the Mac does not leave again.
    device.writes(&room, "it is me, at the client").await;
    let sent = device.sends(1).await;
    device.handset.receives(FRIEND, "and the last word");
    let since = device.until(|body| body.ends_with("and the last word")).await;
    assert!(
        !since.iter().any(|event| body(event).contains("on the Mac")),
        "{since:#?}"
    );
    assert_eq!(sent, [(FRIEND.to_owned(), "it is me, at the client".to_owned())]);
    assert_eq!(device.handset.sent(), sent);
}
