//! The product's path over a page of profiles, as often as is wanted and nothing else, to be run under a tool that
//! counts instructions: unlike time, their number hardly depends on the machine or on what else it does.

#[path = "../path/mod.rs"]
mod path;

use std::hint::black_box;
use std::path::PathBuf;

use blueconic_sync::model::batch::Batch;
use clap::{Parser, Subcommand};

use path::Outcome;

/// The product's path over a page of profiles.
#[derive(Debug, Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write the page: not to be counted
    Page {
        /// Where to
        file: PathBuf,
        /// How many profiles
        profiles: u64,
    },
    /// Find the ends of elements and hash them, as for profiles that did not change
    Unchanged {
        /// The page
        file: PathBuf,
        /// How often
        times: u32,
    },
    /// The same, and decode them into rows
    Rows {
        /// The page
        file: PathBuf,
        /// How often
        times: u32,
    },
}

fn main() -> Outcome<()> {
    match Arguments::parse().command {
        Command::Page { file, profiles } => {
            let body = tokio::runtime::Runtime::new()?.block_on(path::page(profiles))?;
            std::fs::write(file, body)?;
        }
        Command::Unchanged { file, times } => {
            let (body, profiles) = (std::fs::read(file)?, path::profiles()?);
            for _ in 0..times {
                path::cut(&body, |block| {
                    black_box(path::fingerprints(&*profiles, &block));
                })?;
            }
        }
        Command::Rows { file, times } => {
            let (body, profiles) = (std::fs::read(file)?, path::profiles()?);
            for _ in 0..times {
                path::cut(&body, |block| {
                    let mut batch = Batch::default();
                    path::decode(&*profiles, &block, &mut batch);
                    black_box(batch);
                })?;
            }
        }
    }
    Ok(())
}
