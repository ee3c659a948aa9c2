//! Messages' database, opened for reading only. Columns are probed, never versions: machines on one release differ.

use super::columns::{ATTACHMENT, CHAT, MESSAGE, Reader, STATUS, message, select, status};
use super::row::{Attachment, Chat, Row, Status};
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension, Params};
use std::collections::HashSet;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;
use swingbridge_domain::connector::Link;

/// Which file it is: a restored or rebuilt database is another one under the same name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    pub device: u64,
    pub inode: u64,
}

/// The database cannot be read now. Holds no address and no text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Trouble {
    pub state: Link,
    pub detail: String,
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        let (state, detail) = match error.sqlite_error_code() {
            Some(ErrorCode::AuthorizationForStatementDenied | ErrorCode::PermissionDenied) => (
                Link::Refused,
                "macOS does not let this program read Messages' database: give it Full Disk Access (System Settings, Privacy & \
                 Security), take it out and add it again when it is listed already, and start it again",
            ),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => {
                (Link::Degraded, "Messages' database is locked; it is tried again")
            }
            Some(ErrorCode::NotADatabase | ErrorCode::DatabaseCorrupt) => (
                Link::Disconnected,
                "Messages' database is damaged or is being replaced; it is tried again. When this stays, open Messages",
            ),
            Some(ErrorCode::CannotOpen) => (
                Link::Refused,
                "Messages' database cannot be opened: check the path, and that this program has Full Disk Access (System \
                 Settings, Privacy & Security)",
            ),
            _ => (
                Link::Disconnected,
                "Messages' database cannot be read as expected; it is tried again",
            ),
        };
        Trouble {
            state,
            detail: detail.to_owned(),
        }
    }
}

pub(super) struct ChatDb {
    connection: Connection,
    pub identity: Identity,
    message: String,
    status: String,
    attachment: String,
    chat: String,
}

/// The file as it stands under its name now.
pub(super) fn identity(path: &Path) -> Result<Identity, Trouble> {
    let file = std::fs::metadata(path).map_err(|error| Trouble {
        state: match error.kind() {
            std::io::ErrorKind::PermissionDenied => Link::Refused,
            _ => Link::Disconnected,
        },
        detail: match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                "Messages' database may not be looked at: give this program Full Disk Access (System Settings, Privacy & Security)"
            }
            _ => "there is no database of Messages at the configured path; it is looked for again",
        }
        .to_owned(),
    })?;
    Ok(Identity {
        device: file.dev(),
        inode: file.ino(),
    })
}

/// The plus lets it look in the index of dates. Else it walks through all rows from the first on, until one is young enough: with
/// years of messages that is the whole file.
const FIRST_SINCE: &str = "SELECT MIN(+ROWID) FROM message WHERE date >= ?";

impl ChatDb {
    pub fn open(path: &Path) -> Result<ChatDb, Trouble> {
        let identity = identity(path)?;
        // Never as immutable: that passes over what is in the journal.
        let connection = Connection::open_with_flags(
            path,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.busy_timeout(Duration::from_millis(200))?;
        let columns = |table: &str| -> Result<HashSet<String>, Trouble> {
            let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?)")?;
            let names = statement.query_map([table], |row| row.get(0))?;
            Ok(names.collect::<Result<_, _>>()?)
        };
        let (message, chat, attachment) = (columns("message")?, columns("chat")?, columns("attachment")?);
        if !["ROWID", "guid", "handle_id", "date", "is_from_me"]
            .iter()
            .all(|column| message.contains(*column))
        {
            return Err(Trouble {
                state: Link::Disconnected,
                detail: "the file at the configured path is no database of Messages, or is not filled yet; it is looked at again"
                    .to_owned(),
            });
        }
        Ok(ChatDb {
            identity,
            message: format!(
                "SELECT {}, h.id, o.id, (SELECT chat_id FROM chat_message_join WHERE message_id = m.ROWID LIMIT 1), {}
                 FROM message m LEFT JOIN handle h ON h.ROWID = m.handle_id LEFT JOIN handle o ON o.ROWID = {}",
                select("m", &message, STATUS),
                select("m", &message, MESSAGE),
                if message.contains("other_handle") { "m.other_handle" } else { "NULL" },
            ),
            status: format!("SELECT {} FROM message m", select("m", &message, STATUS)),
            attachment: format!(
                "SELECT {} FROM attachment a JOIN message_attachment_join j ON j.attachment_id = a.ROWID
                 WHERE j.message_id = ? ORDER BY a.ROWID",
                select("a", &attachment, ATTACHMENT)
            ),
            chat: format!("SELECT {} FROM chat c", select("c", &chat, CHAT)),
            connection,
        })
    }

    /// Changes whenever another connection has changed the database, also when its journal is cut.
    pub fn version(&self) -> Result<i64, Trouble> {
        Ok(self
            .connection
            .query_row("PRAGMA data_version", [], |row| row.get(0))?)
    }

    /// Reads as the database is at one moment.
    pub fn at_once<T>(&self, read: impl FnOnce(&ChatDb) -> Result<T, Trouble>) -> Result<T, Trouble> {
        self.connection.execute_batch("BEGIN")?;
        let done = read(self);
        self.connection.execute_batch("COMMIT")?;
        done
    }

    pub fn newest(&self) -> Result<i64, Trouble> {
        Ok(self
            .connection
            .query_row("SELECT COALESCE(MAX(ROWID), 0) FROM message", [], |row| {
                row.get(0)
            })?)
    }

    /// The number of the first row that is not older than `date`.
    pub fn first_since(&self, date: i64) -> Result<Option<i64>, Trouble> {
        Ok(self.connection.query_row(FIRST_SINCE, [date], |row| row.get(0))?)
    }

    /// The guid of a row; `None` when it is gone.
    pub fn guid(&self, rowid: i64) -> Result<Option<String>, Trouble> {
        let guid = self
            .connection
            .query_row("SELECT guid FROM message WHERE ROWID = ?", [rowid], |row| {
                row.get(0)
            });
        Ok(guid.optional()?)
    }

    pub fn rows_after(&self, rowid: i64, limit: usize) -> Result<Vec<Row>, Trouble> {
        self.rows(
            "WHERE m.ROWID > ?1 ORDER BY m.ROWID LIMIT ?2",
            (rowid, limit as i64),
        )
    }

    /// Rows of our own after one, in steps.
    pub fn own_after(&self, rowid: i64, limit: usize) -> Result<Vec<Row>, Trouble> {
        self.rows(
            "WHERE m.ROWID > ?1 AND m.is_from_me = 1 ORDER BY m.ROWID LIMIT ?2",
            (rowid, limit as i64),
        )
    }

    /// The same of those that are in no chat.
    pub fn own_unjoined_after(&self, rowid: i64) -> Result<Vec<Row>, Trouble> {
        self.rows(
            "WHERE m.ROWID > ?1 AND m.is_from_me = 1
             AND NOT EXISTS (SELECT 1 FROM chat_message_join j WHERE j.message_id = m.ROWID) ORDER BY m.ROWID LIMIT 200",
            [rowid],
        )
    }

    pub fn row(&self, guid: &str) -> Result<Option<Row>, Trouble> {
        Ok(self.rows("WHERE m.guid = ?1", [guid])?.pop())
    }

    /// What a person wrote shortly before a row, in no balloon.
    pub fn before(&self, row: &Row, within: i64) -> Result<Vec<Row>, Trouble> {
        let rows = self.rows(
            "WHERE m.ROWID < ?1 AND m.date BETWEEN ?2 - ?3 AND ?2 AND m.is_from_me = ?4 ORDER BY m.ROWID DESC LIMIT 200",
            (row.rowid, row.date, within, i64::from(row.status.from_me)),
        )?;
        let same =
            |other: &Row| other.chat == row.chat && other.handle == row.handle && other.balloon.is_none();
        Ok(rows.into_iter().filter(same).collect())
    }

    fn rows(&self, rest: &str, params: impl Params) -> Result<Vec<Row>, Trouble> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{} {rest}", self.message))?;
        let rows = statement.query_map(params, |row| Ok(message(&Reader(row))))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What may have changed of the rows after one: number, guid, state.
    pub fn statuses_after(&self, rowid: i64) -> Result<Vec<(i64, String, Status)>, Trouble> {
        self.statuses("WHERE m.ROWID > ?1 ORDER BY m.ROWID", [rowid])
    }

    /// The same of rows since a date, in steps.
    pub fn statuses_since(
        &self,
        date: i64,
        rowid: i64,
        limit: i64,
    ) -> Result<Vec<(i64, String, Status)>, Trouble> {
        self.statuses(
            "WHERE m.ROWID > ?1 AND m.date >= ?2 ORDER BY m.ROWID LIMIT ?3",
            (rowid, date, limit),
        )
    }

    pub fn status(&self, guid: &str) -> Result<Option<(i64, String, Status)>, Trouble> {
        Ok(self.statuses("WHERE m.guid = ?1", [guid])?.pop())
    }

    fn statuses(&self, rest: &str, params: impl Params) -> Result<Vec<(i64, String, Status)>, Trouble> {
        let mut statement = self
            .connection
            .prepare_cached(&format!("{} {rest}", self.status))?;
        let rows = statement.query_map(params, |row| {
            let reader = Reader(row);
            Ok((
                reader.integer(0),
                reader.text(1).unwrap_or_default(),
                status(&reader),
            ))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn attachments(&self, message: i64) -> Result<Vec<Attachment>, Trouble> {
        let mut statement = self.connection.prepare_cached(&self.attachment)?;
        let rows = statement.query_map([message], |row| {
            let reader = Reader(row);
            Ok(Attachment {
                guid: reader.text(0).unwrap_or_default(),
                filename: reader.text(1),
                name: reader.text(2),
                mime: reader.text(3),
                uti: reader.text(4),
                size: reader.integer(5),
                sticker: reader.integer(6) != 0,
                hidden: reader.integer(7) != 0,
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    pub fn chat(&self, rowid: i64) -> Result<Option<Chat>, Trouble> {
        Ok(self.chats("WHERE c.ROWID = ?1", [rowid])?.pop())
    }

    pub fn chat_by_guid(&self, guid: &str) -> Result<Option<Chat>, Trouble> {
        Ok(self.chats("WHERE c.guid = ?1", [guid])?.pop())
    }

    /// The chats with one person, the one used last first.
    pub fn chats_with(&self, address: &str) -> Result<Vec<Chat>, Trouble> {
        self.chats(
            "WHERE c.chat_identifier = ?1 COLLATE NOCASE ORDER BY
             (SELECT MAX(message_id) FROM chat_message_join j WHERE j.chat_id = c.ROWID) DESC",
            [address],
        )
    }

    fn chats(&self, rest: &str, params: impl Params) -> Result<Vec<Chat>, Trouble> {
        let mut statement = self.connection.prepare_cached(&format!("{} {rest}", self.chat))?;
        let found = statement.query_map(params, |row| {
            let reader = Reader(row);
            let guid = reader.text(1).unwrap_or_default();
            // The style says it; the guid's sign is the same in all releases.
            let group = match reader.integer(2) {
                43 => true,
                45 => false,
                _ => guid.contains(";+;"),
            };
            let chat = Chat {
                rowid: reader.integer(0),
                guid,
                group,
                identifier: reader.text(3).unwrap_or_default(),
                service: reader.text(4).unwrap_or_default(),
                name: reader.text(5).filter(|name| !name.is_empty()),
                ..Chat::default()
            };
            Ok((chat, reader.text(6), reader.text(7)))
        })?;
        let found: Vec<_> = found.collect::<Result<_, _>>()?;
        let mut chats = Vec::new();
        for (mut chat, group_id, original) in found {
            chat.members = self.texts(
                "SELECT h.id FROM handle h JOIN chat_handle_join j ON j.handle_id = h.ROWID WHERE j.chat_id = ? ORDER BY h.ROWID",
                [chat.rowid],
            )?;
            if chat.group
                && let Some(group_id) = group_id.filter(|id| !id.is_empty())
            {
                chat.formerly = self.texts(
                    "SELECT guid FROM chat WHERE group_id IN (?1, ?2) AND ROWID <> ?3",
                    (
                        group_id.as_str(),
                        original.as_deref().unwrap_or(&group_id),
                        chat.rowid,
                    ),
                )?;
            }
            chats.push(chat);
        }
        Ok(chats)
    }

    fn texts(&self, sql: &str, params: impl Params) -> Result<Vec<String>, Trouble> {
        let mut statement = self.connection.prepare_cached(sql)?;
        let texts = statement.query_map(params, |row| row.get(0))?;
        Ok(texts.collect::<Result<_, _>>()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_row_of_some_days_is_found_without_reading_the_years_before() {
        let connection = Connection::open_in_memory().unwrap();
        let schema =
            "CREATE TABLE message (ROWID INTEGER PRIMARY KEY AUTOINCREMENT, guid TEXT, date INTEGER);
                      CREATE INDEX message_idx_date ON message(date);
                      INSERT INTO message (guid, date) VALUES ('a', 10), ('b', 30), ('c', 20)";
        connection.execute_batch(schema).unwrap();
        let plan = format!("EXPLAIN QUERY PLAN {FIRST_SINCE}");
        let plan: String = connection.query_row(&plan, [15], |row| row.get(3)).unwrap();
        assert!(plan.contains("COVERING INDEX message_idx_date"), "{plan}");
        let first: i64 = connection.query_row(FIRST_SINCE, [15], |row| row.get(0)).unwrap();
        assert_eq!(first, 2);
    }
}
