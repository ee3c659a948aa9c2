//! What `absorb` measures, in a process of its own: the application service's router, the engine's inbox and its processing, and
//! a SQLite store, as the gateway puts them together.

use crate::queue::Void;
use crate::session::runtime;
use crate::site::{self, DOMAIN, SystemClock};
use anyhow::Result;
use axum::serve::ListenerExt;
use clap::Args;
use std::path::PathBuf;
use std::sync::Arc;
use swingbridge_domain::connector::Shutdown;
use swingbridge_domain::secret::Secret;
use swingbridge_engine::{Engine, Ports};
use swingbridge_matrix::appservice::{self, AppService};
use swingbridge_matrix::{Config, Matrix};
use swingbridge_store::Synchronous;
use tokio::net::TcpListener;

/// The token that transactions come with.
pub const HS_TOKEN: &str = "hs-token-of-the-bench";

#[derive(Args)]
pub struct Options {
    #[arg(long)]
    folder: PathBuf,
    #[arg(long)]
    port: u16,
    /// Wait for the disk with checkpoints alone.
    #[arg(long)]
    normal: bool,
}

/// Serves until it is killed.
///
/// # Errors
/// When it cannot.
pub fn run(options: &Options) -> Result<()> {
    let synchronous = if options.normal {
        Synchronous::Normal
    } else {
        Synchronous::Full
    };
    let store = site::open(&options.folder.join("bench.db"), synchronous)?;
    runtime()?.block_on(async {
        let keys = site::keys(&[7; 32]);
        let config = Config::new(
            "http://127.0.0.1:9".parse()?,
            DOMAIN,
            "sms",
            Secret::new("as-token"),
            Secret::new(HS_TOKEN),
        );
        let matrix = Matrix::new(config, keys.clone(), Arc::new(SystemClock))?;
        let ports = Ports {
            store,
            homeserver: Arc::new(Void),
            connectors: Vec::new(),
            links: None,
            clock: Arc::new(SystemClock),
            keys,
        };
        let engine = Engine::open(site::site(), ports).await?;
        let router = appservice::router(AppService {
            matrix,
            inbox: Arc::new(engine.clone()),
            directory: Arc::new(engine.clone()),
        });
        let listener = TcpListener::bind(("127.0.0.1", options.port)).await?;
        let listener = listener.tap_io(|stream| {
            let _ = stream.set_nodelay(true);
        });
        tokio::spawn(async move { engine.run(Shutdown::never()).await });
        axum::serve(listener, router).await?;
        Ok(())
    })
}
