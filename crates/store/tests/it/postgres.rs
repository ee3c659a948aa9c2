//! The contract on a real PostgreSQL server, and what only a server can do to a store.

use crate::contract::PROMISES;
use crate::durability::killed_amid_work;
use crate::support::*;
use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex};
use swingbridge_domain::secret::Secret;
use swingbridge_domain::store::StoreError;
use swingbridge_lab::postgres::Postgres;
use swingbridge_store::{BATCH, Config, OpenError, SCHEMA, open};
use tokio::runtime::Runtime;
use tokio_postgres::NoTls;

/// A server of this test's own, or none where PostgreSQL is absent and may be.
pub struct Server {
    runtime: Runtime,
    pub postgres: Postgres,
}

impl Server {
    pub fn start() -> Option<Self> {
        let runtime = Runtime::new().unwrap();
        let postgres = runtime.block_on(Postgres::for_test())?;
        Some(Self { runtime, postgres })
    }

    pub fn url(&self) -> String {
        self.postgres.url("postgres")
    }

    pub fn config(&self) -> Config {
        config(self.url(), SCHEMA)
    }

    /// Runs statements beside the store; answers the first column of the last row.
    pub fn ask(&self, sql: &str) -> Option<String> {
        self.runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&self.url(), NoTls).await.unwrap();
            let connection = tokio::spawn(connection);
            let rows = client.simple_query(sql).await.unwrap();
            drop(client);
            let _ = connection.await;
            rows.iter().rev().find_map(|message| match message {
                tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
                _ => None,
            })
        })
    }

    fn end_sessions(&self) {
        let ended = self.ask(
            "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity WHERE application_name = 'swingbridge'",
        );
        assert_eq!(ended.as_deref(), Some("t"));
    }
}

pub fn config(url: String, schema: &str) -> Config {
    Config::Postgres {
        url: Secret::new(url),
        schema: schema.into(),
    }
}

#[test]
fn postgres_keeps_every_promise() {
    let Some(server) = Server::start() else { return };
    let mut broken = Vec::new();
    for (number, (name, promise)) in PROMISES.iter().enumerate() {
        let store = opened(&config(server.url(), &format!("case_{number}")));
        if catch_unwind(AssertUnwindSafe(|| promise(&store))).is_err() {
            broken.push(name);
        }
    }
    assert!(broken.is_empty(), "broken: {broken:?}");
}

#[test]
fn what_was_answered_survives_the_program_being_killed() {
    let Some(server) = Server::start() else { return };
    killed_amid_work(&server.config());
}

#[test]
fn a_second_gateway_is_kept_out_of_the_schema_and_no_other() {
    let Some(server) = Server::start() else { return };
    let store = opened(&server.config());
    let error = open(&server.config(), BATCH).err().unwrap();
    assert!(matches!(error, OpenError::InUse(_)), "{error:?}");
    opened(&config(server.url(), "other"));
    drop(store);
    opened(&server.config());
}

#[test]
fn a_database_of_a_newer_program_is_refused() {
    let Some(server) = Server::start() else { return };
    drop(opened(&server.config()));
    server.ask("INSERT INTO swingbridge.migrations VALUES (9999, 'later', '')");
    let error = open(&server.config(), BATCH).err().unwrap();
    assert!(
        matches!(error, OpenError::Newer { database: 9999, .. }),
        "{error:?}"
    );
}

#[test]
fn a_connection_lost_between_batches_is_made_anew_unseen() {
    let Some(server) = Server::start() else { return };
    let store = opened(&server.config());
    work(&store, |t| t.setting_set("a", "1"));
    server.end_sessions();
    work(&store, |t| t.setting_set("b", "2"));
    assert_eq!(work(&store, |t| t.setting("a")).as_deref(), Some("1"));
}

#[test]
fn a_connection_lost_amid_a_batch_loses_all_of_it_and_no_more() {
    let Some(server) = Server::start() else { return };
    let store = opened(&server.config());
    let go_on = occupy(&store);
    let (began, begun) = channel();
    let (told, tell) = channel::<()>();
    let before = submit(&store, |t| t.setting_set("before", "1"));
    let amid = submit(&store, move |t| {
        t.setting_set("amid", "1")?;
        let _ = began.send(());
        let _ = tell.recv();
        t.setting_set("amid", "2")
    });
    let after = submit(&store, |t| t.setting_set("after", "1"));
    go_on.send(()).unwrap();
    begun.recv().unwrap();
    server.end_sessions();
    told.send(()).unwrap();
    for answer in [before, amid, after] {
        let answer = answer.recv().unwrap();
        assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    }
    for name in ["before", "amid", "after"] {
        assert_eq!(work(&store, move |t| t.setting(name)), None);
    }
}

#[test]
fn a_server_that_is_away_makes_jobs_unavailable_until_it_is_back() {
    let Some(server) = Server::start() else { return };
    server.ask("CREATE ROLE gateway LOGIN; ALTER DATABASE postgres OWNER TO gateway");
    let url = server.url().replace("postgres@", "gateway@");
    let store = opened(&config(url, "away"));
    server.ask("ALTER ROLE gateway NOLOGIN");
    server.end_sessions();
    let answer = attempt(&store, |t| t.setting_set("a", "1"));
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    server.ask("ALTER ROLE gateway LOGIN");
    until("the store is back", || {
        attempt(&store, |t| t.setting_set("a", "1")).is_ok()
    });
}

#[test]
fn a_nul_in_a_text_does_not_stop_a_job() {
    let Some(server) = Server::start() else { return };
    let store = opened(&server.config());
    work(&store, |t| t.setting_set("a\0b", "c\0d"));
    assert_eq!(work(&store, |t| t.setting("a\0b")).as_deref(), Some("c\u{fffd}d"));
}

#[test]
fn a_commit_without_an_answer_is_asked_after() {
    let Some(server) = Server::start() else { return };
    let proxy = Proxy::start(server.postgres.port());
    let url = server
        .url()
        .replace(&server.postgres.port().to_string(), &proxy.port.to_string());
    let store = opened(&config(url, SCHEMA));
    // It reached the server, the answer did not come back: it was kept, and is told so.
    proxy.next_commit(Fate::Unanswered);
    assert_eq!(attempt(&store, |t| t.setting_set("unanswered", "1")), Ok(()));
    assert!(work(&store, |t| t.setting("unanswered")).is_some());
    // It did not reach the server: nothing was kept, and that is told.
    proxy.next_commit(Fate::Swallowed);
    let answer = attempt(&store, |t| t.setting_set("swallowed", "1"));
    assert!(matches!(answer, Err(StoreError::Unavailable(_))), "{answer:?}");
    assert_eq!(work(&store, |t| t.setting("swallowed")), None);
}

/// A server certificate of the test's own authority, given to the server.
fn serve_tls(server: &Server) -> tempfile::NamedTempFile {
    let data = server.ask("SHOW data_directory").unwrap();
    let data = std::path::Path::new(&data);
    let owner = fs::metadata(data).unwrap();
    let certified = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let give = |name: &str, text: String| {
        let path = data.join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        chown(&path, Some(owner.uid()), Some(owner.gid())).unwrap();
    };
    give("server.crt", certified.cert.pem());
    give("server.key", certified.signing_key.serialize_pem());
    server.ask("ALTER SYSTEM SET ssl = on");
    server.ask("SELECT pg_reload_conf()");
    until("the server speaks TLS", || {
        server.ask("SHOW ssl").as_deref() == Some("on")
    });
    let mut root = tempfile::NamedTempFile::new().unwrap();
    root.write_all(certified.cert.pem().as_bytes()).unwrap();
    root
}

#[test]
fn tls_is_spoken_to_the_named_server_alone() {
    let Some(server) = Server::start() else { return };
    let url = |host: &str, rest: &str| {
        let port = server.postgres.port();
        config(
            format!("postgres://postgres@{host}:{port}/postgres?{rest}"),
            SCHEMA,
        )
    };
    let refused = open(&url("localhost", "sslmode=verify-full"), BATCH);
    assert!(refused.is_err(), "a server that speaks no TLS");

    let root = serve_tls(&server);
    let rest = format!("sslmode=verify-full&sslrootcert={}", root.path().display());
    let store = opened(&url("localhost", &rest));
    work(&store, |t| t.setting_set("a", "1"));
    let encrypted = server.ask(
        "SELECT ssl FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) WHERE application_name = 'swingbridge'",
    );
    assert_eq!(encrypted.as_deref(), Some("t"));
    drop(store);
    // Neither another name nor another authority.
    for config in [url("127.0.0.1", &rest), url("localhost", "sslmode=verify-full")] {
        let error = open(&config, BATCH).err().unwrap();
        assert!(error.to_string().contains("certificate"), "{error}");
    }
}

/// What becomes of a commit on its way.
#[derive(Clone, Copy, PartialEq)]
enum Fate {
    Passed,
    /// The connection breaks before it reaches the server.
    Swallowed,
    /// The connection breaks before the answer reaches the store.
    Unanswered,
}

/// Passes bytes between a store and the server, until it is told to break something.
struct Proxy {
    port: u16,
    fate: Arc<Mutex<Fate>>,
}

impl Proxy {
    fn start(server: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let fate = Arc::new(Mutex::new(Fate::Passed));
        let of_next = Arc::clone(&fate);
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let client = client.unwrap();
                let upstream = TcpStream::connect(("127.0.0.1", server)).unwrap();
                relay(client, upstream, &of_next);
            }
        });
        Self { port, fate }
    }

    fn next_commit(&self, fate: Fate) {
        *self.fate.lock().unwrap() = fate;
    }
}

fn relay(client: TcpStream, server: TcpStream, fate: &Arc<Mutex<Fate>>) {
    let withheld = Arc::new(AtomicBool::new(false));
    let both = [client, server];
    let copies = [both[0].try_clone().unwrap(), both[1].try_clone().unwrap()];
    let (fate, withhold) = (Arc::clone(fate), Arc::clone(&withheld));
    std::thread::spawn(move || {
        let [mut client, mut server] = both;
        let mut bytes = [0; 65536];
        while let Ok(length @ 1..) = client.read(&mut bytes) {
            let said = &bytes[..length];
            if said.windows(7).any(|window| window == b"COMMIT\0") {
                match std::mem::replace(&mut *fate.lock().unwrap(), Fate::Passed) {
                    Fate::Passed => {}
                    Fate::Swallowed => break,
                    Fate::Unanswered => withhold.store(true, Ordering::SeqCst),
                }
            }
            if server.write_all(said).is_err() {
                break;
            }
        }
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    });
    std::thread::spawn(move || {
        let [mut client, mut server] = copies;
        let mut bytes = [0; 65536];
        while let Ok(length @ 1..) = server.read(&mut bytes) {
            if withheld.load(Ordering::SeqCst) || client.write_all(&bytes[..length]).is_err() {
                break;
            }
        }
        let _ = (client.shutdown(Shutdown::Both), server.shutdown(Shutdown::Both));
    });
}

#[test]
fn the_audit_log_is_read_beside_the_gateway() {
    let Some(server) = Server::start() else { return };
    let store = opened(&server.config());
    audited(&store, 9);
    let reader = swingbridge_store::open_to_read(&server.config()).unwrap();
    let verify = |store: &Arc<dyn swingbridge_domain::store::Store>| {
        work(store, |t| swingbridge_domain::audit::verify(t, &keys(), None))
    };
    assert!(verify(&reader).is_whole());
    audited(&store, 1);
    assert_eq!(verify(&reader).entries, 11);
    assert!(attempt(&reader, |t| t.setting_set("a", "b")).is_err());
    server.ask("UPDATE swingbridge.audit SET entry = set_byte(entry, 30, 0) WHERE number = 5");
    assert!(!verify(&reader).is_whole());
}
