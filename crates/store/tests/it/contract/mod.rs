//! What every store promises. On SQLite each promise is a test; on PostgreSQL one test goes through them all, on one server.

mod assemblies;
mod audit;
mod conversations;
mod dedupe;
mod inbox;
mod jobs;
mod limits;
mod messages;
mod outbox;
mod rooms;
mod timers;
mod trust;

use crate::support::{opened, sqlite};
use std::sync::Arc;
use swingbridge_domain::store::Store;

/// A name, and a function that holds a new, empty store to it.
pub type Promise = (&'static str, fn(&Arc<dyn Store>));

/// Lists the promises once: as [`PROMISES`], and as tests on SQLite.
macro_rules! promises {
    ($($group:ident: $($promise:ident),+;)+) => {
        pub const PROMISES: &[Promise] = &[$($((stringify!($promise), $group::$promise)),+),+];

        mod on_sqlite {
            $(mod $group {
                $(#[test]
                fn $promise() {
                    crate::contract::hold_sqlite_to(crate::contract::$group::$promise);
                })+
            })+
        }
    };
}

promises! {
    inbox:
        a_key_is_new_once,
        an_event_is_new_once,
        rows_come_back_oldest_first,
        an_id_is_never_given_twice,
        a_buried_row_leaves_the_inbox_and_returns_at_its_end;
    dedupe:
        the_same_session_and_sequence_is_a_repetition,
        two_equal_texts_in_one_session_both_arrive,
        what_an_ended_session_may_not_have_answered_is_a_repetition,
        what_an_ended_session_surely_answered_is_not,
        a_session_that_goes_on_repeats_nothing,
        a_lost_session_ends_at_its_last_delivery,
        a_lost_session_without_deliveries_ends_all_the_same,
        an_unsure_delivery_is_matched_once,
        a_repetition_can_be_repeated_in_turn,
        after_the_window_nothing_is_a_repetition,
        the_end_of_a_session_is_told_once,
        a_session_that_was_not_announced_counts,
        connectors_and_digests_are_kept_apart;
    conversations:
        a_contact_is_found_by_each_of_its_names,
        a_contact_keeps_its_card,
        a_conversation_moves_to_another_contact,
        a_contact_is_not_added_twice,
        a_conversation_is_found_by_room_and_alias,
        an_alias_moves,
        a_room_belongs_to_one_conversation,
        a_renewed_conversation_has_no_room_and_a_new_generation,
        a_renamed_line_keeps_its_conversations_and_its_space,
        the_latest_conversations_come_first;
    rooms:
        a_room_has_one_role_and_a_role_its_latest_room,
        members_are_kept_as_last_known,
        a_forgotten_room_takes_its_members_along;
    messages:
        a_message_comes_back_as_it_was_added,
        an_update_writes_what_may_change,
        the_latest_outbound_messages_come_first,
        the_newest_part_with_an_id_is_found,
        a_part_changes_alone,
        early_receipts_are_taken_once;
    assemblies:
        an_assembly_is_found_by_its_key,
        a_part_is_added_once,
        what_is_kept_of_a_part_can_be_replaced,
        an_assembly_takes_its_parts_along;
    outbox:
        a_row_comes_back_as_it_was_pushed,
        heads_come_oldest_first_in_any_state,
        a_postponed_row_is_queued_again,
        a_message_finds_the_row_that_carries_it,
        expired_rows_are_found_unless_they_are_being_sent,
        a_removed_row_is_gone;
    timers:
        due_timers_are_taken_once_oldest_first,
        a_timer_set_again_moves,
        settings_are_kept,
        queue_depths_count_what_waits,
        line_depths_count_messages_by_direction,
        what_is_old_is_forgotten,
        a_message_that_waits_is_not_forgotten,
        buried_rows_are_erased_when_their_time_is_over,
        what_is_kept_is_counted;
    audit:
        entries_come_back_in_order,
        a_number_is_not_given_twice,
        entries_are_forgotten_from_the_front,
        a_chain_verifies_as_it_grows_and_is_forgotten,
        an_entry_goes_with_the_transaction_that_it_tells;
    trust:
        a_consent_is_replaced_by_what_is_said_later,
        consents_are_found_by_user_and_by_conversation,
        a_question_is_found_by_its_event_until_it_is_old,
        a_pin_keeps_the_first_key_beside_the_new_one,
        what_a_conversation_was_told_is_kept,
        held_rows_wait_and_count_nowhere;
    limits:
        a_wish_for_no_texts_is_kept_until_it_is_lifted,
        the_latest_wishes_come_first,
        what_is_counted_adds_up_and_is_found_by_its_time,
        old_counts_are_forgotten;
    jobs:
        a_failing_job_is_undone_alone,
        a_panicking_job_is_undone_alone,
        a_job_that_fails_alone_is_undone,
        a_job_that_hides_a_failed_statement_is_undone,
        jobs_run_in_the_order_in_which_they_were_queued;
}

fn hold_sqlite_to(promise: fn(&Arc<dyn Store>)) {
    let folder = tempfile::tempdir().unwrap();
    promise(&opened(&sqlite(folder.path())));
}
