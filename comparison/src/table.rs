//! Writes results as Markdown tables. Rows are peers, and each value is followed by its ratio to the first
//! row's.

use std::fmt::Write;

use crate::figures::FIGURES;
use crate::results::{Entry, Results, Value, each};

pub(crate) fn tables(results: &Results) -> String {
    let mut text = String::new();
    for figure in &FIGURES {
        let entries: Vec<&Entry> =
            results.entries.iter().filter(|entry| entry.figure == figure.key).collect();
        if entries.is_empty() {
            continue;
        }
        let _ = write!(text, "\n## {}: {}\n", figure.key, figure.title);
        for case in each(entries.iter().map(|entry| entry.case.as_str())) {
            let entries: Vec<&Entry> = entries.iter().copied().filter(|entry| entry.case == case).collect();
            table(&mut text, case, &entries);
        }
    }
    text
}

fn table(text: &mut String, case: &str, entries: &[&Entry]) {
    let quantities: Vec<&str> = each(entries.iter().map(|entry| entry.quantity))
        .into_iter()
        .filter(|quantity| !quantity.is_empty())
        .collect();
    // Missing peers come last.
    let (missing, measured): (Vec<&Entry>, Vec<&Entry>) =
        entries.iter().copied().partition(|entry| entry.quantity.is_empty());
    let rows = each(measured.into_iter().chain(missing).map(|entry| entry.row.as_str()));
    let _ = write!(
        text,
        "\n| {case} | {} |\n|{}\n",
        quantities.join(" | "),
        " --- |".repeat(quantities.len() + 1)
    );
    for row in rows {
        let _ = write!(text, "| {row} |");
        let cells: Vec<&&Entry> = entries.iter().filter(|entry| entry.row == row).collect();
        for (at, quantity) in quantities.iter().enumerate() {
            // A reason without a quantity is about the whole row, and appears once.
            let cell = cells
                .iter()
                .find(|entry| entry.quantity == *quantity || at == 0 && entry.quantity.is_empty());
            let first = entries.iter().find(|entry| entry.quantity == *quantity);
            let first = first.and_then(|entry| entry.value.number());
            let cell = cell.map_or("–".to_owned(), |entry| shown(&entry.value, first));
            let _ = write!(text, " {cell} |");
        }
        text.push('\n');
    }
}

/// Formats a value with its ratio to the first row's.
fn shown(value: &Value, first: Option<f64>) -> String {
    let number = match value {
        Value::Seconds(seconds) => duration(*seconds),
        Value::Bytes(bytes) => size(*bytes),
        Value::Count(count) => significant(*count),
        Value::None(reason) => return reason.clone(),
    };
    match (value.number(), first) {
        (Some(value), Some(first)) if first > 0.0 => format!("{number} ({:.2}×)", value / first),
        _ => number,
    }
}

fn duration(seconds: f64) -> String {
    match seconds {
        ..1e-3 => format!("{} µs", significant(seconds * 1e6)),
        ..1.0 => format!("{} ms", significant(seconds * 1e3)),
        _ => format!("{} s", significant(seconds)),
    }
}

fn size(bytes: f64) -> String {
    match bytes.abs() {
        ..1e4 => format!("{bytes:.0} B"),
        ..1e7 => format!("{} kB", significant(bytes / 1e3)),
        _ => format!("{} MB", significant(bytes / 1e6)),
    }
}

/// Formats three digits, or all before the decimal point.
fn significant(number: f64) -> String {
    let digits = match number.abs() {
        ..10.0 if number.fract() != 0.0 => 2,
        10.0..100.0 if number.fract() != 0.0 => 1,
        _ => 0,
    };
    format!("{number:.digits$}")
}
