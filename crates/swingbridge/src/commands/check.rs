pub fn run(_: &crate::config::Sources) -> Result<std::process::ExitCode, crate::exit::Failure> {
    Ok(std::process::ExitCode::SUCCESS)
}
