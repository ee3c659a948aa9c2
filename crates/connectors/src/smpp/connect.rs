//! From nothing to a bound session: one attempt, with words for what can go wrong.

use super::account::{Account, Role};
use super::session::{Io, OpenError, Opened, open};
use super::tls::PinMismatch;
use super::verdict::cure;
use rustls::{CertificateError, Error as TlsError};
use std::error::Error;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;
use swingbridge_wire::smpp::{Address, Bind, Body, CommandStatus};
use thiserror::Error;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

/// The least time for one of several addresses.
const LEAST_SLICE: Duration = Duration::from_secs(1);

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
    let io = connect(account).await?;
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
    let limit = config.timing.connect;
    let found = timeout(limit, lookup_host((config.host.as_str(), config.port)))
        .await
        .map_err(|_| AttemptError::TimedOut)?
        .map_err(AttemptError::Resolve)?;
    let fits = |address: &SocketAddr| {
        let source = config.source_address;
        source.is_none_or(|source| source.is_ipv4() == address.is_ipv4())
    };
    let addresses: Vec<_> = found.filter(fits).collect();
    let stream = one_of(&addresses, limit, |address| dial(account, address)).await?;
    timeout(limit, secure(account, stream))
        .await
        .unwrap_or(Err(AttemptError::TimedOut))
}

/// Connects to the first of these that lets us. Each has its own slice of the limit: one that drops what comes may not use up the time of
/// the others, at each attempt again.
async fn one_of<T, F>(
    addresses: &[SocketAddr],
    limit: Duration,
    dial: impl Fn(SocketAddr) -> F,
) -> Result<T, AttemptError>
where
    F: Future<Output = io::Result<T>>,
{
    let slice = slice(limit, addresses.len());
    let (mut failed, mut timed_out) = (None, false);
    for &address in addresses {
        match timeout(slice, dial(address)).await {
            Ok(Ok(stream)) => return Ok(stream),
            Ok(Err(error)) => failed = Some(error),
            Err(_) => timed_out = true,
        }
    }
    Err(match failed {
        // It says more than that another one was silent.
        Some(error) => AttemptError::Connect(error),
        None if timed_out => AttemptError::TimedOut,
        None => AttemptError::Connect(io::Error::new(
            io::ErrorKind::NotFound,
            "the name has no address of the right kind",
        )),
    })
}

fn slice(limit: Duration, addresses: usize) -> Duration {
    let many = u32::try_from(addresses).unwrap_or(u32::MAX).max(1);
    (limit / many).max(LEAST_SLICE.min(limit))
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

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(many: u8) -> Vec<SocketAddr> {
        (1..=many).map(|n| ([192, 0, 2, n], 2775).into()).collect()
    }

    #[test]
    fn each_address_has_its_slice_and_none_too_little() {
        let seconds = Duration::from_secs;
        for (limit, many, expected) in [(10, 1, 10), (10, 2, 5), (10, 40, 1), (10, 0, 10)] {
            assert_eq!(slice(seconds(limit), many), seconds(expected), "{limit} {many}");
        }
        // Not more than there is.
        let short = Duration::from_millis(200);
        assert_eq!(slice(short, 2), short);
    }

    #[tokio::test]
    async fn an_address_that_drops_what_comes_does_not_use_up_the_time_of_the_next() {
        let limit = Duration::from_millis(50);
        let dial = async |address: SocketAddr| match address.ip().to_string().as_str() {
            "192.0.2.1" => std::future::pending().await,
            "192.0.2.2" => Err(io::ErrorKind::ConnectionRefused.into()),
            _ => Ok(address),
        };
        let found = one_of(&addresses(3), limit, dial).await.unwrap();
        assert_eq!(found, addresses(3)[2]);
        let refused = one_of(&addresses(2), limit, dial).await.unwrap_err();
        assert!(
            matches!(&refused, AttemptError::Connect(error) if error.kind() == io::ErrorKind::ConnectionRefused),
            "{refused}"
        );
        let silent = one_of(&addresses(1), limit, dial).await.unwrap_err();
        assert!(matches!(silent, AttemptError::TimedOut), "{silent}");
        let none = one_of(&addresses(0), limit, dial).await.unwrap_err();
        assert!(matches!(none, AttemptError::Connect(_)), "{none}");
    }
}
