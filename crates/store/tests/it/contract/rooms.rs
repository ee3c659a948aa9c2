use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::id::{LineId, RoomId, UserId};
use swingbridge_domain::inbox::Membership;
use swingbridge_domain::store::{RoomRole, Store};

fn alice() -> UserId {
    UserId::new("@alice:example.org")
}

pub fn a_room_has_one_role_and_a_role_its_latest_room(store: &Arc<dyn Store>) {
    let (one, two) = (RoomId::new("!z"), RoomId::new("!a"));
    let management = RoomRole::Management(alice());
    let space = RoomRole::Space(LineId::new("main"));
    for role in [management.clone(), space.clone(), RoomRole::Other] {
        let (room, set) = (one.clone(), role.clone());
        let read = work(store, move |t| {
            t.room_set_role(&room, &set)?;
            t.room_role(&room)
        });
        assert_eq!(read, Some(role));
    }
    let latest = work(store, move |t| {
        assert_eq!(t.room_by_role(&RoomRole::Management(alice()))?, None);
        t.room_set_role(&one, &RoomRole::Management(alice()))?;
        t.room_set_role(&two, &RoomRole::Management(alice()))?;
        t.room_by_role(&RoomRole::Management(alice()))
    });
    assert_eq!(latest, Some(RoomId::new("!a")));
    assert_eq!(work(store, move |t| t.room_by_role(&space)), None);
    let bob = RoomRole::Management(UserId::new("@bob:example.org"));
    assert_eq!(work(store, move |t| t.room_by_role(&bob)), None);
}

pub fn members_are_kept_as_last_known(store: &Arc<dyn Store>) {
    let members = work(store, |t| {
        let room = RoomId::new("!room");
        for (user, membership) in [
            ("@a:x", Membership::Invite),
            ("@a:x", Membership::Join),
            ("@b:x", Membership::Leave),
            ("@c:x", Membership::Knock),
            ("@d:x", Membership::Invite),
        ] {
            t.member_set(&room, &UserId::new(user), membership)?;
        }
        t.member_set(&RoomId::new("!other"), &alice(), Membership::Join)?;
        t.members(&room)
    });
    assert_eq!(
        members,
        [
            (UserId::new("@a:x"), Membership::Join),
            (UserId::new("@b:x"), Membership::Leave),
            (UserId::new("@c:x"), Membership::Knock),
            (UserId::new("@d:x"), Membership::Invite),
        ]
    );
}

pub fn a_forgotten_room_takes_its_members_along(store: &Arc<dyn Store>) {
    let room = RoomId::new("!room");
    let left = work(store, move |t| {
        t.room_set_role(&room, &RoomRole::Other)?;
        t.member_set(&room, &alice(), Membership::Join)?;
        t.room_forget(&room)?;
        Ok((t.room_role(&room)?, t.members(&room)?))
    });
    assert_eq!(left, (None, Vec::new()));
}
