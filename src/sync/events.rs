//! Audit events: a scan by date. Each page is loaded as a whole, since equal events are numbered within a page.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::batch::{Advance, Batch, ScanEvidence};
use crate::model::clocks::OwnClocks;
use crate::model::event::Rename;
use crate::model::fault::Outcome;
use crate::model::page::PageEnd;
use crate::model::ports::{Feed, Loader, Source, Store};
use crate::model::position::{Position, SincePosition};

use super::batch;
use super::clocks::{self, WalkTimes};
use super::on_demand_loader::OnDemandLoader;
use super::raw_batch::RawBatch;
use super::renames::{self, Shown};
use super::run::{Context, Ended, Losses};
use super::run_spec::EventsReading;
use super::small_pages::read_whole;
use super::walk::page_fill::PageFill;
use super::walk::since::{ScanParameters, SinceWalk, Step};
use super::watermarks;

/// Scans the events since the watermark. A scan is in memory and its events in the database: where that lost some, the scan starts
/// again from the watermark that is stored.
pub(super) async fn run<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Feed>,
    reading: &EventsReading,
) -> Outcome<Ended> {
    context.listener.began(context.lease.slot, false, 0);
    let mut losses = Losses::default();
    loop {
        let outcome = scan(context, reading).await;
        if !losses
            .start_again(context, &outcome, "the scan starts again")
            .await?
        {
            return outcome;
        }
    }
}

async fn scan<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Feed>,
    reading: &EventsReading,
) -> Outcome<Ended> {
    let store = context.store;
    let own = context.own_clocks().await?;
    let mut parameters = trusted(
        context,
        parameters(reading, context.resource.page_size(), own),
        own,
    )
    .await?;
    parameters.scan_evidence = store.scan_evidence(parameters.evidence_up_to()).await?;
    let mut renames = store.renames().await?;
    let table = context.resource.table();
    let mut loader = OnDemandLoader::new(store, table, context.lease, None);
    let mut scan = Scan {
        walk: None,
        parameters,
        page_fill: None,
    };
    let mut gaps = 0;
    loop {
        let from = scan.from();
        let (end, prepared) = page(context, &mut loader, from, &mut renames).await?;
        let (next, advance) = match scan.take(context, &end, &prepared.dates, own) {
            Step::Read(next, advance) => (Some(next), advance),
            Step::End(advance) => (None, advance),
        };
        gaps = gaps.max(advance.gaps.len());
        let position = next.map(|from| Position::Since(SincePosition { from }));
        let disproves = scan.walk.as_ref().and_then(SinceWalk::disproves);
        let advance = Advance {
            position,
            disproves,
            ..advance
        };
        load(context, &mut loader, prepared.batch, advance).await?;
        let percent = scan.page_fill.map(|page_fill| page_fill.percent);
        context.progress.change(|counts| counts.page_fill = percent);
        context.stop.check()?;
        if next.is_none() {
            break;
        }
    }
    Ok(report(context, &scan, gaps))
}

/// Reports the gaps of the scan and how full its pages were.
fn report<S: Source, T: Store>(context: &Context<'_, S, T, dyn Feed>, scan: &Scan, gaps: usize) -> Ended {
    let mut ended = Ended::well(&context.progress.read());
    if gaps > 0 {
        context.progress.notice(&format!(
            "audit events cannot be read, or not be known to be complete, in {gaps} time range(s); sync.gaps holds them"
        ));
    }
    let unheeded = scan.walk.as_ref().filter(|walk| walk.is_unheeded());
    let unheeded = unheeded.map(|walk| unheeded_hint(walk.from()));
    for hint in [unheeded, scan.page_fill.and_then(PageFill::advice)]
        .into_iter()
        .flatten()
    {
        context.progress.notice(&hint);
        ended.hint = ended.hint.or(Some(hint));
    }
    ended
}

/// A page that is ready to be loaded, with the dates of its events.
struct Dated {
    batch: Batch,
    dates: Vec<Time>,
}

/// Reads one page whole.
async fn page<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Feed>,
    loader: &mut OnDemandLoader<'_, T>,
    from: Time,
    renames: &mut Vec<Rename>,
) -> Outcome<(PageEnd, Dated)> {
    let feed = context.resource.as_ref();
    let wanted = u64::from(feed.page_size());
    let request = feed.page(from);
    let source = context.source.as_ref();
    let meter = context.progress.meter();
    let (end, raw) = {
        let _waiting = context.progress.waiting();
        loader
            .reading(read_whole(source, context.stop, meter, &request))
            .await?
    };
    let page = decode(feed, &raw, renames).await;
    let is_short = end.elements() < wanted;
    let Some(shown) = Shown::of(&page.dates, is_short).filter(|_| !page.batch.events.is_empty()) else {
        return Ok((end, page));
    };
    let loader = loader.loader().await?;
    let stored = loader.similar_events(&page.batch.events).await?;
    let found = renames::found(shown, &page.batch.events, &stored, renames);
    if found.is_empty() {
        return Ok((end, page));
    }
    loader.record_renames(&found).await?;
    for rename in &found {
        context.progress.notice(&rename.sentence());
    }
    renames.extend(found);
    let page = decode(feed, &raw, renames).await;
    Ok((end, page))
}

/// Decodes a page. `renames`: the values that the tenant renamed.
async fn decode(feed: &dyn Feed, raw: &RawBatch, renames: &[Rename]) -> Dated {
    let mut decoder = feed.decoder(renames);
    let batch = batch::decode(feed, decoder.as_mut(), raw).await;
    Dated {
        batch,
        dates: decoder.dates().to_vec(),
    }
}

/// Loads one page and counts it.
async fn load<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Feed>,
    loader: &mut OnDemandLoader<'_, T>,
    mut batch: Batch,
    advance: Advance,
) -> Outcome<()> {
    let read_counts = batch.read_counts;
    context.progress.unknown(&std::mem::take(&mut batch.unknown));
    let written = loader.loader().await?.load(batch, Some(advance)).await?;
    context.progress.loaded(read_counts, &written);
    context.progress.change(|counts| {
        counts.pages += 1;
        counts.distinct = counts.inserted + counts.unchanged;
    });
    Ok(())
}

/// A scan whose parameters are completed by the first answer's `Date`.
struct Scan {
    walk: Option<SinceWalk>,
    parameters: ScanParameters,
    /// How full the first page was.
    page_fill: Option<PageFill>,
}

impl Scan {
    /// The lower bound of the next request. Before the first answer, the local clock decides.
    fn from(&self) -> Time {
        self.walk
            .as_ref()
            .map_or_else(|| self.parameters.asked(), SinceWalk::from)
    }

    /// Processes an answer; the walk starts at the time of the first one. Events that the tenant dates ahead of both own clocks
    /// are loaded, but the watermark stays before them.
    fn take<S: Source, T: Store>(
        &mut self,
        context: &Context<'_, S, T, dyn Feed>,
        end: &PageEnd,
        dates: &[Time],
        own: OwnClocks,
    ) -> Step {
        let server_time = end.head().server_time;
        let parameters = ScanParameters {
            latest: server_time.map_or(own.later(), |server_time| server_time.max(own.later())),
            ..self.parameters
        };
        let walk = self.walk.get_or_insert_with(|| {
            clocks::advise_on_clocks(context.progress, server_time, own);
            SinceWalk::begin(
                parameters,
                server_time.map(|_| WalkTimes::of(server_time, own).claimed),
            )
        });
        self.page_fill = self.page_fill.or(walk.page_fill(end.elements(), dates));
        walk.page(end.elements(), dates)
    }
}

/// The parameters with the stored watermark, if that is not ahead of both own clocks. One that is ahead may have
/// skipped events: the scan then begins at the start of the tenant's retention, and the time since the newest stored
/// event that the tenant no longer keeps becomes a gap.
async fn trusted<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Feed>,
    parameters: ScanParameters,
    own: OwnClocks,
) -> Outcome<ScanParameters> {
    let store = context.store;
    let watermark = store.cursor(context.lease.slot).await?.watermark;
    let Some(ahead) = watermark.filter(|watermark| !own.believe(*watermark)) else {
        return Ok(ScanParameters {
            watermark,
            ..parameters
        });
    };
    let instead = "reading all events that the tenant still has";
    watermarks::advise_on_ignored_watermark(context.progress, context.lease.slot, ahead, own, instead);
    Ok(ScanParameters {
        watermark: store.scan_evidence(own.bound()).await?.event,
        since: parameters.since.or(Some(Time::MIN_UTC)),
        ..parameters
    })
}

/// The parameters without a watermark.
fn parameters(reading: &EventsReading, page_size: u32, own: OwnClocks) -> ScanParameters {
    ScanParameters {
        watermark: None,
        since: reading.since,
        overlap: delta(reading.overlap),
        settle: delta(reading.settle),
        retention: delta(reading.retention),
        order: reading.order,
        page_size: u64::from(page_size),
        now: own.earlier(),
        latest: own.later(),
        scan_evidence: ScanEvidence::default(),
    }
}

/// At most a century, so that no setting takes a date out of its range.
fn delta(duration: Duration) -> TimeDelta {
    let century = TimeDelta::days(36_500);
    TimeDelta::from_std(duration).unwrap_or(century).min(century)
}

fn unheeded_hint(from: Time) -> String {
    format!(
        "a full page answered `fromDate` {} without an event that is newer, so nothing behind it could be read: \
         report this to BlueConic, since `fromDate` is not heeded",
        from.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
    )
}
