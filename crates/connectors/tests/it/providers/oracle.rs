//! Signatures against Twilio's own SDK: ours verify there, and theirs here.

use serde_json::{Value, json};
use std::path::Path;
use std::process::Stdio;
use swingbridge_connectors::twilio::signature::{Algorithm, sign, verify};
use swingbridge_lab::peers;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

#[tokio::test]
async fn twilios_own_validator_agrees() {
    let Some(python) = peers::twilio_python() else {
        return;
    };
    let forms: [&[(&str, &str)]; 5] = [
        &[],
        &[("Body", "hi"), ("From", "+15005550010"), ("To", "+15005550001")],
        &[
            ("Body", "naïve ✓ 🎉 & = + %"),
            ("body", "case"),
            ("Empty", ""),
            ("A", "1"),
        ],
        &[("MediaUrl10", "x"), ("MediaUrl1", "y"), ("MediaUrl2", "z")],
        &[("B", "2"), ("A\u{ff5e}", "above"), ("A\u{10000}", "astral")],
    ];
    let urls = [
        "https://example.org/hooks/abc",
        "https://example.org:8443/hooks?b=2&a=1",
        "http://example.org/",
        "https://example.org:443/x?y=%20z",
    ];
    let mut cases = Vec::new();
    for url in urls {
        for form in forms {
            for algorithm in [Algorithm::Sha1, Algorithm::Sha256] {
                let pairs: Vec<(String, String)> = form
                    .iter()
                    .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                    .collect();
                cases.push((url, pairs, algorithm));
            }
        }
    }
    let lines: Vec<String> = cases
        .iter()
        .map(|(url, pairs, algorithm)| {
            let params: serde_json::Map<String, Value> =
                pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
            let name = match algorithm {
                Algorithm::Sha1 => "HMAC_SHA1",
                Algorithm::Sha256 => "HMAC_SHA256",
            };
            json!({ "url": url, "params": params, "algorithm": name, "signature": sign(TOKEN, *algorithm, url, pairs) }).to_string()
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/peers/twilio_sdk.py");
    let mut child = Command::new(python)
        .arg(script)
        .args(["sign", TOKEN])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    stdin
        .write_all((lines.join("\n") + "\n").as_bytes())
        .await
        .unwrap();
    drop(stdin);
    let output = child.wait_with_output().await.unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let answers: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(answers.len(), cases.len());
    for ((url, pairs, algorithm), answer) in cases.iter().zip(answers) {
        assert_eq!(answer["valid"], true, "{url} {pairs:?}");
        let theirs = answer["signature"].as_str().unwrap();
        assert!(verify(TOKEN, *algorithm, url, pairs, theirs), "{url} {pairs:?}");
        assert!(!verify("another token", *algorithm, url, pairs, theirs));
        assert!(!verify(TOKEN, *algorithm, &format!("{url}x"), pairs, theirs));
    }
}
