//! `device`: the relay on a user's own device.

mod agent;
mod init;
mod login;
mod run;
mod selftest;
mod status;
mod verify;

use crate::cli::DeviceAct;
use crate::config::device::DeviceConfig;
use crate::config::{self, Sources};
use crate::device::secrets::Secrets;
use crate::edges::SystemEntropy;
use crate::exit::{Ends, Exit, Failure};
use crate::wiring;
use std::process::ExitCode;
use std::sync::Arc;
use swingbridge_domain::clock::Entropy;
use swingbridge_matrix::puppet::{OpenError, Puppet};

/// The configuration, where none is given.
pub const CONFIG: &str = "device.yaml";

pub fn run(sources: &Sources, act: Option<DeviceAct>) -> Result<ExitCode, Failure> {
    match act {
        None => run::run(sources, None)?,
        Some(DeviceAct::Run(options)) => run::run(sources, options.log.as_deref())?,
        Some(DeviceAct::Init(options)) => init::run(&options, sources)?,
        Some(DeviceAct::Login(options)) => login::run(&options, sources)?,
        Some(DeviceAct::Logout) => login::out(sources)?,
        Some(DeviceAct::Verify(options)) => verify::run(&options, sources)?,
        Some(DeviceAct::Status { json }) => return status::run(sources, json),
        Some(DeviceAct::Selftest(options)) => return selftest::run(&options, sources),
    }
    Ok(ExitCode::SUCCESS)
}

fn load(sources: &Sources) -> Result<DeviceConfig, Failure> {
    let config = config::device::load(sources).map_err(Failure::load)?;
    for warning in &config.warnings {
        eprintln!("swingbridge: {warning}");
    }
    Ok(config)
}

/// Opens what is sealed. Makes the device's folder, for its user alone.
fn secrets(config: &DeviceConfig, sources: &Sources) -> Result<Secrets, Failure> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    crate::edges::private_folder(&config.device.folder).map_err(|error| {
        Failure::msg(
            Exit::File,
            format!(
                "device.folder: {} cannot be made: {error}",
                config.device.folder.display()
            ),
        )
    })?;
    Secrets::open(&config.device, &sources.variables, entropy).ends(Exit::File)
}

/// The client, with the sessions that are kept. Asks the homeserver nothing.
async fn puppet(config: &DeviceConfig, secrets: &Secrets) -> Result<Arc<Puppet>, Failure> {
    let Some(session) = secrets.session().ends(Exit::File)? else {
        return Err(Failure::msg(
            Exit::Token,
            "this device is not logged in yet: run `swingbridge device login`",
        ));
    };
    let owner = secrets.owner_session().ends(Exit::File)?;
    let key = secrets.store_key().ends(Exit::File)?;
    let puppet_config = wiring::puppet_config(config)?;
    let opened = Puppet::open(puppet_config, &session, owner.as_ref(), &key, wiring::clock()).await;
    opened.map_err(|error| {
        let exit = match &error {
            OpenError::Config(_) => Exit::Config,
            OpenError::Session(_) => Exit::Token,
            OpenError::Folder(..) | OpenError::Busy(_) | OpenError::Store(..) => Exit::Database,
        };
        Failure::new(exit, error)
    })
}

fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    Ok(tokio::runtime::Builder::new_multi_thread()
        // A phone has other things to do.
        .worker_threads(2)
        .enable_all()
        .build()?)
}
