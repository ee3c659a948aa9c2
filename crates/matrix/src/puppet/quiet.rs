//! What nobody is to be called for. A text can say so in a way that clients know (`m.notice`); a picture cannot. So every quiet message is
//! marked, and where the owner has given a session of theirs, their account gets a rule by which their clients do not ring for the mark.

use super::failure;
use crate::failure::Failure;
use matrix_sdk::Client;
use ruma::api::client::push::{get_pushrule, set_pushrule};
use ruma::push::{EventPropertyIsConditionData, NewConditionalPushRule, NewPushRule, RuleKind};

/// The mark, beside the content: `true`.
pub(super) const QUIET: &str = "dev.swingbridge.quiet";
/// The mark as push rules name it (Matrix, "Conditions for push rules").
const PATH: &str = r"content.dev\.swingbridge\.quiet";

/// Gives the account the rule, unless it has one by that name: what the owner changed in it is theirs.
pub(super) async fn hush(owner: &Client) -> Result<(), Failure> {
    let asked = get_pushrule::v3::Request::new(RuleKind::Override, QUIET.to_owned());
    match owner.send(asked).await.map_err(failure::http) {
        Ok(_) => return Ok(()),
        Err(failure) if failure.refused_as("M_NOT_FOUND") => {}
        Err(failure) => return Err(failure),
    }
    let marked = EventPropertyIsConditionData::new(PATH.to_owned(), true.into());
    let rule = NewConditionalPushRule::new(QUIET.to_owned(), vec![marked.into()], Vec::new());
    let rule = set_pushrule::v3::Request::new(NewPushRule::Override(rule));
    owner.send(rule).await.map_err(failure::http)?;
    tracing::info!(rule = QUIET, "the owner's clients will not ring for what is old");
    Ok(())
}
