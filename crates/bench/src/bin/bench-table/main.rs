//! The parts of `script/bench` that a shell cannot do: measure a process, wait for a first row, and make the table of the
//! results. It knows only how to call the product.

mod process;
mod results;
mod rows;
mod table;
mod text;

use std::path::PathBuf;

use clap::Parser;

use bench::Outcome;

/// Measures for `script/bench`.
#[derive(Debug, Parser)]
enum Command {
    /// Run a command and print its measures: one line `NAME VALUE` for each
    Measure {
        /// Exit codes that count as success
        #[arg(long, value_delimiter = ',', default_value = "0")]
        accept: Vec<i32>,
        /// Where the command's standard output goes
        #[arg(long)]
        answer: PathBuf,
        /// The command
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Run a command that fills `DATABASE_URL` and print when the first profile was there, in seconds since its start
    FirstRow {
        /// The command
        #[arg(trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// The table
    Table {
        /// Lines of `profiles round case side measure value`, separated by tabs
        results: PathBuf,
    },
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome<()> {
    match Command::parse() {
        Command::Measure {
            accept,
            answer,
            command,
        } => tell(&process::measure(&command, &answer, &accept)?),
        Command::FirstRow { command } => tell(&process::first_row(&command).await?),
        Command::Table { results } => {
            let results = results::Results::read(&std::fs::read_to_string(results)?)?;
            tell(&table::table(&rows::all(&results)));
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result")]
fn tell(text: &str) {
    println!("{}", text.trim_end());
}
