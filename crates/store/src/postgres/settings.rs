//! What the URL says, and what it leaves to us.

use super::tls::Tls;
use crate::Access;
use sha2::{Digest, Sha256};
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::Config;
use tokio_postgres::config::{Host, SslMode};
use url::form_urlencoded;

pub(super) struct Settings {
    pub config: Config,
    pub tls: Tls,
    pub schema: String,
    pub access: Access,
    /// The advisory lock of this schema; the server keeps locks of different databases apart.
    pub lock: i64,
}

impl Settings {
    /// `Err` is what to tell the person who wrote it; it never holds the URL, which may hold a password.
    pub fn parse(url: &str, schema: &str, access: Access) -> Result<Self, String> {
        let fine = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
        if schema.is_empty() || schema.len() > 63 || !schema.chars().all(fine) {
            return Err("a schema's name is made of a-z, 0-9 and _".into());
        }
        let (url, mode, root) = take_tls(url)?;
        let mut config = Config::from_str(&url).map_err(|error| {
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            format!(
                "the URL of the PostgreSQL database: {}",
                cause.unwrap_or_default()
            )
        })?;
        let tls = match mode.as_deref() {
            Some("disable") => false,
            None => !config.get_hosts().iter().all(is_here),
            Some("require" | "verify-full") => true,
            Some(_) => return Err("sslmode is `disable` or `verify-full`".into()),
        };
        config.ssl_mode(if tls { SslMode::Require } else { SslMode::Disable });
        config.application_name("swingbridge");
        config.keepalives_idle(Duration::from_secs(30));
        config.tcp_user_timeout(Duration::from_secs(30));
        if config.get_connect_timeout().is_none() {
            config.connect_timeout(Duration::from_secs(10));
        }
        let digest = Sha256::digest(format!("swingbridge store {schema}"));
        let mut lock = [0; 8];
        lock.copy_from_slice(&digest[..8]);
        Ok(Self {
            config,
            tls: Tls::new(root.as_deref())?,
            schema: schema.to_owned(),
            access,
            lock: i64::from_be_bytes(lock),
        })
    }
}

/// Takes out what tokio-postgres does not know or knows otherwise: `sslmode` and `sslrootcert`.
fn take_tls(url: &str) -> Result<(String, Option<String>, Option<PathBuf>), String> {
    if !url.starts_with("postgres://") && !url.starts_with("postgresql://") {
        return Err("the URL of a PostgreSQL database begins with postgres://".into());
    }
    let Some((base, query)) = url.split_once('?') else {
        return Ok((url.to_owned(), None, None));
    };
    let (mut mode, mut root, mut rest) = (None, None, Vec::new());
    for pair in query.split('&') {
        match form_urlencoded::parse(pair.as_bytes()).next() {
            Some((name, value)) if name == "sslmode" => mode = Some(value.into_owned()),
            Some((name, value)) if name == "sslrootcert" => root = Some(PathBuf::from(value.into_owned())),
            _ => rest.push(pair),
        }
    }
    let url = match rest.is_empty() {
        true => base.to_owned(),
        false => format!("{base}?{}", rest.join("&")),
    };
    Ok((url, mode, root))
}

/// Whether what is said to this host stays on this machine.
fn is_here(host: &Host) -> bool {
    match host {
        Host::Tcp(name) => {
            name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
        }
        #[cfg(unix)]
        Host::Unix(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(url: &str) -> Result<SslMode, String> {
        Settings::parse(url, "swingbridge", Access::Alone).map(|settings| settings.config.get_ssl_mode())
    }

    #[test]
    fn another_machine_is_spoken_to_under_tls_unless_told_otherwise() {
        assert_eq!(mode("postgres://db.example.org/x"), Ok(SslMode::Require));
        assert_eq!(mode("postgres://127.0.0.1/x"), Ok(SslMode::Disable));
        assert_eq!(mode("postgres://localhost,10.0.0.1/x"), Ok(SslMode::Require));
        assert_eq!(mode("postgres:///x?host=/run/postgresql"), Ok(SslMode::Disable));
        assert_eq!(
            mode("postgres://10.0.0.1/x?sslmode=disable"),
            Ok(SslMode::Disable)
        );
        assert_eq!(
            mode("postgres://localhost/x?sslmode=verify-full"),
            Ok(SslMode::Require)
        );
    }

    #[test]
    fn a_mode_that_protects_nothing_is_refused() {
        assert!(mode("postgres://10.0.0.1/x?sslmode=prefer").is_err());
    }

    #[test]
    fn errors_do_not_hold_the_password() {
        for url in [
            "postgres://user:hunter2@[/x",
            "postgres://user:hunter2@host/x?nonsense=1",
            "user:hunter2@host",
            "postgres://user:hunter2@host/x?sslrootcert=%2Fnowhere",
        ] {
            let error = mode(url).unwrap_err();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn other_options_reach_the_server() {
        let settings = Settings::parse(
            "postgres://h/x?sslmode=disable&options=-c%20statement_timeout%3D5000",
            "swingbridge",
            Access::Alone,
        )
        .unwrap();
        assert_eq!(settings.config.get_options(), Some("-c statement_timeout=5000"));
    }

    #[test]
    fn a_schema_is_a_plain_name() {
        for schema in ["", "a\"; DROP SCHEMA x; --", "Upper"] {
            assert!(
                Settings::parse("postgres://h/x", schema, Access::Alone).is_err(),
                "{schema}"
            );
        }
    }
}
