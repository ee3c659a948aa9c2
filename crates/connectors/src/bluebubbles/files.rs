//! Files that came: each is brought once, to the media folder, however often it is asked for.

use super::api::{Api, Failure};
use super::shapes::Attachment;
use crate::provider::files::kind;
use futures_util::StreamExt;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use swingbridge_domain::message::{Media, MediaKind};
use tokio::io::AsyncWriteExt;
use tokio::time::timeout;

/// How long what follows a file waits for it. It goes on being brought after that.
const PATIENCE: Duration = Duration::from_secs(20);

pub(super) struct Files {
    /// Where they are kept for two weeks; by then they are in their rooms.
    pub folder: PathBuf,
    running: Arc<Mutex<HashSet<String>>>,
}

/// Why a file is not here.
pub(super) enum Absent {
    /// It is on its way, or may be there later.
    NotYet,
    /// The server cannot be asked now.
    Server(Failure),
}

impl Files {
    pub fn new(folder: &Path) -> Self {
        Self {
            folder: folder.join("media"),
            running: Arc::default(),
        }
    }

    /// Brings a file. `force`: have the Mac load it from Apple's store when it has it no more.
    pub async fn bring(
        &self,
        api: &Arc<Api>,
        attachment: &Attachment,
        voice: bool,
        force: bool,
    ) -> Result<Media, Absent> {
        let path = self.folder.join(file_name(attachment));
        if !path.exists() {
            let begun = self
                .running
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .insert(attachment.guid.clone());
            if !begun {
                return Err(Absent::NotYet);
            }
            let (api, running, attachment) = (api.clone(), self.running.clone(), attachment.clone());
            let to = path.clone();
            let bringing = tokio::spawn(async move {
                let mut outcome = fetch(&api, &attachment, &to, false).await;
                if force && matches!(outcome, Err(Failure::Missing | Failure::Failed { .. })) {
                    outcome = fetch(&api, &attachment, &to, true).await;
                }
                running
                    .lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .remove(&attachment.guid);
                outcome
            });
            match timeout(PATIENCE, bringing).await {
                Err(_) | Ok(Err(_)) => return Err(Absent::NotYet),
                // The row is there before the file is: both answers may change.
                Ok(Ok(Err(Failure::Missing | Failure::Failed { .. } | Failure::Lost(_)))) => {
                    return Err(Absent::NotYet);
                }
                Ok(Ok(Err(failure))) => return Err(Absent::Server(failure)),
                Ok(Ok(Ok(()))) => {}
            }
        }
        Ok(media(attachment, &path, voice))
    }

    /// Keeps a picture under a name of its own, so that another one is another file.
    pub async fn keep(&self, name: &str, mime: &str, content: &[u8]) -> std::io::Result<Media> {
        let path = self.folder.join(safe(name));
        tokio::fs::create_dir_all(&self.folder).await?;
        write(&path, content).await?;
        Ok(Media {
            kind: MediaKind::Image,
            name: safe(name),
            mime: Some(mime.to_owned()),
            size: u64::try_from(content.len()).ok(),
            uri: uri(&path),
            ..Media::default()
        })
    }
}

async fn fetch(api: &Api, attachment: &Attachment, to: &Path, force: bool) -> Result<(), Failure> {
    let answer = api.download(attachment, force).await?;
    let away = |error: std::io::Error| Failure::Away(format!("the media folder cannot be written: {error}"));
    if let Some(folder) = to.parent() {
        tokio::fs::create_dir_all(folder).await.map_err(away)?;
    }
    let beside = to.with_extension("part");
    let mut file = tokio::fs::File::create(&beside).await.map_err(away)?;
    let mut stream = answer.bytes_stream();
    while let Some(piece) = stream.next().await {
        let piece = piece.map_err(|error| Failure::Lost(error.without_url().to_string()))?;
        file.write_all(&piece).await.map_err(away)?;
    }
    file.flush().await.map_err(away)?;
    drop(file);
    tokio::fs::rename(&beside, to).await.map_err(away)
}

async fn write(path: &Path, content: &[u8]) -> std::io::Result<()> {
    let beside = path.with_extension("part");
    tokio::fs::write(&beside, content).await?;
    tokio::fs::rename(&beside, path).await
}

fn media(attachment: &Attachment, path: &Path, voice: bool) -> Media {
    let mime = attachment.mime_type.clone();
    let shown_as = match mime.as_deref().and_then(|mime| mime.split('/').next()) {
        _ if attachment.is_sticker == Some(true) => MediaKind::Sticker,
        Some("audio") if voice => MediaKind::Voice,
        // A voice note of Messages has a type that is not always given.
        None if voice => MediaKind::Voice,
        _ => kind(mime.as_deref().unwrap_or_default()),
    };
    Media {
        kind: shown_as,
        name: attachment
            .transfer_name
            .clone()
            .unwrap_or_else(|| "file".to_owned()),
        mime,
        size: std::fs::metadata(path)
            .map(|about| about.len())
            .ok()
            .or(attachment.total_bytes),
        uri: uri(path),
        ..Media::default()
    }
}

fn uri(path: &Path) -> String {
    let whole = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    url::Url::from_file_path(whole).map_or_else(|()| String::new(), |url| url.to_string())
}

/// The guid tells files of one name apart; a name from outside is no path.
fn file_name(attachment: &Attachment) -> String {
    let name = attachment.transfer_name.as_deref().unwrap_or("file");
    format!("{}-{}", safe(&attachment.guid), safe(name))
}

fn safe(name: &str) -> String {
    let kept: String = name
        .chars()
        .map(|c| match c {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '-' | '_' | '.' => c,
            _ => '_',
        })
        .collect();
    // The end of a name tells its kind; file systems take 255 octets.
    let from = kept.len().saturating_sub(100);
    kept[from..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_from_outside_leads_nowhere_else() {
        let attachment = Attachment {
            guid: "../at_0/1".into(),
            transfer_name: Some("../../etc/passwd".into()),
            ..Attachment::default()
        };
        let name = file_name(&attachment);
        assert!(!name.contains('/'), "{name}");
        assert_eq!(Path::new("media").join(&name).parent(), Some(Path::new("media")));
        assert!(safe(&"é".repeat(300)).len() <= 100);
    }
}
