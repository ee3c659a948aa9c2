//! Writes an address book as Contacts does: one database for the Mac, and one for each account. Facts of public schema dumps; of
//! some hundred columns those that name a person are there.

use super::Mac;
use anyhow::{Context, Result};
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};
use std::time::Duration;

const FILE: &str = "AddressBook-v22.abcddb";
/// The one account that there is.
const ACCOUNT: &str = "Sources/5D1F4C27-7A0B-4E0B-9C0C-3B6F6A2E9D11";
/// What Core Data calls a person in `Z_PRIMARYKEY`.
const PERSON: i64 = 22;

const SCHEMA: &str = "
PRAGMA journal_mode = WAL;
CREATE TABLE Z_PRIMARYKEY (Z_ENT INTEGER PRIMARY KEY, Z_NAME VARCHAR, Z_SUPER INTEGER, Z_MAX INTEGER);
INSERT INTO Z_PRIMARYKEY VALUES (22, 'ABCDContact', 17, 0);
CREATE TABLE ZABCDRECORD (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER, ZCREATIONDATE TIMESTAMP,
  ZMODIFICATIONDATE TIMESTAMP, ZUNIQUEID VARCHAR, ZTITLE VARCHAR, ZFIRSTNAME VARCHAR, ZMIDDLENAME VARCHAR, ZLASTNAME VARCHAR,
  ZNICKNAME VARCHAR, ZORGANIZATION VARCHAR, ZJOBTITLE VARCHAR, ZDISPLAYFLAGS INTEGER, ZIMAGEREFERENCE VARCHAR, ZIMAGEDATA BLOB,
  ZTHUMBNAILIMAGEDATA BLOB);
CREATE TABLE ZABCDPHONENUMBER (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER, ZISPRIMARY INTEGER, ZORDERINGINDEX INTEGER,
  ZOWNER INTEGER, Z22_OWNER INTEGER, ZFULLNUMBER VARCHAR, ZLABEL VARCHAR, ZLASTFOURDIGITS VARCHAR);
CREATE TABLE ZABCDEMAILADDRESS (Z_PK INTEGER PRIMARY KEY, Z_ENT INTEGER, Z_OPT INTEGER, ZISPRIMARY INTEGER, ZORDERINGINDEX INTEGER,
  ZOWNER INTEGER, Z22_OWNER INTEGER, ZADDRESS VARCHAR, ZADDRESSNORMALIZED VARCHAR, ZLABEL VARCHAR);
CREATE INDEX ZABCDPHONENUMBER_ZOWNER_INDEX ON ZABCDPHONENUMBER (ZOWNER);
CREATE INDEX ZABCDEMAILADDRESS_ZOWNER_INDEX ON ZABCDEMAILADDRESS (ZOWNER);
";

/// Somebody in an address book. [`Person::default`] has neither name nor address.
#[derive(Clone, Debug, Default)]
pub struct Person {
    pub first: Option<String>,
    pub last: Option<String>,
    pub nickname: Option<String>,
    pub organization: Option<String>,
    /// As they are written in the book.
    pub numbers: Vec<String>,
    pub mails: Vec<String>,
    pub thumbnail: Thumbnail,
}

/// Where a person's picture is.
#[derive(Clone, Debug, Default)]
pub enum Thumbnail {
    #[default]
    None,
    /// In the database itself.
    Inline(Vec<u8>),
    /// In a file of this name beside it.
    Outside(String),
}

impl Person {
    /// Somebody with these addresses. The first word is the first name.
    pub fn named(name: &str, addresses: &[&str]) -> Person {
        let (first, last) = name.split_once(' ').unwrap_or((name, ""));
        let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
        let (mails, numbers) = addresses
            .iter()
            .map(|address| (*address).to_owned())
            .partition(|address| address.contains('@'));
        Person {
            first: some(first),
            last: some(last),
            numbers,
            mails,
            ..Person::default()
        }
    }
}

impl Mac {
    /// The folder of its address book. There is none before [`Mac::book`] or [`Mac::knows`] made it.
    pub fn address_book(&self) -> PathBuf {
        self.home().join("Library/Application Support/AddressBook")
    }

    /// Its address book, made when there is none.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn book(&self) -> Result<AddressBook> {
        let folder = self.address_book();
        match AddressBook::file(&folder).exists() {
            true => AddressBook::open(&folder),
            false => AddressBook::create(&folder),
        }
    }

    /// Somebody is entered into its address book. Gives back their number there.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn knows(&self, name: &str, addresses: &[&str]) -> Result<i64> {
        Ok(self.book()?.add(&Person::named(name, addresses))?)
    }
}

/// The address book of one account, open for writing as Contacts has it.
pub struct AddressBook {
    pub connection: Connection,
}

impl AddressBook {
    /// Makes the books below `folder`: that of the Mac, which is empty, and that of the account, which is given back.
    ///
    /// # Errors
    /// When they are there already, or cannot be written.
    pub fn create(folder: &Path) -> Result<AddressBook> {
        for file in [folder.join(FILE), AddressBook::file(folder)] {
            std::fs::create_dir_all(file.parent().context("no folder")?)?;
            Connection::open(&file)?.execute_batch(SCHEMA)?;
        }
        AddressBook::open(folder)
    }

    /// Opens that of the account.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn open(folder: &Path) -> Result<AddressBook> {
        let connection = Connection::open(AddressBook::file(folder))?;
        connection.busy_timeout(Duration::from_secs(10))?;
        connection.execute_batch("PRAGMA synchronous = OFF;")?;
        Ok(AddressBook { connection })
    }

    /// The file of the account below `folder`.
    pub fn file(folder: &Path) -> PathBuf {
        folder.join(ACCOUNT).join(FILE)
    }

    /// Gives back the person's number.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn add(&self, person: &Person) -> rusqlite::Result<i64> {
        let thumbnail = match &person.thumbnail {
            Thumbnail::None => None,
            Thumbnail::Inline(picture) => Some([&[1], picture.as_slice()].concat()),
            Thumbnail::Outside(name) => Some([b"\x02", name.as_bytes(), b"\0"].concat()),
        };
        self.connection.execute(
            "INSERT INTO ZABCDRECORD (Z_ENT, ZUNIQUEID, ZFIRSTNAME, ZLASTNAME, ZNICKNAME, ZORGANIZATION, ZTHUMBNAILIMAGEDATA)
             VALUES (?1, hex(randomblob(16)) || ':ABPerson', ?2, ?3, ?4, ?5, ?6)",
            params![
                PERSON,
                person.first,
                person.last,
                person.nickname,
                person.organization,
                thumbnail
            ],
        )?;
        let owner = self.connection.last_insert_rowid();
        for number in &person.numbers {
            self.connection.execute(
                "INSERT INTO ZABCDPHONENUMBER (ZOWNER, Z22_OWNER, ZFULLNUMBER, ZLABEL) VALUES (?1, ?1, ?2, '_$!<Mobile>!$_')",
                params![owner, number],
            )?;
        }
        for mail in &person.mails {
            self.connection.execute(
                "INSERT INTO ZABCDEMAILADDRESS (ZOWNER, Z22_OWNER, ZADDRESS, ZADDRESSNORMALIZED) VALUES (?1, ?1, ?2, lower(?2))",
                params![owner, mail],
            )?;
        }
        Ok(owner)
    }

    /// The person has another first name from now on.
    ///
    /// # Errors
    /// Those of SQLite.
    pub fn rename(&self, person: i64, first: &str) -> rusqlite::Result<()> {
        self.connection.execute(
            "UPDATE ZABCDRECORD SET ZFIRSTNAME = ?2 WHERE Z_PK = ?1",
            params![person, first],
        )?;
        Ok(())
    }

    /// # Errors
    /// Those of SQLite.
    pub fn remove(&self, person: i64) -> rusqlite::Result<()> {
        for sql in [
            "DELETE FROM ZABCDPHONENUMBER WHERE ZOWNER = ?",
            "DELETE FROM ZABCDEMAILADDRESS WHERE ZOWNER = ?",
            "DELETE FROM ZABCDRECORD WHERE Z_PK = ?",
        ] {
            self.connection.execute(sql, [person])?;
        }
        Ok(())
    }
}
