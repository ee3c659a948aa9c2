//! The default alphabet and its extension table against the codec that comes with Perl.

use std::env;
use std::io::Write;
use std::process::{Command, Stdio};

use swingbridge_wire::gsm::{self, Shifts};

/// Prints, for each character below U+3000, its code point and what `gsm0338` makes of it in hexadecimal,
/// nothing if it holds it not; and before these what it reads from each septet and each escaped septet.
const SCRIPT: &str = r#"
use strict; use warnings; use Encode;
my $gsm = find_encoding("gsm0338") or die "no gsm0338";
for my $octets ((map { chr } 0 .. 26, 28 .. 127), (map { "\x1b" . chr } 0 .. 127)) {
    my $copy = $octets;
    my $text = eval { $gsm->decode($copy, Encode::FB_CROAK) };
    printf "d %s %s\n", unpack("H*", $octets), defined $text ? sprintf("%x", ord $text) : "";
}
for my $code (1 .. 0x2fff) {
    my $text = chr $code;
    my $octets = eval { $gsm->encode($text, Encode::FB_CROAK) };
    printf "e %x %s\n", $code, defined $octets ? unpack("H*", $octets) : "";
}
"#;

#[test]
fn the_default_tables_are_perls() {
    let Some(table) = perl(SCRIPT) else {
        let required = env::var_os("CI").is_some_and(|ci| ci == "true")
            || env::var_os("LAB_REQUIRE_PEERS").is_some_and(|wanted| wanted == "1");
        assert!(!required, "perl with Encode::GSM0338 is missing");
        eprintln!("skipped: perl with Encode::GSM0338 is missing");
        return;
    };
    let mut compared = 0;
    for line in table.lines() {
        let fields: Vec<&str> = line.split(' ').collect();
        match fields[..] {
            // Perl refuses an escaped septet that is not in the table, where the specification wants the base
            // character shown; what it does read must be the same.
            ["d", octets, code] if !code.is_empty() => {
                assert_eq!(
                    gsm::decode(&unhex(octets), Shifts::default()),
                    text(code),
                    "{line}"
                );
            }
            ["d", ..] => continue,
            ["e", code, octets] => {
                let ours = gsm::encode(&text(code), Shifts::default()).ok();
                let perls = Some(unhex(octets)).filter(|octets| !octets.is_empty());
                assert_eq!(ours, perls, "{line}");
            }
            _ => panic!("what is {line:?}?"),
        }
        compared += 1;
    }
    assert!(compared > 0x2f00 + 127, "only {compared} compared");
}

fn perl(script: &str) -> Option<String> {
    let mut perl = Command::new("perl")
        .arg("-")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .ok()?;
    perl.stdin.take()?.write_all(script.as_bytes()).ok()?;
    let output = perl.wait_with_output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8(output.stdout).ok())?
}

fn text(code: &str) -> String {
    u32::from_str_radix(code, 16)
        .ok()
        .and_then(char::from_u32)
        .map(String::from)
        .unwrap()
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}
