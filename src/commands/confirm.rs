//! Asks a person for confirmation before irreversible work.

use std::io::{self, BufRead, Write};

use crate::model::fault::{Fault, Kind, Outcome};

/// Asks on the terminal; anything but `y` or `yes` is no.
pub(super) fn confirmed(question: &str) -> Outcome<bool> {
    let failed = |error: io::Error| Fault::new(Kind::Final, "the answer cannot be read").because(error);
    let mut stderr = io::stderr();
    stderr
        .write_all(format!("{question} [y/N] ").as_bytes())
        .and_then(|()| stderr.flush())
        .map_err(failed)?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer).map_err(failed)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
