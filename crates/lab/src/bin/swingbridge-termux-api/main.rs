//! Each `termux-*` command of a phone that is not there: by its own name, or by its first argument.

use std::path::PathBuf;
use std::process::ExitCode;

fn main() -> ExitCode {
    let mut arguments: Vec<String> = std::env::args().collect();
    let name = arguments
        .first()
        .and_then(|path| path.rsplit('/').next())
        .unwrap_or_default();
    if name.starts_with("termux-") {
        arguments[0] = name.to_owned();
    } else {
        arguments.remove(0);
    }
    let Some(folder) = std::env::var_os("TERMUX_LAB") else {
        eprintln!("TERMUX_LAB must name the phone's folder");
        return ExitCode::from(2);
    };
    swingbridge_lab::termux::main(&arguments, &PathBuf::from(folder))
}
