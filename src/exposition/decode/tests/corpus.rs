//! Cases from the specifications, each with its sentence, in `tests/it/interop/corpus/`.

use std::env;
use std::fs;
use std::process::Command;

use prometheus::proto::MetricType;

use super::*;

const FILES: [&str; 2] = ["text.txt", "openmetrics.txt"];

/// A case of a file. The head of `text.txt` describes the syntax.
struct Case {
    name: String,
    text: String,
    expected: String,
}

fn cases(file: &str) -> Vec<Case> {
    let path = format!("{}/tests/it/interop/corpus/{file}", env!("CARGO_MANIFEST_DIR"));
    let corpus = fs::read_to_string(path).unwrap();
    let case = |case: &str| {
        let (head, expected) = case.split_once("--\n").unwrap();
        let mut text = String::new();
        let mut lines = head.lines();
        let name = lines.next().unwrap().to_owned();
        let sentence = lines.next().unwrap();
        assert!(sentence.starts_with("> "), "{name}: no sentence");
        for line in lines.filter(|line| !line.starts_with("@ ")) {
            text.push_str(line);
            text.push('\n');
        }
        let shown = |text: &str| text.replace("␃\n", "").replace('→', "\t").replace('␍', "\r");
        Case { name, text: shown(&text), expected: shown(expected.trim_end_matches('\n')) }
    };
    format!("\n{corpus}").split("\n== ").skip(1).map(case).collect()
}

/// Sorts families and metrics as a registry does.
fn sorted(mut families: Vec<MetricFamily>) -> Vec<MetricFamily> {
    families.sort_by(|a, b| a.name().cmp(b.name()));
    for family in &mut families {
        family.mut_metric().sort_by_key(|metric| {
            let values = metric.get_label().iter().map(|label| label.value().to_owned());
            (metric.get_label().len(), values.collect::<Vec<_>>())
        });
    }
    families
}

fn read(text: &str) -> String {
    let (families, faults) = decode(text, false);
    let mut lines = served(&sorted(families));
    if let Some((fault, line)) = faults.first {
        lines.push(format!("! {line} {fault}"));
    }
    if faults.count > 1 {
        lines.push(format!("! and {} more", faults.count - 1));
    }
    lines.join("\n")
}

/// Returns the expectation of this build. With the feature `prometheus/protobuf` untyped families are gauges.
fn in_this_build(expected: String) -> String {
    match decode("a 1", false).0[0].get_field_type() {
        MetricType::UNTYPED => expected,
        _ => expected.replace(" untyped", " gauge"),
    }
}

#[test]
fn reads_the_cases_of_the_specifications() {
    let mut wrong = Vec::new();
    let mut all = 0;
    for case in FILES.iter().flat_map(|file| cases(file)) {
        all += 1;
        let (found, expected) = (read(&case.text), in_this_build(case.expected));
        if found != expected {
            wrong
                .push(format!("== {}\n{}\n-- expected\n{expected}\n-- found\n{found}", case.name, case.text));
        }
    }
    assert!(wrong.is_empty(), "{}\n{} of {all}", wrong.join("\n"), wrong.len());
    assert!(all >= 150, "{all} cases");
}

/// Compares with the parsers of PyPI's prometheus-client. A case that differs has their result and the reason.
#[test]
#[ignore = "needs a Python with PyPI's prometheus-client: .ci/run programs"]
fn python_reads_the_corpus() {
    let python = env::var("PYTHON").expect("the interpreter is named");
    let folder = format!("{}/tests/it/interop", env!("CARGO_MANIFEST_DIR"));
    let mut command = Command::new(python);
    command.arg(format!("{folder}/corpus.py")).args(FILES.map(|file| format!("{folder}/corpus/{file}")));
    assert!(command.status().unwrap().success());
}
