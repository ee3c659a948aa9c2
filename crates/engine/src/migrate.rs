//! All conversations of a line move to another.

use crate::engine::Engine;
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::Reach;
use swingbridge_domain::id::{ConversationId, LineId};
use swingbridge_domain::store::StoreError;

/// What a migration does, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Migration {
    pub moved: Vec<ConversationId>,
    /// These stay, since their contacts have a conversation on the other line, or since they are groups of another network's.
    pub kept: Vec<ConversationId>,
}

impl Engine {
    /// Moves the conversations of `from`, which need not be configured any more, to `to`, with what waits to leave. Rooms follow when
    /// the gateway runs. `dry_run` only says what would be done.
    ///
    /// # Errors
    /// [`StoreError`]; what was moved stays moved, and the rest may be moved by another call. [`StoreError::Failed`]: there is no line
    /// `to`, or it has no conversations of its own.
    pub async fn migrate(&self, from: &LineId, to: &LineId, dry_run: bool) -> Result<Migration, StoreError> {
        let site = &self.kernel.site;
        let Some(line) = site.line(to) else {
            return Err(StoreError::Failed(format!("there is no line `{to}`")));
        };
        if site.home(line).id != *to || from == to {
            return Err(StoreError::Failed(format!(
                "line `{to}` has no conversations of its own to which those of `{from}` could go"
            )));
        }
        let same_account = site
            .line(from)
            .is_some_and(|former| former.connector == line.connector);
        let former = from.clone();
        let found = self
            .kernel
            .transact(move |work| Ok(work.tables.conversations(Some(&former), u32::MAX)?))
            .await?;
        let mut migration = Migration::default();
        for conversation in found {
            let (id, to) = (conversation.id, to.clone());
            let moves = self
                .kernel
                .transact(move |work| work.migrate(&conversation, &to, same_account, dry_run))
                .await?;
            match moves {
                true => migration.moved.push(id),
                false => migration.kept.push(id),
            }
        }
        Ok(migration)
    }

    /// Asks the network of `line`, of all at once, which contacts of these conversations it reaches now; each in its place.
    ///
    /// # Errors
    /// [`StoreError`]; nothing was changed.
    pub async fn reached(
        &self,
        conversations: &[ConversationId],
        line: &LineId,
    ) -> Result<Vec<Reach>, StoreError> {
        let unknown = vec![Reach::Unknown; conversations.len()];
        let connector = self.kernel.site.line(line).map(|line| &line.connector);
        let Some(connector) = connector.and_then(|id| self.kernel.connectors.get(id)) else {
            return Ok(unknown);
        };
        let wanted = conversations.to_vec();
        let addresses = self
            .kernel
            .transact(move |work| {
                let mut addresses = Vec::with_capacity(wanted.len());
                for id in wanted {
                    let found = work.tables.conversation(id)?;
                    let talk = found.map(|found| work.talk(found)).transpose()?.flatten();
                    addresses.push(talk.map(|talk| talk.who.address.clone()));
                }
                Ok(addresses)
            })
            .await?;
        // A conversation that is gone meanwhile keeps its place.
        let asked: Vec<Address> = addresses.iter().flatten().cloned().collect();
        let mut answers = connector.reach(line, &asked).await.into_iter();
        let answer = |address: Option<Address>| address.and_then(|_| answers.next()).unwrap_or_default();
        Ok(addresses.into_iter().map(answer).collect())
    }
}
