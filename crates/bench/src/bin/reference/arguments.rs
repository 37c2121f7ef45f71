//! The input of the reference, and its report.

use bench::Outcome;
use clap::Args;

/// The tenant, from the product's variables `BLUECONIC_URL`, `BLUECONIC_CLIENT_ID` and `BLUECONIC_CLIENT_SECRET`.
#[derive(Debug, Args)]
pub(crate) struct Tenant {
    /// Profiles in a page
    #[arg(long, default_value_t = 10_000)]
    pub(crate) page_size: u32,
}

/// The database: `DATABASE_URL`, migrated by the product.
#[derive(Debug, Args)]
pub(crate) struct Database {
    /// Loading connections
    #[arg(long, default_value_t = 2)]
    pub(crate) connections: usize,
    /// Settings of each session, `name=value,…`
    #[arg(long, default_value = "")]
    pub(crate) session: String,
}

/// A required variable.
pub(crate) fn variable(name: &str) -> Outcome<String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

/// The report.
#[derive(Debug, Default)]
pub(crate) struct Done {
    pub(crate) rows: u64,
    pub(crate) bytes: u64,
    pub(crate) written: u64,
    pub(crate) deleted: u64,
}
