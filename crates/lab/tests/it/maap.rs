//! The operator's platform, as a bot that others wrote sees it.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use swingbridge_lab::maap::{BOT, Maap, TOKEN};
use swingbridge_lab::peers;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::process::Command;

#[tokio::test]
async fn a_foreign_bot_understands_it() {
    let Some(python) = peers::rcs_chatbot_python() else {
        return;
    };
    let platform = Maap::start().await.unwrap();
    let phone = platform.phone("+447700900123");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("peers/maap_bot.py");
    let mut bot = Command::new(python)
        .arg(script)
        .args([&platform.url(), BOT, TOKEN, "9"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(bot.stdout.take().unwrap()).lines();
    let mut next = async || -> Value {
        let line = lines.next_line().await.unwrap().expect("the bot ended early");
        serde_json::from_str(&line).unwrap()
    };
    platform.hook(next().await["webhook"].as_str().unwrap());
    bot.stdin.take().unwrap().write_all(b"go\n").await.unwrap();
    let said = next().await;
    let ids: Vec<&str> = said["ids"]
        .as_array()
        .unwrap()
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let sent = phone.messages();
    assert_eq!(sent.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), ids);
    let refused = [
        "the contact cannot be reached by RCS",
        "the token is not known",
        "textMessage is empty",
    ];
    assert_eq!(said["refused"], json!(refused));
    // What the phone did comes to it in the forms that it knows: five were delivered already.
    phone.displays(ids[0]);
    assert!(phone.taps(ids[1], 0));
    phone.writes("hi");
    phone.types(true);
    let heard = next().await;
    let heard = heard["heard"].as_array().unwrap();
    let kinds: Vec<&str> = heard.iter().map(|one| one[0].as_str().unwrap()).collect();
    let mut expected = vec!["messageStatus"; 6];
    expected.extend(["response", "message", "isTyping"]);
    assert_eq!(kinds, expected);
    let data = heard[6][2]
        .pointer("/suggestedResponse/response/reply/postback/data")
        .unwrap();
    assert_eq!(data, "yes");
    assert_eq!(heard[7][2]["textMessage"], "hi");
    assert_eq!(heard[7][1], "+447700900123");
    assert!(bot.wait().await.unwrap().success());
}
