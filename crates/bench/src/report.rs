//! Figures, as a table for people and as JSON.

use anyhow::{Context, Result};
use serde::Serialize;
use std::fmt::Write;
use std::path::{Path, PathBuf};

/// All that was measured.
#[derive(Serialize)]
pub struct Report {
    profile: String,
    parts: Vec<Part>,
}

/// One measurement with all that took part in it.
#[derive(Serialize)]
pub struct Part {
    name: String,
    figures: Vec<Figure>,
    /// What a reader must know; who was left out, and why.
    notes: Vec<String>,
}

/// What one program did.
#[derive(Clone, Debug, Serialize)]
struct Figure {
    what: String,
    who: String,
    value: f64,
    unit: &'static str,
    /// Ours by this one's; above 1 is better where more is better.
    #[serde(skip_serializing_if = "Option::is_none")]
    ratio: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aim: Option<Aim>,
}

/// What was hoped for.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Aim {
    AtLeast(f64),
    AtMost(f64),
}

impl Aim {
    fn met(self, value: f64) -> bool {
        match self {
            Aim::AtLeast(least) => value >= least,
            Aim::AtMost(most) => value <= most,
        }
    }
}

/// The name under which our own figures stand.
pub const OURS: &str = "swingbridge";

impl Report {
    pub fn new(profile: &str) -> Self {
        Self {
            profile: profile.to_owned(),
            parts: Vec::new(),
        }
    }

    /// Begins a part.
    pub fn part(&mut self, name: &str) -> &mut Part {
        self.parts.push(Part {
            name: name.to_owned(),
            figures: Vec::new(),
            notes: Vec::new(),
        });
        let last = self.parts.len() - 1;
        &mut self.parts[last]
    }

    /// Writes it as JSON; one file for each set of parts, so that a run of one part leaves the others' figures.
    ///
    /// # Errors
    /// When the folder cannot be written.
    pub fn write(&self, folder: &Path) -> Result<PathBuf> {
        std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let names: Vec<&str> = self.parts.iter().map(|part| part.name.as_str()).collect();
        let path = folder.join(format!("{}.json", names.join("-")));
        std::fs::write(&path, serde_json::to_vec_pretty(self)?)?;
        Ok(path)
    }
}

impl Part {
    /// A figure of ours.
    pub fn ours(&mut self, what: &str, value: f64, unit: &'static str, aim: Option<Aim>) {
        self.figures.push(Figure {
            what: what.to_owned(),
            who: OURS.to_owned(),
            value,
            unit,
            ratio: None,
            aim,
        });
    }

    /// A peer's figure for something of which ours is known already.
    pub fn peer(&mut self, what: &str, who: &str, value: f64, unit: &'static str) {
        let ours = self
            .figures
            .iter()
            .find(|figure| figure.what == what && figure.who == OURS);
        let ratio = ours.filter(|_| value > 0.0).map(|figure| figure.value / value);
        self.figures.push(Figure {
            what: what.to_owned(),
            who: who.to_owned(),
            value,
            unit,
            ratio,
            aim: None,
        });
    }

    pub fn note(&mut self, note: impl Into<String>) {
        self.notes.push(note.into());
    }

    /// For people.
    pub fn table(&self) -> String {
        let mut table = format!("\n{}\n", self.name);
        for figure in &self.figures {
            let mut end = String::new();
            if let Some(ratio) = figure.ratio {
                let _ = write!(end, "  ours is {ratio:.2} times that");
            }
            if let Some(aim) = figure.aim {
                let (word, bound) = match aim {
                    Aim::AtLeast(bound) => ("at least", bound),
                    Aim::AtMost(bound) => ("at most", bound),
                };
                let verdict = if aim.met(figure.value) { "met" } else { "missed" };
                let _ = write!(end, "  aim {word} {}: {verdict}", number(bound));
            }
            let _ = writeln!(
                table,
                "  {:<44} {:<28} {:>12} {:<9}{end}",
                figure.what,
                figure.who,
                number(figure.value),
                figure.unit
            );
        }
        for note in &self.notes {
            let _ = writeln!(table, "  note: {note}");
        }
        table
    }
}

/// Large ones without a fraction and with their thousands apart.
fn number(value: f64) -> String {
    if value.abs() < 100.0 {
        return format!("{value:.2}");
    }
    let digits = format!("{value:.0}");
    let mut out = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at) % 3 == 0 {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// The middle one.
pub fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_ratios_and_verdicts() {
        let mut report = Report::new("test");
        let part = report.part("session");
        part.ours("rate", 120_000.0, "/s", Some(Aim::AtLeast(100_000.0)));
        part.peer("rate", "other", 60_000.0, "/s");
        part.ours("time", 7.5, "ms", Some(Aim::AtMost(5.0)));
        let table = part.table();
        assert!(
            table.contains("120 000 /s") && table.contains("aim at least 100 000: met"),
            "{table}"
        );
        assert!(table.contains("ours is 2.00 times that"), "{table}");
        assert!(table.contains("aim at most 5.00: missed"), "{table}");
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut [9.0, 1.0, 5.0]), 5.0);
        assert_eq!(median(&mut []), 0.0);
    }
}
