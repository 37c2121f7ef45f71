//! Writes results to stdout and messages to stderr, sanitized. A reader that went away (`| head`) ends the writing, not
//! the work; any other failed write is a failure of the command.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::commands::exit::Exit;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::sanitize;

/// The error of the first failed write to stdout; later output is dropped.
static BROKEN: Mutex<Option<io::Error>> = Mutex::new(None);

/// A line on stdout, or several.
pub(super) fn line(text: &str) {
    put(&sanitize::lines(text));
}

/// A JSON document on stdout, its keys in order: the values as they are, escaped.
pub(super) fn json(document: &impl Serialize) -> Outcome<()> {
    let document = serde_json::to_value(document)
        .map_err(|error| Fault::new(Kind::Final, "the JSON document cannot be written").because(error))?;
    put(&sanitize::json(&document.to_string()));
    Ok(())
}

fn put(text: &str) {
    let mut broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner);
    if broken.is_some() {
        return;
    }
    let mut stdout = io::stdout().lock();
    *broken = writeln!(stdout, "{text}").and_then(|()| stdout.flush()).err();
}

/// Returns the error of a failed write to stdout. Called once, at the end.
pub fn finish() -> Outcome<()> {
    let broken = BROKEN.lock().unwrap_or_else(PoisonError::into_inner).take();
    match broken.map_or_else(|| io::stdout().flush(), Err) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Fault::new(Kind::Final, "the output cannot be written")
                .because(error)
                .hint("look at where stdout goes: a full disk, a closed file? What the command did is done"))
        }
        _ => Ok(()),
    }
}

/// Prints the output of the argument parser: help and version on stdout, errors on stderr.
pub fn usage(error: &clap::Error) -> Exit {
    let written = error.print();
    if error.use_stderr() {
        // Nobody reads stderr either.
        return Exit::Settings;
    }
    *BROKEN.lock().unwrap_or_else(PoisonError::into_inner) = written.err();
    Exit::Done
}

/// A line on stderr, or several.
pub(super) fn note(text: &str) {
    // A failed write to stderr cannot be reported.
    let _ = writeln!(io::stderr().lock(), "{}", sanitize::lines(text));
}

/// An error on stderr: what failed, why, what to do, in that order. Further lines are indented: none looks like an error
/// of its own.
pub fn print_fault(fault: &Fault) {
    let within = |text: &str| text.replace('\n', "\n       ");
    let mut text = format!("error: {}", within(&fault.what));
    if let Some(why) = &fault.why {
        text.push_str("\n  why: ");
        text.push_str(&within(why));
    }
    if let Some(hint) = &fault.hint {
        text.push_str("\n  do:  ");
        text.push_str(&within(hint));
    }
    note(&text);
}

/// A table with aligned columns; the first row is its header. Columns of numbers are aligned right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| -> String {
        row.get(column)
            .map_or_else(String::new, |text| sanitize::line(text).into_owned())
    };
    let width = |column| {
        rows.iter()
            .map(|row| cell(row, column).chars().count())
            .max()
            .unwrap_or(0)
    };
    let is_number = |text: &str| {
        text.chars()
            .all(|one| one.is_ascii_digit() || "., -+%".contains(one))
    };
    let right = |column| rows.iter().skip(1).all(|row| is_number(&cell(row, column)));
    let shape: Vec<(usize, bool)> = (0..columns)
        .map(|column| (width(column), right(column)))
        .collect();
    let lines: Vec<String> = rows
        .iter()
        .map(|row| {
            let cells: Vec<String> = shape
                .iter()
                .enumerate()
                .map(|(column, (width, right))| {
                    let text = cell(row, column);
                    if *right {
                        format!("{text:>width$}")
                    } else {
                        format!("{text:<width$}")
                    }
                })
                .collect();
            cells.join("  ").trim_end().to_owned()
        })
        .collect();
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = [vec!["name", "n"], vec!["a", "1,000"], vec!["long", "7"]];
        let rows: Vec<Vec<String>> = rows
            .iter()
            .map(|row| row.iter().map(|cell| (*cell).to_owned()).collect())
            .collect();
        assert_eq!(table(&rows), "name      n\na     1,000\nlong      7");
    }
}
