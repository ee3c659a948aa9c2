//! What comes from Debian: installed when we are root, else named.

use std::{fmt, fs, path::Path, process::Command};

use anyhow::Result;

use crate::process::{run_quietly, succeeds, told};

/// Something that a Debian package brings, and how to see that it is there.
#[derive(Clone, Copy)]
pub struct Need {
    what: &'static str,
    packages: &'static [&'static str],
    present: fn() -> bool,
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

pub const ALWAYS: &[Need] = &[VENV, NODE, NET_SMPP, TSHARK, POSTGRESQL];

/// What the long tests need beyond that. Jasmin stands on the last two.
pub const LONG: &[Need] = &[KANNEL, RABBITMQ, REDIS];

pub const ADVICE: &str = "install them with apt-get, or run this as root";

/// Installs what is absent if that is possible, and names what is still absent then.
pub fn set_up(needs: &[Need]) -> Result<Vec<String>> {
    let absent = || needs.iter().filter(|need| !(need.present)());
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
