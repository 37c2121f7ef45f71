//! Runs only the product's path over a page of profiles, so many times, under a tool that
//! counts instructions. Unlike time, their number hardly depends on the machine or its load.

use std::hint::black_box;
use std::path::PathBuf;

use blueconic_sync::model::batch::Batch;
use clap::Parser;

use bench::Outcome;

/// The product's path over a page of profiles.
#[derive(Debug, Parser)]
enum Command {
    /// Write the page: not to be counted
    Page {
        /// Where to
        file: PathBuf,
        /// How many profiles
        profiles: u64,
    },
    /// Find the ends of elements and hash them, as for unchanged profiles
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
    match Command::parse() {
        Command::Page { file, profiles } => {
            let body = tokio::runtime::Runtime::new()?.block_on(bench::page(profiles))?;
            std::fs::write(file, body)?;
        }
        Command::Unchanged { file, times } => {
            let (body, profiles) = (std::fs::read(file)?, bench::profiles()?);
            for _ in 0..times {
                bench::cut(&body, |block| {
                    black_box(bench::fingerprints(&*profiles, &block));
                })?;
            }
        }
        Command::Rows { file, times } => {
            let (body, profiles) = (std::fs::read(file)?, bench::profiles()?);
            for _ in 0..times {
                bench::cut(&body, |block| {
                    let mut batch = Batch::default();
                    bench::decode(&*profiles, &block, &mut batch);
                    black_box(batch);
                })?;
            }
        }
    }
    Ok(())
}
