//! From a session to the inbox: what the SMSC delivers is committed in batches, and answered after that.

use super::account::Account;
use super::decode::Reader;
use super::session::{Delivery, Session, answer_to};
use std::sync::Arc;
use std::time::Duration;
use swingbridge_domain::id::SessionId;
use swingbridge_domain::inbox::{Arrival, Dedupe, Inbound, Inbox, InboxError, What};
use swingbridge_wire::smpp::CommandStatus;
use tokio::sync::mpsc;
use tokio::time::sleep;

/// The most that is committed at once.
const BATCH: usize = 256;

/// Carries deliveries to the inbox until `deliveries` is closed. The session's beginning is told before the first
/// of them, its end after the last.
pub async fn carry(
    account: Arc<Account>,
    session: Session,
    id: SessionId,
    mut deliveries: mpsc::Receiver<Delivery>,
    inbox: Arc<dyn Inbox>,
) {
    let mark = |ended: bool| {
        let connector = account.id.clone();
        let what = What::Network(Inbound::Session {
            connector,
            session: id,
            ended,
        });
        Arrival {
            dedupe: Dedupe::Harmless,
            what,
        }
    };
    let reader = Reader {
        connector: &account.id,
        session: id,
        config: &account.config,
    };
    let mut begun = inbox.deliver(vec![mark(false)]).await.is_ok();
    let mut batch = Vec::with_capacity(BATCH);
    while deliveries.recv_many(&mut batch, BATCH).await > 0 {
        let mut arrivals = Vec::with_capacity(batch.len() + 1);
        if !begun {
            arrivals.push(mark(false));
        }
        arrivals.extend(batch.iter().filter_map(|delivery| reader.arrival(delivery)));
        let (status, outcome) = match inbox.deliver(arrivals).await {
            Ok(()) => {
                begun = true;
                account.traffic();
                (CommandStatus::ROK, "committed")
            }
            Err(error) => {
                tracing::warn!(connector = %account.id, %error, "the SMSC is asked to deliver again later");
                (CommandStatus::RX_T_APPN, "later")
            }
        };
        account.meters.delivered(outcome, batch.len() as u64);
        session.answer(batch.iter().map(|delivery| answer_to(delivery, status)));
        batch.clear();
    }
    // Without its end on record, what comes again by the next session could not be told from something new.
    if !begun {
        return;
    }
    loop {
        match inbox.deliver(vec![mark(true)]).await {
            Ok(()) | Err(InboxError::Closed) => return,
            Err(InboxError::Unavailable(_)) => sleep(Duration::from_secs(1)).await,
        }
    }
}
