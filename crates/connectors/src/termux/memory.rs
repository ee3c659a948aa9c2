//! What was read of the phone's database already. Pure: rows in, what is new out.
//!
//! A cursor alone would lose texts: the phone gives the number of a deleted row to another text, begins to count anew when its
//! database is replaced, and shows some rows late (Android withholds texts with codes for hours). So the newest rows are kept in
//! mind, each with a print of what it said, and the newest of the phone's are compared with them from time to time.

use super::read::{Kind, Row};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use swingbridge_domain::clock::Timestamp;

/// How many of the newest rows are kept in mind.
const KEPT: usize = 400;
/// How many of the newest rows a sweep compares; fewer than are kept.
pub const WINDOW: usize = 200;
/// How many rows are watched until they are out.
const OPEN: usize = 20;

#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    /// All rows up to this one were looked at.
    cursor: i64,
    rows: BTreeMap<i64, Known>,
    /// On their way when they were last seen.
    open: BTreeSet<i64>,
    /// The prints of rows that stood in a database that is gone.
    former: Vec<Former>,
    /// Rows up to this one were there before the first start.
    history: Option<History>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Known {
    print: String,
    received: String,
    /// Nothing more is to be said of it.
    settled: bool,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Former {
    print: String,
    received: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The newest row of it.
    pub until: i64,
    /// Older ones are not shown.
    pub since: Timestamp,
}

/// Something to hand in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct News {
    pub row: Row,
    /// It was there before the first start.
    pub history: bool,
}

impl Memory {
    /// Of a phone whose newest rows are `window`, oldest first, and whose texts since then are news.
    pub fn begin(window: &[Row], history: Option<Timestamp>) -> Self {
        let mut memory = Self::default();
        match history {
            None => {
                memory.take(window);
            }
            Some(since) => {
                memory.history = Some(History {
                    until: window.last().map_or(0, |row| row.id),
                    since,
                });
            }
        }
        memory
    }

    /// What to ask the phone for: the last row again, to see whether it is still the same, and all after it.
    pub fn selection(&self) -> String {
        let mut selection = format!("_id >= {}", self.cursor);
        if let Some(history) = self.history.filter(|history| self.cursor < history.until) {
            selection = format!(
                "{selection} AND (date >= {} OR _id > {})",
                history.since.millis(),
                history.until
            );
        }
        if !self.open.is_empty() {
            let ids: Vec<String> = self.open.iter().map(i64::to_string).collect();
            selection = format!("({selection}) OR _id IN ({})", ids.join(","));
        }
        selection
    }

    pub fn cursor(&self) -> i64 {
        self.cursor
    }

    /// Whether `page`, which was asked for by [`Memory::selection`], continues what is in mind.
    pub fn continues(&self, page: &[Row]) -> bool {
        let Some(known) = self.rows.get(&self.cursor) else {
            return self.cursor == 0;
        };
        page.iter()
            .any(|row| row.id == self.cursor && row.print() == known.print)
    }

    /// Looks at a page, oldest first.
    pub fn take(&mut self, page: &[Row]) -> Vec<News> {
        let news = page.iter().filter_map(|row| self.look(row, false)).collect();
        while self.rows.len() > KEPT {
            self.rows.pop_first();
        }
        while self.open.len() > OPEN {
            self.open.pop_first();
        }
        news
    }

    /// Compares the newest rows of the phone, oldest first.
    pub fn sweep(&mut self, window: &[Row]) -> Vec<News> {
        if self.history.is_some_and(|history| self.cursor < history.until) {
            // It has rows that are too old to be shown.
            return Vec::new();
        }
        let first = window.first().map_or(0, |row| row.id);
        let top = window.last().map_or(0, |row| row.id);
        let mut shared = window
            .iter()
            .filter_map(|row| self.rows.get(&row.id).map(|known| (row, known)))
            .peekable();
        let overlaps = shared.peek().is_some();
        let same = shared.any(|(row, known)| row.print() == known.print);
        if !same && (overlaps || top < self.cursor) {
            return self.anew(window);
        }
        if !overlaps && first > self.cursor {
            // More came than a sweep looks at; they are read page by page.
            return Vec::new();
        }
        // The newest were deleted: their numbers will be given again.
        self.rows.retain(|id, _| *id <= top);
        self.open.retain(|id| *id <= top);
        self.cursor = self.cursor.min(top);
        let floor = self.rows.first_key_value().map_or(self.cursor + 1, |(id, _)| *id);
        let start = window.partition_point(|row| row.id < floor);
        self.take(window.get(start..).unwrap_or_default())
    }

    /// The database was replaced, or emptied. What it has of the time that is in mind is compared by what it says; what is
    /// older was there already when we began to look.
    fn anew(&mut self, window: &[Row]) -> Vec<News> {
        let gone = std::mem::take(&mut self.rows).into_values();
        self.former.extend(gone.map(|known| Former {
            print: known.print,
            received: known.received,
        }));
        let excess = self.former.len().saturating_sub(KEPT);
        self.former.drain(..excess);
        self.open.clear();
        self.cursor = 0;
        self.history = None;
        window.iter().filter_map(|row| self.look(row, true)).collect()
    }

    fn look(&mut self, row: &Row, anew: bool) -> Option<News> {
        let print = row.print();
        // What failed may be sent again by a person, in the same row.
        let settled = matches!(row.kind, Kind::Inbox | Kind::Sent);
        let was = self.rows.get(&row.id).filter(|known| known.print == print);
        let mut had = was.is_some_and(|known| known.settled);
        if was.is_none() && !self.former.is_empty() {
            had = self.stood_before(&print, &row.received, anew);
        }
        let known = Known {
            print,
            received: row.received.clone(),
            settled: settled || had,
        };
        self.rows.insert(row.id, known);
        if row.kind == Kind::Outbox {
            self.open.insert(row.id);
        } else {
            self.open.remove(&row.id);
        }
        self.cursor = self.cursor.max(row.id);
        let history = self.history.is_some_and(|history| row.id <= history.until);
        let tells = settled || row.kind == Kind::Failed;
        (tells && !had).then(|| News {
            row: row.clone(),
            history,
        })
    }

    /// Whether a row stood in the database that is gone. Each of its rows stands for one.
    fn stood_before(&mut self, print: &str, received: &str, anew: bool) -> bool {
        if let Some(at) = self.former.iter().position(|former| former.print == print) {
            self.former.swap_remove(at);
            return true;
        }
        let oldest = self.former.iter().map(|former| former.received.as_str()).min();
        anew && !received.is_empty() && oldest.is_some_and(|oldest| received < oldest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id: i64, kind: Kind, body: &str) -> Row {
        Row {
            id,
            kind,
            address: "+447700900123".into(),
            received: format!("2026-01-31 12:00:{:02}", body.len() % 60),
            body: Some(body.into()),
        }
    }

    fn inbox(id: i64) -> Row {
        Row {
            received: format!("2026-01-31 12:{:02}:{:02}", id / 60 % 60, id % 60),
            ..row(id, Kind::Inbox, &format!("text {id}"))
        }
    }

    fn ids(news: &[News]) -> Vec<i64> {
        news.iter().map(|news| news.row.id).collect()
    }

    fn bodies(news: &[News]) -> Vec<&str> {
        news.iter().filter_map(|news| news.row.body.as_deref()).collect()
    }

    fn begun(upto: i64) -> Memory {
        let window: Vec<Row> = (1..=upto).map(inbox).collect();
        Memory::begin(&window, None)
    }

    #[test]
    fn what_was_there_at_the_first_start_is_no_news_and_what_comes_is() {
        let mut memory = begun(3);
        assert_eq!(memory.selection(), "_id >= 3");
        assert!(memory.continues(&[inbox(3)]));
        assert_eq!(ids(&memory.take(&[inbox(3), inbox(4), inbox(5)])), [4, 5]);
        assert!(memory.take(&[inbox(5)]).is_empty());
    }

    #[test]
    fn history_is_asked_for_by_its_age_and_marked() {
        let window: Vec<Row> = (1..=3).map(inbox).collect();
        let mut memory = Memory::begin(&window, Some(Timestamp(5000)));
        assert_eq!(memory.selection(), "_id >= 0 AND (date >= 5000 OR _id > 3)");
        assert!(memory.continues(&window));
        let news = memory.take(&[inbox(2), inbox(3), inbox(4)]);
        let marks: Vec<bool> = news.iter().map(|news| news.history).collect();
        assert_eq!((ids(&news), marks), (vec![2, 3, 4], vec![true, true, false]));
        assert_eq!(memory.selection(), "_id >= 4");
    }

    #[test]
    fn a_number_given_again_after_a_deletion_loses_nothing() {
        let mut memory = begun(3);
        let other = row(3, Kind::Inbox, "another");
        // Row 3 was deleted, and its number given to the next text.
        assert!(!memory.continues(std::slice::from_ref(&other)));
        assert_eq!(
            bodies(&memory.sweep(&[inbox(1), inbox(2), other.clone()])),
            ["another"]
        );
        assert_eq!(bodies(&memory.take(&[other, inbox(4)])), ["text 4"]);
    }

    #[test]
    fn deleted_rows_are_no_news_and_hide_none() {
        let mut memory = begun(5);
        assert!(!memory.continues(&[]));
        assert!(memory.sweep(&[inbox(1), inbox(2)]).is_empty());
        assert_eq!(memory.cursor(), 2);
        assert_eq!(
            bodies(&memory.take(&[inbox(2), row(3, Kind::Inbox, "new")])),
            ["new"]
        );
    }

    #[test]
    fn a_row_that_shows_late_is_news_once() {
        let mut memory = begun(3);
        // Row 4 is withheld.
        assert_eq!(ids(&memory.take(&[inbox(3), inbox(5)])), [5]);
        let whole: Vec<Row> = (1..=5).map(inbox).collect();
        assert_eq!(ids(&memory.sweep(&whole)), [4]);
        assert!(memory.sweep(&whole).is_empty());
    }

    #[test]
    fn a_replaced_database_neither_doubles_nor_loses() {
        let mut memory = begun(50);
        // A backup was restored: the same texts, with other numbers, older ones too, and something new.
        let moved = |id: i64, of: i64| Row { id, ..inbox(of) };
        let mut window = vec![Row {
            received: "2025-06-01 10:00:00".into(),
            ..row(1, Kind::Inbox, "from long ago")
        }];
        window.extend((1..=20).map(|at| moved(at + 1, at + 30)));
        window.push(Row {
            received: "2026-02-01 10:00:00".into(),
            ..row(22, Kind::Inbox, "new")
        });
        assert!(!memory.continues(&[]));
        assert_eq!(bodies(&memory.sweep(&window)), ["new"]);
        assert_eq!(memory.cursor(), 22);
        assert!(memory.sweep(&window).is_empty());
        // A text that says what an old one said is a text.
        let again = Row {
            received: "2026-02-01 10:00:05".into(),
            ..row(23, Kind::Inbox, "text 40")
        };
        let last = window.last().unwrap().clone();
        assert_eq!(bodies(&memory.take(&[last, again])), ["text 40"]);
    }

    #[test]
    fn a_database_that_begins_empty_loses_nothing() {
        let mut memory = begun(50);
        assert!(memory.sweep(&[]).is_empty());
        assert_eq!(memory.selection(), "_id >= 0");
        let mut new = row(1, Kind::Inbox, "first of the new one");
        new.received = "2026-03-01 00:00:00".into();
        assert!(memory.continues(std::slice::from_ref(&new)));
        assert_eq!(bodies(&memory.take(&[new])), ["first of the new one"]);
        // What is restored afterwards was had.
        assert!(memory.take(&[Row { id: 2, ..inbox(50) }]).is_empty());
    }

    #[test]
    fn a_text_on_its_way_is_watched_until_it_is_out() {
        let mut memory = begun(1);
        assert_eq!(
            ids(&memory.take(&[inbox(1), row(2, Kind::Outbox, "out"), inbox(3)])),
            [3]
        );
        assert_eq!(memory.selection(), "(_id >= 3) OR _id IN (2)");
        let news = memory.take(&[row(2, Kind::Sent, "out"), inbox(3)]);
        assert_eq!((ids(&news), news[0].row.kind), (vec![2], Kind::Sent));
        assert_eq!(memory.selection(), "_id >= 3");
        // A draft is none; it may be sent from the same row much later.
        memory.take(&[row(4, Kind::Draft, "draft")]);
        let window = [inbox(3), row(4, Kind::Sent, "draft")];
        assert_eq!(ids(&memory.sweep(&window)), [4]);
    }

    #[test]
    fn what_failed_is_told_and_may_still_be_sent_by_hand() {
        let mut memory = begun(1);
        assert_eq!(ids(&memory.take(&[row(2, Kind::Failed, "x")])), [2]);
        let news = memory.sweep(&[inbox(1), row(2, Kind::Sent, "x")]);
        assert_eq!(news[0].row.kind, Kind::Sent);
        assert!(memory.sweep(&[inbox(1), row(2, Kind::Sent, "x")]).is_empty());
    }

    #[test]
    fn more_than_a_window_is_left_to_the_pages() {
        let mut memory = begun(3);
        let far: Vec<Row> = (1000..1000 + WINDOW as i64).map(inbox).collect();
        assert!(memory.sweep(&far).is_empty());
        assert_eq!(memory.cursor(), 3);
    }

    #[test]
    fn it_stays_small_and_survives_its_file() {
        let mut memory = begun(3);
        for id in 4..3000 {
            memory.take(&[inbox(id)]);
        }
        assert_eq!(memory.rows.len(), KEPT);
        let text = serde_json::to_string(&memory).unwrap();
        assert!(
            text.len() < 100_000 && !text.contains("text 2999"),
            "{}",
            text.len()
        );
        assert_eq!(serde_json::from_str::<Memory>(&text).unwrap(), memory);
    }
}
