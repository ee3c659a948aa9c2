//! The server's events: socket.io version 4 over the websocket transport of engine.io version 4, as much of them as listening
//! takes (open, ping and pong, connect, event).

use super::api::Api;
use data_encoding::BASE64;
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::Value;
use std::time::Duration;
use swingbridge_domain::clock::Entropy;
use tokio::sync::mpsc::Sender;
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Message as Frame, Utf8Bytes};

const OPENING: Duration = Duration::from_secs(20);

/// What was heard.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Heard {
    /// Events come from now on.
    Connected,
    Event {
        name: String,
        data: Value,
    },
}

/// One packet of engine.io with what it carries.
#[derive(Debug, PartialEq)]
enum Packet<'a> {
    Open(&'a str),
    Close,
    Ping(&'a str),
    Connected,
    /// The server ends it, or refuses.
    Ended,
    Event(&'a str),
    Other,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Open {
    ping_interval: u64,
    ping_timeout: u64,
}

/// Listens until the connection ends, and says why it ended; holds no address.
pub(super) async fn listen(api: &Api, entropy: &dyn Entropy, heard: &Sender<Heard>) -> String {
    match try_listen(api, entropy, heard).await {
        Ok(()) => "the server ended it".to_owned(),
        Err(why) => why,
    }
}

async fn try_listen(api: &Api, entropy: &dyn Entropy, heard: &Sender<Heard>) -> Result<(), String> {
    let mut nonce = [0; 16];
    entropy.fill(&mut nonce);
    let key = BASE64.encode(&nonce);
    let opening = async {
        let answer = api
            .events(&key)
            .send()
            .await
            .map_err(|error| error.without_url().to_string())?;
        if answer.status().as_u16() != 101 {
            return Err(format!("the server answers {}", answer.status()));
        }
        let accepted = answer
            .headers()
            .get("sec-websocket-accept")
            .is_some_and(|value| value.as_bytes() == derive_accept_key(key.as_bytes()).as_bytes());
        if !accepted {
            return Err("who answers speaks no websocket".to_owned());
        }
        answer
            .upgrade()
            .await
            .map_err(|error| error.without_url().to_string())
    };
    let io = timeout(OPENING, opening)
        .await
        .map_err(|_| "it took too long to open".to_owned())??;
    let limits = WebSocketConfig::default()
        .max_message_size(Some(100 << 20))
        .max_frame_size(Some(100 << 20));
    let mut socket = WebSocketStream::from_raw_socket(io, Role::Client, Some(limits)).await;

    let mut silence = OPENING;
    loop {
        let frame = match timeout(silence, socket.next()).await {
            Err(_) => return Err("nothing is heard of it".to_owned()),
            Ok(None) => return Ok(()),
            Ok(Some(Err(error))) => return Err(error.to_string()),
            Ok(Some(Ok(frame))) => frame,
        };
        let text = match &frame {
            Frame::Text(text) => text.as_str(),
            Frame::Close(_) => return Ok(()),
            _ => continue,
        };
        match packet(text) {
            Packet::Open(details) => {
                if let Ok(open) = serde_json::from_str::<Open>(details) {
                    let interval = open.ping_interval.saturating_add(open.ping_timeout);
                    silence = Duration::from_millis(interval.clamp(1_000, 600_000));
                }
                say(&mut socket, "40").await?;
            }
            Packet::Ping(with) => say(&mut socket, &format!("3{with}")).await?,
            Packet::Connected => {
                if heard.send(Heard::Connected).await.is_err() {
                    return Ok(());
                }
            }
            Packet::Event(arguments) => {
                let event = event(arguments);
                if let Some(event) = event
                    && heard.send(event).await.is_err()
                {
                    return Ok(());
                }
            }
            Packet::Ended | Packet::Close => {
                return Err("the server ended it: the password may be wrong".to_owned());
            }
            Packet::Other => {}
        }
    }
}

async fn say<S>(socket: &mut WebSocketStream<S>, text: &str) -> Result<(), String>
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    socket
        .send(Frame::Text(Utf8Bytes::from(text)))
        .await
        .map_err(|error| error.to_string())
}

fn packet(text: &str) -> Packet<'_> {
    let Some((kind, rest)) = text.split_at_checked(1) else {
        return Packet::Other;
    };
    match kind {
        "0" => Packet::Open(rest),
        "1" => Packet::Close,
        "2" => Packet::Ping(rest),
        "4" => match rest.split_at_checked(1) {
            Some(("0", _)) => Packet::Connected,
            Some(("1" | "4", _)) => Packet::Ended,
            // `2[…]`; a number before the bracket asks for an acknowledgement, which the server never does.
            Some(("2", arguments)) => {
                Packet::Event(arguments.trim_start_matches(|c: char| c.is_ascii_digit()))
            }
            _ => Packet::Other,
        },
        _ => Packet::Other,
    }
}

fn event(arguments: &str) -> Option<Heard> {
    let mut arguments: Vec<Value> = serde_json::from_str(arguments).ok()?;
    if arguments.is_empty() {
        return None;
    }
    let Value::String(name) = arguments.remove(0) else {
        return None;
    };
    let data = match arguments.is_empty() {
        true => Value::Null,
        false => arguments.remove(0),
    };
    Some(Heard::Event { name, data })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_are_told_apart() {
        assert_eq!(packet("0{\"sid\":\"a\"}"), Packet::Open("{\"sid\":\"a\"}"));
        assert_eq!(packet("2"), Packet::Ping(""));
        assert_eq!(packet("2probe"), Packet::Ping("probe"));
        assert_eq!(packet("40{\"sid\":\"b\"}"), Packet::Connected);
        assert_eq!(packet("42[\"a\",1]"), Packet::Event("[\"a\",1]"));
        assert_eq!(packet("427[\"a\",1]"), Packet::Event("[\"a\",1]"));
        assert_eq!(packet("41"), Packet::Ended);
        assert_eq!(packet("44{\"message\":\"no\"}"), Packet::Ended);
        for foreign in ["", "4", "9", "é", "6"] {
            assert_eq!(packet(foreign), Packet::Other, "{foreign}");
        }
    }

    #[test]
    fn events_without_a_name_are_passed_over() {
        for wrong in ["", "[]", "[1]", "{}", "[\"a\""] {
            assert_eq!(event(wrong), None, "{wrong}");
        }
        let heard = event("[\"new-message\",{\"guid\":\"A\"}]");
        assert!(
            matches!(heard, Some(Heard::Event { name, data }) if name == "new-message" && data["guid"] == "A")
        );
    }
}
