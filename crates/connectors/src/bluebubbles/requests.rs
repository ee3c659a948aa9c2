//! The requests that change something, each with a time limit of its own.

use super::api::{Api, Failure};
use super::shapes::{Chat, Message};
use reqwest::multipart::{Form, Part};
use serde_json::json;
use std::path::Path;
use std::time::Duration;

/// What a new message is sent with.
pub(super) struct Text<'a> {
    pub chat: &'a str,
    pub text: &'a str,
    pub temp: &'a str,
    pub reply_to: Option<&'a str>,
    pub private: bool,
}

pub(super) struct File<'a> {
    pub chat: &'a str,
    pub path: &'a Path,
    pub name: &'a str,
    pub mime: Option<&'a str>,
    pub temp: &'a str,
    pub reply_to: Option<&'a str>,
    pub voice: bool,
    pub private: bool,
}

impl Api {
    pub async fn send_text(&self, text: &Text<'_>, timeout: Duration) -> Result<Message, Failure> {
        let mut body = json!({
            "chatGuid": text.chat, "message": text.text, "tempGuid": text.temp, "method": method(text.private),
        });
        if let Some(guid) = text.reply_to {
            body["selectedMessageGuid"] = guid.into();
            body["partIndex"] = 0.into();
        }
        let request = self.sending(&["message", "text"]);
        self.read(request.timeout(timeout).json(&body)).await
    }

    pub async fn send_file(&self, file: &File<'_>, timeout: Duration) -> Result<Message, Failure> {
        let content = tokio::fs::read(file.path)
            .await
            .map_err(|error| Failure::Away(format!("the file to send cannot be read: {}", error.kind())))?;
        let part = Part::bytes(content).file_name(file.name.to_owned());
        let part = match file.mime {
            Some(mime) => part
                .mime_str(mime)
                .map_err(|_| Failure::Away("the file's type is none".to_owned()))?,
            None => part,
        };
        let mut form = Form::new()
            .text("chatGuid", file.chat.to_owned())
            .text("tempGuid", file.temp.to_owned())
            .text("name", file.name.to_owned())
            .text("method", method(file.private))
            .text("isAudioMessage", (file.voice && file.private).to_string());
        if let Some(guid) = file.reply_to {
            form = form
                .text("selectedMessageGuid", guid.to_owned())
                .text("partIndex", "0");
        }
        let form = form.part("attachment", part);
        let request = self.sending(&["message", "attachment"]);
        self.read(request.timeout(timeout).multipart(form)).await
    }

    /// Begins a chat with its first message.
    pub async fn new_chat(
        &self,
        address: &str,
        text: &str,
        temp: &str,
        private: bool,
        timeout: Duration,
    ) -> Result<Chat, Failure> {
        let body = json!({
            "addresses": [address], "message": text, "tempGuid": temp, "service": "iMessage", "method": method(private),
        });
        let request = self.sending(&["chat", "new"]);
        self.read(request.timeout(timeout).json(&body)).await
    }

    pub async fn react(
        &self,
        chat: &str,
        guid: &str,
        reaction: &str,
        timeout: Duration,
    ) -> Result<Message, Failure> {
        let body =
            json!({"chatGuid": chat, "selectedMessageGuid": guid, "reaction": reaction, "partIndex": 0});
        let request = self.sending(&["message", "react"]);
        self.read(request.timeout(timeout).json(&body)).await
    }

    pub async fn edit(&self, guid: &str, text: &str, timeout: Duration) -> Result<Message, Failure> {
        let body = json!({
            "editedMessage": text, "backwardsCompatibilityMessage": format!("Edited to “{text}”"), "partIndex": 0,
        });
        let request = self.sending(&["message", guid, "edit"]);
        self.read(request.timeout(timeout).json(&body)).await
    }

    pub async fn unsend(&self, guid: &str, timeout: Duration) -> Result<Message, Failure> {
        let request = self.sending(&["message", guid, "unsend"]);
        self.read(request.timeout(timeout).json(&json!({"partIndex": 0})))
            .await
    }
}

fn method(private: bool) -> &'static str {
    match private {
        true => "private-api",
        false => "apple-script",
    }
}
