//! The table of the torture: a row for each case, with how often it was tried and what went wrong.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::time::Duration;

/// Whether every case runs as often as promised, rather than a few times.
pub(crate) fn in_full() -> bool {
    std::env::var("BLUECONIC_SYNC_TORTURE").is_ok_and(|form| form == "full")
}

/// How often a case is tried: a few times in `cargo test`, and as promised in full.
pub(crate) fn tries(short: u32, full: u32) -> u32 {
    if in_full() { full } else { short }
}

/// A case that is being tried. `report` ends it: a case that is dropped before has failed by itself.
#[must_use = "`report` puts it into the table and fails where something went wrong"]
pub(crate) struct Case {
    name: String,
    tries: u64,
    lost: u64,
    doubled: u64,
    wrongly_deleted: u64,
    recoveries: Vec<Duration>,
    note: String,
}

impl Case {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            tries: 0,
            lost: 0,
            doubled: 0,
            wrongly_deleted: 0,
            recoveries: Vec::new(),
            note: String::new(),
        }
    }

    /// So many tries more.
    pub(crate) fn tried(&mut self, tries: u64) {
        self.tries += tries;
    }

    /// How many tries there were so far.
    pub(crate) fn tries(&self) -> u64 {
        self.tries
    }

    /// Rows that the tenant has and the table has not.
    pub(crate) fn lost(&mut self, rows: u64) {
        self.lost += rows;
    }

    /// Rows that the table has more often than the tenant, or other than the tenant has them.
    pub(crate) fn doubled(&mut self, rows: u64) {
        self.doubled += rows;
    }

    /// Rows that were removed though the tenant still has them.
    pub(crate) fn wrongly_deleted(&mut self, rows: u64) {
        self.wrongly_deleted += rows;
    }

    /// From the fault to the end of the run that made up for it.
    pub(crate) fn recovered(&mut self, within: Duration) {
        self.recoveries.push(within);
    }

    /// What else the table should say: `worst exit 0.8 s`.
    pub(crate) fn note(&mut self, note: impl Into<String>) {
        self.note = note.into();
    }

    /// Adds the row to the table; fails where anything was lost, doubled or wrongly deleted, or nothing was tried.
    #[track_caller]
    pub(crate) fn report(self) {
        let row = self.row();
        self.write();
        assert!(self.tries > 0, "nothing was tried: {row}");
        assert_eq!(
            (self.lost, self.doubled, self.wrongly_deleted),
            (0, 0, 0),
            "lost, doubled, wrongly deleted: {row}"
        );
    }

    /// Adds a row that says why nothing was tried.
    #[expect(
        clippy::print_stderr,
        reason = "a person should see it also without the table"
    )]
    pub(crate) fn left_out(mut self, why: &str) {
        self.note = format!("LEFT OUT: {why}");
        eprintln!("{}", self.row());
        self.write();
    }

    fn write(&self) {
        if let Ok(path) = std::env::var("BLUECONIC_SYNC_TORTURE_TABLE") {
            let mut file = OpenOptions::new().create(true).append(true).open(path).unwrap();
            // One write, so that cases at once do not mix their lines.
            file.write_all(format!("{}\n", self.row()).as_bytes()).unwrap();
        }
    }

    fn row(&self) -> String {
        format!(
            "{:<58} {:>7} {:>6} {:>8} {:>8}  {:<16} {}",
            self.name,
            self.tries,
            self.lost,
            self.doubled,
            self.wrongly_deleted,
            self.recovery(),
            self.note
        )
        .trim_end()
        .to_owned()
    }

    /// Median and worst.
    fn recovery(&self) -> String {
        let mut times = self.recoveries.clone();
        times.sort_unstable();
        let Some(worst) = times.last() else {
            return "–".to_owned();
        };
        let median = times[times.len() / 2];
        format!("{:.1} s, {:.1} s", median.as_secs_f64(), worst.as_secs_f64())
    }
}
