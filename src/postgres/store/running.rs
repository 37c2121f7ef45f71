//! The state of runs, by the port [`RunStore`]: each call goes to the file that knows its table.

use sqlx::{Connection as _, PgConnection};

use crate::model::Time;
use crate::model::batch::{Advance, ScanEvidence, TimeRange};
use crate::model::cursor::{Cursor, Standing};
use crate::model::event::Rename;
use crate::model::fault::Outcome;
use crate::model::lease::{Acquired, Lease};
use crate::model::ledger::{Counts, Ledger};
use crate::model::ports::RunStore;
use crate::model::position::Slot;
use crate::postgres::error::{Doing, Error};
use crate::postgres::retry::Attempts;
use crate::postgres::waits::WaitLimit;
use crate::postgres::{boundary, clock, cursors, gaps, leases, renames, runs};

use super::PostgresStore;

const MOVING: &str = "storing the cursor";

impl RunStore for PostgresStore {
    async fn now(&self) -> Outcome<Time> {
        Ok(self
            .moment(clock::READING, clock::now(self.control(), clock::READING))
            .await?)
    }

    async fn acquire(&self, slot: Slot) -> Outcome<Acquired> {
        Ok(self
            .moment(
                "taking the lease",
                leases::acquire(self.control(), slot, &self.own.holder, self.own.lease_ttl),
            )
            .await?)
    }

    async fn renew(&self, lease: &Lease) -> Outcome<()> {
        Ok(self
            .moment(
                "renewing the lease",
                leases::renew(self.control(), lease, self.own.lease_ttl),
            )
            .await?)
    }

    async fn progress(&self, lease: &Lease, counts: &Counts) -> Outcome<()> {
        Ok(self
            .moment(
                "writing the counts of a run",
                runs::progress(self.control(), lease, counts),
            )
            .await?)
    }

    async fn close(&self, lease: &Lease, ledger: &Ledger) -> Outcome<()> {
        self.own.rejects.forget(lease.run_id);
        // Before the lease is free: the next run needs the locks of what this one dropped.
        self.pools.monitor.end_abandoned().await;
        Ok(self
            .moment(
                "closing the run",
                leases::close(
                    self.control(),
                    lease,
                    ledger,
                    (self.own.changes_kept, self.own.rejects_kept),
                ),
            )
            .await?)
    }

    async fn cursor(&self, slot: Slot) -> Outcome<Cursor> {
        Ok(self
            .moment("reading the cursor", cursors::read(self.control(), slot))
            .await?)
    }

    async fn standing(&self, resource: &'static str) -> Outcome<Standing> {
        Ok(self
            .moment("reading the cursors", cursors::standing(self.control(), resource))
            .await?)
    }

    async fn advance(&self, lease: &Lease, advance: &Advance) -> Outcome<()> {
        let mut session = self.watched(MOVING).await?;
        let watch = session.work();
        let work = async {
            let mut attempts = Attempts::default();
            loop {
                match move_cursor(&mut session, lease, advance).await {
                    Ok(()) => return Ok(()),
                    Err(error) => attempts.again(error).await?,
                }
            }
        };
        watch.wait(MOVING, WaitLimit::None, work).await?;
        session.rest();
        Ok(())
    }

    async fn regain(&self, lease: &Lease) -> Outcome<()> {
        Ok(self
            .moment(
                "taking the lease back",
                leases::regain(self.control(), lease, &self.own.holder, self.own.lease_ttl),
            )
            .await?)
    }

    async fn open_gaps(&self, resource: &'static str) -> Outcome<Vec<TimeRange>> {
        Ok(self
            .moment("reading the gaps", gaps::open(self.control(), resource))
            .await?)
    }

    async fn scan_evidence(&self, up_to: Time) -> Outcome<ScanEvidence> {
        Ok(self
            .moment("reading the gaps", gaps::scan_evidence(self.control(), up_to))
            .await?)
    }

    async fn renames(&self) -> Outcome<Vec<Rename>> {
        Ok(self
            .moment("reading renamed values", renames::read(self.control()))
            .await?)
    }
}

/// May forget the ids that a walk saw, which takes its time where they are many.
async fn move_cursor(connection: &mut PgConnection, lease: &Lease, advance: &Advance) -> Result<(), Error> {
    let now = clock::now(&mut *connection, clock::READING).await?;
    let mut transaction = connection.begin().await.doing(MOVING)?;
    gaps::apply(&mut transaction, lease, advance, now).await?;
    cursors::advance(&mut transaction, lease.slot, advance, now).await?;
    leases::assert(&mut transaction, lease).await?;
    boundary::cross("advance", MOVING, transaction.commit()).await
}
