use super::*;
use crate::edges::SystemEntropy;
use std::os::unix::fs::PermissionsExt;
use swingbridge_domain::secret::Secret;
use tempfile::TempDir;

/// As cheap as Argon2id goes.
const CHEAP: Cost = Cost {
    memory_kib: 8,
    passes: 1,
    lanes: 1,
};

fn none() -> Result<Keychain, String> {
    Err("there is none here".into())
}

fn given(text: &str) -> Passphrase {
    Passphrase::Given(Secret::new(text))
}

fn at(folder: &Path, passphrase: &Passphrase) -> Result<Vault, VaultError> {
    Vault::open_with(folder, passphrase, &none, Arc::new(SystemEntropy), CHEAP)
}

fn folder() -> TempDir {
    TempDir::new().unwrap()
}

#[test]
fn what_is_saved_is_there_after_a_restart_and_readable_nowhere() {
    let folder = folder();
    let place = folder.path().join("deep/secrets");
    let session = br#"{"access_token":"syt_very_secret"}"#;
    let vault = at(&place, &given("correct horse")).unwrap();
    assert_eq!(vault.load("session").unwrap(), None);
    vault.save("session", session).unwrap();
    vault.save("store-key", &[7; 32]).unwrap();
    drop(vault);
    let vault = at(&place, &given("correct horse")).unwrap();
    assert_eq!(vault.under(), Under::Passphrase);
    assert_eq!(&**vault.load("session").unwrap().unwrap(), session);
    assert_eq!(&**vault.load("store-key").unwrap().unwrap(), &[7; 32]);
    let mut files = 0;
    for entry in fs::read_dir(&place).unwrap() {
        let path = entry.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(
            !bytes.windows(8).any(|part| part == b"syt_very"),
            "{}",
            path.display()
        );
        assert!(!bytes.windows(8).any(|part| part == [7; 8]), "{}", path.display());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        files += 1;
    }
    assert_eq!(files, 4, "header, lock and two secrets, nothing left over");
    assert_eq!(fs::metadata(&place).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_new_secret_takes_the_place_of_the_old_and_a_removed_one_is_gone() {
    let folder = folder();
    let vault = at(folder.path(), &given("correct horse")).unwrap();
    vault.save("session", &[b'a'; 500]).unwrap();
    let first = fs::read(folder.path().join("session.sealed")).unwrap();
    vault.save("session", &[b'a'; 500]).unwrap();
    let second = fs::read(folder.path().join("session.sealed")).unwrap();
    assert_ne!(first, second, "each time under a nonce of its own");
    vault.save("session", b"short").unwrap();
    assert_eq!(&**vault.load("session").unwrap().unwrap(), b"short");
    vault.save("empty", b"").unwrap();
    assert_eq!(&**vault.load("empty").unwrap().unwrap(), b"");
    vault.remove("session").unwrap();
    vault.remove("session").unwrap();
    assert_eq!(vault.load("session").unwrap(), None);
}

#[test]
fn another_passphrase_opens_nothing_and_changes_nothing() {
    let folder = folder();
    at(folder.path(), &given("correct horse"))
        .unwrap()
        .save("session", b"kept")
        .unwrap();
    let error = at(folder.path(), &given("correct horsf")).unwrap_err();
    assert!(matches!(error, VaultError::Wrong(_)), "{error}");
    assert!(!error.to_string().contains("horsf"), "{error}");
    assert!(matches!(
        at(folder.path(), &Passphrase::Absent),
        Err(VaultError::Passphrase(_))
    ));
    let vault = at(folder.path(), &given("correct horse")).unwrap();
    assert_eq!(&**vault.load("session").unwrap().unwrap(), b"kept");
}

#[test]
fn every_altered_byte_of_a_secret_is_found() {
    let folder = folder();
    let vault = at(folder.path(), &given("correct horse")).unwrap();
    vault.save("session", b"0123456789").unwrap();
    let path = folder.path().join("session.sealed");
    let whole = fs::read(&path).unwrap();
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        matches!(vault.load("session"), Err(VaultError::Altered(_)))
    };
    for place in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[place] ^= 1;
        assert!(refused(&bytes), "byte {place}");
        assert!(refused(&whole[..place]), "cut at {place}");
    }
    assert!(refused(&[&whole[..], b"x"].concat()));
    assert!(!refused(&whole));
}

#[test]
fn a_secret_cannot_take_the_place_of_another() {
    let folder = folder();
    let vault = at(folder.path(), &given("correct horse")).unwrap();
    vault.save("session", b"one").unwrap();
    vault.save("store-key", b"two").unwrap();
    fs::copy(
        folder.path().join("session.sealed"),
        folder.path().join("store-key.sealed"),
    )
    .unwrap();
    assert!(matches!(vault.load("store-key"), Err(VaultError::Altered(_))));
    let elsewhere = TempDir::new().unwrap();
    let other = at(elsewhere.path(), &given("correct horse")).unwrap();
    other.save("session", b"three").unwrap();
    fs::copy(
        folder.path().join("session.sealed"),
        elsewhere.path().join("session.sealed"),
    )
    .unwrap();
    assert!(matches!(other.load("session"), Err(VaultError::Altered(_))));
}

#[test]
fn an_altered_header_is_refused_and_never_replaced() {
    let folder = folder();
    at(folder.path(), &given("correct horse"))
        .unwrap()
        .save("session", b"kept")
        .unwrap();
    let path = folder.path().join(HEADER);
    let whole = fs::read_to_string(&path).unwrap();
    let with = |old: &str, new: &str| {
        assert!(whole.contains(old), "{whole}");
        fs::write(&path, whole.replacen(old, new, 1)).unwrap();
        let error = at(folder.path(), &given("correct horse")).unwrap_err();
        assert_eq!(fs::read_to_string(&path).unwrap(), whole.replacen(old, new, 1));
        error
    };
    assert!(matches!(with("{", ""), VaultError::Altered(_)));
    assert!(matches!(
        with("\"passes\": 1", "\"passes\": 2"),
        VaultError::Wrong(_)
    ));
    // Asks for all the memory of the machine.
    assert!(matches!(
        with("\"memory_kib\": 8", "\"memory_kib\": 4294967295"),
        VaultError::Altered(_)
    ));
    assert!(
        with("\"version\": 1", "\"version\": 2")
            .to_string()
            .contains("newer")
    );
    fs::remove_file(&path).unwrap();
    let error = at(folder.path(), &given("correct horse")).unwrap_err();
    assert!(matches!(error, VaultError::Unfit(_)), "{error}");
    assert!(!path.exists());
}

#[test]
fn files_and_folders_that_others_can_use_are_refused_with_the_cure() {
    let folder = folder();
    let vault = at(folder.path(), &given("correct horse")).unwrap();
    vault.save("session", b"kept").unwrap();
    let loosen = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    loosen(&folder.path().join("session.sealed"), 0o644);
    let told = vault.load("session").unwrap_err().to_string();
    assert!(told.contains("0644") && told.contains("chmod 600"), "{told}");
    loosen(&folder.path().join(HEADER), 0o640);
    assert!(matches!(
        at(folder.path(), &given("correct horse")),
        Err(VaultError::Loose { .. })
    ));
    loosen(&folder.path().join(HEADER), 0o600);
    loosen(folder.path(), 0o770);
    let told = at(folder.path(), &given("correct horse"))
        .unwrap_err()
        .to_string();
    assert!(told.contains("chmod 700"), "{told}");
    loosen(folder.path(), 0o700);
    // What was left over by a crash, and with another mode, does no harm.
    fs::write(folder.path().join("session.new"), [0; 999]).unwrap();
    vault.save("session", b"new").unwrap();
    assert_eq!(&**vault.load("session").unwrap_or(None).unwrap(), b"new");
}

#[test]
fn names_stay_in_the_folder() {
    let folder = folder();
    let vault = at(folder.path(), &given("correct horse")).unwrap();
    for name in ["", "../session", "a/b", "Session", ".hidden", &"x".repeat(65)] {
        assert!(
            matches!(vault.save(name, b"x"), Err(VaultError::Unfit(_))),
            "{name}"
        );
        assert!(matches!(vault.load(name), Err(VaultError::Unfit(_))), "{name}");
    }
}

#[test]
fn a_keychain_holds_the_key_and_without_it_nothing_opens() {
    let folder = folder();
    let store = keyring_core::mock::Store::new().unwrap();
    let chain = || -> Result<Keychain, String> { Ok(Keychain::over(store.clone())) };
    let open = |chain: &dyn Fn() -> Result<Keychain, String>| {
        Vault::open_with(
            folder.path(),
            &given("correct horse"),
            chain,
            Arc::new(SystemEntropy),
            CHEAP,
        )
    };
    let vault = open(&chain).unwrap();
    assert_eq!(vault.under(), Under::Keychain);
    vault.save("session", b"kept").unwrap();
    let vault = open(&chain).unwrap();
    assert_eq!(&**vault.load("session").unwrap().unwrap(), b"kept");
    let error = open(&none).unwrap_err().to_string();
    assert!(error.contains("there is none here"), "{error}");
    let empty = keyring_core::mock::Store::new().unwrap();
    let error = open(&|| Ok(Keychain::over(empty.clone())))
        .unwrap_err()
        .to_string();
    assert!(error.contains("another machine"), "{error}");
}

#[test]
fn the_cost_in_use_is_that_of_the_standard() {
    let folder = folder();
    let passphrase = given("correct horse");
    let open = || Vault::open(folder.path(), &passphrase, false, Arc::new(SystemEntropy));
    open().unwrap().save("session", b"kept").unwrap();
    let header = fs::read_to_string(folder.path().join(HEADER)).unwrap();
    assert!(header.contains("65536"), "{header}");
    assert_eq!(&**open().unwrap().load("session").unwrap().unwrap(), b"kept");
}
