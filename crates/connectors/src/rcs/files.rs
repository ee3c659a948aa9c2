//! Files of messages: those that come, and those that go.

use crate::journal::{make_folder, private};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use swingbridge_domain::message::{Body, Disposition, Media, MediaKind, Part};

/// The longest name of a file.
const LONGEST_NAME: usize = 80;

/// What a service says of a file.
#[derive(Clone, Debug, Default)]
pub struct Told {
    pub name: Option<String>,
    pub mime: Option<String>,
    pub size: Option<u64>,
    pub address: String,
}

/// Keeps a file that came in `folder`, under a name made of `identity`. The same file again replaces itself. Blocks on the disk.
///
/// # Errors
/// The disk's; worth a retry.
pub fn keep(folder: &Path, identity: &str, told: &Told, octets: &[u8]) -> io::Result<Part> {
    make_folder(folder)?;
    // Nothing of a foreign name goes into a path.
    let path = folder.join(identity);
    let mut file = private(&path)?;
    file.write_all(octets)?;
    file.sync_all()?;
    let uri =
        url::Url::from_file_path(std::path::absolute(&path)?).map_err(|()| io::ErrorKind::InvalidInput)?;
    Ok(Part {
        disposition: Disposition::Attachment,
        body: Body::Media(Media {
            kind: kind(told.mime.as_deref().unwrap_or_default()),
            name: name(told.name.as_deref()),
            mime: told.mime.clone(),
            size: Some(octets.len() as u64),
            uri: uri.into(),
            ..Media::default()
        }),
    })
}

/// Stands where a file could not be had.
pub fn absent(told: &Told, why: &str) -> Part {
    Part {
        disposition: Disposition::Render,
        body: Body::Other {
            kind: told.mime.clone().unwrap_or_else(|| "a file".to_owned()),
            fallback: Some(why.to_owned()),
        },
    }
}

/// Where a file of ours lies on this machine.
pub fn path(media: &Media) -> Option<PathBuf> {
    url::Url::parse(&media.uri)
        .ok()
        .filter(|url| url.scheme() == "file")?
        .to_file_path()
        .ok()
}

/// The type that is told of a file of ours.
pub fn mime(media: &Media) -> &str {
    match &media.mime {
        Some(mime) => mime,
        None => "application/octet-stream",
    }
}

pub fn kind(mime: &str) -> MediaKind {
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

fn name(given: Option<&str>) -> String {
    let given = given.unwrap_or_default();
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let kept: String = last
        .chars()
        .filter(|character| !character.is_control())
        .take(LONGEST_NAME)
        .collect();
    match kept.trim_matches([' ', '.']) {
        "" => "file".to_owned(),
        kept => kept.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_foreign_name_never_becomes_a_path() {
        let folder = tempfile::tempdir().unwrap();
        let told = Told {
            name: Some("../../etc/passwd".into()),
            mime: Some("image/png".into()),
            ..Told::default()
        };
        let part = keep(&folder.path().join("media"), "one", &told, b"png").unwrap();
        let Body::Media(media) = part.body else { panic!() };
        assert_eq!((media.name.as_str(), media.kind), ("passwd", MediaKind::Image));
        let path = path(&media).unwrap();
        assert_eq!(path, folder.path().join("media/one"));
        assert_eq!(std::fs::read(path).unwrap(), b"png");
        assert_eq!(name(Some("..")), "file");
    }
}
