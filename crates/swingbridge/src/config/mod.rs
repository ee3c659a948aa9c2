//! What the operator decided: one file for each section.
//!
//! Read it in this order: `tree` (values with the place where they were set), `environment` and `secrets` (what goes over
//! them), `read` (from values to types), the sections, and [`load`], which does all of it and reports everything that
//! is wrong at once.

pub mod appservice;
pub mod connectors;
pub mod database;
#[cfg(feature = "device")]
pub mod device;
pub mod duration;
pub mod encryption;
pub mod environment;
pub mod files;
pub mod fingerprint;
pub mod homeserver;
pub mod limits;
pub mod lines;
pub mod logging;
mod meaning;
pub mod messages;
pub mod operations;
mod permissions;
pub mod privacy;
pub mod problem;
pub mod provisioning;
mod read;
pub mod retention;
pub mod secrets;
mod tree;
mod validate;
pub mod webhooks;

#[cfg(test)]
mod tests;

use connectors::Account;
use environment::Variables;
use problem::{Problem, Problems, did_you_mean};
use read::read;
use serde::de::DeserializeOwned;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use swingbridge_domain::line::{Line, Permission, Permissions};
use swingbridge_domain::secret::Secret;
use swingbridge_matrix::registration::Registration;
use tree::{Kind, Map, Node};

/// The sections, and the settings that stand beside them.
const SECTIONS: &[&str] = &[
    "homeserver",
    "appservice",
    "database",
    "site_key",
    "site_key_file",
    "connectors",
    "lines",
    "permissions",
    "messages",
    "limits",
    "opt_out",
    "encryption",
    "files",
    "privacy",
    "provisioning",
    "webhooks",
    "operations",
    "logging",
    "retention",
];

/// A configuration that was read and understood.
#[derive(Debug)]
pub struct Config {
    pub homeserver: homeserver::Homeserver,
    pub appservice: appservice::Appservice,
    pub database: database::Database,
    pub site_key: SiteKey,
    /// By their names.
    pub connectors: Vec<(String, Account)>,
    /// In the order of the file.
    pub lines: Vec<Line>,
    pub permissions: Permissions,
    pub messages: messages::Messages,
    pub limits: limits::Limits,
    pub opt_out: limits::OptOut,
    pub encryption: encryption::Encryption,
    pub files: files::Files,
    pub privacy: privacy::Privacy,
    pub provisioning: provisioning::Provisioning,
    pub webhooks: webhooks::Webhooks,
    pub operations: operations::Operations,
    pub logging: logging::Logging,
    pub retention: retention::Retention,
    /// To be compared at the next start.
    pub fingerprint: fingerprint::Fingerprint,
    /// Where the site key was set, in words.
    pub site_key_origin: String,
    /// What is no error, and still not good.
    pub warnings: Vec<String>,
}

/// The key from which all others of the site derive.
pub struct SiteKey(pub [u8; 32]);

impl std::fmt::Debug for SiteKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("[site key]")
    }
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    #[error("{path} cannot be read: {error}")]
    Unreadable { path: PathBuf, error: std::io::Error },
    #[error("{0}")]
    Invalid(Problems),
}

/// Where a configuration comes from.
#[derive(Clone, Debug)]
pub struct Sources {
    pub config: PathBuf,
    /// Goes over `appservice.registration`.
    pub registration: Option<PathBuf>,
    pub variables: Variables,
}

impl Sources {
    /// The folder at which relative paths of the configuration begin.
    fn folder(&self) -> &Path {
        match self.config.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        }
    }
}

/// Reads the configuration. Tokens that it does not hold come from the registration file.
///
/// # Errors
/// [`LoadError`], with everything that is wrong.
pub fn load(sources: &Sources) -> Result<Config, LoadError> {
    let (mut config, mut problems) = load_without_registration(sources)?;
    let tokens = &config.appservice;
    if tokens.as_token.is_empty() || tokens.hs_token.is_empty() {
        match read_registration(&config.appservice.registration) {
            Ok(registration) => {
                let fill = |token: &mut Secret, from: &Secret| {
                    if token.is_empty() {
                        *token = from.clone();
                    }
                };
                fill(&mut config.appservice.as_token, &registration.as_token);
                fill(&mut config.appservice.hs_token, &registration.hs_token);
                config
                    .warnings
                    .extend(secrets::readable_by_others(&config.appservice.registration));
            }
            Err(cause) => {
                problems.push(Problem::new("appservice.registration", cause).cure(
                    "make one with `swingbridge --generate-registration`, or give as_token and hs_token",
                ))
            }
        }
    }
    finish(config, problems, sources)
}

/// Reads a registration file.
///
/// # Errors
/// What is wrong with it, in words without its contents.
pub fn read_registration(path: &Path) -> Result<Registration, String> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| format!("{} cannot be read: {error}", path.display()))?;
    Registration::parse(&text).map_err(|_| format!("{} is no registration", path.display()))
}

/// Reads the configuration for making a registration: the tokens may be missing.
///
/// # Errors
/// [`LoadError`], with everything that is wrong.
pub fn load_for_registration(sources: &Sources) -> Result<Config, LoadError> {
    let (config, problems) = load_without_registration(sources)?;
    finish(config, problems, sources)
}

fn finish<T>(config: T, list: Vec<Problem>, sources: &Sources) -> Result<T, LoadError> {
    if list.is_empty() {
        return Ok(config);
    }
    let source = sources.config.display().to_string();
    Err(LoadError::Invalid(Problems { source, list }))
}

/// The file as a tree.
fn parse(sources: &Sources) -> Result<Node, LoadError> {
    let text = std::fs::read_to_string(&sources.config).map_err(|error| LoadError::Unreadable {
        path: sources.config.clone(),
        error,
    })?;
    Node::parse(&text).map_err(|problem| {
        LoadError::Invalid(Problems {
            source: sources.config.display().to_string(),
            list: vec![problem],
        })
    })
}

fn load_without_registration(sources: &Sources) -> Result<(Config, Vec<Problem>), LoadError> {
    let mut root = parse(sources)?;
    let mut problems = Vec::new();
    environment::apply(&mut root, &sources.variables, &mut problems);
    let fingerprint = fingerprint::of(&root);
    let warnings = secrets::resolve(&mut root, sources.folder(), &mut problems);
    let mut config = understand(&root, &mut problems);
    config.warnings = warnings;
    config.fingerprint = fingerprint;
    config
        .warnings
        .extend(secrets::readable_by_others(&sources.config));
    place(&mut config, sources);
    Ok((config, problems))
}

/// Lets relative paths begin at the configuration's folder.
fn place(config: &mut Config, sources: &Sources) {
    let folder = sources.folder();
    config.database.path = folder.join(&config.database.path);
    config.encryption.path = folder.join(&config.encryption.path);
    // The database's path was placed above.
    let beside = config.database.path.parent().unwrap_or(folder);
    config.files.path = beside.join(&config.files.path);
    config.homeserver.ca_file = config.homeserver.ca_file.take().map(|path| folder.join(path));
    config.appservice.registration = match &sources.registration {
        Some(path) => path.clone(),
        None => folder.join(&config.appservice.registration),
    };
    for (_, account) in &mut config.connectors {
        account.place(folder);
    }
}

fn understand(root: &Node, problems: &mut Vec<Problem>) -> Config {
    known_sections(root, SECTIONS, problems);
    // Problems of form come first, in the order of the file; those of meaning only where the form is right.
    let formed = problems.len();
    let named = Named::read(root, connectors::GATEWAY, problems).serving();
    let permissions: BTreeMap<String, Permission> = section(root, "permissions", problems);
    let mut config = Config {
        homeserver: section(root, "homeserver", problems),
        appservice: section(root, "appservice", problems),
        database: section(root, "database", problems),
        site_key: SiteKey([0; 32]),
        connectors: Vec::new(),
        lines: Vec::new(),
        permissions: Permissions(permissions.into_iter().collect()),
        messages: section(root, "messages", problems),
        limits: section(root, "limits", problems),
        opt_out: section(root, "opt_out", problems),
        encryption: section(root, "encryption", problems),
        files: section(root, "files", problems),
        privacy: section(root, "privacy", problems),
        provisioning: section(root, "provisioning", problems),
        webhooks: section(root, "webhooks", problems),
        operations: section(root, "operations", problems),
        logging: section(root, "logging", problems),
        retention: section(root, "retention", problems),
        fingerprint: fingerprint::Fingerprint::default(),
        site_key_origin: root
            .get("site_key")
            .map(|node| node.origin.place())
            .unwrap_or_default(),
        warnings: Vec::new(),
    };
    let mut found = Vec::new();
    meaning::check(&mut config, root, &named, &mut found);
    config.connectors = named.connectors;
    add_news(root, found, formed, problems);
    config
}

fn known_sections(root: &Node, known: &[&str], problems: &mut Vec<Problem>) {
    let sections: &[(String, Node)] = match &root.kind {
        Kind::Map(map) => map,
        _ => &[],
    };
    for (name, node) in sections {
        if !known.contains(&name.as_str()) {
            problems.push(
                Problem::new(name, "there is no such section")
                    .origin(&node.origin)
                    .cure(did_you_mean(name, known.iter().copied())),
            );
        }
    }
}

/// What has names of the operator's own.
struct Named {
    connectors: Vec<(String, Account)>,
    /// Of all of them, also of those that could not be read.
    connector_names: Vec<String>,
    lines: Vec<(String, lines::Line)>,
}

impl Named {
    /// Each connector with the address of its first line.
    fn serving(mut self) -> Self {
        for (id, account) in &mut self.connectors {
            if let Some((_, line)) = self.lines.iter().find(|(_, line)| &line.connector == id) {
                account.serve(&line.address);
            }
        }
        self
    }

    fn read(root: &Node, kinds: &[&str], problems: &mut Vec<Problem>) -> Self {
        let accounts = entries(root, "connectors", problems);
        let written = entries(root, "lines", problems);
        Self {
            connectors: accounts
                .iter()
                .filter_map(|(id, node)| Some((id.clone(), Account::read(id, node, kinds, problems)?)))
                .collect(),
            connector_names: accounts.iter().map(|(id, _)| id.clone()).collect(),
            lines: written
                .iter()
                .filter_map(|(id, node)| Some((id.clone(), read(&["lines", id], node, problems)?)))
                .collect(),
        }
    }
}

/// Adds what was found wrong with the meaning. A value that was not understood was read as its default: what follows from that is no
/// news.
fn add_news(root: &Node, found: Vec<Problem>, formed: usize, problems: &mut Vec<Problem>) {
    let told: Vec<String> = problems[formed..]
        .iter()
        .map(|problem| problem.path.clone())
        .collect();
    let follows = |path: &str| told.iter().any(|told| within(told, path) || within(path, told));
    let fresh = found.into_iter().filter(|problem| !follows(&problem.path));
    problems.extend(fresh.map(|problem| match root.find(&problem.path) {
        Some(node) if problem.origin.is_none() => problem.origin(&node.origin),
        _ => problem,
    }));
}

/// Whether `inner` is `outer` or lies in it.
fn within(inner: &str, outer: &str) -> bool {
    inner
        .strip_prefix(outer)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

fn section<T: DeserializeOwned + Default>(root: &Node, name: &str, problems: &mut Vec<Problem>) -> T {
    root.get(name)
        .filter(|node| !matches!(node.kind, Kind::Null))
        .and_then(|node| read(&[name], node, problems))
        .unwrap_or_default()
}

/// The entries of a section that holds named things.
fn entries<'a>(root: &'a Node, name: &str, problems: &mut Vec<Problem>) -> &'a Map {
    const NONE: &Map = &Vec::new();
    match root.get(name) {
        None => NONE,
        Some(node) => match &node.kind {
            Kind::Map(map) => map,
            Kind::Null => NONE,
            _ => {
                problems.push(
                    Problem::new(
                        name,
                        format!("must be a section of named {name}, not {}", node.what()),
                    )
                    .origin(&node.origin),
                );
                NONE
            }
        },
    }
}
