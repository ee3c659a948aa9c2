//! One part of a message: its place in the window and under the rate, and what its answer means.

use super::account::{Account, Chosen};
use super::ids;
use super::session::SubmitError;
use super::verdict::{Verdict, verdict};
use std::time::Duration;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::id::NetworkId;
use swingbridge_wire::smpp::{CommandStatus, Sm};
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// How long a part waits here for its turn; then the engine is told to come again, so that what has not
/// left stays in the durable queue.
const PATIENCE: Duration = Duration::from_secs(5);
/// `congestion_state` from which we slow down before we are refused.
const CONGESTED: u8 = 90;
/// The wait before another try after an error that may pass.
const TRANSIENT_WAIT: Duration = Duration::from_secs(5);

/// What became of one part.
pub enum Fate {
    /// The SMSC has it, mostly under an id.
    Accepted(Option<NetworkId>),
    /// It certainly did not leave.
    NotSent {
        delay: Duration,
        detail: String,
        counts: bool,
    },
    /// It would be refused again.
    Refused { reason: Reason, detail: String },
    /// It may or may not have left.
    Unknown { detail: String },
}

impl Account {
    /// Submits the first or only part of a message. Nothing else of it is out, so any doubt that it can leave
    /// soon gives it back.
    pub async fn first(&self, sm: Sm) -> Fate {
        let until = Instant::now() + PATIENCE;
        loop {
            let chosen = match self.choose() {
                Ok(chosen) => chosen,
                Err((delay, detail)) => {
                    return Fate::NotSent {
                        delay,
                        detail: detail.to_owned(),
                        counts: false,
                    };
                }
            };
            match self.submit(&chosen, sm.clone(), until).await {
                // The bind went away while this waited for its turn; another may be up.
                Fate::NotSent {
                    delay: Duration::ZERO,
                    ..
                } => {}
                sent => return sent,
            }
        }
    }

    /// Submits a later part. Tries until `until` or `stop`, since an earlier part is with the SMSC already: the message cannot be begun again.
    pub async fn later(&self, sm: Sm, until: Instant, stop: &CancellationToken) -> Fate {
        loop {
            let sent = self.first(sm.clone()).await;
            let Fate::NotSent { delay, detail, .. } = sent else {
                return sent;
            };
            let next = Instant::now() + delay;
            if next >= until || stop.is_cancelled() {
                return Fate::Unknown {
                    detail: format!("a part could not be sent: {detail}"),
                };
            }
            tokio::select! {
                () = sleep(delay) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    async fn submit(&self, chosen: &Chosen<'_>, sm: Sm, until: Instant) -> Fate {
        let not_sent = |delay, detail: &str| Fate::NotSent {
            delay,
            detail: detail.to_owned(),
            counts: false,
        };
        let Ok(slot) = timeout_at(until, chosen.session.slot()).await else {
            return not_sent(self.config.timing.first_wait, "the SMSC answers slowly");
        };
        let Ok(slot) = slot else {
            return not_sent(Duration::ZERO, "the bind ended");
        };
        match self.reserve(until.saturating_duration_since(Instant::now())) {
            Ok(Duration::ZERO) => {}
            Ok(wait) => sleep(wait).await,
            Err(wait) => return not_sent(wait, "the account's rate is used up"),
        }
        if let Some(left) = chosen.bind.paused() {
            return not_sent(left, "the SMSC asks for fewer messages");
        }
        let answer = match slot.submit(sm) {
            Ok(ticket) => ticket.answer().await,
            Err(error) => Err(error),
        };
        match answer {
            Ok(answer) => {
                let congested = answer.congestion.is_some_and(|state| state >= CONGESTED);
                self.judge(chosen, answer.status, &answer.message_id.text(), congested)
            }
            Err(SubmitError::NotSent(end)) => {
                self.meters.submitted("not_sent");
                not_sent(self.config.timing.first_wait, &end.to_string())
            }
            Err(SubmitError::Invalid(error)) => {
                self.meters.submitted("refused");
                Fate::Refused {
                    reason: Reason::BadContent,
                    detail: error.to_string(),
                }
            }
            Err(error @ (SubmitError::Lost(_) | SubmitError::TimedOut)) => {
                self.meters.submitted("unknown");
                Fate::Unknown {
                    detail: error.to_string(),
                }
            }
        }
    }

    fn judge(&self, chosen: &Chosen<'_>, status: CommandStatus, id: &str, congested: bool) -> Fate {
        if congested {
            self.throttled(chosen.bind);
        }
        let detail = || format!("{} {status}", status.sentence());
        match verdict(status, &self.config.transient_codes) {
            Verdict::Accepted => {
                self.meters.submitted("accepted");
                self.traffic();
                chosen.bind.took();
                Fate::Accepted(ids::normal(id, self.config.message_ids.submitted))
            }
            Verdict::Throttled => {
                self.meters.submitted("throttled");
                self.throttled(chosen.bind);
                let delay = chosen.bind.paused().unwrap_or(self.config.timing.first_wait);
                Fate::NotSent {
                    delay,
                    detail: detail(),
                    counts: false,
                }
            }
            Verdict::NotBound => {
                self.meters.submitted("not_bound");
                Fate::NotSent {
                    delay: TRANSIENT_WAIT,
                    detail: detail(),
                    counts: true,
                }
            }
            Verdict::Transient => {
                self.meters.submitted("transient");
                Fate::NotSent {
                    delay: TRANSIENT_WAIT,
                    detail: detail(),
                    counts: true,
                }
            }
            Verdict::Refused(reason) => {
                self.meters.submitted("refused");
                Fate::Refused {
                    reason,
                    detail: detail(),
                }
            }
        }
    }
}
