//! Who agreed to what, what rooms were asked, and the keys by which contacts are known.

use crate::database::{Row, Statements, all, first};
use swingbridge_domain::clock::Timestamp;
use swingbridge_domain::consent::{Consent, Question, Terms};
use swingbridge_domain::id::{ConnectorId, ContactId, ConversationId, EventId, LineId, UserId};
use swingbridge_domain::path::Scheme;
use swingbridge_domain::store::{Pin, Result, StoreError};

/// What is asked of consents is whether there is one; a few are enough to find somebody who is still there.
const A_FEW: i64 = 20;

fn scheme_word(scheme: Scheme) -> &'static str {
    match scheme {
        Scheme::Megolm => "megolm",
        Scheme::Mls => "mls",
        Scheme::Imessage => "imessage",
    }
}

fn read_scheme(word: &str) -> Option<Scheme> {
    [Scheme::Megolm, Scheme::Mls, Scheme::Imessage]
        .into_iter()
        .find(|scheme| scheme_word(*scheme) == word)
}

fn json<T: serde::Serialize>(value: &T) -> String {
    serde_json::to_string(value).expect("plain data always serialises")
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text)
        .map_err(|_| StoreError::Damaged("a consent or a question cannot be read".into()))
}

/// The number of a conversation; 0 stands for all of a line.
fn scope(conversation: Option<ConversationId>) -> i64 {
    conversation.map_or(0, |id| id.0)
}

fn consent(row: &dyn Row) -> Result<Consent> {
    Ok(Consent {
        user: UserId::new(row.text(0)?),
        line: LineId::new(row.text(1)?),
        conversation: Some(row.int(2)?).filter(|id| *id != 0).map(ConversationId),
        terms: Terms {
            version: row.text(3)?.to_owned(),
            readers: from_json(row.text(4)?)?,
        },
        given: row.int(5)? != 0,
        at: Timestamp(row.int(6)?),
    })
}

pub(super) fn consent_set(db: &mut dyn Statements, consent: &Consent) -> Result<()> {
    let readers = json(&consent.terms.readers);
    db.execute(
        "INSERT INTO consents (member, line, conversation, version, readers, given, at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (member, line, conversation) DO UPDATE SET
            version = excluded.version, readers = excluded.readers, given = excluded.given, at = excluded.at",
        &[
            consent.user.as_str().into(),
            consent.line.as_str().into(),
            scope(consent.conversation).into(),
            consent.terms.version.as_str().into(),
            readers.as_str().into(),
            i64::from(consent.given).into(),
            consent.at.0.into(),
        ],
    )?;
    Ok(())
}

pub(super) fn consents_of(
    db: &mut dyn Statements,
    user: &UserId,
    line: Option<&LineId>,
) -> Result<Vec<Consent>> {
    match line {
        Some(line) => all(
            db,
            "SELECT member, line, conversation, version, readers, given, at FROM consents
             WHERE member = ?1 AND line = ?2 ORDER BY conversation",
            &[user.as_str().into(), line.as_str().into()],
            consent,
        ),
        None => all(
            db,
            "SELECT member, line, conversation, version, readers, given, at FROM consents
             WHERE member = ?1 ORDER BY line, conversation",
            &[user.as_str().into()],
            consent,
        ),
    }
}

pub(super) fn consents_for(
    db: &mut dyn Statements,
    line: &LineId,
    conversation: ConversationId,
    version: &str,
) -> Result<Vec<Consent>> {
    all(
        db,
        "SELECT member, line, conversation, version, readers, given, at FROM consents
         WHERE line = ?1 AND conversation IN (0, ?2) AND version = ?3 ORDER BY at DESC LIMIT ?4",
        &[
            line.as_str().into(),
            conversation.0.into(),
            version.into(),
            A_FEW.into(),
        ],
        consent,
    )
}

pub(super) fn question_add(
    db: &mut dyn Statements,
    event: &EventId,
    question: &Question,
    now: Timestamp,
) -> Result<()> {
    db.execute(
        "INSERT INTO questions (event, about, at) VALUES (?1, ?2, ?3)
         ON CONFLICT (event) DO UPDATE SET about = excluded.about",
        &[
            event.as_str().into(),
            json(question).as_str().into(),
            now.0.into(),
        ],
    )?;
    Ok(())
}

pub(super) fn question(db: &mut dyn Statements, event: &EventId) -> Result<Option<Question>> {
    first(
        db,
        "SELECT about FROM questions WHERE event = ?1",
        &[event.as_str().into()],
        |row| from_json(row.text(0)?),
    )
}

fn pin_row(row: &dyn Row) -> Result<Pin> {
    Ok(Pin {
        contact: ContactId(row.int(0)?),
        scheme: row.word(1, read_scheme)?,
        fingerprint: row.text(2)?.to_owned(),
        connector: ConnectorId::new(row.text(3)?),
        at: Timestamp(row.int(4)?),
        changed: row.maybe_text(5)?.map(str::to_owned),
        rejected: row.int(6)? != 0,
    })
}

pub(super) fn pin(db: &mut dyn Statements, contact: ContactId, scheme: Scheme) -> Result<Option<Pin>> {
    first(
        db,
        "SELECT contact, scheme, fingerprint, connector, at, changed, rejected FROM pins WHERE contact = ?1 AND scheme = ?2",
        &[contact.0.into(), scheme_word(scheme).into()],
        pin_row,
    )
}

pub(super) fn pins(db: &mut dyn Statements, contact: ContactId) -> Result<Vec<Pin>> {
    all(
        db,
        "SELECT contact, scheme, fingerprint, connector, at, changed, rejected FROM pins WHERE contact = ?1 ORDER BY scheme",
        &[contact.0.into()],
        pin_row,
    )
}

pub(super) fn pin_set(db: &mut dyn Statements, pin: &Pin) -> Result<()> {
    db.execute(
        "INSERT INTO pins (contact, scheme, fingerprint, connector, at, changed, rejected)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)
         ON CONFLICT (contact, scheme) DO UPDATE SET
            fingerprint = excluded.fingerprint, connector = excluded.connector, at = excluded.at,
            changed = excluded.changed, rejected = excluded.rejected",
        &[
            pin.contact.0.into(),
            scheme_word(pin.scheme).into(),
            pin.fingerprint.as_str().into(),
            pin.connector.as_str().into(),
            pin.at.0.into(),
            pin.changed.as_deref().into(),
            i64::from(pin.rejected).into(),
        ],
    )?;
    Ok(())
}
