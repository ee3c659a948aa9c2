//! `cargo xtask test`: everything that must hold, in order, up to the first step that fails.

use std::{
    io::{BufRead, BufReader, IsTerminal, Read, Write},
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, bail};

use crate::{
    dist, floors, gen_docs, licences,
    peers::{self, Peers},
    process::{cargo, look_at_disk, run as run_shown, seconds, succeeds, target},
    units,
};

/// Everything: the relay for devices is left out of a plain build.
const WHOLE: [&str; 2] = ["--features", "swingbridge/device"];

#[derive(Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// Also the tests marked `#[ignore]`: long ones, against heavier peers.
    long: bool,
    /// Only tests whose names hold this; the other steps are left out.
    filter: Option<String>,
}

impl Options {
    pub fn parse(arguments: &[&str]) -> Result<Self> {
        let mut options = Self::default();
        for argument in arguments {
            match *argument {
                "--long" => options.long = true,
                flag if flag.starts_with('-') => bail!("`cargo xtask test` has no option {flag}"),
                filter if options.filter.is_none() => options.filter = Some(filter.to_owned()),
                second => bail!("one filter is enough: {second}"),
            }
        }
        Ok(options)
    }
}

impl Options {
    fn wants(&self, test: &str) -> bool {
        self.filter.as_ref().is_none_or(|filter| test.contains(filter))
    }
}

pub fn run(options: &Options) -> Result<()> {
    look_at_disk();
    let start = Instant::now();
    let mut report = Report::default();
    let outcome = steps(options, &mut report);
    println!("\nsummary");
    for (name, time) in &report.passed {
        println!("  ok      {name:<12} {}", seconds(*time));
    }
    if let Err(error) = &outcome {
        println!("  FAILED  {error:#}");
    }
    for missing in &report.missing {
        println!("  SKIPPED the tests against {missing}");
    }
    println!("  {} in all", seconds(start.elapsed()));
    println!("{}", report.counts);
    outcome
}

fn steps(options: &Options, report: &mut Report) -> Result<()> {
    let required = std::env::var_os("CI").is_some_and(|ci| ci == "true");
    if options.filter.is_none() {
        report.step("formatting", || {
            run_shown(cargo().args(["fmt", "--all", "--check"]))
        })?;
        report.step("clippy", || {
            // A gateway without the device's client is what the demo builds.
            run_shown(
                cargo()
                    .args(["clippy", "--workspace", "--all-targets"])
                    .args(WHOLE)
                    .args(["--", "-D", "warnings"]),
            )
        })?;
        report.step("floors", floors::run)?;
        report.step("licences", licences::run)?;
        report.step("units", || units::run(required))?;
        report.step("build", build_tests)?;
        report.step("generated", gen_docs::check_by_tests)?;
    }
    let peers = report.step("peers", || peers::set_up(options.long, required))?;
    report.missing.clone_from(&peers.missing);
    let mut counts = Counts::default();
    let tests = report.step("tests", || run_tests(options, &peers, required, &mut counts));
    report.counts.add(&counts);
    tests?;
    if options.long && options.wants(ON_A_PHONE) {
        if peers::can_run_phone() {
            let mut counts = Counts::default();
            let tests = report.step("phone build", || test_phone_build(&peers, required, &mut counts));
            report.counts.add(&counts);
            tests?;
        } else {
            // Named with the peers already, or refused there.
            println!("\nphone build: skipped, for want of qemu");
        }
    }
    if options.filter.is_none() {
        let mut counts = Counts::default();
        let tests = report.step("doc tests", || {
            run_counted(
                cargo()
                    .args(["test", "--workspace", "--doc", "--no-fail-fast"])
                    .args(WHOLE),
                &mut counts,
            )
        });
        report.counts.add(&counts);
        tests?;
    }
    Ok(())
}

/// All that the tests are, so that what comes next finds the program built.
fn build_tests() -> Result<()> {
    run_shown(
        cargo()
            .args(["test", "--workspace", "--lib", "--bins", "--tests", "--no-run"])
            .args(WHOLE),
    )
}

fn run_tests(options: &Options, peers: &Peers, required: bool, counts: &mut Counts) -> Result<()> {
    let mut command = cargo();
    if succeeds("cargo-nextest", &["nextest", "--version"]) {
        command
            .args(["nextest", "run", "--workspace", "--no-fail-fast"])
            .args(WHOLE);
        if options.long {
            command.args(["--run-ignored", "all"]);
        }
        command.args(&options.filter);
    } else {
        command.args([
            "test",
            "--workspace",
            "--lib",
            "--bins",
            "--tests",
            "--no-fail-fast",
        ]);
        command.args(WHOLE).args(&options.filter);
        if options.long {
            command.args(["--", "--include-ignored"]);
        }
    }
    command.envs(peers.environment(required));
    run_counted(&mut command, counts)?;
    if counts.passed == 0 {
        bail!("no test ran");
    }
    Ok(())
}

/// The test that is run once more with the program for phones.
const ON_A_PHONE: &str = "device::mirror::a_phone_is_mirrored_encrypted_and_the_homeserver_reads_nothing";

/// Builds the program for phones, and lets it mirror a phone's messages both ways.
fn test_phone_build(peers: &Peers, required: bool, counts: &mut Counts) -> Result<()> {
    let program = dist::run(&dist::Options::phone())?;
    let witness = target().join("dist/started");
    std::fs::write(&witness, "")?;
    let mut command = cargo();
    if succeeds("cargo-nextest", &["nextest", "--version"]) {
        command.args(["nextest", "run", "--workspace"]).args(WHOLE);
        command.args(["-E", &format!("package(swingbridge) & test(={ON_A_PHONE})")]);
    } else {
        command.args(["test", "--workspace", "--test", "it"]).args(WHOLE);
        command.args(["--", "--exact", ON_A_PHONE]);
    }
    command
        .envs(peers.environment(required))
        .env("LAB_PROGRAM", dist::launcher(&program, &witness)?);
    run_counted(&mut command, counts)?;
    if counts.passed != 1 {
        bail!("{} tests ran for one", counts.passed);
    }
    let starts = std::fs::read_to_string(&witness)?.lines().count();
    if starts == 0 {
        bail!("the test passed, but never started {}", program.display());
    }
    println!(
        "phone build: mirrored both ways; {} was started {starts} times",
        program.display()
    );
    Ok(())
}

#[derive(Default)]
struct Report {
    passed: Vec<(&'static str, Duration)>,
    /// Peers that could not be had.
    missing: Vec<String>,
    counts: Counts,
}

impl Report {
    fn step<T>(&mut self, name: &'static str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        println!("\n── {name}");
        let start = Instant::now();
        let done =
            work().with_context(|| format!("step `{name}` failed after {}", seconds(start.elapsed())))?;
        self.passed.push((name, start.elapsed()));
        println!("── {name}: ok in {}", seconds(start.elapsed()));
        Ok(done)
    }
}

/// Tests by outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

impl std::fmt::Display for Counts {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "{} passed, {} failed", self.passed, self.failed)?;
        if self.skipped > 0 {
            write!(formatter, ", {} skipped", self.skipped)?;
        }
        Ok(())
    }
}

impl Counts {
    fn add(&mut self, more: &Self) {
        self.passed += more.passed;
        self.failed += more.failed;
        self.skipped += more.skipped;
    }

    /// What a line of nextest or of libtest counts, if it is one of their closing lines.
    fn of_line(line: &str) -> Self {
        let line = without_colour(line);
        let mut counts = Self::default();
        // A failed test's own output is shown again, indented, and ends in a line of libtest that must not count.
        let tail = match line.strip_prefix("test result: ") {
            Some(tail) => Some(tail),
            None if line.trim_start().starts_with("Summary [") => {
                line.split_once(" run: ").map(|(_, tail)| tail)
            }
            None => None,
        };
        let Some(tail) = tail else { return counts };
        for part in tail.split([',', ';', '.']) {
            let mut words = part.split_whitespace();
            let Some(number) = words.next().and_then(|word| word.parse::<u64>().ok()) else {
                continue;
            };
            match words.next() {
                Some("passed") => counts.passed += number,
                Some("failed" | "timed" | "exec") => counts.failed += number,
                Some("skipped" | "ignored") => counts.skipped += number,
                _ => {}
            }
        }
        counts
    }
}

/// Runs with the output shown as it comes, and counts the tests in it.
fn run_counted(command: &mut Command, counts: &mut Counts) -> Result<()> {
    if std::io::stdout().is_terminal() {
        command.env("CARGO_TERM_COLOR", "always");
    }
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run the tests")?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    thread::scope(|scope| -> Result<()> {
        let errors = scope.spawn(|| show_and_count(stderr, std::io::stderr()));
        counts.add(&show_and_count(stdout, std::io::stdout())?);
        counts.add(
            &errors
                .join()
                .map_err(|_| anyhow::anyhow!("a reader of output panicked"))??,
        );
        Ok(())
    })?;
    let status = child.wait()?;
    match (status.success(), counts.failed) {
        (true, _) => {}
        (false, 0) => bail!("the test run ended with {status}"),
        (false, failed) => bail!("{failed} tests failed"),
    }
    Ok(())
}

fn show_and_count(from: Option<impl Read>, mut to: impl Write) -> Result<Counts> {
    let mut counts = Counts::default();
    let Some(from) = from else { return Ok(counts) };
    let mut from = BufReader::new(from);
    let mut line = Vec::new();
    while from.read_until(b'\n', &mut line)? > 0 {
        to.write_all(&line)?;
        to.flush()?;
        counts.add(&Counts::of_line(&String::from_utf8_lossy(&line)));
        line.clear();
    }
    Ok(counts)
}

/// The line without its terminal colours (`ESC [ … m`).
fn without_colour(line: &str) -> String {
    let mut plain = String::new();
    let mut parts = line.split("\u{1b}[");
    plain.push_str(parts.next().unwrap_or_default());
    for part in parts {
        plain.push_str(part.split_once('m').map_or(part, |(_, rest)| rest));
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(passed: u64, failed: u64, skipped: u64) -> Counts {
        Counts {
            passed,
            failed,
            skipped,
        }
    }

    #[test]
    fn nextest_is_counted() {
        let line = "     Summary [   0.005s] 3 tests run: 3 passed (1 slow), 2 skipped";
        assert_eq!(Counts::of_line(line), counts(3, 0, 2));
        let line = "Summary [ 9.1s] 1/6 tests run: 2 passed, 1 failed, 2 timed out, 1 exec failed, 0 skipped";
        assert_eq!(Counts::of_line(line), counts(2, 4, 0));
        let line = "\u{1b}[32;1m     Summary\u{1b}[0m [   0.2s] \u{1b}[1m1\u{1b}[0m test run: \u{1b}[1m1\u{1b}[0m \u{1b}[32;1mpassed\u{1b}[0m, \u{1b}[1m0\u{1b}[0m \u{1b}[33;1mskipped\u{1b}[0m";
        assert_eq!(Counts::of_line(line), counts(1, 0, 0));
    }

    #[test]
    fn libtest_is_counted() {
        let line = "test result: FAILED. 3 passed; 1 failed; 2 ignored; 0 measured; 7 filtered out; finished in 0.00s";
        assert_eq!(Counts::of_line(line), counts(3, 1, 2));
        assert_eq!(
            Counts::of_line("test tests::three_passed ... ok"),
            Counts::default()
        );
    }

    #[test]
    fn what_a_failed_test_printed_is_not_counted() {
        let line = "    test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 20 filtered out";
        assert_eq!(Counts::of_line(line), Counts::default());
        assert_eq!(
            Counts::of_line("    1 test run: 1 passed, 0 skipped"),
            Counts::default()
        );
    }

    #[test]
    fn the_closing_line_is_plain() {
        assert_eq!(counts(312, 0, 0).to_string(), "312 passed, 0 failed");
        assert_eq!(counts(312, 1, 4).to_string(), "312 passed, 1 failed, 4 skipped");
    }

    #[test]
    fn options_are_strict() {
        let parsed = Options::parse(&["--long", "smpp"]).unwrap();
        assert_eq!(
            parsed,
            Options {
                long: true,
                filter: Some("smpp".into())
            }
        );
        assert!(Options::parse(&["--fast"]).is_err());
        assert!(Options::parse(&["one", "two"]).is_err());
    }
}
