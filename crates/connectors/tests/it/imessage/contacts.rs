//! Names and pictures from the Mac's address book.

use super::*;
use swingbridge_domain::inbox::Card;
use swingbridge_lab::macos::address_book::{AddressBook, Person, Thumbnail};

const JPEG: &[u8] = &[0xff, 0xd8, 0xff, 0xe0, 0, 16, b'J', b'F', b'I', b'F'];

fn cards(inbox: &Recorder) -> Vec<Card> {
    let card = |inbound| match inbound {
        Inbound::Card(card) => Some(card),
        _ => None,
    };
    inbox.inbound().into_iter().filter_map(card).collect()
}

/// Waits for a card of this address that bears this name.
async fn named(house: &House, address: &str, name: Option<&str>) -> Card {
    let of = |card: &Card| card.contact.text == address && card.name.as_deref() == name;
    house.inbox.until(|inbox| cards(inbox).iter().any(of)).await;
    cards(&house.inbox).into_iter().find(of).unwrap()
}

async fn house(fill: impl FnOnce(&Mac)) -> House {
    House::with(Release::Tahoe, fill, |_| {}).await
}

#[tokio::test]
async fn contacts_have_their_names_and_addresses_as_the_book_writes_them() {
    let house = house(|mac| {
        mac.knows("Ada Lovelace", &["07911 123456", "Ada@Example.org"])
            .unwrap();
        let book = mac.book().unwrap();
        let company = Person {
            organization: Some("ACME".into()),
            ..Person::named("", &["+44 7700 900456"])
        };
        book.add(&company).unwrap();
        let nameless = Person::named("", &["+44 7700 900789"]);
        book.add(&nameless).unwrap();
    })
    .await;
    let national = named(&house, "07911 123456", Some("Ada Lovelace")).await;
    // The line's region tells what it means.
    assert_eq!(
        Address::from_network(&national.contact.text, "GB".parse().ok(), national.contact.hint),
        Address::Number("+447911123456".into())
    );
    let mail = named(&house, "Ada@Example.org", Some("Ada Lovelace")).await;
    assert!(
        matches!(
            Address::from_network(&mail.contact.text, None, mail.contact.hint),
            Address::Mail(_)
        ),
        "{:?}",
        mail.contact
    );
    named(&house, "+44 7700 900456", Some("ACME")).await;
    assert_eq!(cards(&house.inbox).len(), 3);
}

#[tokio::test]
async fn what_changes_in_the_book_is_told_and_nothing_else() {
    let mut house = house(|mac| {
        mac.knows("Ada", &[BOB]).unwrap();
        mac.knows("Carol", &[CAROL]).unwrap();
    })
    .await;
    named(&house, BOB, Some("Ada")).await;
    named(&house, CAROL, Some("Carol")).await;
    let book = house.mac.book().unwrap();
    book.rename(1, "Augusta").unwrap();
    named(&house, BOB, Some("Augusta")).await;
    book.remove(2).unwrap();
    named(&house, CAROL, None).await;
    assert_eq!(cards(&house.inbox).len(), 4);
    // Nor is it told again after a restart; who was deleted meanwhile is.
    book.add(&Person::named("Dot", &["+447700900777"])).unwrap();
    named(&house, "+447700900777", Some("Dot")).await;
    house.kill();
    book.remove(1).unwrap();
    house.restart();
    named(&house, BOB, None).await;
    assert_eq!(cards(&house.inbox).len(), 6);
}

#[tokio::test]
async fn a_picture_comes_with_its_name_when_the_database_holds_it() {
    let house = house(|mac| {
        let book = mac.book().unwrap();
        let with = |name: &str, address: &str, thumbnail| Person {
            thumbnail,
            ..Person::named(name, &[address])
        };
        book.add(&with("Ada", BOB, Thumbnail::Inline(JPEG.to_vec())))
            .unwrap();
        let elsewhere = Thumbnail::Outside("5D1F4C27-7A0B-4E0B-9C0C-3B6F6A2E9D11".into());
        book.add(&with("Carol", CAROL, elsewhere)).unwrap();
    })
    .await;
    let picture = named(&house, BOB, Some("Ada")).await.picture.unwrap();
    assert_eq!(picture.mime.as_deref(), Some("image/jpeg"));
    let path = picture.uri.strip_prefix("file://").unwrap();
    assert_eq!(std::fs::read(path).unwrap(), JPEG);
    assert_eq!(named(&house, CAROL, Some("Carol")).await.picture, None);
    // Taken away, its file goes, too.
    let book = house.mac.book().unwrap();
    book.connection
        .execute("UPDATE ZABCDRECORD SET ZTHUMBNAILIMAGEDATA = NULL", [])
        .unwrap();
    let without = |card: &Card| card.contact.text == BOB && card.picture.is_none();
    house.inbox.until(|inbox| cards(inbox).iter().any(without)).await;
    let gone = async {
        while std::path::Path::new(path).exists() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(SOON, gone).await.unwrap();
}

#[tokio::test]
async fn a_book_that_lacks_columns_or_is_away_stops_nothing() {
    let house = house(|mac| {
        let book = mac.book().unwrap();
        // As an older Contacts, or a newer one.
        for column in ["ZTHUMBNAILIMAGEDATA", "ZNICKNAME", "ZORGANIZATION"] {
            let sql = format!("ALTER TABLE ZABCDRECORD DROP COLUMN {column}");
            book.connection.execute(&sql, []).unwrap();
        }
        let sql = "INSERT INTO ZABCDRECORD (Z_PK, ZFIRSTNAME) VALUES (1, 'Ada');
                   INSERT INTO ZABCDPHONENUMBER (ZOWNER, ZFULLNUMBER) VALUES (1, '+447700900123');
                   DROP TABLE ZABCDEMAILADDRESS;";
        book.connection.execute_batch(sql).unwrap();
    })
    .await;
    named(&house, BOB, Some("Ada")).await;
    // What cannot be read says of nobody that they are gone.
    let folder = house.mac.address_book();
    let file = AddressBook::file(&folder);
    let _ = std::fs::remove_file(file.with_extension("abcddb-wal"));
    let junk =
        b"this is no database, and it is longer than a header of one would be, by far, to be sure of it";
    std::fs::write(&file, junk).unwrap();
    let own = AddressBook {
        connection: rusqlite::Connection::open(folder.join("AddressBook-v22.abcddb")).unwrap(),
    };
    own.add(&Person::named("Carol", &["+447700900777"])).unwrap();
    named(&house, "+447700900777", Some("Carol")).await;
    assert_eq!(cards(&house.inbox).len(), 2);
    house.mac.says(BOB, "hello").unwrap();
    house.message(0).await;
}

#[tokio::test]
async fn a_book_that_comes_later_is_read() {
    let house = house(|_| {}).await;
    house.mac.says(BOB, "hello").unwrap();
    house.message(0).await;
    house.mac.knows("Ada", &[BOB]).unwrap();
    named(&house, BOB, Some("Ada")).await;
}
