//! Audit events: a scan by date in which every page is loaded whole, since equal events are numbered within it.

use std::time::Duration;

use chrono::TimeDelta;

use crate::model::Time;
use crate::model::batch::Advance;
use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::{Loader, Source, Store};
use crate::model::position::{Position, SincePosition};

use super::engine::{Context, Ended};
use super::lane::{self, Standing};
use super::lists::read_whole;
use super::task::EventsReading;
use super::walk::pressure::Pressure;
use super::walk::since::{Frame, SinceWalk, Step};

/// Scans the events since the watermark.
pub(super) async fn run<S: Source, T: Store>(
    context: &Context<'_, S, T>,
    reading: &EventsReading,
) -> Outcome<Ended> {
    context.engine.watcher.began(context.lease.slot, false);
    let resource = context.task.resource.as_ref();
    let mut loader = context
        .engine
        .store
        .loader(resource.table(), context.lease, None)
        .await?;
    let stored = context.engine.store.cursor(context.lease.slot).await?.watermark;
    let mut scan = Scan {
        walk: None,
        frame: frame(reading, stored, context.engine.clock.now()),
    };
    let mut unreachable = 0;
    let mut pressure = None;
    loop {
        let from = scan.from();
        let position = Position::Since(SincePosition { from });
        let (end, raw) = read_whole(context, &resource.request(&position, 0)).await?;
        let mut decoder = resource.decoder();
        let standing = Standing::of(0);
        let prepared = lane::prepare(resource, decoder.as_mut(), &mut loader, &raw, &standing).await?;
        let walk = scan.begin(end.head().server_time);
        pressure = pressure.or(walk.pressure(decoder.dates()));
        let step = walk.page(end.elements(), decoder.dates());
        let (next, advance) = match step {
            Step::Read(next, advance) => (Some(next), advance),
            Step::End(advance) => (None, advance),
            Step::Stuck => return Err(stuck(from)),
        };
        let tally = prepared.batch.tally;
        let advance = Advance {
            position: next.map(|from| Position::Since(SincePosition { from })),
            ..advance
        };
        unreachable = unreachable.max(advance.gaps.len());
        let written = loader.load(prepared.batch, Some(advance)).await?;
        context.progress.loaded(tally, &written);
        context.progress.change(|counts| {
            counts.pages += 1;
            counts.distinct = counts.inserted + counts.unchanged;
            counts.page_fill = pressure.map(|pressure| pressure.percent);
        });
        context.stop.check()?;
        if next.is_none() {
            break;
        }
    }
    if unreachable > 0 {
        context.progress.notice(&format!(
            "audit events cannot be read any more in {unreachable} stretch(es) of time; sync.gaps holds them"
        ));
    }
    let ended = Ended::well(&context.progress.read());
    Ok(match pressure.and_then(Pressure::advice) {
        None => ended,
        Some(advice) => {
            context.progress.notice(&advice);
            Ended {
                hint: ended.hint.or(Some(advice)),
                ..ended
            }
        }
    })
}

/// A scan whose frame is fixed by the first answer's `Date`.
struct Scan {
    walk: Option<SinceWalk>,
    frame: Frame,
}

impl Scan {
    /// The lower bound of the next request; before the first answer the local clock has to do.
    fn from(&self) -> Time {
        self.walk
            .as_ref()
            .map_or_else(|| self.frame.first(), SinceWalk::from)
    }

    /// The walk, begun with the tenant's time if this is the first answer.
    fn begin(&mut self, server_time: Option<Time>) -> &mut SinceWalk {
        let frame = self.frame;
        self.walk
            .get_or_insert_with(|| SinceWalk::begin(frame, server_time))
    }
}

fn frame(reading: &EventsReading, stored: Option<Time>, now: Time) -> Frame {
    Frame {
        watermark: stored,
        since: reading.since,
        overlap: delta(reading.overlap),
        settle: delta(reading.settle),
        retention: delta(reading.retention),
        order: reading.order,
        page_size: u64::from(reading.page_size),
        now,
    }
}

/// At most a century, so that no setting takes a date out of its range.
fn delta(duration: Duration) -> TimeDelta {
    let century = TimeDelta::days(36_500);
    TimeDelta::from_std(duration).unwrap_or(century).min(century)
}

fn stuck(from: Time) -> Fault {
    Fault::new(Kind::Final, "the audit events cannot be read on")
        .because(format!(
            "a full page answered `fromDate` {} without an event that is newer",
            from.to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        ))
        .hint("nothing before that date is lost; report this to BlueConic, since `fromDate` is not heeded")
}
