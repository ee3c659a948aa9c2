//! The `osascript` of an emulated Mac. See `swingbridge_lab::macos::osascript`.

fn main() -> anyhow::Result<()> {
    std::process::exit(swingbridge_lab::macos::osascript::main()?);
}
