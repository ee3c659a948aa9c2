//! `init`: a configuration, a registration and a site key to begin with.

use super::registration;
use crate::cli::Init;
use crate::config::{self, Config, LoadError, Sources};
use crate::edges::SystemEntropy;
use crate::exit::{Exit, Failure};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use swingbridge_domain::clock::Entropy;

pub mod template;

/// The file of the site key, beside the configuration.
const SITE_KEY: &str = "site.key";

pub fn run(options: &Init, mut sources: Sources, config_given: bool) -> Result<(), Failure> {
    let force = options.force;
    if !config_given {
        sources.config = options.directory.join("config.yaml");
    }
    let folder = match sources.config.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    };
    fs::create_dir_all(&folder).map_err(|error| {
        Failure::msg(
            Exit::File,
            format!("{} cannot be made: {error}", folder.display()),
        )
    })?;

    let registration = sources
        .registration
        .clone()
        .unwrap_or_else(|| folder.join("registration.yaml"));
    if !force {
        for path in [&sources.config, &registration] {
            refuse_present(path)?;
        }
    }
    write_new(
        &sources.config,
        &template::filled(options, &registration, &folder),
        force,
    )?;
    println!("wrote {}", sources.config.display());
    write_site_key(&folder)?;
    match config::load_for_registration(&sources) {
        Ok(mut config) => {
            registration::write(&mut config, force)?;
            println!("wrote {}", registration.display());
            println!("{}", next_steps(&registration, &config));
            Ok(())
        }
        Err(LoadError::Invalid(problems)) => {
            println!("\nTo be filled in before the rest can follow. {problems}");
            println!(
                "\nThen: swingbridge --generate-registration -c {}\n",
                sources.config.display()
            );
            Ok(())
        }
        Err(error) => Err(Failure::load(error)),
    }
}

/// Draws a site key, unless there is one: it is never replaced, since losing it loses the identities of all ghosts.
pub fn write_site_key(folder: &Path) -> Result<(), Failure> {
    let path = folder.join(SITE_KEY);
    if path.exists() {
        return Ok(());
    }
    let mut key = [0u8; 32];
    SystemEntropy.fill(&mut key);
    let text = format!("{}\n", data_encoding::HEXLOWER.encode(&key));
    write_new(&path, &text, false)?;
    println!(
        "wrote {} (keep a copy in a safe place: without it all contacts become strangers)",
        path.display()
    );
    Ok(())
}

/// What the operator does with the registration, by homeserver.
pub fn next_steps(registration: &Path, config: &Config) -> String {
    let path = fs::canonicalize(registration).unwrap_or_else(|_| registration.to_path_buf());
    let path = path.display();
    let bot = format!("@{}:{}", config.appservice.bot.username, config.homeserver.domain);
    format!(
        r"
Next, tell the homeserver about the gateway. The registration must be readable by the homeserver: copy it, or give its
user access to it.

  Synapse, in homeserver.yaml, then restart it:
    app_service_config_files:
      - {path}

  Dendrite, in dendrite.yaml, then restart it:
    app_service_api:
      config_files:
        - {path}

  Conduit and its family (continuwuity, tuwunel): in the admin room send, with the whole file in place of FILE,
    Conduit:       @conduit:{domain}: register-appservice
    the others:    !admin appservices register
    ```
    FILE
    ```

Then:  swingbridge check     tries everything and says what is missing
       swingbridge gateway   runs
and write `help` to {bot}.",
        domain = config.homeserver.domain,
    )
}

fn refuse_present(path: &Path) -> Result<(), Failure> {
    if path.exists() {
        return Err(Failure::msg(
            Exit::File,
            format!(
                "{} is there already: move it away, or use --force to replace it",
                path.display()
            ),
        ));
    }
    Ok(())
}

/// Writes a file that only its owner may read. One that is there is replaced only with `force`, all at once.
pub fn write_new(path: &Path, text: &str, force: bool) -> Result<(), Failure> {
    if !force {
        refuse_present(path)?;
    }
    let failed = |error: std::io::Error| {
        Failure::msg(
            Exit::File,
            format!("{} cannot be written: {error}", path.display()),
        )
    };
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(".new");
    let fresh = path.with_file_name(name);
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&fresh)
        .map_err(failed)?;
    file.write_all(text.as_bytes())
        .and_then(|()| file.sync_all())
        .map_err(failed)?;
    fs::rename(&fresh, path).map_err(failed)
}
