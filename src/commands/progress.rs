//! Shows the progress of runs: a bar on a terminal, a log line every few seconds elsewhere.

use std::collections::{HashMap, HashSet};
use std::fmt::Write as _;
use std::io::IsTerminal;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

use super::pace::Pace;
use crate::model::format;
use crate::model::ledger::{Counts, RunReport};
use crate::model::position::Slot;
use crate::model::sanitize;
use crate::model::status::RunStatus;
use crate::sync::progress::RunListener;
use crate::telemetry::{Attached, Terminal};

/// The time between two log lines of one run.
const LINE_EVERY: Duration = Duration::from_secs(10);

/// A listener for the kind of stderr, and the guard that keeps log lines and bars apart.
pub(super) fn listener(terminal: &Terminal) -> (Arc<dyn RunListener>, Option<Attached>) {
    if !std::io::stderr().is_terminal() {
        return (Arc::new(Lines::default()), None);
    }
    let bars = MultiProgress::new();
    let attached = terminal.attach(&bars);
    (
        Arc::new(Bars {
            stack: bars,
            by_slot: Mutex::default(),
            paces: Paces::default(),
            counting: Mutex::default(),
        }),
        Some(attached),
    )
}

/// The paces of open runs.
#[derive(Default)]
struct Paces(Mutex<HashMap<Slot, Pace>>);

impl Paces {
    fn with<T>(&self, slot: Slot, work: impl FnOnce(&mut Pace) -> T) -> T {
        let mut paces = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        work(paces.entry(slot).or_default())
    }

    fn of(&self, slot: Slot, counts: &Counts) -> Speed {
        let now = Instant::now();
        self.with(slot, |pace| {
            pace.note(now, counts.read);
            let far = pace.far();
            let total = counts.source_total.filter(|total| *total >= far);
            Speed {
                far,
                total,
                per_second: pace.per_second(now),
                left: total.and_then(|total| pace.left(now, total)),
            }
        })
    }

    fn forget(&self, slot: Slot) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&slot);
    }
}

/// How far, how fast, and until when.
struct Speed {
    far: u64,
    total: Option<u64>,
    per_second: Option<f64>,
    left: Option<Duration>,
}

impl Speed {
    /// `27,000 a second, 3 h 12 min of reading left`; none at the start.
    fn sentence(&self) -> Option<String> {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a speed is not negative, and far below 2^64"
        )]
        let speed = format::count(self.per_second? as u64);
        Some(match self.left {
            Some(left) => format!("{speed} a second, {} of reading left", format::rough(left)),
            None => format!("{speed} a second"),
        })
    }

    /// `1,234 of 5,000 (24%)`, or without a total `1,234`.
    fn distance(&self) -> String {
        let far = format::count(self.far);
        match self.total {
            Some(total) if total > 0 => format!(
                "{far} of {} ({}%)",
                format::count(total),
                u128::from(self.far) * 100 / u128::from(total)
            ),
            _ => far,
        }
    }
}

/// Bars, one a run.
struct Bars {
    stack: MultiProgress,
    by_slot: Mutex<HashMap<Slot, ProgressBar>>,
    paces: Paces,
    counting: Mutex<Option<ProgressBar>>,
}

impl Bars {
    fn bar(&self, slot: Slot) -> ProgressBar {
        let mut bars = self.by_slot.lock().unwrap_or_else(PoisonError::into_inner);
        bars.entry(slot)
            .or_insert_with(|| {
                let bar = self.stack.add(ProgressBar::new_spinner());
                bar.set_prefix(slot.resource);
                bar.set_style(style("{prefix:<18} {spinner} {human_pos} read, {wide_msg}"));
                bar.enable_steady_tick(Duration::from_millis(120));
                bar
            })
            .clone()
    }
}

/// The templates are constants. A wrong one would show a plain bar.
fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

impl RunListener for Bars {
    fn began(&self, slot: Slot, resumed: bool, read_before: u64) {
        self.paces.with(slot, |pace| pace.begin(read_before));
        let bar = self.bar(slot);
        if resumed {
            bar.println(format!("{}: continuing from the stored position", slot.resource));
        }
    }

    fn counts(&self, slot: Slot, counts: &Counts) {
        let bar = self.bar(slot);
        let speed = self.paces.of(slot, counts);
        if let Some(total) = speed.total
            && bar.length() != Some(total)
        {
            bar.set_length(total);
            bar.set_style(style("{prefix:<18} {bar:20} {human_pos}/{human_len}  {wide_msg}"));
        }
        bar.set_position(speed.far);
        bar.set_message(match speed.sentence() {
            Some(speed) => format!("{speed}  {}", written(counts)),
            None => written(counts),
        });
    }

    fn notice(&self, slot: Slot, sentence: &str) {
        self.bar(slot)
            .println(format!("{}: {}", slot.resource, sanitize::line(sentence)));
    }

    fn counted(&self, segments: usize, of: usize) {
        let mut counting = self.counting.lock().unwrap_or_else(PoisonError::into_inner);
        let bar = counting.get_or_insert_with(|| {
            let bar = self.stack.add(ProgressBar::new(0));
            bar.set_style(style(
                "{prefix:<18} {bar:20} {human_pos}/{human_len} segments  {eta} left",
            ));
            bar.set_prefix("counts");
            bar
        });
        bar.set_length(of as u64);
        bar.set_position(segments as u64);
        if segments == of {
            bar.finish_and_clear();
            *counting = None;
        }
    }

    fn ended(&self, report: &RunReport) {
        self.paces.forget(report.slot);
        let bar = self.bar(report.slot);
        bar.set_style(style("{prefix:<18} {msg}"));
        bar.finish_with_message(format!(
            "{}, {} read, {}",
            report.ledger.status.as_str(),
            format::count(report.ledger.counts.read),
            written(&report.ledger.counts)
        ));
    }
}

fn written(counts: &Counts) -> String {
    let mut text = format!(
        "{} new, {} changed, {} same",
        format::count(counts.inserted),
        format::count(counts.updated),
        format::count(counts.unchanged)
    );
    for (number, what) in [
        (counts.removed, "removed"),
        (counts.rejected, "rejected"),
        (counts.suppressed, "left out as erased"),
    ] {
        if number > 0 {
            // Writing into a String cannot fail.
            let _ = write!(text, ", {} {what}", format::count(number));
        }
    }
    text
}

/// Log lines, for a container's log or a file.
#[derive(Default)]
pub(super) struct Lines {
    paces: Paces,
    last: Mutex<HashMap<Slot, Instant>>,
    counted: Mutex<Option<Instant>>,
    /// The slots whose runs were skipped before, so that each is said once.
    skipped: Mutex<HashSet<Slot>>,
}

impl Lines {
    /// Logs a skipped run: as a warning once, then only for somebody who asks for details.
    fn skipped(&self, report: &RunReport) {
        let name = report.slot.lease_name();
        let error = report.ledger.error.as_deref().unwrap_or_default();
        let hint = report.ledger.hint.as_deref();
        let mut skipped = self.skipped.lock().unwrap_or_else(PoisonError::into_inner);
        if skipped.insert(report.slot) {
            tracing::warn!(
                resource = report.slot.resource,
                hint,
                "{name} is skipped: {error}"
            );
        } else {
            tracing::debug!(
                resource = report.slot.resource,
                hint,
                "{name} is skipped again: {error}"
            );
        }
    }

    /// Whether a line is due.
    fn due(&self, slot: Slot) -> bool {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        match last.get(&slot) {
            Some(before) if now - *before < LINE_EVERY => false,
            Some(_) => {
                last.insert(slot, now);
                true
            }
            None => {
                last.insert(slot, now);
                false
            }
        }
    }
}

impl RunListener for Lines {
    fn began(&self, slot: Slot, resumed: bool, read_before: u64) {
        self.paces.with(slot, |pace| pace.begin(read_before));
        let how = if resumed { "resumed" } else { "started" };
        tracing::info!(
            resource = slot.resource,
            mode = slot.scope.as_str(),
            "{} {how}",
            slot.lease_name()
        );
    }

    fn counts(&self, slot: Slot, counts: &Counts) {
        let speed = self.paces.of(slot, counts);
        if !self.due(slot) {
            return;
        }
        let sentence = speed
            .sentence()
            .map_or_else(String::new, |said| format!(", {said}"));
        tracing::info!(
            resource = slot.resource,
            mode = slot.scope.as_str(),
            rows_read = counts.read,
            source_total = counts.source_total,
            rows_inserted = counts.inserted,
            rows_updated = counts.updated,
            rows_unchanged = counts.unchanged,
            rows_per_second = speed.per_second,
            seconds_left = speed.left.map(|left| left.as_secs()),
            "{}: {} read{sentence}",
            slot.lease_name(),
            speed.distance()
        );
    }

    fn notice(&self, slot: Slot, sentence: &str) {
        tracing::warn!(
            resource = slot.resource,
            mode = slot.scope.as_str(),
            "{}: {sentence}",
            slot.lease_name()
        );
    }

    fn counted(&self, segments: usize, of: usize) {
        let mut last = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        let last = last.get_or_insert_with(Instant::now);
        if last.elapsed() >= LINE_EVERY {
            *last = Instant::now();
            tracing::info!(segments, of, "the tenant has counted {segments} of {of} segments");
        }
    }

    fn ended(&self, report: &RunReport) {
        self.paces.forget(report.slot);
        let name = report.slot.lease_name();
        let counts = &report.ledger.counts;
        let seconds = (report.finished_at - report.started_at).as_seconds_f64();
        let status = report.ledger.status;
        if status == RunStatus::Skipped {
            self.skipped(report);
            return;
        }
        // A run that did not succeed is a warning here; the command also reports it as an error.
        if status == RunStatus::Succeeded {
            tracing::info!(
                resource = report.slot.resource,
                mode = report.slot.scope.as_str(),
                status = status.as_str(),
                seconds,
                rows_read = counts.read,
                rows_inserted = counts.inserted,
                rows_updated = counts.updated,
                rows_unchanged = counts.unchanged,
                rows_removed = counts.removed,
                "{name} {} in {}: {} read, {}",
                status.as_str(),
                format::precise(seconds),
                counts.read,
                written(counts)
            );
        } else {
            tracing::warn!(
                resource = report.slot.resource,
                mode = report.slot.scope.as_str(),
                status = status.as_str(),
                seconds,
                rows_read = counts.read,
                rows_inserted = counts.inserted,
                rows_updated = counts.updated,
                rows_unchanged = counts.unchanged,
                rows_rejected = counts.rejected,
                error = report.ledger.error.as_deref(),
                hint = report.ledger.hint.as_deref(),
                "{name} {} in {}: {}",
                status.as_str(),
                format::precise(seconds),
                report.ledger.error.as_deref().unwrap_or_default()
            );
        }
    }
}
