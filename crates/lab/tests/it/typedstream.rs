//! The encoder of the lab and the decoder of `wire`, judged by decoders that others wrote.

use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use swingbridge_lab::macos::typedstream::{Attribute, Body, Order};
use swingbridge_lab::peers;
use swingbridge_wire::typedstream::{self, Attributed};

/// A "Hello" as it is seen in the wild: no encoder of ours wrote it.
const WILD: &[u8] = include_bytes!("../../../wire/src/typedstream/hello.typedstream");

/// What Messages may write: long and short, of all planes, with links, mentions, effects and files.
fn samples() -> Vec<Body> {
    let link = |url: &str| (typedstream::LINK, Attribute::Url(url.to_owned()));
    let mut samples = vec![
        Body::plain("Hello"),
        Body::plain("x"),
        Body::plain(&"long ".repeat(60)),
        Body::plain(&"longer than a short number ".repeat(3000)),
        Body::plain("Grüße 😀 👩‍👩‍👧 \u{fffd} قريب"),
        Body::default().file("at_0_1234").text("and words", &[]),
        Body::default()
            .text("see ", &[])
            .text("https://example.org/", &[link("https://example.org/")])
            .text(" 😀 and ", &[])
            .text(
                "you",
                &[(typedstream::MENTION, Attribute::Text("+447700900123".into()))],
            )
            .text(
                "!",
                &[
                    (typedstream::BOLD, Attribute::Integer(1)),
                    (typedstream::EFFECT, Attribute::Integer(-200)),
                ],
            ),
        Body::default().text(
            "data",
            &[("__kIMDataDetectedAttributeName", Attribute::Data(vec![7; 300]))],
        ),
        Body::default().text(
            "list",
            &[(
                "list",
                Attribute::List(vec![Attribute::Integer(70_000), Attribute::Text("list".into())]),
            )],
        ),
    ];
    // More different strings and objects than fit one-octet references.
    let mut many = Body::default();
    for at in 0..300 {
        many = many.text(
            &format!("{at} "),
            &[(&format!("name{at}"), Attribute::Integer(at))],
        );
    }
    samples.push(many);
    samples
}

/// Has a judge read the streams, and compares what it says with what `wire` reads: the text, and the runs where the judge tells them.
fn agree(judge: &mut Command, streams: &[Vec<u8>]) -> Vec<Attributed> {
    let mut lines = String::new();
    for bytes in streams {
        for octet in bytes {
            let _ = write!(lines, "{octet:02x}");
        }
        lines.push('\n');
    }
    let mut child = judge
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let writer = std::thread::spawn(move || stdin.write_all(lines.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    let told = String::from_utf8(output.stdout).unwrap();
    let told: Vec<Value> = told
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(told.len(), streams.len());
    let read: Vec<Attributed> = streams
        .iter()
        .map(|bytes| Attributed::decode(bytes).unwrap())
        .collect();
    for (told, read) in told.iter().zip(&read) {
        let shown: String = read.text.chars().take(40).collect();
        assert_eq!(
            told["text"].as_str(),
            Some(read.text.as_str()),
            "{shown}: {told:.200}"
        );
        if let Some(judged) = told.get("runs") {
            assert_eq!(judged, &runs(read), "{shown}");
        }
    }
    read
}

/// Of each run how many UTF-16 units it has, and the names of its attributes.
fn runs(read: &Attributed) -> Value {
    let runs = read.runs.iter().map(|run| {
        let length = read.text[run.range.clone()].encode_utf16().count();
        let names: Vec<&str> = run.attributes.iter().map(|(name, _)| name.as_str()).collect();
        json!([length, names])
    });
    runs.collect()
}

fn encoded(order: Order) -> Vec<(Body, Vec<u8>)> {
    samples()
        .into_iter()
        .map(|body| {
            let bytes = body.encode(order);
            (body, bytes)
        })
        .collect()
}

/// The judge reads the same of our encoder's streams as went into them, and of the one that is not ours.
fn judged_by(judge: &mut Command, samples: Vec<(Body, Vec<u8>)>) {
    let (bodies, mut streams): (Vec<_>, Vec<_>) = samples.into_iter().unzip();
    streams.push(WILD.to_vec());
    let read = agree(judge, &streams);
    for (read, body) in read.iter().zip(&bodies) {
        assert_eq!(read.text, body.text);
    }
    let wild = &read[bodies.len()];
    assert_eq!(wild.text, "Hello");
    assert_eq!(
        wild.runs[0].get(typedstream::MESSAGE_PART),
        Some(&typedstream::Value::Integer(0))
    );
}

/// Whether a number in it takes four octets.
fn is_wide(body: &Body) -> bool {
    let list = |(_, value): &(String, Attribute)| matches!(value, Attribute::List(_));
    body.text.len() > 32_767 || body.runs.iter().any(|(_, set)| set.iter().any(list))
}

fn script(name: &str) -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("peers").join(name)
}

#[test]
fn pytypedstream_reads_the_same_texts_and_runs() {
    let Some(python) = peers::pytypedstream() else {
        return;
    };
    for order in [Order::Little, Order::Big] {
        let mut judge = Command::new(&python);
        judged_by(judge.arg(script("read_typedstream.py")), encoded(order));
    }
}

#[test]
fn node_typedstream_reads_the_same_text() {
    let Some(folder) = peers::node_typedstream() else {
        return;
    };
    let mut node = Command::new("node");
    node.env("NODE_PATH", folder.join("node_modules"));
    // It reads two octets where a number has four, and is no judge of those.
    let mut samples = encoded(Order::Little);
    samples.retain(|(body, _)| !is_wide(body));
    assert!(samples.len() > 5);
    judged_by(node.arg(script("read_typedstream.js")), samples);
}

#[test]
fn runs_come_back_as_they_were_written() {
    for (body, bytes) in [Order::Little, Order::Big].into_iter().flat_map(encoded) {
        let read = Attributed::decode(&bytes).unwrap();
        assert_eq!(read.runs.len(), body.runs.len());
        for (read_run, (length, set)) in read.runs.iter().zip(&body.runs) {
            let stretch = &read.text[read_run.range.clone()];
            assert_eq!(stretch.encode_utf16().count(), *length);
            assert_eq!(read_run.attributes.len(), set.len());
            for (name, attribute) in set {
                let value = read_run.get(name).unwrap();
                assert!(same(value, attribute), "{name}: {value:?} for {attribute:?}");
            }
        }
    }
}

fn same(value: &typedstream::Value, attribute: &Attribute) -> bool {
    match (value, attribute) {
        (typedstream::Value::Integer(read), Attribute::Integer(written)) => *read == i64::from(*written),
        (typedstream::Value::Text(read), Attribute::Text(written) | Attribute::Url(written)) => {
            read == written
        }
        (typedstream::Value::Data(read), Attribute::Data(written)) => read == written,
        (typedstream::Value::List(read), Attribute::List(written)) => {
            read.len() == written.len()
                && read
                    .iter()
                    .zip(written)
                    .all(|(read, written)| same(read, written))
        }
        _ => false,
    }
}
