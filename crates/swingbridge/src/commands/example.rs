//! `--generate-example-config`: the commented example as a file.

use super::init::{self, template};
use crate::exit::Failure;
use std::path::Path;

pub fn run(config: &Path, force: bool) -> Result<(), Failure> {
    init::write_new(config, &template::example(), force)?;
    println!(
        "wrote {}: fill it in, then run `swingbridge --generate-registration`",
        config.display()
    );
    Ok(())
}
