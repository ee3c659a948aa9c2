//! What the operator changed about the lines since the last start: conversations and rooms follow.

use crate::event::Event;
use crate::kernel::Kernel;
use crate::outbox::about_space;
use crate::step::direct;
use std::collections::BTreeSet;
use std::sync::Arc;
use swingbridge_domain::homeserver::Action;
use swingbridge_domain::id::{LineId, RoomId};
use swingbridge_domain::store::{Lane, RoomRole, StoreError};

/// Called once, at start, before anything is processed.
pub(crate) async fn follow(kernel: &Arc<Kernel>) -> Result<(), StoreError> {
    recognise(kernel).await?;
    redescribe(kernel).await?;
    enter_inboxes(kernel).await
}

/// A line that the configuration calls by another name is known by its address: its conversations go along.
async fn recognise(kernel: &Arc<Kernel>) -> Result<(), StoreError> {
    kernel
        .transact(|work| {
            for line in &work.site.lines {
                let index = work.keys.index("line", &line.address.canonical());
                let setting = format!("line of {}", data_encoding::HEXLOWER.encode(&index));
                let known = work.tables.setting(&setting)?.map(LineId::new);
                if known.as_ref() == Some(&line.id) {
                    continue;
                }
                if let Some(old) = known.filter(|old| work.site.line(old).is_none())
                    && work.tables.conversations(Some(&line.id), 1)?.is_empty()
                {
                    tracing::info!(from = %old, to = %line.id, "a line has another name: its conversations go along");
                    work.tables.line_rename(&old, &line.id)?;
                }
                work.tables.setting_set(&setting, line.id.as_str())?;
            }
            Ok(())
        })
        .await
}

/// Brings rooms up to date with what the operator changed about their lines.
async fn redescribe(kernel: &Arc<Kernel>) -> Result<(), StoreError> {
    for line in &kernel.site.lines {
        let id = line.id.clone();
        let setting = format!("line {id}");
        let now = format!("{:?} {:?} {}", line.name, line.display, line.address.can_reply());
        let about = about_space(line);
        kernel
            .transact(move |work| {
                let before = work.tables.setting(&setting)?;
                if before.as_ref() == Some(&now) {
                    return Ok(());
                }
                work.tables.setting_set(&setting, &now)?;
                if before.is_some() {
                    if let Some(room) = work.tables.room_by_role(&RoomRole::Space(id.clone()))? {
                        let lane = Lane::Room(room.clone());
                        let ghost = None;
                        work.apply(direct(lane, Action::Describe { room, about, ghost }))?;
                    }
                    for conversation in work.tables.conversations(Some(&id), u32::MAX)? {
                        if conversation.room.is_some() {
                            work.happen(Event::LineChanged {
                                conversation: conversation.id,
                            })?;
                        }
                    }
                }
                Ok(())
            })
            .await?;
    }
    Ok(())
}

/// Has the bot enter the shared rooms whose members nobody has told us yet: rooms that were configured after the bot came in, or
/// before a database was lost.
async fn enter_inboxes(kernel: &Arc<Kernel>) -> Result<(), StoreError> {
    let inboxes: BTreeSet<RoomId> = kernel
        .site
        .lines
        .iter()
        .filter_map(|line| line.access.inbox.clone())
        .collect();
    for room in inboxes {
        kernel
            .transact(move |work| match work.tables.members(&room)?.is_empty() {
                true => work.happen(Event::InboxUnknown { room }),
                false => Ok(()),
            })
            .await?;
    }
    Ok(())
}
