//! The last look, when a row's turn to leave has come: what stands against it since it was written.

use super::{destination, quiet};
use crate::effect::Effect;
use crate::event::Event;
use crate::payload::Send;
use crate::process::{Fault, Work};
use crate::words;
use swingbridge_domain::address::{Address, is_emergency};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::ContactId;
use swingbridge_domain::limits::OptOutRule;
use swingbridge_domain::line::Line;
use swingbridge_domain::store::{Lane, OutboxRow, StoreError};

/// Whether something may leave now.
#[derive(Debug, PartialEq)]
enum Departing {
    Now,
    Later(Timestamp),
    Never { words: String, reason: &'static str },
}

/// Whether something may leave now by `line` for a contact: its own line, or another that it falls back to. What is counted was counted
/// when it was admitted. `automatic`: it is the gateway's own answer, which a wish and quiet hours do not hold back.
fn may_leave(
    work: &mut Work<'_>,
    line: &Line,
    contact: ContactId,
    address: &Address,
    automatic: bool,
) -> Result<Departing, StoreError> {
    let never = |words: String, reason| Ok(Departing::Never { words, reason });
    if is_emergency(address.full(), line.region) {
        return never(words::EMERGENCY.to_owned(), Reason::Emergency.word());
    }
    if !automatic && has_stopped(work, line, contact)? {
        return never(words::opted_out_refused(), "opted_out");
    }
    if let Some(barred) = destination::judge(line, address) {
        return never(barred.words, barred.reason);
    }
    Ok(match quiet::until(line, address, work.now) {
        Some((until, _)) if !automatic => Departing::Later(until),
        _ => Departing::Now,
    })
}

/// Whether a contact's wish keeps texts of a line from them.
fn has_stopped(work: &mut Work<'_>, line: &Line, contact: ContactId) -> Result<bool, StoreError> {
    let own = work.own(line);
    let enforced = line.opt_out.rule == OptOutRule::Enforce;
    Ok(enforced && work.tables.suppression(&own, contact)?.is_some())
}

/// What stands against a message of `lane` that is about to leave.
fn judge(work: &mut Work<'_>, lane: &Lane, send: &Send) -> Result<Departing, StoreError> {
    let (site, outbound) = (work.site, &send.outbound);
    let Lane::Conversation(id) = lane else {
        return Ok(Departing::Now);
    };
    let Some(conversation) = work.tables.conversation(*id)? else {
        return Ok(Departing::Now);
    };
    // A line that is called something else since it was written has taken the conversation along.
    let line = site
        .line(&outbound.line)
        .or_else(|| site.line(&conversation.line));
    let (Some(line), Some(address)) = (line, outbound.to.first()) else {
        return Ok(Departing::Now);
    };
    // By whichever line it goes, a wish that is about the conversation's own counts.
    let home = site.line(&conversation.line).filter(|home| home.id != line.id);
    let stopped = match home {
        Some(home) if !send.automatic => has_stopped(work, home, conversation.contact)?,
        _ => false,
    };
    if stopped {
        return Ok(Departing::Never {
            words: words::opted_out_refused(),
            reason: "opted_out",
        });
    }
    let judged = may_leave(work, line, conversation.contact, address, send.automatic)?;
    Ok(match judged {
        Departing::Now if send.not_before > work.now => Departing::Later(send.not_before),
        judged => judged,
    })
}

/// Answers whether a row may leave now. One that may not is put back, or refused in words.
pub(crate) fn departing(work: &mut Work<'_>, row: &OutboxRow, send: &Send) -> Result<bool, Fault> {
    match judge(work, &row.lane, send)? {
        Departing::Now => return Ok(true),
        Departing::Never { words, reason } => work.happen(Event::Barred {
            row: row.clone(),
            event: send.event.clone(),
            words,
            reason,
        })?,
        Departing::Later(not_before) => {
            work.apply(Effect::Requeue {
                id: row.id,
                lane: row.lane.clone(),
                target: row.target.clone(),
                not_before,
                counts: false,
            })?;
        }
    }
    Ok(false)
}
