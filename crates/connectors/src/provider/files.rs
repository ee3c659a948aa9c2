//! Files that came: fetched from the provider, and kept on this device. And where those lie that go.

use super::http::{Answer, call, rejected};
use crate::journal::{make_folder, private};
use reqwest::RequestBuilder;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;
use swingbridge_domain::clock::{Clock, Timestamp};
use swingbridge_domain::connector::SendError;
use swingbridge_domain::delivery::Reason;
use swingbridge_domain::message::{Body, Disposition, Media, MediaKind, Part};
use tokio::time::sleep;
use url::Url;

/// The waits between the tries for a file, before the message is handed in without it. Providers wait seconds for an answer to their webhook.
const WAITS: [Duration; 3] = [
    Duration::from_millis(500),
    Duration::from_secs(1),
    Duration::from_secs(2),
];
/// The longest that a provider may ask for between two of them.
const LONGEST_WAIT: Duration = Duration::from_secs(3);
/// How long a file is kept for the homeserver's side to take it.
const KEPT: Duration = Duration::from_secs(14 * 24 * 60 * 60);
/// How often old files are looked for.
const SWEEP: Duration = Duration::from_secs(60 * 60);
/// The longest name of a file.
const LONGEST_NAME: usize = 80;

/// Why a file is not fetched whose address leads elsewhere.
pub const UNSAFE: &str = "a file whose address is not safe to ask";

/// What the provider tells of a file.
pub struct Told<'a> {
    /// Names the message and the place in it, for good: nothing of it goes into a path but letters and digits.
    pub identity: &'a str,
    pub name: Option<&'a str>,
    pub mime: Option<&'a str>,
}

/// Fetches one file into `folder`. A file that cannot be had, or has more than `most` octets, is named in its place: the message must
/// not be lost for it.
///
/// # Errors
/// The disk; worth a retry.
pub async fn fetch(
    request: impl Fn() -> RequestBuilder,
    told: Told<'_>,
    folder: &Path,
    most: usize,
) -> std::io::Result<Part> {
    let mut waits = WAITS.into_iter();
    loop {
        let asked = match call(request(), most).await {
            Ok(answer) if answer.is_success() && answer.whole => {
                return keep(folder, &told, answer.mime.as_deref(), &answer.octets);
            }
            // It will not be there at the next try either.
            Ok(answer) if !may_pass(&answer) => break,
            Ok(answer) => answer.retry_after,
            Err(_) => None,
        };
        let Some(wait) = waits.next() else { break };
        sleep(pause(wait, asked)).await;
    }
    Ok(missing(
        told.mime,
        "a file that could not be fetched from the provider",
    ))
}

/// The provider was busy or broke down, or the file was cut off on the way.
fn may_pass(answer: &Answer) -> bool {
    match answer.status {
        200..=299 => !answer.too_large,
        status => status == 429 || status >= 500,
    }
}

/// A wait, or the longer one that the provider asks for. One that nobody can wait for here is not kept.
fn pause(wait: Duration, asked: Option<Duration>) -> Duration {
    asked
        .filter(|asked| *asked <= LONGEST_WAIT)
        .map_or(wait, |asked| asked.max(wait))
}

/// Takes away what is older than two weeks, until it is dropped: it was handed in long ago.
pub async fn keep_swept(folder: &Path, clock: &dyn Clock) {
    loop {
        sweep(folder, clock.now());
        sleep(SWEEP).await;
    }
}

fn sweep(folder: &Path, now: Timestamp) {
    let Ok(entries) = std::fs::read_dir(folder) else {
        return;
    };
    for entry in entries.flatten() {
        let modified = entry.metadata().and_then(|about| about.modified()).ok();
        let since_epoch = modified
            .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
            .and_then(|since| i64::try_from(since.as_millis()).ok());
        let old = since_epoch.is_some_and(|at| now.since(Timestamp(at)) > KEPT);
        if old && let Err(error) = std::fs::remove_file(entry.path()) {
            tracing::warn!(error = %error.kind(), "an old file cannot be removed from the media folder");
        }
    }
}

/// Stands where a file could not be had; `why` says so in words.
pub fn missing(mime: Option<&str>, why: &str) -> Part {
    Part {
        disposition: Disposition::Attachment,
        body: Body::Other {
            kind: mime.unwrap_or("application/octet-stream").to_owned(),
            fallback: Some(why.to_owned()),
        },
    }
}

/// Keeps a file in `folder`; the same again replaces itself. `served_as`: its type, where none is told. Blocks on the disk.
///
/// # Errors
/// The disk's; worth a retry.
pub fn keep(folder: &Path, told: &Told<'_>, served_as: Option<&str>, octets: &[u8]) -> std::io::Result<Part> {
    make_folder(folder)?;
    let safe: String = told
        .identity
        .chars()
        .map(|c| {
            if c.is_ascii_alphanumeric() || c == '-' {
                c
            } else {
                '_'
            }
        })
        .collect();
    let path = folder.join(safe);
    let mut file = private(&path)?;
    file.write_all(octets)?;
    file.sync_all()?;
    let mime = told
        .mime
        .or(served_as)
        .and_then(|mime| mime.split(';').next())
        .map(|mime| mime.trim().to_owned());
    let media = Media {
        kind: kind(mime.as_deref().unwrap_or_default()),
        name: name(told.name, mime.as_deref().unwrap_or_default()),
        size: Some(octets.len() as u64),
        uri: url::Url::from_file_path(std::path::absolute(&path)?)
            .map(String::from)
            .unwrap_or_default(),
        mime,
        ..Media::default()
    };
    Ok(Part {
        disposition: Disposition::Attachment,
        body: Body::Media(media),
    })
}

/// What a file of this type is shown as.
pub fn kind(mime: &str) -> MediaKind {
    match mime.split('/').next() {
        Some("image") => MediaKind::Image,
        Some("audio") => MediaKind::Audio,
        Some("video") => MediaKind::Video,
        _ => MediaKind::File,
    }
}

/// What it is called: by the sender, where that is known, and else by what it is.
fn name(given: Option<&str>, mime: &str) -> String {
    let given = given.unwrap_or_default();
    let last = given.rsplit(['/', '\\']).next().unwrap_or_default();
    let clean: String = last
        .chars()
        .filter(|c| !c.is_control())
        .take(LONGEST_NAME)
        .collect();
    if !clean.trim_matches('.').is_empty() {
        return clean;
    }
    let ending = match mime {
        "image/jpeg" => "jpg",
        "image/png" => "png",
        "image/gif" => "gif",
        "image/webp" => "webp",
        "video/mp4" => "mp4",
        "video/3gpp" => "3gp",
        "audio/mpeg" => "mp3",
        "audio/amr" => "amr",
        "audio/ogg" => "ogg",
        "text/vcard" | "text/x-vcard" => "vcf",
        "application/pdf" => "pdf",
        _ => return "attachment".to_owned(),
    };
    format!("attachment.{ending}")
}

/// Reads a file of ours. `setting` names what says how many octets are the `most`.
///
/// # Errors
/// Final: it is not there any more, or too large.
pub async fn read(media: &Media, most: u64, setting: &str) -> Result<Vec<u8>, SendError> {
    let lost = || rejected(Reason::BadContent, "the file is not there any more");
    let path = path(media).ok_or_else(lost)?;
    let size = tokio::fs::metadata(&path).await.map_err(|_| lost())?.len();
    if size > most {
        let detail = format!("the file has {size} octets, and at most {most} are sent ({setting})");
        return Err(rejected(Reason::BadContent, detail));
    }
    tokio::fs::read(&path).await.map_err(|_| lost())
}

/// The type that is told of a file of ours.
pub fn mime(media: &Media) -> &str {
    media.mime.as_deref().unwrap_or("application/octet-stream")
}

/// Where a file of ours lies.
pub fn path(media: &Media) -> Option<PathBuf> {
    Url::parse(&media.uri)
        .ok()
        .filter(|url| url.scheme() == "file")?
        .to_file_path()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_leads_nowhere() {
        for (given, mime, kept) in [
            (Some("../../etc/passwd"), "", "passwd"),
            (Some(".."), "image/png", "attachment.png"),
            (None, "image/jpeg", "attachment.jpg"),
            (None, "application/x-strange", "attachment"),
        ] {
            assert_eq!(name(given, mime), kept);
        }
    }

    #[test]
    fn a_short_wait_that_the_provider_asks_for_is_kept() {
        let seconds = Duration::from_secs;
        assert_eq!(pause(WAITS[0], None), WAITS[0]);
        assert_eq!(pause(WAITS[0], Some(seconds(3))), seconds(3));
        assert_eq!(pause(WAITS[2], Some(seconds(1))), WAITS[2]);
        assert_eq!(pause(WAITS[1], Some(seconds(3600))), WAITS[1]);
    }

    #[test]
    fn old_files_are_taken_away_and_new_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("a"), "x").unwrap();
        let at = std::fs::metadata(folder.path().join("a"))
            .unwrap()
            .modified()
            .unwrap();
        let at = at.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as i64;
        sweep(folder.path(), Timestamp(at) + KEPT);
        assert!(folder.path().join("a").exists());
        sweep(folder.path(), Timestamp(at + 2) + KEPT);
        assert!(!folder.path().join("a").exists());
        sweep(&folder.path().join("none"), Timestamp(at));
    }

    #[test]
    fn a_file_stays_in_its_folder_whatever_it_is_called() {
        let folder = tempfile::tempdir().unwrap();
        let told = Told {
            identity: "../../MM1/0",
            name: None,
            mime: None,
        };
        let part = keep(folder.path(), &told, Some("image/png; x=y"), &[1, 2, 3]).unwrap();
        let Body::Media(media) = part.body else { panic!() };
        assert_eq!(media.mime.as_deref(), Some("image/png"));
        assert_eq!(
            std::fs::read(folder.path().join("______MM1_0")).unwrap(),
            [1, 2, 3]
        );
    }
}
