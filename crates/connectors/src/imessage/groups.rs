//! Groups, and what happens to them.

use super::row::{Chat, Row, address};
use swingbridge_domain::id::{ConnectorId, NetworkId};
use swingbridge_domain::inbox::{Change, Group, GroupChange, NetworkAddress};

/// A group, as the inbox hears of it. The thread is the chat's guid exactly as it is stored.
pub(super) fn group(chat: &Chat) -> Group {
    Group {
        thread: NetworkId::new(&chat.guid),
        formerly: chat.formerly.iter().map(NetworkId::new).collect(),
        name: chat.name.clone(),
        members: chat.members.iter().map(|member| address(member)).collect(),
    }
}

/// What a row says of a group, when it says that. Locations, kept recordings, shared screens and backgrounds are told of nowhere.
pub(super) fn change(
    connector: &ConnectorId,
    to: &NetworkAddress,
    row: &Row,
    chat: &Chat,
) -> Option<GroupChange> {
    let other = || row.other_handle.as_deref().map(address);
    let by = || row.handle.as_deref().filter(|_| !row.status.from_me).map(address);
    let change = match (row.item_type, row.group_action) {
        (1, 0) => Change::Joined(other()?),
        (1, 1) => Change::Left(other()?),
        (2, _) => Change::Renamed,
        (3, 0) => Change::Left(by()?),
        // The picture itself stands in a file of its own that no column names.
        (3, 2) => Change::Picture(None),
        _ => return None,
    };
    let mut group = group(chat);
    if row.item_type == 2 {
        group.name.clone_from(&row.group_title);
    }
    Some(GroupChange {
        connector: connector.clone(),
        to: to.clone(),
        group,
        by: by(),
        at: Some(row.at()),
        change,
    })
}
