//! A backfill that is interrupted again and again, and the pages that each next process requests again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;
use simulated_tenant::faults::Route;
use simulated_tenant::tenant::Tenant;

use super::business::Business;
use super::table::Case;
use crate::support::cluster::Cluster;
use crate::support::database::Database;
use crate::support::eventually;
use crate::support::program::{Ended, LONG, Program, Running};

/// One backfill of one tenant.
pub(crate) struct InterruptedBackfill<'a> {
    pub(crate) tenant: &'a Tenant,
    pub(crate) database: Database,
    pub(crate) program: Program,
    pub(crate) arguments: &'a [&'a str],
    /// Which pages are counted.
    pub(crate) route: Route,
    /// What was asked for by the processes before.
    asked: HashSet<String>,
    /// Requests for pages, of all processes.
    pub(crate) requests: usize,
    /// The most pages that one process asked for again.
    pub(crate) most_repeated: usize,
}

/// How a process ended after its signal.
pub(crate) struct Signalled {
    pub(crate) ended: Ended,
    /// How long it took.
    pub(crate) after: Duration,
}

impl<'a> InterruptedBackfill<'a> {
    /// Into an empty database.
    pub(crate) async fn new(
        tenant: &'a Tenant,
        program: &Program,
        arguments: &'a [&'a str],
        route: Route,
    ) -> Self {
        let database = Database::bare().await;
        let program = program.with("DATABASE_URL", &database.url);
        tenant.requests().forget();
        Self {
            tenant,
            database,
            program,
            arguments,
            route,
            asked: HashSet::new(),
            requests: 0,
            most_repeated: 0,
        }
    }

    /// Starts a process, and signals it once the position of its walk is stored, however slow the machine is.
    pub(crate) async fn end_once_stored(&mut self, signal: Signal) -> Signalled {
        let mut running = self.program.start(self.arguments);
        eventually("its position is stored", LONG, async || {
            let stored = self
                .count_if_migrated("sync.cursors where position is not null")
                .await;
            (stored > 0 || running.has_ended()).then_some(())
        })
        .await;
        self.signal(running, signal).await
    }

    /// Starts a process, and signals it at a random moment of its work.
    pub(crate) async fn end(&mut self, signal: Signal, within: Duration) -> Signalled {
        let mut running = self.program.start(self.arguments);
        let pause = within.mul_f64(rand::random());
        // One in ten before its work begins: while it migrates, signs in, or waits for the lease.
        if rand::random_ratio(9, 10) {
            eventually("it is at work", LONG, async || {
                let asked = self.tenant.requests().count(self.route) > 0;
                (asked || running.has_ended()).then_some(())
            })
            .await;
        }
        tokio::time::sleep(pause).await;
        self.signal(running, signal).await
    }

    async fn signal(&mut self, mut running: Running, signal: Signal) -> Signalled {
        if !running.has_ended() {
            running.signal(signal);
        }
        let signalled = Instant::now();
        let ended = running.ended(LONG).await;
        self.note_requests();
        Signalled {
            ended,
            after: signalled.elapsed(),
        }
    }

    /// How many rows there are, also where a process was ended before it made the tables.
    pub(crate) async fn count_if_migrated(&self, from: &str) -> i64 {
        let migrated = "select to_regclass('sync.leases') is not null";
        if self.database.one::<bool>(migrated).await {
            self.database.count(from).await
        } else {
            0
        }
    }

    /// The run that is let be. Gives how long it took.
    pub(crate) async fn finish(&mut self) -> Duration {
        let began = Instant::now();
        self.program.expect(0, self.arguments).await;
        self.note_requests();
        began.elapsed()
    }

    fn note_requests(&mut self) {
        let pages = self.tenant.requests().of(self.route);
        self.tenant.requests().forget();
        let pages: HashSet<String> = pages
            .into_iter()
            .map(|page| {
                self.requests += 1;
                page.query
            })
            .collect();
        let repeated = pages.intersection(&self.asked).count();
        self.most_repeated = self.most_repeated.max(repeated);
        self.asked.extend(pages);
    }

    /// Compares with an undisturbed backfill, and with what the books say.
    pub(crate) async fn judge(self, expected: &Business, case: &mut Case) {
        expected.compare(&self.database, case).await;
        for left in ["sync.runs where status = 'running'", "sync.walk_seen"] {
            assert_eq!(self.database.count(left).await, 0, "{left}");
        }
        self.database.remove(Cluster::shared()).await;
    }
}
