//! The list of metrics against what the code emits.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use swingbridge_ops::metrics::METRICS;

#[test]
fn every_metric_that_is_emitted_is_in_the_list() {
    let listed: BTreeSet<String> = METRICS.iter().map(|metric| metric.name.to_owned()).collect();
    let emitted = emitted();
    let unlisted: Vec<_> = emitted.difference(&listed).collect();
    assert!(
        unlisted.is_empty(),
        "add these to crates/ops/src/metrics/table.rs: {unlisted:?}"
    );
}

#[test]
fn every_metric_in_the_list_is_emitted() {
    let emitted = emitted();
    let silent: Vec<_> = METRICS
        .iter()
        .filter(|metric| !emitted.contains(metric.name))
        .map(|metric| metric.name)
        .collect();
    assert!(silent.is_empty(), "nothing emits these: {silent:?}");
}

/// All texts of the source that look like the name of a metric.
fn emitted() -> BTreeSet<String> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut names = BTreeSet::new();
    let mut rooms = BTreeSet::new();
    for room in fs::read_dir(crates).unwrap() {
        let room = room.unwrap();
        rooms.insert(format!("swingbridge_{}", room.file_name().to_str().unwrap()));
        let source = room.path().join("src");
        // The lab measures for itself.
        if room.file_name() != "lab" && source.is_dir() {
            collect(&source, &mut names);
        }
    }
    names.retain(|name| !rooms.contains(name) && name != "swingbridge_");
    names
}

fn collect(folder: &Path, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs")
            && !path.ends_with("metrics/table.rs")
        {
            let text = fs::read_to_string(&path).unwrap();
            for (start, _) in text.match_indices("\"swingbridge_") {
                let name: String = text[start + 1..]
                    .chars()
                    .take_while(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || *c == '_')
                    .collect();
                if text[start + 1 + name.len()..].starts_with('"') {
                    names.insert(name);
                }
            }
        }
    }
}
