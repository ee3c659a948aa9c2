//! Files on their way to Messages.

use super::send::{LATER, later, rejected};
use super::shared::Shared;
use std::path::{Path, PathBuf};
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::Media;

/// Lays a file where Messages may send it from. It stays there: Messages does not copy.
pub(super) async fn stage(shared: &Shared, media: &Media) -> Result<PathBuf, SendError> {
    let gone = || {
        rejected(
            Reason::BadContent,
            "the file that was to be sent is not on this device any more",
        )
    };
    let source = path_of(&media.uri).ok_or_else(gone)?;
    let mut random = [0; 16];
    shared.entropy.fill(&mut random);
    let folder = shared
        .config
        .staging
        .join(data_encoding::HEXLOWER.encode(&random));
    let staged = folder.join(safe_name(&media.name));
    let disk = |_| {
        later(
            LATER,
            "the file cannot be laid into the staging folder: check its path, permissions and the disk",
            true,
        )
    };
    tokio::fs::metadata(&source).await.map_err(|_| gone())?;
    tokio::fs::create_dir_all(&folder).await.map_err(disk)?;
    tokio::fs::copy(&source, &staged).await.map_err(disk)?;
    Ok(staged)
}

/// The path of a `file:` URI.
fn path_of(uri: &str) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt;
    let rest = uri.strip_prefix("file://")?;
    let rest = rest.strip_prefix("localhost").unwrap_or(rest);
    let mut octets = Vec::with_capacity(rest.len());
    let mut bytes = rest.bytes();
    while let Some(octet) = bytes.next() {
        octets.push(match octet {
            b'%' => {
                let hex = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&hex).ok()?, 16).ok()?
            }
            other => other,
        });
    }
    let path = PathBuf::from(std::ffi::OsString::from_vec(octets));
    path.is_absolute().then_some(path)
}

/// The last part of a name, without what means something in paths.
fn safe_name(name: &str) -> String {
    let last = Path::new(name)
        .file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    let kept: String = last
        .chars()
        .map(|character| match character {
            ':' | '\\' | '/' => '_',
            other if other.is_control() => '_',
            other => other,
        })
        .take(80)
        .collect();
    match kept.trim_matches(['.', ' ']).is_empty() {
        true => "file".to_owned(),
        false => kept,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_lead_elsewhere() {
        for (name, safe) in [
            ("../../etc/passwd", "passwd"),
            ("a b.jpg", "a b.jpg"),
            ("..", "file"),
            ("", "file"),
            ("a:b\u{0}.txt", "a_b_.txt"),
        ] {
            assert_eq!(safe_name(name), safe);
        }
    }

    #[test]
    fn file_uris_are_read() {
        assert_eq!(path_of("file:///a%20b/%C3%BC.jpg"), Some("/a b/ü.jpg".into()));
        assert_eq!(path_of("mxc://example.org/x"), None);
        assert_eq!(path_of("file:///a%2"), None);
    }
}
