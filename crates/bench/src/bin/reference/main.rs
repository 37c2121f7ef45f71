//! A minimal correct sync of profiles, to compare the product with: the same pages, a
//! comparison in memory with the stored rows, the same rows in the same table, and no more. No leases,
//! no retries, no rejects, no merges of profiles, no ledger, no resume after a crash. It uses none of the product's
//! path.

mod arguments;
mod batch;
mod database;
mod ends;
mod known;
mod pages;
mod profile;
mod walk;

use std::time::Instant;

use bench::Outcome;
use clap::Parser;

use crate::arguments::{Database, Tenant};
use crate::ends::Ends;

/// A minimal correct sync. Prints one line of JSON.
#[derive(Debug, Parser)]
enum Command {
    /// Read all pages and discard them
    Drain {
        #[command(flatten)]
        tenant: Tenant,
    },
    /// Read all pages, find the ends of the elements and hash them
    Boundaries {
        #[command(flatten)]
        tenant: Tenant,
        /// How the ends are found
        #[arg(long, value_enum, default_value_t)]
        ends: Ends,
    },
    /// Copy prebuilt rows into staging
    CopyLimit {
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        database: Database,
        /// How many rows
        #[arg(long, default_value_t = 200_000)]
        rows: u64,
    },
    /// Read all pages into the table, and delete what was not read
    Full {
        #[command(flatten)]
        tenant: Tenant,
        #[command(flatten)]
        database: Database,
        /// Afterwards also the index and the statistics that the product makes after a first load
        #[arg(long)]
        index: bool,
    },
    /// A digest of the stored rows, without columns that may differ: hashes, times of loading
    Digest,
}

#[tokio::main]
async fn main() -> Outcome<()> {
    let begun = Instant::now();
    let (done, seconds) = match Command::parse() {
        Command::Drain { tenant } => (pages::drain(&tenant).await?, None),
        Command::Boundaries { tenant, ends } => (walk::boundaries(&tenant, ends).await?, None),
        Command::CopyLimit {
            tenant,
            database,
            rows,
        } => {
            let rows_of_a_page = walk::rows_of_a_page(&tenant).await?;
            let (done, seconds) = database::copy_limit(&database, rows, rows_of_a_page).await?;
            (done, Some(seconds))
        }
        Command::Full {
            tenant,
            database,
            index,
        } => (walk::full(&tenant, &database, index).await?, None),
        Command::Digest => {
            tell(&database::digest().await?);
            return Ok(());
        }
    };
    let seconds = seconds.unwrap_or_else(|| begun.elapsed().as_secs_f64());
    tell(&format!(
        r#"{{"rows_read":{},"bytes_read":{},"rows_written":{},"rows_deleted":{},"seconds":{seconds:.4}}}"#,
        done.rows, done.bytes, done.written, done.deleted
    ));
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the result")]
fn tell(line: &str) {
    println!("{line}");
}
