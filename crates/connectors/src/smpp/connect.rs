//! From nothing to a bound session: one attempt, with words for what can go wrong.

use super::account::{Account, Role};
use super::session::{Io, OpenError, Opened, open};
use super::tls::PinMismatch;
use super::verdict::cure;
use rustls::{CertificateError, Error as TlsError};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use swingbridge_wire::smpp::{Address, Bind, Body, CommandStatus};
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// Why an attempt did not end in a bound session.
#[derive(Debug, Error)]
pub enum AttemptError {
    /// The host's name has no address.
    #[error("the host's name cannot be resolved: {0}")]
    Resolve(io::Error),
    /// No connection.
    #[error("no connection: {0}")]
    Connect(io::Error),
    /// The TLS handshake failed.
    #[error("TLS failed: {}", words(.0))]
    Tls(io::Error),
    /// All that took too long.
    #[error("no connection in time")]
    TimedOut,
    /// The bind did not succeed.
    #[error(transparent)]
    Open(#[from] OpenError),
}

impl AttemptError {
    /// The SMSC's refusal, when it was one.
    pub fn refusal(&self) -> Option<CommandStatus> {
        match self {
            AttemptError::Open(OpenError::Refused(status)) => Some(*status),
            _ => None,
        }
    }

    /// Whether it will hardly pass by itself: the account or the certificate is refused.
    pub fn lasts(&self) -> bool {
        match self {
            AttemptError::Open(OpenError::Refused(status)) => !matches!(
                *status,
                CommandStatus::RALYBND | CommandStatus::RSYSERR | CommandStatus::RTHROTTLED
            ),
            AttemptError::Tls(error) => certificate(error).is_some(),
            _ => false,
        }
    }

    /// What the operator can do.
    pub fn cure(&self) -> &'static str {
        match self {
            AttemptError::Resolve(_) => "check the host's name and this machine's DNS",
            AttemptError::Connect(error) if error.kind() == io::ErrorKind::AddrNotAvailable => {
                "check source_address: it must be an address of this machine"
            }
            AttemptError::Connect(_) | AttemptError::TimedOut => {
                "check host and port, and whether the provider allows this machine's address"
            }
            AttemptError::Tls(error) => match certificate(error) {
                Some(error) if pin_mismatch(error).is_some() => {
                    "ask the provider whether its key was changed, then change tls.pins"
                }
                Some(_) => {
                    "set tls.ca_file to the provider's authority, or tls.server_name to the name that it bears"
                }
                None => "check that the port is the one for TLS",
            },
            AttemptError::Open(OpenError::Refused(status)) => cure(*status),
            AttemptError::Open(_) => "check that the port speaks SMPP, and whether it is the one for TLS",
        }
    }
}

fn certificate(error: &io::Error) -> Option<&CertificateError> {
    match error.get_ref()?.downcast_ref::<TlsError>()? {
        TlsError::InvalidCertificate(error) => Some(error),
        _ => None,
    }
}

fn pin_mismatch(error: &CertificateError) -> Option<&PinMismatch> {
    match error {
        CertificateError::Other(other) => {
            let source: &(dyn Error + 'static) = other.0.as_ref();
            source.downcast_ref()
        }
        _ => None,
    }
}

/// Our own error would be shown in its `Debug` form.
fn words(error: &io::Error) -> String {
    match certificate(error).and_then(pin_mismatch) {
        Some(mismatch) => mismatch.to_string(),
        None => error.to_string(),
    }
}

/// Connects and binds.
///
/// # Errors
/// See [`AttemptError`]; another attempt may follow later.
pub async fn attempt(account: &Account, role: Role) -> Result<Opened, AttemptError> {
    let timing = account.config.timing;
    let io = timeout(timing.connect, connect(account))
        .await
        .unwrap_or(Err(AttemptError::TimedOut))?;
    Ok(open(
        io,
        bind(account, role),
        timing.bind,
        account.limits(),
        account.meters.clone(),
    )
    .await?)
}

async fn connect(account: &Account) -> Result<Io, AttemptError> {
    let config = &account.config;
    let found = lookup_host((config.host.as_str(), config.port))
        .await
        .map_err(AttemptError::Resolve)?;
    let mut failed = io::Error::new(
        io::ErrorKind::NotFound,
        "the name has no address of the right kind",
    );
    for address in found {
        if config
            .source_address
            .is_some_and(|source| source.is_ipv4() != address.is_ipv4())
        {
            continue;
        }
        match dial(account, address).await {
            Ok(stream) => return secure(account, stream).await,
            Err(error) => failed = error,
        }
    }
    Err(AttemptError::Connect(failed))
}

async fn dial(account: &Account, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = if address.is_ipv4() {
        TcpSocket::new_v4()?
    } else {
        TcpSocket::new_v6()?
    };
    if let Some(source) = account.config.source_address {
        socket.bind((source, 0).into())?;
    }
    let stream = socket.connect(address).await?;
    // Small PDUs must not wait for the acknowledgement of the ones before.
    stream.set_nodelay(true)?;
    Ok(stream)
}

async fn secure(account: &Account, stream: TcpStream) -> Result<Io, AttemptError> {
    match &account.tls {
        None => {
            let (reader, writer) = stream.into_split();
            Ok(Io::new(reader, writer))
        }
        Some((config, name)) => {
            let connector = TlsConnector::from(config.clone());
            let stream = connector
                .connect(name.clone(), stream)
                .await
                .map_err(AttemptError::Tls)?;
            let (reader, writer) = tokio::io::split(stream);
            Ok(Io::new(reader, writer))
        }
    }
}

fn bind(account: &Account, role: Role) -> Body {
    let config = &account.config;
    let bind = Bind {
        system_id: config.system_id.as_str().into(),
        password: config.password.expose().into(),
        system_type: config.system_type.as_str().into(),
        interface_version: config.version.octet(),
        address_range: Address::new(0, 0, config.address_range.as_str()),
    };
    match role {
        Role::Transceiver => Body::BindTransceiver(bind),
        Role::Transmitter => Body::BindTransmitter(bind),
        Role::Receiver => Body::BindReceiver(bind),
    }
}
