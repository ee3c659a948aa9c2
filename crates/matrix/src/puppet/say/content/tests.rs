use super::*;
use swingbridge_domain::id::{EventId, RoomId};
use swingbridge_domain::message::{Media, MediaKind, Text};

const NOW: Timestamp = Timestamp(1_800_000_000_000);

fn post(plain: &str) -> Post {
    let text = Text {
        plain: plain.into(),
        ..Text::default()
    };
    Post::by_bot(RoomId::new("!r"), text)
}

fn bob(fallback: bool) -> Profile {
    Profile {
        id: "abc".into(),
        name: "Bob & Co".into(),
        picture: None,
        fallback,
    }
}

#[test]
fn with_one_contact_the_text_stays_as_it_is() {
    let content = content(&post("hello"), None, Some(&bob(false)), NOW);
    assert_eq!(content["body"], "hello");
    assert_eq!(content.get("formatted_body"), None);
    assert_eq!(
        content[PROFILE],
        json!({ "id": "abc", "displayname": "Bob & Co" })
    );
    assert_eq!(content["m.mentions"], json!({}));
}

#[test]
fn in_a_group_the_name_stands_before_the_text_so_that_clients_can_take_it_off() {
    let content = content(&post("1 < 2\nindeed"), None, Some(&bob(true)), NOW);
    assert_eq!(content["body"], "Bob & Co: 1 < 2\nindeed");
    assert_eq!(
        content["formatted_body"],
        "<strong data-mx-profile-fallback>Bob &amp; Co: </strong>1 &lt; 2<br>indeed"
    );
    assert_eq!(content[PROFILE]["has_fallback"], true);
}

#[test]
fn an_edit_is_marked_outside_and_plain_inside() {
    let mut edit = post("better");
    edit.replaces = Some(EventId::new("$old"));
    let content = content(&edit, None, Some(&bob(true)), NOW);
    assert_eq!(content["body"], "* Bob & Co: better");
    assert_eq!(content["m.new_content"]["body"], "Bob & Co: better");
    assert_eq!(content["m.new_content"][PROFILE]["id"], "abc");
    assert_eq!(
        content["m.relates_to"],
        json!({ "rel_type": "m.replace", "event_id": "$old" })
    );
    let mut edit = post("better");
    edit.replaces = Some(EventId::new("$old"));
    assert_eq!(super::content(&edit, None, None, NOW)["body"], "* better");
}

#[test]
fn what_is_late_or_old_says_when_it_was_said() {
    let mut late = post("hello");
    late.sent_at = Some(Timestamp(1_700_000_000_000));
    let content = |post: &Post| super::content(post, None, Some(&bob(false)), NOW);
    assert_eq!(content(&late)["body"], "(2023-11-14 22:13 UTC) hello");
    assert_eq!(content(&late)["dev.swingbridge.sent_at"], 1_700_000_000_000_i64);
    assert_eq!(content(&late)["msgtype"], "m.text");
    late.sent_at = Some(NOW - Duration::from_secs(5));
    assert_eq!(content(&late)["body"], "hello");
    late.quiet = true;
    assert_eq!(content(&late)["msgtype"], "m.notice", "nobody is called for it");
    assert!(content(&late)["body"].as_str().unwrap().starts_with('('));
}

#[test]
fn a_file_has_its_name_and_a_caption_only_where_there_is_one() {
    let file = Uploaded {
        name: "photo.jpg".into(),
        field: "file",
        source: json!({ "url": "mxc://x/y" }),
        info: json!({ "size": 3 }),
    };
    let mut sent = post("");
    sent.media = Some(Media {
        kind: MediaKind::Image,
        name: "photo.jpg".into(),
        ..Media::default()
    });
    let content = |post: &Post, profile: &Profile| super::content(post, Some(&file), Some(profile), NOW);
    let alone = content(&sent, &bob(false));
    assert_eq!(
        (&alone["msgtype"], &alone["body"], &alone["filename"]),
        (&json!("m.image"), &json!("photo.jpg"), &json!("photo.jpg"))
    );
    assert_eq!(content(&sent, &bob(true))["body"], "Bob & Co: photo.jpg");
    sent.text.plain = "look".into();
    assert_eq!(content(&sent, &bob(false))["body"], "look");
    assert_eq!(content(&sent, &bob(false))["file"]["url"], "mxc://x/y");
    sent.media = Some(Media {
        kind: MediaKind::Voice,
        duration: Some(1500),
        ..Media::default()
    });
    let voice = content(&sent, &bob(false));
    assert_eq!(voice["msgtype"], "m.audio");
    assert_eq!(voice["org.matrix.msc3245.voice"], json!({}));
    assert_eq!(voice["org.matrix.msc1767.audio"]["duration"], 1500);
}
