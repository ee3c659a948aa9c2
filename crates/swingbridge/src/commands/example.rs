//! `--generate-example-config`: the commented example as a file, with the site key that it names.

use super::init::{self, template};
use crate::exit::Failure;
use std::path::Path;

pub fn run(config: &Path, force: bool) -> Result<(), Failure> {
    init::write_new(config, &template::example(), force)?;
    println!("wrote {}", config.display());
    init::write_site_key(config.parent().unwrap_or(Path::new("")))?;
    println!(
        "Fill {} in, then run `swingbridge --generate-registration`",
        config.display()
    );
    Ok(())
}
