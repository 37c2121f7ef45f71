//! Reads the histories of profiles: a listing for each profile that has changed since its history was read. What was read is stored with
//! the profile's hash in one transaction, so that a run that stops loses only what it was reading, and no position is needed.
//!
//! A history that cannot be read does not keep the others from being read. Its profile stays one that has changed.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, stream};

use crate::model::batch::{Advance, Batch, Fingerprint, Written};
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::history::History;
use crate::model::page::Lookup;
use crate::model::ports::{Listing, Loader, Source, Store};

use super::lists;
use super::on_demand_loader::OnDemandLoader;
use super::run::{Context, Ended, Losses};
use super::sweep::LookupBudget;

/// Profiles that are looked for at once, and loaded together.
const AT_ONCE: u32 = 200;
/// The most requests for one history.
const MOST_PAGES: usize = 1000;
/// So many faults in a row, without one history that could be read, end the run.
const MOST_FAULTS: u64 = 20;
/// So many profiles without a history, and none with one, mean that the tenant does not have the resource.
const MOST_ABSENT: u64 = 1000;

/// Reads the histories of all profiles that have changed.
pub(super) async fn run<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    history: &'static dyn History,
) -> Outcome<Ended> {
    context.listener.began(context.lease.slot, false, 0);
    let mut losses = Losses::default();
    loop {
        let outcome = read(context, history).await;
        let again = "the histories that were lost are read again";
        if !losses.start_again(context, &outcome, again).await? {
            return outcome;
        }
    }
}

async fn read<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    history: &'static dyn History,
) -> Outcome<Ended> {
    lists::check_parents(context).await?;
    let (store, table) = (context.store, context.resource.table());
    let opened_at = store.now().await?;
    let due = store.count_changed_profiles(table).await?;
    context.progress.change(|counts| counts.source_total = Some(due));
    let mut reading = HistoryReading {
        context,
        history,
        loader: OnDemandLoader::new(store, table, context.lease, None),
        budget: LookupBudget::at_the_rate(context.bounds),
        asked: 0,
        found: 0,
        absent: 0,
        failed: Failed::default(),
    };
    let mut after = String::new();
    loop {
        context.stop.check()?;
        let due = store.changed_profiles(table, &after, AT_ONCE).await?;
        let Some(last) = due.last() else { break };
        after.clone_from(&last.id);
        reading.some(due).await?;
    }
    reading.end().await?;
    let HistoryReading { failed, .. } = reading;
    let complete = failed.count == 0;
    let advance = Advance {
        watermark: complete.then_some(opened_at),
        ..Advance::default()
    };
    store.advance(context.lease, &advance).await?;
    Ok(match failed.first {
        None => Ended::well(&context.progress.read()),
        Some(fault) => Ended::partial(
            format!(
                "{} of the histories could not be read; the first: {}",
                failed.count,
                fault.sentence()
            ),
            fault
                .hint
                .as_deref()
                .unwrap_or("the others are stored; the next run asks for these again"),
        ),
    })
}

/// The histories that could not be read.
#[derive(Default)]
struct Failed {
    count: u64,
    /// Those since the last one that could be read.
    in_a_row: u64,
    first: Option<Fault>,
}

/// What came of the requests for one history.
enum Found {
    /// The whole history: the bodies of its pages.
    Whole(Vec<Bytes>),
    /// The tenant does not know the profile.
    Absent,
}

/// A run over the histories.
struct HistoryReading<'a, S: Source, T: Store> {
    context: &'a Context<'a, S, T, dyn Listing>,
    history: &'static dyn History,
    loader: OnDemandLoader<'a, T>,
    budget: LookupBudget,
    /// Histories that were asked for.
    asked: u64,
    found: u64,
    absent: u64,
    failed: Failed,
}

impl<S: Source, T: Store> HistoryReading<'_, S, T> {
    /// Reads the histories of some profiles, several at once, and stores them.
    async fn some(&mut self, due: Vec<Fingerprint>) -> Outcome<()> {
        let (context, history) = (self.context, self.history);
        let pause = self.budget.pause(self.asked);
        self.pause(pause).await?;
        self.asked += due.len() as u64;
        let mut answers = stream::iter(due)
            .map(|profile| async move {
                let found = one(context, history, &profile.id).await;
                (profile, found)
            })
            .buffered(context.bounds.lookups_at_once);
        let mut batch = Batch::default();
        while let Some((profile, found)) = context.stop.or(async { Ok(answers.next().await) }).await? {
            batch.read_counts.read += 1;
            match found {
                Ok(Found::Whole(bodies)) => {
                    history.decode(&profile, &bodies, &mut batch);
                    self.found += 1;
                    self.failed.in_a_row = 0;
                }
                Ok(Found::Absent) => {
                    batch.read_counts.elsewhere += 1;
                    self.absent += 1;
                }
                Err(fault) if is_of_all(&fault) => {
                    self.load(std::mem::take(&mut batch)).await?;
                    return Err(fault);
                }
                Err(fault) => {
                    batch.read_counts.elsewhere += 1;
                    self.failed.count += 1;
                    self.failed.in_a_row += 1;
                    if self.failed.in_a_row >= MOST_FAULTS {
                        self.load(std::mem::take(&mut batch)).await?;
                        return Err(fault);
                    }
                    self.failed.first.get_or_insert(fault);
                }
            }
            if batch.size() >= context.bounds.batch_bytes {
                self.load(std::mem::take(&mut batch)).await?;
            }
        }
        drop(answers);
        self.load(batch).await?;
        if self.found == 0 && self.absent >= MOST_ABSENT {
            self.end().await?;
        }
        Ok(())
    }

    async fn pause(&self, pause: Duration) -> Outcome<()> {
        if pause.is_zero() {
            return Ok(());
        }
        let _waiting = self.context.progress.waiting();
        let slept = async {
            tokio::time::sleep(pause).await;
            Ok(())
        };
        self.context.stop.or(slept).await
    }

    async fn load(&mut self, mut batch: Batch) -> Outcome<()> {
        let progress = self.context.progress;
        let read_counts = batch.read_counts;
        progress.unknown(&std::mem::take(&mut batch.unknown));
        let written = if batch.writes_nothing() {
            Written::default()
        } else {
            self.loader.loader().await?.load(batch, None).await?
        };
        progress.loaded(read_counts, &written);
        Ok(())
    }

    /// A fault if the tenant knows the history of no profile, and never did.
    async fn end(&self) -> Outcome<()> {
        let context = self.context;
        if self.found > 0 || self.absent == 0 || !context.store.is_empty(context.resource.table()).await? {
            return Ok(());
        }
        Err(Fault::new(
            Kind::Absent,
            format!("the tenant has no history of any of {} profiles", self.absent),
        )
        .because("it answered 404")
        .hint("see whether the tenant's release has this resource"))
    }
}

/// Whether a fault would meet every history.
fn is_of_all(fault: &Fault) -> bool {
    !matches!(fault.kind, Kind::Transient | Kind::Strained | Kind::Final) || fault.of_database
}

/// Reads one history whole.
async fn one<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Listing>,
    history: &'static dyn History,
    profile: &str,
) -> Outcome<Found> {
    let mut bodies = Vec::new();
    let mut items = 0;
    for _ in 0..MOST_PAGES {
        let Some(request) = context.resource.history_of(profile, items) else {
            return Ok(Found::Absent);
        };
        let body = {
            let _waiting = context.progress.waiting();
            match context.source.one(&request, context.progress.meter()).await {
                Lookup::Found(body) => body,
                Lookup::Gone if bodies.is_empty() => return Ok(Found::Absent),
                // Beyond its end, a listing may answer that the page does not exist.
                Lookup::Gone => return Ok(Found::Whole(bodies)),
                Lookup::Unclear(fault) => return Err(fault),
            }
        };
        context.progress.change(|counts| counts.pages += 1);
        let answer = history.answer(&body)?;
        items += answer.items;
        bodies.push(body);
        let asked_for = request.count().map(u64::from);
        let is_last = match answer.total {
            Some(total) => items >= total,
            None => asked_for.is_none_or(|asked| answer.items < asked),
        };
        if is_last || answer.items == 0 {
            return Ok(Found::Whole(bodies));
        }
    }
    Err(Fault::new(Kind::Final, "a history does not end")
        .because(format!("{MOST_PAGES} pages of it came"))
        .hint("see what answers in the tenant's place"))
}
