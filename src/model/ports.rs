//! The traits between the layers. The engine (`sync`) is written against these alone; `blueconic` and `postgres`
//! implement them, `resources` gives the meaning, and tests put fakes in their place.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Time;
use super::batch::{Advance, Batch, Fingerprint, Known, Landmark, Reject, Span, Written};
use super::event::{EventIdentity, Rename};
use super::fault::Outcome;
use super::ledger::{Counts, Ledger};
use super::page::{Block, Broken, Head, Lookup, Meter, PageEnd, Request};
use super::position::{Position, Slot};
use super::table::Table;
use crate::failpoint;

// ---------------------------------------------------------------------------------------------- reading

/// Reading from the tenant. Token, throttle and retries lie below it.
pub trait Source: Send + Sync + 'static {
    /// A body that is being read.
    type Page: Page;

    /// Sends the request and gives back the body once its headers are there. `attempt` > 0 says that the body of the
    /// last try broke off, or that the last try was [`super::fault::Kind::Strained`]: wait first, and spend the same retry
    /// budget (an attempt too many is the last fault again).
    fn open(
        &self,
        request: &Request,
        attempt: u32,
        meter: &Meter,
    ) -> impl Future<Output = Outcome<Self::Page>> + Send;

    /// Asks for one object by id.
    fn one(&self, request: &Request, meter: &Meter) -> impl Future<Output = Lookup> + Send;
}

/// A streaming body: nothing is read from the socket between two calls of `next`.
pub trait Page: Send + 'static {
    /// The next whole elements; none at the end of the body.
    fn next(&mut self) -> impl Future<Output = Outcome<Option<Block>>> + Send;
    /// What stands in the envelope so far: enough to ask for the next page, never to store a position.
    fn so_far(&self) -> &Head;
    /// The proof that the body ended whole; a fault when it did not.
    fn finish(self) -> impl Future<Output = Outcome<PageEnd>> + Send;
}

// ---------------------------------------------------------------------------------------------- meaning

/// One kind of record: where it is read, how it is decoded, which table it fills. No I/O.
pub trait Resource: Send + Sync + 'static {
    /// Its name, which is its table's: `segments`, `profile_properties`, `profiles`, `audit_events`.
    fn name(&self) -> &'static str;
    /// The table that it fills.
    fn table(&self) -> &'static Table;
    /// The request for the page at a position. `shrink` halves the page size so many times, down to
    /// [`super::page::SMALLEST_PAGE`].
    fn request(&self, position: &Position, shrink: u32) -> Request;
    /// The smallest request that shows whether the tenant allows this resource (`check` sends it).
    fn probe(&self) -> Request;
    /// The request for one element by its id, where the tenant has one.
    fn lookup(&self, id: &str) -> Option<Request>;
    /// Reads the answer to a look-up of `id`, asked to know whether it is still in `segment`.
    fn verdict(&self, id: &str, segment: &str, found: &Lookup) -> Verdict;
    /// How the tenant counts this resource, where it counts it by segment; none for a list, which is counted by reading.
    fn census(&self) -> Option<Box<dyn Census>>;
    /// What the engine has to learn before it can read (profiles: which segment to walk). `wanted` is the segment of a
    /// walk that is under way; none means the configured one.
    fn prelude(&self, wanted: Option<&str>) -> Option<Box<dyn Prelude>>;
    /// The id and the hash over the bytes, without decoding. An element without identity of its own (audit events)
    /// has an empty id.
    fn fingerprint(&self, element: &[u8]) -> Result<Fingerprint, Reject>;
    /// The reject for an element that the reader could not cut off.
    fn broken(&self, broken: &Broken) -> Reject;
    /// A decoder, with what it remembers from one element to the next: one per lane, or per response.
    fn decoder(&self) -> Box<dyn Decoder>;
    /// The properties that are asked for; empty means all. Fixed in a walk's position when it begins.
    fn selection(&self) -> Vec<String>;
}

/// Turns elements into rows.
pub trait Decoder: Send {
    /// Decodes one element into the batch: a row, a refreshed hash, or a reject. `known` is never [`Known::Same`].
    fn decode(&mut self, element: &[u8], print: Fingerprint, known: Known, into: &mut Batch);
    /// Tells of values that the tenant renamed, before anything is decoded.
    fn renamed(&mut self, _renames: &[Rename]) {}
    /// The dates of the decoded elements in order of arrival, since the decoder was made; empty unless they matter.
    fn dates(&self) -> &[Time];
}

/// A listing that is read before the walk itself.
pub trait Prelude: Send + Sync {
    /// The request for the page that begins at `start_index`; `shrink` halves its size so many times.
    fn request(&self, start_index: u64, shrink: u32) -> Request;
    /// Takes in one element; one may come twice.
    fn take(&mut self, element: &[u8]);
    /// What was learned: the segment to walk. `last`: the one that the last complete walk read, which comes before any
    /// other where the wanted one is not there.
    fn resolve(self: Box<Self>, last: Option<&str>) -> Outcome<Choice>;
}

/// The segment to walk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Its id.
    pub segment: String,
    /// Whether it is the one that was wanted.
    pub is_wanted: bool,
    /// Whether the settings name it.
    pub is_configured: bool,
    /// A sentence when it is not the wanted one.
    pub notice: Option<String>,
}

/// How the tenant counts profiles: what `--verify` compares the tables with.
pub trait Census: Send + Sync {
    /// Reads an element of the listing of segments (the listing of the [`Prelude`]); none if it has no id.
    fn segment(&self, element: &[u8]) -> Option<SegmentCount>;
    /// The smallest request whose `totalResults` is the number of profiles in a segment; none if no address can hold
    /// its id.
    fn profiles_in(&self, segment: &str) -> Option<Request>;
}

/// A segment as the listing of segments tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SegmentCount {
    /// Its id.
    pub id: String,
    /// Its name, or nothing.
    pub name: String,
    /// `profileCount`, which may be absent and may lag.
    pub profile_count: Option<u64>,
}

/// What a look-up says of a stored row that a walk did not see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The tenant has no such profile.
    Deleted,
    /// It lost a merge against `survivor`.
    Merged {
        /// The id that remains.
        survivor: String,
    },
    /// Another profile answered in its place, and does not say that it replaces it: a merge, if it does so again.
    Redirected {
        /// Who answered.
        survivor: String,
    },
    /// It exists, outside of the walked segment.
    OutOfScope,
    /// It is in the segment: the walk missed it. Its element, to be loaded.
    Missed(Bytes),
    /// Nothing follows from the answer: the row stays.
    Kept,
}

// ---------------------------------------------------------------------------------------------- loading

/// A held lease: proof that this process may write for a slot, until the fence moves on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What it is for.
    pub slot: Slot,
    /// The number that every data transaction asserts.
    pub fence: i64,
    /// The run that was opened with it.
    pub run_id: Uuid,
}

/// Who has a lease that could not be had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Host, process and a random part.
    pub name: String,
    /// Its run.
    pub run_id: Option<Uuid>,
    /// Until when it holds without renewing, by the database's clock.
    pub expires_at: Time,
    /// The database's clock now.
    pub now: Time,
}

/// What asking for a lease gives.
#[derive(Debug)]
pub enum Acquired {
    /// It is ours, and a run is open.
    Lease(Lease),
    /// Somebody has it.
    Held(Holder),
}

/// The durable record of a position and a watermark.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cursor {
    /// Where an open walk stands.
    pub position: Option<Position>,
    /// Complete through.
    pub watermark: Option<Time>,
    /// The segment that the last complete full walk read.
    pub segment: Option<String>,
    /// Up to which id the last sweep asked for its candidates; none when it asked for all.
    pub asked_through: Option<String>,
}

/// What may be removed by a sweep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Candidates {
    /// Rows of the table; not counted when there is no candidate.
    pub stored: u64,
    /// Rows that the walk did not see and that were not loaded since it began.
    pub unseen: u64,
}

/// Loading into the database.
pub trait Store: Clone + Send + Sync + 'static {
    /// A connection with its staging.
    type Loader: Loader;

    /// The database's clock (`sync.clock()`).
    fn now(&self) -> impl Future<Output = Outcome<Time>> + Send;
    /// Asks for the lease of a slot and opens a run with it.
    fn acquire(&self, slot: Slot) -> impl Future<Output = Outcome<Acquired>> + Send;
    /// Holds it for another time to live; [`super::fault::Kind::Fenced`] when it went to somebody else.
    fn renew(&self, lease: &Lease) -> impl Future<Output = Outcome<()>> + Send;
    /// Writes the counts so far into the open run, for those who look on.
    fn progress(&self, lease: &Lease, counts: &Counts) -> impl Future<Output = Outcome<()>> + Send;
    /// Closes the run and gives the lease back.
    fn close(&self, lease: &Lease, ledger: &Ledger) -> impl Future<Output = Outcome<()>> + Send;

    /// The cursor of a slot.
    fn cursor(&self, slot: Slot) -> impl Future<Output = Outcome<Cursor>> + Send;
    /// Moves the cursor without a batch (a walk that opens, or closes after its sweep). Asserts the lease.
    fn advance(&self, lease: &Lease, advance: &Advance) -> impl Future<Output = Outcome<()>> + Send;
    /// A loading connection for one table. `walk` is the walk whose seen ids it records.
    fn loader(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Option<Walk>,
    ) -> impl Future<Output = Outcome<Self::Loader>> + Send;

    /// Rows of `sync.walk_seen` of a walk: `(all, read by the walk itself)`. An id may have more than one.
    fn seen(&self, walk_id: Uuid) -> impl Future<Output = Outcome<(u64, u64)>> + Send;
    /// Whether the table has no row.
    fn is_empty(&self, table: &'static Table) -> impl Future<Output = Outcome<bool>> + Send;
    /// How many different ids the walk itself read.
    fn distinct(&self, walk_id: Uuid) -> impl Future<Output = Outcome<u64>> + Send;
    /// At most so many ids that the walk itself read: things that the tenant had a while ago.
    fn witnesses(&self, walk_id: Uuid, limit: u32) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Forgets the seen ids of a walk.
    fn forget(&self, lease: &Lease, walk_id: Uuid) -> impl Future<Output = Outcome<()>> + Send;
    /// How many rows of the table a sweep of this walk would remove.
    fn candidates(
        &self,
        table: &'static Table,
        walk: Walk,
    ) -> impl Future<Output = Outcome<Candidates>> + Send;
    /// The ids of candidates after `after`, in order, at most `limit`.
    fn unseen(
        &self,
        table: &'static Table,
        walk: Walk,
        after: &str,
        limit: u32,
    ) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Remembers up to which id a sweep has asked; none when it asked for all. Asserts the lease.
    fn remember_asked(
        &self,
        lease: &Lease,
        through: Option<&str>,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// Removes rows by verdict (with tombstones and aliases where the table has them), unless they were loaded
    /// meanwhile; `Missed` ids are marked as seen. Asserts the lease. Gives back the number of rows removed.
    fn remove(
        &self,
        table: &'static Table,
        lease: &Lease,
        walk: Walk,
        verdicts: &[(String, Verdict)],
    ) -> impl Future<Output = Outcome<u64>> + Send;
    /// Builds what a first full load does without (the index of `segment_ids`) and refreshes the planner's statistics.
    /// Gives a sentence for each that somebody's transaction keeps from being done.
    fn after_full_walk(&self, table: &'static Table) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// Makes up for what [`Store::after_full_walk`] put off; costs one look where there is nothing.
    fn make_up(&self, table: &'static Table) -> impl Future<Output = Outcome<Vec<String>>> + Send;
    /// How many rows the table has, counted.
    fn rows(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many rows the table has, as the planner believes: at no cost, and counted where it believes nothing yet.
    fn rows_estimated(&self, table: &'static Table) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many ids were erased and are kept out.
    fn erased(&self) -> impl Future<Output = Outcome<u64>> + Send;
    /// How many profiles each segment has in the tables, by segment id; segments without any are left out.
    fn memberships(&self) -> impl Future<Output = Outcome<Vec<(String, u64)>>> + Send;
    /// The open gaps of a resource.
    fn open_gaps(&self, resource: &'static str) -> impl Future<Output = Outcome<Vec<Span>>> + Send;
    /// What is stored of audit events up to a date, and what is in doubt.
    fn landmark(&self, up_to: Time) -> impl Future<Output = Outcome<Landmark>> + Send;
    /// The values of audit events that the tenant renamed, in the order in which that was noticed.
    fn renames(&self) -> impl Future<Output = Outcome<Vec<Rename>>> + Send;
}

/// A walk as the store has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Walk {
    /// Its name in `sync.walk_seen`.
    pub id: Uuid,
    /// The database's time when it began.
    pub opened_at: Time,
    /// Through when an increment had brought everything, as far as it could see, when a full walk began: changes that the
    /// walk finds and that are dated before that are late. None: nothing is counted as late.
    pub passed: Option<Time>,
}

/// One connection with its staging.
pub trait Loader: Send + 'static {
    /// What the table knows of each, in the order asked.
    fn known(&mut self, prints: &[Fingerprint]) -> impl Future<Output = Outcome<Vec<Known>>> + Send;
    /// The stored events at the dates at which both are: one of these that is not stored, and a stored one that is not
    /// among these.
    fn alike(&mut self, events: &[EventIdentity])
    -> impl Future<Output = Outcome<Vec<EventIdentity>>> + Send;
    /// Records values that the tenant renamed. Asserts the lease.
    fn record_renames(&mut self, renames: &[Rename]) -> impl Future<Output = Outcome<()>> + Send;
    /// Stages and merges a batch, and with it moves the cursor, in one transaction that asserts the lease last.
    fn load(
        &mut self,
        batch: Batch,
        advance: Option<Advance>,
    ) -> impl Future<Output = Outcome<Written>> + Send;
}

// ---------------------------------------------------------------------------------------------- schedule, health

/// A job as the settings name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// Its name in `sync.schedule`.
    pub name: String,
    /// What it runs.
    pub slot: Slot,
    /// Cron expression, 5 or 6 fields.
    pub cron: String,
    /// IANA zone.
    pub time_zone: String,
}

/// The rows of `sync.schedule`.
pub trait JobStore: Send + Sync + 'static {
    /// The database's clock.
    fn now(&self) -> impl Future<Output = Outcome<Time>> + Send;
    /// The stored jobs with what decides whether `next_run_at` still holds.
    fn stored(&self) -> impl Future<Output = Outcome<Vec<(Job, Time)>>> + Send;
    /// Writes a job with its next run (new, or its cron or zone changed).
    fn put(&self, job: &Job, next_run_at: Time) -> impl Future<Output = Outcome<()>> + Send;
    /// Removes jobs that are not among these names.
    fn keep_only(&self, names: &[String]) -> impl Future<Output = Outcome<()>> + Send;
    /// Claims the job if it is due and nobody has it; true when it is ours for `hold`.
    fn claim(&self, name: &str, holder: &str, hold: Duration) -> impl Future<Output = Outcome<bool>> + Send;
    /// Holds a claim for longer.
    fn extend(&self, name: &str, holder: &str, hold: Duration) -> impl Future<Output = Outcome<()>> + Send;
    /// Lets the claim go and sets when it runs next.
    fn done(&self, name: &str, holder: &str, next_run_at: Time) -> impl Future<Output = Outcome<()>> + Send;
}

/// A job with what it asks of its run beyond the slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Task {
    /// The job.
    pub job: Job,
    /// How far the run reaches back behind its watermark; none: as the resource is set.
    pub overlap: Option<Duration>,
    /// Whether a database that does not know the job yet runs it at once. Jobs that only add to what another job of
    /// the same resource brings wait for their time.
    pub at_once: bool,
}

/// When a job wants to run after a run has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Again {
    /// When its cron expression says so.
    OnTime,
    /// After so long, or when its cron expression says so if that is sooner. Zero is for a run that a shutdown
    /// interrupted: the next start goes on with it.
    After(Duration),
}

impl Again {
    /// After a run that failed, for whatever reason: minutes later, or on time if that is sooner. Most faults pass, and what a
    /// person has mended should not wait for tomorrow; one try in five minutes locks no account and costs a request.
    pub const FAILED: Self = Self::After(Duration::from_mins(5));
}

/// Runs what is due. Everything that goes wrong in a run is told by the run; nothing of it reaches the schedule.
pub trait Runner: Send + Sync + 'static {
    /// Runs a task to its end, or until `cancel` asks it to stop at the next safe place.
    fn run(&self, task: &Task, cancel: CancellationToken) -> impl Future<Output = Again> + Send;
}

/// What `/healthz`, `/readyz`, the metrics and the status page show.
pub trait Observer: Send + Sync + 'static {
    /// Whether the database answers and its schema is the one this binary wants.
    fn ready(&self) -> impl Future<Output = Outcome<()>> + Send;
    /// The state of every resource, as `status --json` prints it.
    fn status(&self) -> impl Future<Output = Outcome<serde_json::Value>> + Send;
}

// ---------------------------------------------------------------------------------------------- time

/// Local time, which tests can set.
pub trait Clock: Send + Sync + 'static {
    /// Now.
    fn now(&self) -> Time;
    /// Waits.
    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>>;
}

/// The machine's own clock.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Time {
        chrono::Utc::now() + failpoint::clock_error()
    }

    fn sleep(&self, time: Duration) -> Pin<Box<dyn Future<Output = ()> + Send + '_>> {
        Box::pin(tokio::time::sleep(time))
    }
}
