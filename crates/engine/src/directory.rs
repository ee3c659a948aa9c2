//! Who can be reached: behind third-party lookup and the provisioning API.

use crate::engine::Engine;
use crate::event::{Event, Then};
use crate::kernel::Kernel;
use crate::process::{Fault, Work};
use crate::state::{State, Talk};
use crate::step::Scene;
use async_trait::async_trait;
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::address::Address;
use swingbridge_domain::connector::Link;
use swingbridge_domain::directory::{CONTACTS_OF_A_LINE, Directory, DirectoryError, LineSummary, Resolved};
use swingbridge_domain::homeserver::Ghost;
use swingbridge_domain::id::{LineId, RoomId, UserId};
use swingbridge_domain::line::Line;
use swingbridge_domain::store::StoreError;

/// How long a room that was asked for is waited for.
const ROOM_WAIT: Duration = Duration::from_secs(10);

#[async_trait]
impl Directory for Engine {
    async fn lines(&self, user: &UserId) -> Result<Vec<LineSummary>, DirectoryError> {
        let user = user.clone();
        let lines = self
            .kernel
            .transact(move |work| lines_of(work, &user))
            .await
            .map_err(unavailable)?;
        let health = self.health();
        let summary = |line: Arc<Line>| LineSummary {
            connected: health
                .get(&line.connector)
                .is_some_and(|health| matches!(health.state, Link::Connected | Link::Degraded)),
            network: self.kernel.site.network_of(&line),
            address: line.address.full().to_owned(),
            id: line.id.clone(),
            name: line.name.clone(),
        };
        Ok(lines.into_iter().map(summary).collect())
    }

    async fn resolve(
        &self,
        user: Option<&UserId>,
        line: Option<&LineId>,
        identifier: &str,
        create: bool,
    ) -> Result<Resolved, DirectoryError> {
        let usable = match user {
            Some(user) => {
                let user = user.clone();
                self.kernel
                    .transact(move |work| lines_of(work, &user))
                    .await
                    .map_err(unavailable)?
            }
            None => self.kernel.site.lines.clone(),
        };
        let chosen = match line {
            Some(id) if self.kernel.site.line(id).is_none() => return Err(DirectoryError::NoSuchLine),
            Some(id) => usable.into_iter().find(|line| &line.id == id),
            None => usable.into_iter().next(),
        };
        let Some(line) = chosen else {
            return Err(DirectoryError::NotAllowed);
        };
        let address = Address::from_user(identifier, line.region)
            .map_err(|error| DirectoryError::NotReachable(error.to_string()))?;
        if address == line.address {
            return Err(DirectoryError::NotReachable(
                "this is the line's own number".to_owned(),
            ));
        }
        let by = user.cloned();
        let talk = {
            let (line, address) = (line.clone(), address.clone());
            self.kernel
                .transact(move |work| find(work, &line, &address, by, create))
                .await
                .map_err(unavailable)?
        };
        let room = match (&talk, create) {
            (Found::Talk(talk), true) if talk.conversation.room.is_none() => {
                wait_for_room(&self.kernel, talk).await
            }
            (Found::Talk(talk), _) => talk.conversation.room.clone(),
            (Found::Ghost(_), _) => None,
        };
        let network = self.kernel.site.network_of(&line);
        let ghost = match talk {
            Found::Talk(talk) => talk.ghost(&network),
            Found::Ghost(pseudonym) => Ghost::new(pseudonym, ghost_name(&line, &address, &network)),
        };
        Ok(Resolved {
            ghost,
            identifier: line.display.of(&address, None),
            line: line.id.clone(),
            room,
        })
    }

    async fn contacts(&self, user: &UserId) -> Result<Vec<Resolved>, DirectoryError> {
        let user = user.clone();
        let talks = self
            .kernel
            .transact(move |work| talks_of(work, &user))
            .await
            .map_err(unavailable)?;
        let resolved = |talk: Talk| Resolved {
            ghost: talk.ghost(&self.kernel.site.network_of(&talk.line)),
            identifier: talk.shown(),
            room: talk.conversation.room.clone(),
            line: talk.line.id.clone(),
        };
        Ok(talks.into_iter().map(resolved).collect())
    }

    async fn ghost(&self, pseudonym: &str) -> Result<Option<Ghost>, DirectoryError> {
        let pseudonym = pseudonym.to_owned();
        let found = self
            .kernel
            .transact(move |work| {
                let Some(contact) = work.tables.contact_by_ghost(&pseudonym)? else {
                    return Ok(None);
                };
                let address = work.address(&contact)?;
                Ok(work.site.lines.first().map(|line| {
                    let network = work.site.network_of(line);
                    Ghost::new(contact.ghost, ghost_name(line, &address, &network))
                }))
            })
            .await;
        found.map_err(unavailable)
    }
}

enum Found {
    Talk(Box<Talk>),
    /// Somebody with whom there is no conversation, and none was asked for.
    Ghost(String),
}

fn ghost_name(line: &Line, address: &Address, network: &str) -> String {
    format!("{} ({})", line.display.of(address, None), network.to_uppercase())
}

fn unavailable(error: StoreError) -> DirectoryError {
    DirectoryError::Unavailable(error.to_string())
}

fn lines_of(work: &mut Work<'_>, user: &UserId) -> Result<Vec<Arc<Line>>, Fault> {
    let mut state = State::default();
    for room in work
        .site
        .lines
        .iter()
        .filter_map(|line| line.access.inbox.as_ref())
    {
        state
            .inbox_members
            .insert(room.clone(), work.tables.members(room)?);
    }
    let scene = Scene {
        site: work.site,
        state: &state,
        now: work.now,
    };
    Ok(work
        .site
        .lines
        .iter()
        .filter(|line| scene.may_use(user, line))
        .cloned()
        .collect())
}

fn find(
    work: &mut Work<'_>,
    line: &Line,
    address: &Address,
    by: Option<UserId>,
    create: bool,
) -> Result<Found, Fault> {
    if create {
        work.open_now(&line.id, address, Then::Started { by, answer_in: None })?;
    }
    match work.conversation_with(&line.id, address)? {
        Some(talk) => Ok(Found::Talk(Box::new(talk))),
        None => Ok(Found::Ghost(work.contact(address)?.ghost)),
    }
}

fn talks_of(work: &mut Work<'_>, user: &UserId) -> Result<Vec<Talk>, Fault> {
    let usable: Vec<LineId> = lines_of(work, user)?
        .into_iter()
        .map(|line| line.id.clone())
        .collect();
    let (talks, cut) = work.latest_talks(&usable, CONTACTS_OF_A_LINE)?;
    for line in cut {
        tracing::info!(%line, shown = CONTACTS_OF_A_LINE, "the line has more contacts than are listed for its users");
    }
    Ok(talks)
}

async fn wait_for_room(kernel: &Arc<Kernel>, talk: &Talk) -> Option<RoomId> {
    let id = talk.conversation.id;
    let made = async {
        loop {
            let notified = kernel.room_made.notified();
            let room = kernel
                .transact(move |work| {
                    Ok(work
                        .tables
                        .conversation(id)?
                        .and_then(|conversation| conversation.room))
                })
                .await
                .ok()?;
            if room.is_some() {
                return room;
            }
            notified.await;
        }
    };
    tokio::time::timeout(ROOM_WAIT, made).await.ok()?
}

impl Work<'_> {
    /// Opens a conversation and does all that follows.
    fn open_now(&mut self, line: &LineId, address: &Address, then: Then) -> Result<(), Fault> {
        let opened: Event = self.open_conversation(line, address, then)?;
        self.happen(opened)
    }
}
