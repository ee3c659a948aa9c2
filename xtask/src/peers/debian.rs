//! What comes from Debian: installed when we are root, else named.

use std::{collections::VecDeque, fmt, fs, path::Path, process::Command};

use anyhow::{Context, Result, ensure};

use crate::process::{run_quietly, succeeds, told};

/// Something that a Debian package brings, and how to see that it is there.
#[derive(Clone, Copy)]
pub struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    present: fn() -> bool,
}

impl Need {
    pub fn is_there(&self) -> bool {
        (self.present)()
    }
}

impl fmt::Display for Need {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} (Debian: {})", self.what, self.packages.join(" "))
    }
}

pub const VENV: Need = Need {
    what: "Python with venv",
    packages: &["python3", "python3-venv"],
    present: || succeeds("python3", &["-c", "import ensurepip, venv"]),
};

pub const NODE: Need = Need {
    what: "Node.js with npm",
    packages: &["nodejs", "npm"],
    present: || succeeds("node", &["--version"]) && succeeds("npm", &["--version"]),
};

pub const NET_SMPP: Need = Need {
    what: "Perl's Net::SMPP",
    packages: &["perl", "libnet-smpp-perl"],
    present: || succeeds("/usr/bin/perl", &["-MNet::SMPP", "-e", "1"]),
};

pub const TSHARK: Need = Need {
    what: "tshark",
    packages: &["tshark"],
    present: || succeeds("tshark", &["--version"]),
};

pub const POSTGRESQL: Need = Need {
    what: "PostgreSQL",
    packages: &["postgresql"],
    present: has_postgresql,
};

pub const KANNEL: Need = Need {
    what: "Kannel",
    packages: &["kannel", "kannel-extras"],
    present: || Path::new("/usr/sbin/bearerbox").exists() && Path::new("/usr/bin/mtbatch").exists(),
};

pub const RABBITMQ: Need = Need {
    what: "RabbitMQ",
    packages: &["rabbitmq-server"],
    present: || Path::new("/usr/lib/rabbitmq/bin/rabbitmq-server").exists(),
};

pub const REDIS: Need = Need {
    what: "Redis",
    packages: &["redis-server"],
    present: || succeeds("redis-server", &["--version"]),
};

/// Runs what is built for phones.
pub const QEMU: Need = Need {
    what: "qemu-aarch64-static",
    packages: &["qemu-user-static"],
    present: || cfg!(target_arch = "aarch64") || succeeds("qemu-aarch64-static", &["--version"]),
};

pub const ALWAYS: &[Need] = &[VENV, NODE, NET_SMPP, TSHARK, POSTGRESQL];

/// What the long tests need beyond that. Jasmin stands on the last two.
pub const LONG: &[Need] = &[KANNEL, RABBITMQ, REDIS, QEMU];

pub const ADVICE: &str = "install them with apt-get, or run this as root";

/// Installs what is absent if that is possible, and names what is still absent then.
pub fn set_up(needs: &[Need]) -> Result<Vec<String>> {
    let absent = || needs.iter().filter(|need| !need.is_there());
    let packages: Vec<&str> = absent().flat_map(|need| need.packages).copied().collect();
    if !packages.is_empty() && is_root() && succeeds("apt-get", &["--version"]) {
        let installed = told(&format!("installing {} from Debian", packages.join(" ")), || {
            run_quietly(&mut apt_get(&["update", "-q"]))?;
            run_quietly(apt_get(&["install", "-q", "-y", "--no-install-recommends"]).args(&packages))
        });
        if let Err(error) = installed {
            println!("  {error:#}");
        }
    }
    Ok(absent().map(Need::to_string).collect())
}

/// Unpacks packages below `folder`, with what they need and this machine has not. The system stays as it is.
///
/// apt compares each with the signed lists of the archive.
pub fn unpack(packages: &[&str], folder: &Path) -> Result<()> {
    if is_root() {
        run_quietly(&mut apt_get(&["update", "-q"]))?;
    }
    let files = folder.join("packages");
    fs::create_dir_all(&files)?;
    run_quietly(
        apt_get(&["download", "-q"])
            .args(with_what_they_need(packages)?)
            .current_dir(&files),
    )?;
    for file in fs::read_dir(&files)? {
        run_quietly(Command::new("dpkg-deb").arg("-x").arg(file?.path()).arg(folder))?;
    }
    Ok(fs::remove_dir_all(&files)?)
}

/// A linker and its libraries must be installed in any case: our own build scripts need them.
const TAKEN_AS_THERE: [&str; 3] = ["binutils", "gcc", "libc6-dev"];

fn with_what_they_need(packages: &[&str]) -> Result<Vec<String>> {
    let mut found: Vec<String> = Vec::new();
    let mut open: VecDeque<String> = packages.iter().map(|name| (*name).to_owned()).collect();
    while let Some(name) = open.pop_front() {
        let asked = packages.contains(&name.as_str());
        if found.contains(&name) || !asked && (TAKEN_AS_THERE.contains(&name.as_str()) || installed(&name)) {
            continue;
        }
        let output = Command::new("apt-cache")
            .args(["depends", "--important", &name])
            .output()
            .context("cannot run apt-cache")?;
        ensure!(output.status.success(), "this Debian has no package {name}");
        open.extend(needs(&String::from_utf8_lossy(&output.stdout)));
        found.push(name);
    }
    Ok(found)
}

fn installed(package: &str) -> bool {
    let mut query = Command::new("dpkg-query");
    query.args(["-W", "-f", "${db:Status-Status}\n", package]);
    query
        .output()
        .is_ok_and(|output| output.stdout.starts_with(b"installed"))
}

/// What `apt-cache depends` names, without what only a virtual package is.
fn needs(told: &str) -> Vec<String> {
    let lines = told.lines().filter_map(|line| {
        let line = line.trim_start();
        line.strip_prefix("Depends: ")
            .or_else(|| line.strip_prefix("PreDepends: "))
    });
    lines
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.starts_with('<'))
        .collect()
}

fn apt_get(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command.args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
}

fn is_root() -> bool {
    Command::new("id")
        .arg("-u")
        .output()
        .is_ok_and(|output| output.stdout == b"0\n")
}

/// Debian keeps the server's programs out of the PATH.
fn has_postgresql() -> bool {
    succeeds("initdb", &["--version"])
        || fs::read_dir("/usr/lib/postgresql").is_ok_and(|versions| {
            versions
                .flatten()
                .any(|version| Path::new(&version.path()).join("bin/initdb").exists())
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_package_needs_is_read() {
        let told = "rustc-web\n  Depends: libc6\n |Depends: one\n  Depends: other\n  PreDepends: first\n  \
                    Depends: <libc-dev>\n    libc6-dev\n  Conflicts: rustc\n";
        // Of two that would do, the last is enough.
        assert_eq!(needs(told), ["libc6", "other", "first"]);
    }
}
