//! Uploads and authenticated downloads (Client-Server API, "Content repository").

use super::call::{Answer, Call, Outcome, done, forbid, not_found, refuse};
use super::world::{Media, Requester, World};
use serde_json::json;

impl World {
    /// `POST /_matrix/media/v3/upload`.
    pub(super) fn upload(&mut self, call: &Call, who: &Requester) -> Outcome {
        if call.body.len() > self.config.max_upload {
            return refuse(413, "M_TOO_LARGE", "Upload request body is too large");
        }
        let id = self.opaque(24);
        let media = Media {
            owner: who.user.clone(),
            mime: mime(call),
            bytes: Some(call.body.clone()),
        };
        self.media.insert(id.clone(), media);
        done(json!({"content_uri": format!("mxc://{}/{id}", self.config.server_name)}))
    }

    /// `POST /_matrix/media/v1/create`.
    pub(super) fn create_media(&mut self, who: &Requester) -> Outcome {
        let id = self.opaque(24);
        self.media.insert(
            id.clone(),
            Media {
                owner: who.user.clone(),
                mime: String::new(),
                bytes: None,
            },
        );
        let uri = format!("mxc://{}/{id}", self.config.server_name);
        done(json!({"content_uri": uri, "unused_expires_at": self.now + 86_400_000}))
    }

    /// `PUT /_matrix/media/v3/upload/{server}/{id}`.
    pub(super) fn fill_media(&mut self, call: &Call, who: &Requester, id: &str) -> Outcome {
        let largest = self.config.max_upload;
        match self.media.get_mut(id) {
            None => not_found("Unknown media ID"),
            Some(media) if media.owner != who.user => {
                forbid("Only the creator of the media ID can upload to it")
            }
            Some(media) if media.bytes.is_some() => {
                refuse(409, "M_CANNOT_OVERWRITE_MEDIA", "Media ID already has content")
            }
            Some(_) if call.body.len() > largest => {
                refuse(413, "M_TOO_LARGE", "Upload request body is too large")
            }
            Some(media) => {
                media.mime = mime(call);
                media.bytes = Some(call.body.clone());
                done(json!({}))
            }
        }
    }

    /// `GET /_matrix/client/v1/media/download/{server}/{id}`.
    pub(super) fn download(&self, server: &str, id: &str) -> Outcome {
        match self.media.get(id).filter(|_| server == self.config.server_name) {
            None => not_found("Not found"),
            Some(Media { bytes: None, .. }) => {
                refuse(504, "M_NOT_YET_UPLOADED", "Media has not been uploaded yet")
            }
            Some(Media {
                bytes: Some(bytes),
                mime,
                ..
            }) => Ok(Answer::File {
                mime: mime.clone(),
                bytes: bytes.clone(),
            }),
        }
    }
}

fn mime(call: &Call) -> String {
    call.mime
        .clone()
        .unwrap_or_else(|| "application/octet-stream".into())
}
