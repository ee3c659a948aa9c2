//! What is handed out: the program under its name, looked at once more, with its checksum beside it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, bail, ensure};

/// Copies what was built, and says what it is.
pub fn hand_out(built: &Path, folder: &Path, triple: &str, phone: bool) -> Result<PathBuf> {
    let bytes = fs::read(built).with_context(|| format!("cannot read {}", built.display()))?;
    if phone {
        for_any_phone(&bytes).with_context(|| format!("{} is not fit for phones", built.display()))?;
    }
    let name = format!("swingbridge-{triple}");
    let product = folder.join(&name);
    // Moved into place: whoever runs the one before keeps it.
    let fresh = folder.join(format!(".{name}.new"));
    fs::copy(built, &fresh)?;
    fs::rename(&fresh, &product)?;
    let line = checksum(folder, &name)?;
    fs::write(folder.join(format!("{name}.sha256")), &line)?;
    println!(
        "dist: {}, {:.1} MB ({} bytes)\nsha256: {}",
        product.display(),
        bytes.len() as f64 / 1e6,
        bytes.len(),
        line.split_whitespace().next().unwrap_or_default()
    );
    Ok(product)
}

/// The line that `sha256sum -c` reads.
fn checksum(folder: &Path, name: &str) -> Result<String> {
    for (program, arguments) in [("sha256sum", &[][..]), ("shasum", &["-a", "256"])] {
        let output = Command::new(program)
            .args(arguments)
            .arg(name)
            .current_dir(folder)
            .output();
        if let Ok(output) = output
            && output.status.success()
        {
            return Ok(String::from_utf8(output.stdout)?);
        }
    }
    bail!("neither sha256sum nor shasum can be run")
}

const AARCH64: u16 = 183;
const INTERPRETER: u32 = 3;
const SYMBOLS: u32 = 2;
/// Where its libc looks for name servers on a phone (see `peers`).
const NAME_SERVERS: &[u8] = b"/data/data/com.termux/files/usr/etc/resolv.conf\0";

/// Fails unless it is a program of 64 bits for ARM that needs nothing of the system it runs on, and holds no symbols.
fn for_any_phone(elf: &[u8]) -> Result<()> {
    ensure!(
        elf.starts_with(b"\x7fELF\x02\x01"),
        "it is no ELF file of 64 bits, little-endian"
    );
    ensure!(half(elf, 18)? == AARCH64, "it is for another processor");
    let kinds = |at: usize, size: usize, many: usize, kind: usize| -> Result<Vec<u32>> {
        let (start, size, many) = (long(elf, at)?, half(elf, size)?, half(elf, many)?);
        (0..many)
            .map(|number| word(elf, start + usize::from(size) * usize::from(number) + kind))
            .collect()
    };
    let segments = kinds(32, 54, 56, 0)?;
    ensure!(!segments.is_empty(), "it holds no program");
    ensure!(!segments.contains(&INTERPRETER), "it is not static");
    ensure!(!kinds(40, 58, 60, 4)?.contains(&SYMBOLS), "it is not stripped");
    ensure!(
        elf.windows(NAME_SERVERS.len()).any(|part| part == NAME_SERVERS),
        "it does not know where Termux keeps its name servers"
    );
    Ok(())
}

fn part<const N: usize>(elf: &[u8], at: usize) -> Result<[u8; N]> {
    let part = at.checked_add(N).and_then(|end| elf.get(at..end));
    Ok(part.context("it is cut off")?.try_into()?)
}

fn half(elf: &[u8], at: usize) -> Result<u16> {
    part(elf, at).map(u16::from_le_bytes)
}

fn word(elf: &[u8], at: usize) -> Result<u32> {
    part(elf, at).map(u32::from_le_bytes)
}

fn long(elf: &[u8], at: usize) -> Result<usize> {
    Ok(usize::try_from(u64::from_le_bytes(part(elf, at)?))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A file with one segment and one section.
    fn elf(machine: u16, segment: u32, section: u32) -> Vec<u8> {
        let mut elf = vec![0; 192];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18..20].copy_from_slice(&machine.to_le_bytes());
        elf[32] = 64;
        elf[40] = 128;
        for (at, value) in [(54, 56), (56, 1), (58, 64), (60, 1)] {
            elf[at] = value;
        }
        elf[64..68].copy_from_slice(&segment.to_le_bytes());
        elf[132..136].copy_from_slice(&section.to_le_bytes());
        elf.extend(NAME_SERVERS);
        elf
    }

    #[test]
    fn only_what_runs_by_itself_on_arm_is_handed_out() {
        let (load, code) = (1, 1);
        assert!(for_any_phone(&elf(AARCH64, load, code)).is_ok());
        let fails = |elf: &[u8]| for_any_phone(elf).unwrap_err().to_string();
        assert_eq!(fails(&elf(62, load, code)), "it is for another processor");
        assert_eq!(fails(&elf(AARCH64, INTERPRETER, code)), "it is not static");
        assert_eq!(fails(&elf(AARCH64, load, SYMBOLS)), "it is not stripped");
        assert_eq!(fails(&elf(AARCH64, load, code)[..100]), "it is cut off");
        let deaf = &elf(AARCH64, load, code)[..192];
        assert!(fails(deaf).contains("name servers"), "{}", fails(deaf));
        assert_eq!(
            fails(b"#!/bin/sh\n"),
            "it is no ELF file of 64 bits, little-endian"
        );
    }
}
