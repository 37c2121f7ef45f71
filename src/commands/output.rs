//! What a person or a script reads. A reader that went away (`| head`) ends the writing, not the work.

use std::io::{self, Write};

use crate::model::fault::Fault;

/// A line on stdout.
pub(super) fn line(text: &str) {
    // Nobody is left to be told that nobody reads.
    let _ = writeln!(io::stdout().lock(), "{text}");
}

/// A line on stderr.
pub(super) fn aside(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

/// An error on stderr: what failed, why, what to do, in that order.
pub fn complain(fault: &Fault) {
    let mut text = format!("error: {}", fault.what);
    if let Some(why) = &fault.why {
        text.push_str("\n  why: ");
        text.push_str(why);
    }
    if let Some(hint) = &fault.hint {
        text.push_str("\n  do:  ");
        text.push_str(hint);
    }
    aside(&text);
}

/// A table with aligned columns; the first row is its head. Columns that hold only numbers stand to the right.
pub(super) fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &Vec<String>, column: usize| row.get(column).cloned().unwrap_or_default();
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

/// A count with separators: `1,234,567`.
pub(super) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A duration for people: `0.4 s`, `2 min 5 s`, `3 h 12 min`.
pub(super) fn duration(seconds: f64) -> String {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "no run takes 2^64 seconds"
    )]
    let whole = seconds.max(0.0) as u64;
    match whole {
        0..60 => format!("{seconds:.1} s"),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        assert_eq!(
            [0, 12, 123, 1234, 1_234_567].map(count),
            ["0", "12", "123", "1,234", "1,234,567"]
        );
    }

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
