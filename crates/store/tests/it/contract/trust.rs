use crate::support::*;
use std::sync::Arc;
use swingbridge_domain::consent::{Asked, Consent, Downgrade, Question, Terms};
use swingbridge_domain::id::{ConnectorId, ConversationId, EventId, LineId, UserId};
use swingbridge_domain::path::{Evidence, Leg, Place, Protection, Scheme, Standing, Summary};
use swingbridge_domain::store::{Detour, OutboxState, Pin, Store, Trust};

fn consent(user: &str, conversation: Option<ConversationId>, given: bool) -> Consent {
    Consent {
        user: UserId::new(user),
        line: line(),
        conversation,
        terms: Terms::new(&["SMS"], vec!["this gateway".into()]),
        given,
        at: NOW,
    }
}

pub fn a_consent_is_replaced_by_what_is_said_later(store: &Arc<dyn Store>) {
    let alice = UserId::new("@alice:example.org");
    let withdrawn = Consent {
        at: after(5),
        ..consent("@alice:example.org", None, false)
    };
    let kept = withdrawn.clone();
    work(store, move |t| {
        t.consent_set(&consent("@alice:example.org", None, true))?;
        t.consent_set(&withdrawn)
    });
    assert_eq!(work(store, move |t| t.consents_of(&alice, Some(&line()))), [kept]);
}

pub fn consents_are_found_by_user_and_by_conversation(store: &Arc<dyn Store>) {
    let (bob, other) = (UserId::new("@bob:example.org"), ConversationId(77));
    work(store, move |t| {
        t.consent_set(&consent("@alice:example.org", None, true))?;
        t.consent_set(&consent("@bob:example.org", Some(ConversationId(7)), true))?;
        t.consent_set(&consent("@bob:example.org", Some(other), false))?;
        let elsewhere = Consent {
            line: LineId::new("elsewhere"),
            ..consent("@bob:example.org", None, true)
        };
        t.consent_set(&elsewhere)
    });
    let asked = bob.clone();
    assert_eq!(
        work(store, move |t| t.consents_of(&asked, Some(&line()))).len(),
        2
    );
    assert_eq!(work(store, move |t| t.consents_of(&bob, None)).len(), 3);
    let version = Terms::new(&["SMS"], Vec::new()).version;
    let of = |conversation: i64, version: &str| {
        let version = version.to_owned();
        let found = work(store, move |t| {
            t.consents_for(&line(), ConversationId(conversation), &version)
        });
        let mut who: Vec<String> = found.into_iter().map(|consent| consent.user.0).collect();
        who.sort();
        who
    };
    assert_eq!(of(7, &version), ["@alice:example.org", "@bob:example.org"]);
    assert_eq!(of(8, &version), ["@alice:example.org"]);
    assert!(of(7, "another").is_empty());
}

pub fn a_question_is_found_by_its_event_until_it_is_old(store: &Arc<dyn Store>) {
    let question = Question {
        line: None,
        conversation: ConversationId(7),
        about: Asked::Consent(Terms::new(&["SMS"], vec!["this gateway".into()])),
    };
    let asked = question.clone();
    let event = || EventId::new("$question");
    work(store, move |t| t.question_add(&event(), &asked, NOW));
    assert_eq!(work(store, move |t| t.question(&event())), Some(question));
    assert_eq!(work(store, |t| t.question(&EventId::new("$other"))), None);
    work(store, |t| t.prune(after(1)));
    assert_eq!(work(store, move |t| t.question(&event())), None);
}

pub fn a_pin_keeps_the_first_key_beside_the_new_one(store: &Arc<dyn Store>) {
    let pin = work(store, |t| {
        let contact = t.contact_add(&[1; 32], b"sealed", "ghost")?;
        let first = Pin {
            contact,
            scheme: Scheme::Mls,
            fingerprint: "AB12".into(),
            connector: ConnectorId::new("carrier"),
            at: NOW,
            changed: None,
            rejected: false,
        };
        t.pin_set(&first)?;
        let changed = Pin {
            changed: Some("CD34".into()),
            rejected: true,
            ..first
        };
        t.pin_set(&changed)?;
        Ok(changed)
    });
    let contact = pin.contact;
    assert_eq!(
        work(store, move |t| t.pin(contact, Scheme::Mls)),
        Some(pin.clone())
    );
    assert_eq!(work(store, move |t| t.pin(contact, Scheme::Imessage)), None);
    assert_eq!(work(store, move |t| t.pins(contact)), [pin]);
}

pub fn what_a_conversation_was_told_is_kept(store: &Arc<dyn Store>) {
    let trust = Trust {
        standing: Some(Standing {
            summary: Summary::EndsAtGateway,
            network: Protection::None,
        }),
        room: Some(Protection::EndToEnd(Scheme::Megolm)),
        downgrade: Some(Downgrade::Refuse),
        asked: Some(Asked::Consent(Terms::new(&["SMS"], vec!["this gateway".into()]))),
        asked_of: Some(LineId::new("other")),
        way: vec![Leg::new(
            Place::Phone,
            Place::Device,
            Protection::EndToEnd(Scheme::Imessage),
            Evidence::ServiceColumn,
        )],
        detour: Some(Detour {
            line: LineId::new("other"),
            until: after(9),
        }),
    };
    let told = trust.clone();
    let found = work(store, move |t| {
        let id = conversation(t, 1)?;
        assert_eq!(t.conversation(id)?.unwrap().trust, Trust::default());
        t.conversation_set_trust(id, &told)?;
        Ok(t.conversation(id)?.unwrap())
    });
    assert_eq!(found.trust, trust);
}

pub fn held_rows_wait_and_count_nowhere(store: &Arc<dyn Store>) {
    let (here, first, second, leaving) = work(store, |t| {
        let (here, there) = (conversation(t, 1)?, conversation(t, 2)?);
        let message = t.message_add(&outgoing(here))?;
        let first = t.outbox_push(&parcel(here, Some(message)))?;
        let second = t.outbox_push(&parcel(there, None))?;
        for row in [first, second] {
            t.outbox_set_state(row, OutboxState::Held)?;
        }
        let leaving = t.outbox_push(&parcel(here, Some(message)))?;
        Ok((here, first, second, leaving))
    });
    let ids = |rows: Vec<swingbridge_domain::store::OutboxRow>| {
        rows.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(work(store, |t| t.outbox_held(None))), [first, second]);
    assert_eq!(ids(work(store, move |t| t.outbox_held(Some(here)))), [first]);
    let nobody = work(store, |t| t.outbox_leaving(&UserId::new("@bob:example.org")));
    assert!(nobody.is_empty());
    assert_eq!(
        ids(work(store, |t| t.outbox_leaving(&UserId::new("@alice:example.org")))),
        [leaving]
    );
    let depths = work(store, |t| t.queue_depths());
    assert_eq!(depths.iter().map(|depth| depth.rows).sum::<u64>(), 1);
    let lines = work(store, |t| t.line_depths());
    assert_eq!(lines.iter().map(|depth| depth.rows).sum::<u64>(), 1);
}
