//! Files: from this machine to the homeserver, encrypted, and back.

use super::{Puppet, failure};
use crate::api::{net, refused};
use crate::failure::Failure;
use crate::media::{self, Fetched, Parcel, Uploaded, parts, patience};
use futures_util::FutureExt;
use matrix_sdk::Client;
use matrix_sdk::config::RequestConfig;
use ruma::OwnedMxcUri;
use ruma::api::client::media::create_content;
use swingbridge_domain::message::Media;

/// The folder in the puppet's, of files that were brought.
pub(super) const SPOOL: &str = "spool";

impl Puppet {
    /// Encrypts and uploads a file of this machine.
    pub(super) async fn upload(&self, client: &Client, media: &Media) -> Result<Uploaded, Failure> {
        let mut parcel = Parcel::pack(media, self.config.media_limit, true).await?;
        let bytes = std::mem::take(&mut parcel.bytes);
        let uri = put(client, bytes, &parcel.mime).await?;
        parcel.at(uri)
    }

    /// Where a contact's picture is on the homeserver, in the clear, as the pictures of rooms and people there are. It is uploaded once.
    pub(super) async fn picture_uri(&self, picture: &Media) -> Result<String, Failure> {
        if picture.uri.starts_with("mxc://") {
            return Ok(picture.uri.clone());
        }
        let read = media::read(picture).await?;
        if let Some(uri) = self.ledger.picture(&read.digest).await? {
            return Ok(uri);
        }
        let uri = put(&self.client, read.bytes, &read.mime).await?.to_string();
        self.ledger.keep_picture(&read.digest, &uri).await?;
        Ok(uri)
    }

    /// Brings a file of the owner's to this machine and opens it.
    pub(super) async fn bring(&self, media: &Media) -> Result<Media, Failure> {
        let (server, id) = parts(&media.uri).ok_or_else(|| Failure::invalid("mxc URI"))?;
        let file = self.download(server, id).await?;
        self.spool.keep(media, file).await
    }

    async fn download(&self, server: &str, id: &str) -> Result<Fetched, Failure> {
        let base = self.config.homeserver.as_str().trim_end_matches('/').to_owned();
        let mut renewed = false;
        let mut bases = ["/_matrix/client/v1/media/download", "/_matrix/media/v3/download"]
            .into_iter()
            .peekable();
        let answer = loop {
            let Some(path) = bases.peek() else {
                return Err(Failure::away("no answer"));
            };
            let token = self.client.access_token().unwrap_or_default();
            let address = format!("{base}{path}/{server}/{id}");
            let request = self.client.http_client().get(address).bearer_auth(token);
            let answer = tokio::time::timeout(self.config.request_timeout, request.send()).await;
            let answer = answer
                .map_err(|_| Failure::away("it did not answer in time"))?
                .map_err(|error| net(&error))?;
            if answer.status().is_success() {
                break answer;
            }
            match refused(answer).await {
                failure if failure.is_unknown_token() && !renewed => {
                    renewed = true;
                    if self.client.refresh_access_token().boxed().await.is_err() {
                        return Err(failure);
                    }
                }
                // There is no such path; what there is may be the old one.
                failure if failure.refused_as("M_UNRECOGNIZED") => {
                    bases.next();
                    if bases.peek().is_none() {
                        return Err(failure);
                    }
                }
                failure => return Err(failure),
            }
        };
        Ok(Fetched::new(answer, self.config.request_timeout))
    }
}

async fn put(client: &Client, bytes: Vec<u8>, mime: &str) -> Result<OwnedMxcUri, Failure> {
    let patience = patience(bytes.len());
    let mut request = create_content::v3::Request::new(bytes);
    request.content_type = Some(mime.to_owned());
    let limits = RequestConfig::new().disable_retry().timeout(patience);
    let sent = client.send(request).with_request_config(limits).await;
    Ok(sent.map_err(failure::http)?.content_uri)
}
