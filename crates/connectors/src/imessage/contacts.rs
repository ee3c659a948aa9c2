//! The Mac's address book: the databases of Contacts, one of the Mac's own and one for each account. They are read whole whenever
//! one of their files changed.
//!
//! Names are a nicety: what cannot be read of it is said once, and stops nothing else.

use super::chatdb::{Identity, identity};
use super::columns::{Reader, select};
use super::row::address;
use super::shared::Shared;
use crate::address_book::{AddressBook, Book, picture_kind};
use crate::journal::{Journal, make_folder, private};
use data_encoding::HEXLOWER;
use rusqlite::{Connection, ErrorCode, OpenFlags};
use sha2::{Digest, Sha256};
use std::collections::HashSet;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use swingbridge_domain::inbox::{Inbox, InboxError};
use swingbridge_domain::message::{Media, MediaKind};
use tokio::time::{Instant, sleep};

const FILE: &str = "AddressBook-v22.abcddb";
const DENIED: &str =
    "it may not be read: give this program Full Disk Access (System Settings, Privacy & Security)";
/// The wait while the store takes nothing.
const STORE_WAIT: Duration = Duration::from_secs(5);
/// Before the picture in a column, where it is in the database itself. 2 stands before the name of a file beside it.
const INLINE: u8 = 1;
/// A thumbnail has some ten thousand octets.
const LARGEST: usize = 2_000_000;

/// Columns that name a person, in the order in which they are read.
const NAMES: &[&str] = &["ZFIRSTNAME", "ZLASTNAME", "ZNICKNAME", "ZORGANIZATION"];
const PICTURE: &str = "ZTHUMBNAILIMAGEDATA";
/// Tables of addresses, and the column that has them.
const ADDRESSES: &[(&str, &str)] = &[
    ("ZABCDPHONENUMBER", "ZFULLNUMBER"),
    ("ZABCDEMAILADDRESS", "ZADDRESS"),
];

/// A file that could not be read to its end is tried again after this, when it does not change before.
const RETRY: Duration = Duration::from_secs(60);

/// What there is to tell by when something changed: of each database and its journal which file it is, its length, its time.
type Stamp = Vec<[Option<(Identity, u64, i64, i64)>; 2]>;

/// What was read, and what could not be.
#[derive(Default)]
struct Found {
    book: Book,
    /// The pictures that the book names.
    pictures: HashSet<PathBuf>,
    problems: Vec<String>,
}

/// Runs until the inbox is closed. `file` remembers what was handed in; pictures are kept in `pictures`, which is the book's alone.
pub(super) async fn run(shared: &Shared, file: &Journal, pictures: &Path, inbox: &dyn Inbox) {
    let folder = &shared.config.address_book;
    if folder.as_os_str().is_empty() {
        return std::future::pending().await;
    }
    let mut known = AddressBook::open(&shared.id, address, file);
    let mut read: Option<Stamp> = None;
    let mut retry: Option<Instant> = None;
    let mut told: Option<Vec<String>> = None;
    loop {
        let mut wait = shared.config.timing.restat;
        let (files, unlisted) = files(folder);
        // Taken before: what changes while it is read is read again.
        let stamp = stamp(&files);
        if read.as_ref() != Some(&stamp) || retry.is_some_and(|at| at <= Instant::now()) {
            let mut found = gather(files, pictures).await;
            found.problems.extend(unlisted);
            if told.as_ref() != Some(&found.problems) {
                say(shared, &found);
            }
            let whole = found.problems.is_empty();
            told = Some(found.problems);
            match known.hand_in(&found.book, whole, inbox).await {
                Ok(()) => {
                    if whole {
                        forget_others(pictures, &found.pictures);
                    }
                    read = Some(stamp);
                    retry = (!whole).then(|| Instant::now() + RETRY);
                }
                Err(InboxError::Closed) => return,
                Err(InboxError::Unavailable(_)) => wait = wait.max(STORE_WAIT),
            }
        }
        sleep(wait).await;
    }
}

fn say(shared: &Shared, found: &Found) {
    match found.problems.is_empty() {
        true => {
            tracing::info!(connector = %shared.id, addresses = found.book.len(), "reads the address book")
        }
        false => {
            let problems = found.problems.join("; ");
            tracing::warn!(connector = %shared.id, problems, "the address book cannot be read whole: contacts may be without names");
        }
    }
}

/// The databases that there are, always in the same order; and what is wrong when there may be others.
fn files(folder: &Path) -> (Vec<PathBuf>, Option<String>) {
    let mut files = vec![folder.join(FILE)];
    let mut unlisted = None;
    match std::fs::read_dir(folder.join("Sources")) {
        Ok(accounts) => files.extend(accounts.flatten().map(|account| account.path().join(FILE))),
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        Err(_) => unlisted = Some(DENIED.to_owned()),
    }
    let is_there = |file: &PathBuf| !matches!(std::fs::metadata(file), Err(error) if error.kind() == ErrorKind::NotFound);
    files.retain(is_there);
    files.sort();
    if files.is_empty() && unlisted.is_none() {
        unlisted = Some("there is none at the configured place".to_owned());
    }
    (files, unlisted)
}

fn stamp(files: &[PathBuf]) -> Stamp {
    let of = |path: &Path| {
        let about = std::fs::metadata(path).ok()?;
        Some((
            identity(path).ok()?,
            about.len(),
            about.mtime(),
            about.mtime_nsec(),
        ))
    };
    files
        .iter()
        .map(|file| {
            let mut journal = file.as_os_str().to_owned();
            journal.push("-wal");
            // Reading may make an empty one.
            let journal = of(Path::new(&journal)).filter(|(_, length, ..)| *length > 0);
            [of(file), journal]
        })
        .collect()
}

async fn gather(files: Vec<PathBuf>, pictures: &Path) -> Found {
    let pictures = pictures.to_owned();
    let read = move || {
        let mut found = Found::default();
        for file in files {
            if let Err(problem) = read(&file, &pictures, &mut found) {
                found.problems.push(problem);
            }
        }
        found
    };
    tokio::task::spawn_blocking(read).await.unwrap_or_else(|_| Found {
        problems: vec!["reading it failed unexpectedly".to_owned()],
        ..Found::default()
    })
}

/// Reads one database. What was read before something is wrong counts.
fn read(file: &Path, pictures: &Path, found: &mut Found) -> Result<(), String> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let failed = |error: rusqlite::Error| match error.sqlite_error_code() {
        Some(
            ErrorCode::CannotOpen | ErrorCode::PermissionDenied | ErrorCode::AuthorizationForStatementDenied,
        ) => DENIED.to_owned(),
        Some(code) => format!("a database of it cannot be read ({code:?})"),
        None => "a database of it cannot be read".to_owned(),
    };
    let connection = Connection::open_with_flags(file, flags).map_err(failed)?;
    connection
        .busy_timeout(Duration::from_millis(200))
        .map_err(failed)?;
    let columns = |table: &str| -> rusqlite::Result<HashSet<String>> {
        let mut statement = connection.prepare("SELECT name FROM pragma_table_info(?)")?;
        let names = statement.query_map([table], |row| row.get(0))?;
        names.collect()
    };
    let person = columns("ZABCDRECORD").map_err(failed)?;
    if !person.contains("Z_PK") || !NAMES.iter().any(|name| person.contains(*name)) {
        return Err("a database of it has no names where they are looked for".to_owned());
    }
    let mut missing = Ok(());
    for (table, column) in ADDRESSES {
        let there = columns(table).map_err(failed)?;
        if !there.contains(*column) || !there.contains("ZOWNER") {
            missing = Err(format!("a database of it has no {column}"));
            continue;
        }
        let sql = format!(
            "SELECT a.{column}, {}, {} FROM {table} a JOIN ZABCDRECORD p ON p.Z_PK = a.ZOWNER
             WHERE a.{column} IS NOT NULL ORDER BY p.Z_PK, a.ROWID",
            select("p", &person, NAMES),
            select("p", &person, &[PICTURE]),
        );
        let mut statement = connection.prepare(&sql).map_err(failed)?;
        let mut rows = statement.query([]).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            enter(&Reader(row), pictures, found);
        }
    }
    missing
}

/// Enters a row's address. Of an address that several people have, or one person in several accounts, what is known first stays.
fn enter(row: &Reader<'_>, pictures: &Path, found: &mut Found) {
    let written = row.text(0).as_deref().map(plain).unwrap_or_default();
    let known = found.book.get(&written);
    let picture = match known.is_some_and(|entry| entry.picture.is_some()) {
        true => None,
        false => row
            .blob(NAMES.len() + 1)
            .and_then(|stored| keep(&stored, pictures)),
    };
    let name = name(row);
    if written.is_empty() || (name.is_none() && picture.is_none()) {
        return;
    }
    let entry = found.book.entry(written).or_default();
    entry.name = entry.name.take().or(name);
    if let Some((media, path)) = picture {
        entry.picture = Some(media);
        found.pictures.insert(path);
    }
}

/// As it is written, without the marks of direction that come along when a number is copied.
fn plain(written: &str) -> String {
    let kept = |c: &char| !matches!(c, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}');
    written.chars().filter(kept).collect::<String>().trim().to_owned()
}

/// The name of a person, else of the organization.
fn name(row: &Reader<'_>) -> Option<String> {
    let part = |at: usize| {
        let text = row.text(at + 1)?;
        let text = text.trim();
        (!text.is_empty()).then(|| text.to_owned())
    };
    let whole: Vec<String> = [part(0), part(1)].into_iter().flatten().collect();
    match whole.is_empty() {
        false => Some(whole.join(" ")),
        true => part(2).or_else(|| part(3)),
    }
}

/// Keeps the picture that a column holds. One that cannot be kept is no reason to go without the name.
fn keep(stored: &[u8], folder: &Path) -> Option<(Media, PathBuf)> {
    let content = match stored {
        [INLINE, content @ ..] => content,
        _ => return None,
    };
    let (mime, end) = picture_kind(content);
    let is_jpeg = content.starts_with(&[0xff, 0xd8, 0xff]);
    if content.len() > LARGEST || (mime == "image/jpeg" && !is_jpeg) {
        return None;
    }
    let name = format!(
        "contact-{}.{end}",
        HEXLOWER.encode(&Sha256::digest(content)[..12])
    );
    let path = folder.join(&name);
    write(&path, content)
        .inspect_err(|error| tracing::warn!(%error, "a contact's picture cannot be kept"))
        .ok()?;
    let whole = std::path::absolute(&path).ok()?;
    let media = Media {
        kind: MediaKind::Image,
        name,
        mime: Some(mime.to_owned()),
        size: u64::try_from(content.len()).ok(),
        uri: url::Url::from_file_path(whole).ok()?.to_string(),
        ..Media::default()
    };
    Some((media, path))
}

/// The name says the content: what is there under it is not written again.
fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        make_folder(folder)?;
    }
    let beside = path.with_extension("part");
    private(&beside)?.write_all(content)?;
    std::fs::rename(beside, path)
}

/// Pictures that no contact has any more.
fn forget_others(folder: &Path, kept: &HashSet<PathBuf>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if !kept.contains(&entry.path()) {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_is_read_without_marks_that_nobody_sees() {
        assert_eq!(plain("\u{202a}+44 7700 900456\u{202c}"), "+44 7700 900456");
        assert_eq!(plain(" Ada@Example.org "), "Ada@Example.org");
    }

    #[test]
    fn only_a_picture_that_is_in_the_database_itself_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        let stored = |first: u8, rest: &[u8]| [&[first], rest].concat();
        let jpeg = [0xff, 0xd8, 0xff, 0xe0, 1, 2, 3];
        assert!(
            keep(
                &stored(2, b"5D1F4C27-7A0B-4E0B-9C0C-3B6F6A2E9D11\0"),
                folder.path()
            )
            .is_none()
        );
        assert!(keep(&stored(1, b"no picture"), folder.path()).is_none());
        assert!(keep(&[], folder.path()).is_none());
        let (media, path) = keep(&stored(1, &jpeg), folder.path()).unwrap();
        assert_eq!(std::fs::read(path).unwrap(), jpeg);
        assert_eq!(media.mime.as_deref(), Some("image/jpeg"));
        forget_others(folder.path(), &HashSet::new());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
