//! What a room says of itself, and where it is shown: brought up to what the engine wants, by the application service's bot or a device's
//! own account.

use super::content;
use crate::failure::Failure;
use crate::homeserver::room_id;
use ruma::{RoomId as MatrixRoomId, UserId as MatrixUserId};
use serde_json::{Value, json};
use std::future::Future;
use swingbridge_domain::homeserver::{About, Performed, RoomKind};
use swingbridge_domain::id::RoomId;

/// Whoever keeps rooms.
pub(crate) trait Keeper: Sync {
    fn me(&self) -> &MatrixUserId;

    /// Sets a state event when what is wanted differs from what is there. `wanted` sees that; null leaves it.
    fn want_state(
        &self,
        room: &MatrixRoomId,
        kind: &str,
        key: &str,
        wanted: impl FnOnce(Option<&Value>) -> Value + Send,
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}

/// Name, topic, bridge information and who may write, each only when it differs.
pub(crate) async fn bring_up_to_date(
    keeper: &impl Keeper,
    room: &MatrixRoomId,
    about: &About,
    kind: Option<RoomKind>,
) -> Result<(), Failure> {
    keeper
        .want_state(room, "m.room.name", "", |_| json!({ "name": about.name }))
        .await?;
    let topic = about.topic.clone().unwrap_or_default();
    keeper
        .want_state(room, "m.room.topic", "", |is| match is {
            // No topic is wanted and none is there: nothing to say.
            None if topic.is_empty() => Value::Null,
            _ => json!({ "topic": topic }),
        })
        .await?;
    if let Some(bridge) = &about.bridge {
        let key = content::bridge_key(bridge);
        for event in content::BRIDGE_TYPES {
            keeper
                .want_state(room, event, &key, |is| {
                    let mut wanted =
                        content::bridge_info(bridge, keeper.me(), kind == Some(RoomKind::Direct));
                    let was = is.and_then(|is| is.get("com.beeper.room_type"));
                    if let (None, Some(was)) = (kind, was) {
                        wanted["com.beeper.room_type"] = was.clone();
                    }
                    wanted
                })
                .await?;
        }
    }
    if kind != Some(RoomKind::Space) {
        keeper
            .want_state(room, "m.room.power_levels", "", |is| match is {
                Some(is) => content::with_writing(is, about.writable),
                None => Value::Null,
            })
            .await?;
    }
    Ok(())
}

/// Shows a room in the space `to`, and no longer in `from`.
pub(crate) async fn shelve(
    keeper: &impl Keeper,
    room: &RoomId,
    from: Option<&RoomId>,
    to: &RoomId,
) -> Result<Performed, Failure> {
    let child = room_id(room)?;
    show_in_space(keeper, to, &child, true).await?;
    if let Some(from) = from {
        show_in_space(keeper, from, &child, false).await?;
    }
    Ok(Performed::default())
}

/// A child without `via` is none (specification, m.space.child).
pub(crate) async fn show_in_space(
    keeper: &impl Keeper,
    space: &RoomId,
    room: &MatrixRoomId,
    shown: bool,
) -> Result<(), Failure> {
    let space = room_id(space)?;
    let child = match shown {
        true => json!({ "via": [keeper.me().server_name()] }),
        false => json!({}),
    };
    let told = keeper.want_state(&space, "m.space.child", room.as_str(), |_| child);
    match told.await {
        Err(failure) if failure.no_access() => {
            // The room is worth more than its place in a space that somebody took away.
            tracing::warn!(%failure, "a room cannot be shown in its line's space, or taken out of it");
            Ok(())
        }
        answer => answer,
    }
}
