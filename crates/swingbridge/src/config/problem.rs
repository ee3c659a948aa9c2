//! What is wrong with a configuration: everything at once, each with its place, cause and cure.

use std::fmt;
use std::path::PathBuf;

/// Where a value was set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// In the configuration file; the line where it is known.
    File { line: Option<usize> },
    /// In this environment variable.
    Variable(String),
    /// In a file that a `…_file` setting names.
    Secret(PathBuf),
}

impl Origin {
    /// The place, in words.
    pub fn place(&self) -> String {
        match self {
            Origin::File { .. } => "the configuration file itself".to_owned(),
            Origin::Variable(name) => format!("the environment variable {name}"),
            Origin::Secret(path) => format!("the file {}", path.display()),
        }
    }
}

/// One thing that is wrong. Holds no secrets: causes name kinds of values, not values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The setting, as `connectors.smpp.port`.
    pub path: String,
    pub origin: Option<Origin>,
    pub cause: String,
    pub cure: Option<String>,
}

impl Problem {
    pub fn new(path: impl Into<String>, cause: impl Into<String>) -> Self {
        Self {
            path: path.into(),
            origin: None,
            cause: cause.into(),
            cure: None,
        }
    }

    pub fn cure(mut self, cure: impl Into<String>) -> Self {
        self.cure = Some(cure.into());
        self
    }

    pub fn origin(mut self, origin: &Origin) -> Self {
        self.origin = Some(origin.clone());
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path)?;
        match &self.origin {
            Some(Origin::File { line: Some(line) }) => write!(f, " (line {line})")?,
            Some(Origin::Variable(name)) => write!(f, " (from {name})")?,
            Some(Origin::Secret(path)) => write!(f, " (from {})", path.display())?,
            Some(Origin::File { line: None }) | None => {}
        }
        write!(f, ": {}", self.cause)?;
        if let Some(cure) = &self.cure {
            write!(f, "\n    {cure}")?;
        }
        Ok(())
    }
}

/// All that is wrong with one configuration.
#[derive(Debug, PartialEq, Eq)]
pub struct Problems {
    /// What was read, for the headline.
    pub source: String,
    pub list: Vec<Problem>,
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.list.len() {
            1 => write!(f, "{} has a problem:", self.source)?,
            count => write!(f, "{} has {count} problems:", self.source)?,
        }
        for problem in &self.list {
            write!(f, "\n  {problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// The known name nearest to what was written, when it is near enough to be meant.
pub fn nearest<'a>(written: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let written = written.to_ascii_lowercase();
    known
        .into_iter()
        .map(|name| (strsim::jaro_winkler(&written, name), name))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, name)| name)
}

/// A cure for an unknown name.
pub fn did_you_mean<'a>(written: &str, known: impl Clone + IntoIterator<Item = &'a str>) -> String {
    match nearest(written, known.clone()) {
        Some(name) => format!("did you mean `{name}`?"),
        None => {
            let names: Vec<String> = known.into_iter().map(|name| format!("`{name}`")).collect();
            format!("known here: {}", names.join(", "))
        }
    }
}
