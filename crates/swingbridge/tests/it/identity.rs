//! No phone number stands in what a full scenario leaves behind: a homeserver's database, ours with its log and its backups, the
//! program's log at its finest level, metrics, error texts and reports. The text of a panic is tested beside the panic hook.
//!
//! What a person writes into a room stands there, numbers or not: the numbers that Alice writes are looked for everywhere but in
//! what the homeserver keeps of her own messages.

use crate::numbers::{found, found_in_files};
use crate::people::World;
use crate::program::{CONTACT, LINE as LINE_OF_WORLD, said};
use crate::site::{LINE, PATIENCE, Site};
use serde_json::json;
use std::fs;
use std::path::Path;
use swingbridge_lab::smsc;

const PHONES: [&str; 3] = ["+447700900456", "+4930123456789", "+16502530000"];
/// Numbers that Alice writes to the bot, and in a text.
const CALLED: &str = "+447700900457";
const TOLD: &str = "+442079460123";
/// Numbers that a program asks for.
const ASKED: &str = "+447700900459";
const NUMBERS: [&str; 7] = [PHONES[0], PHONES[1], PHONES[2], CALLED, TOLD, ASKED, LINE];
const NONE: Vec<String> = Vec::new();
const SECRET: &str = "a secret of sixteen characters or more";

fn is_ours(name: &str) -> bool {
    name.starts_with("swingbridge.db") || name.ends_with(".log") || name.ends_with(".backup")
}

/// Both ways, a refusal, a command that names a number, look-ups by number, a number in a text.
async fn scenario(site: &mut Site) {
    let mut rooms = Vec::new();
    for phone in PHONES {
        let text = format!("hello, this is phone {}", rooms.len());
        site.carrier.write(phone, LINE, &text).unwrap();
        rooms.push(site.room_with(&text).await);
    }
    for (room, phone) in rooms.iter().zip(PHONES) {
        let text = format!("hello to {}", rooms.len());
        site.alice.say(room, &text).unwrap();
        let wait = site.carrier.wait_for("a text on a phone", PATIENCE, |view| {
            let there = |message: &smsc::Message| message.phone == smsc::key(phone) && message.text == text;
            view.messages.iter().any(there).then_some(())
        });
        wait.await
            .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
    }
    site.alice.say(&rooms[1], "her number is 020 7946 0123").unwrap();
    site.carrier.set_reach(PHONES[0], smsc::Reach::Barred);
    site.alice.say(&rooms[0], "to a barred phone").unwrap();
    let bot = "@smsbot:localhost";
    let management = site
        .alice
        .create_room(json!({"invite": [bot], "is_direct": true}))
        .unwrap();
    let wait = site.stub.wait(PATIENCE, "the bot", |world| {
        (world.membership(&management, bot) == Some("join")).then_some(())
    });
    wait.await.unwrap();
    site.alice.say(&management, "start-chat +44 7700 900457").unwrap();
    // Not a number, nearly one, and one too many.
    site.alice.say(&management, "start-chat +44 7700 90045").unwrap();
    site.alice
        .say(&management, "start-chat main (07700) 900-457 1")
        .unwrap();
    let client = site.alice.client().unwrap();
    let user = client
        .third_party_user("sms", &[("phone", PHONES[0])])
        .await
        .unwrap();
    assert!(user[0]["userid"].is_string(), "nobody is found by number: {user}");
    let new = site.stub.wait(PATIENCE, "the room of the command", |world| {
        let direct = world
            .rooms
            .keys()
            .filter(|room| world.membership(room, site.alice.id()) == Some("invite"));
        (direct.count() > 0).then_some(())
    });
    new.await
        .unwrap_or_else(|error| panic!("{error}\n{}", site.log()));
}

/// What a program that starts chats asks for, well and badly.
async fn provisioning(site: &Site) {
    let registration = fs::read_to_string(site.folder().join("registration.yaml")).unwrap();
    let url = registration.lines().find_map(|line| line.strip_prefix("url: "));
    let base = format!("{}/_matrix/provision/v3", url.unwrap().trim_matches(['"', '\'']));
    let client = crate::program::client();
    for (what, token) in [
        ("resolve_identifier/07700%20900459", SECRET),
        ("resolve_identifier/%2B44(0)7700-900459", SECRET),
        ("resolve_identifier/%2B447700900459999999", SECRET),
        ("resolve_identifier/%2B447700900459", "a wrong secret"),
    ] {
        let asked = client.get(format!("{base}/{what}?user_id=@alice:localhost"));
        let answer = asked.bearer_auth(token).send().await.unwrap();
        let status = answer.status().as_u16();
        assert!(status < 500, "{what}: {status}");
    }
}

/// What subcommands print, when all is well and when it is not.
fn printed(site: &Site) -> String {
    let mut all = String::new();
    let lines = [
        "SWINGBRIDGE_LINES__MAIN__ADDRESS",
        "SWINGBRIDGE_LINES__OTHER__ADDRESS",
    ];
    for (arguments, settings) in [
        (&["check"][..], &[][..]),
        (&["check"], &[(lines[0], "+44 7700 90000")][..]),
        (&["check"], &[(lines[0], "+44 (0)7700 900000 000 000")]),
        (
            &["check"],
            &[(lines[1], LINE), ("SWINGBRIDGE_LINES__OTHER__CONNECTOR", "smpp")],
        ),
        (&["check"], &[("SWINGBRIDGE_CONNECTORS__SMPP__PASSWORD", "wrong")]),
        (&["audit-log", "verify"], &[]),
        (&["audit-log", "export"], &[]),
        (&["retention", "report"], &[]),
        (&["retention", "report", "--json"], &[]),
    ] {
        let mut command = site.command();
        let output = command.args(arguments).envs(settings.iter().copied()).output();
        all += &format!("{arguments:?}\n{}", said(&output.unwrap()));
    }
    all
}

fn backup(site: &Site) {
    let from = rusqlite::Connection::open(site.folder().join("swingbridge.db")).unwrap();
    let into = site.folder().join("pages.backup");
    from.backup("main", &into, None).unwrap();
    let into = site.folder().join("rows.backup").display().to_string();
    from.execute("VACUUM INTO ?1", [into]).unwrap();
    // As a person may, who does not read the guide.
    for (name, copy) in [("", "live.backup"), ("-wal", "live-wal.backup")] {
        let file = site.folder().join(format!("swingbridge.db{name}"));
        fs::copy(file, site.folder().join(copy)).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_stand_nowhere_that_outsiders_see() {
    let mut site = Site::new(|_| {}, smsc::Config::default()).await;
    let watched = [PHONES[0], PHONES[1], PHONES[2], ASKED, LINE];
    watched.iter().for_each(|number| site.stub.watch_number(number));
    site.set("LOGGING__LEVEL", "trace");
    site.set("PROVISIONING__SHARED_SECRET", SECRET);
    site.start();
    scenario(&mut site).await;
    provisioning(&site).await;
    // With queues that are not empty, and a network that is away.
    site.carrier.set_down(true);
    let room = site.stub.look(|world| world.joined_rooms("@alice:localhost"));
    for room in &room {
        let _ = site
            .alice
            .say(room, "hello to a phone that is away: 07700 900457");
    }
    site.log_says("no bind").await;
    backup(&site);
    let printed = printed(&site);
    let (_, metrics) = site.operations("/metrics").await.unwrap();
    let (_, health) = site.operations("/health/ready").await.unwrap();
    site.carrier.set_down(false);
    site.kill();
    let (after_a_crash, _) = found_in_files(site.folder(), &NUMBERS, is_ours);
    assert_eq!(after_a_crash, NONE);
    site.start();
    site.ready().await;
    assert_eq!(site.stop().await, Some(0));

    assert_eq!(site.stub.violations(), NONE);
    let with_called = [&watched[..], &[CALLED]].concat();
    assert_eq!(
        site.stub.look(|world| world.places_with_number(&with_called)),
        NONE
    );
    for (what, text) in [
        ("metrics", &metrics),
        ("health", &health),
        ("subcommands", &printed),
    ] {
        assert!(!text.is_empty(), "{what}");
        assert_eq!(found(text.as_bytes(), &NUMBERS), NONE, "{what}\n{text}");
    }
    assert!(
        site.log().contains("TRACE") || site.log().contains("DEBUG"),
        "the log is a fine one"
    );
    let (places, looked_at) = found_in_files(site.folder(), &NUMBERS, is_ours);
    assert_eq!(places, NONE);
    assert!(
        looked_at >= 6,
        "the database, the log and four backups: {looked_at}"
    );
    // What was delivered is gone from the database; what is on its way is sealed.
    for name in ["swingbridge.db", "pages.backup", "rows.backup", "live.backup"] {
        let database = fs::read(site.folder().join(name)).unwrap();
        assert!(
            !database.windows(9).any(|window| window == b"hello to "),
            "a text stands in {name}"
        );
    }
}

/// The files of a real Synapse, byte by byte.
#[tokio::test(flavor = "multi_thread")]
async fn a_real_homeserver_is_left_without_numbers() {
    let settings = [("LOGGING__LEVEL", "trace"), ("PRIVACY__CONSENT", "policy")];
    let Some(mut world) = World::open(&settings).await else {
        return;
    };
    world
        .carrier
        .write(CONTACT, LINE_OF_WORLD, "from a phone")
        .unwrap();
    let room = world.enters("+44 ••• 56").await;
    world.alice.send_text(&room, "to a phone").await.unwrap();
    world.on_the_phone("to a phone").await;
    // A look-up by number, an invitation of whom it found, and a text that cannot be delivered.
    let found = world
        .alice
        .third_party_user("sms", &[("phone", "07700 900458")])
        .await
        .unwrap();
    let ghost = found[0]["userid"].as_str().unwrap();
    world.alice.create_direct(ghost).await.unwrap();
    let other = world.enters("+44 ••• 58").await;
    world.carrier.set_reach("+447700900458", smsc::Reach::Barred);
    let lost = world.alice.send_text(&other, "to nobody").await.unwrap();
    world
        .sees("that it cannot be delivered", |seen| {
            let content = &seen.event["content"];
            let about = content["m.relates_to"]["event_id"] == lost.as_str();
            (about && content["status"] == "FAIL_PERMANENT").then_some(())
        })
        .await;
    assert_eq!(world.gateway.stop().await.unwrap().code(), Some(0));
    world.synapse.stop().await;

    let numbers = [CONTACT, "+447700900458", LINE_OF_WORLD];
    // Its log has the address of the look-up, as Alice's client asked for it; that is between the two of them.
    let kept = |name: &str| !name.ends_with(".log");
    let (places, looked_at) = found_in_files(world.synapse.folder(), &numbers, kept);
    assert_eq!(places, NONE);
    assert!(looked_at > 2, "{looked_at}");
    assert!(
        holds_text(world.synapse.folder(), "from a phone"),
        "this is its database"
    );
    let (places, _) = found_in_files(world.folder.path(), &numbers, is_ours);
    assert_eq!(places, NONE);
}

fn holds_text(folder: &Path, text: &str) -> bool {
    ["homeserver.db", "homeserver.db-wal"].iter().any(|name| {
        let bytes = fs::read(folder.join(name)).unwrap_or_default();
        bytes.windows(text.len()).any(|window| window == text.as_bytes())
    })
}
