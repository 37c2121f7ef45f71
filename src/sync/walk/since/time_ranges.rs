//! Arithmetic of time ranges, `(from, to]`.

use crate::model::batch::TimeRange;

/// Adds a range that starts at the end of the last one, or later. Adjacent ranges are joined, so that a scan of a thousand
/// pages still covers one range.
pub(super) fn add(spans: &mut Vec<TimeRange>, span: TimeRange) {
    match spans.last_mut() {
        Some(last) if last.to == span.from => last.to = span.to,
        _ => spans.push(span),
    }
}

/// The parts of `spans` within `whole`.
pub(super) fn within(whole: TimeRange, spans: &[TimeRange]) -> Vec<TimeRange> {
    let cut = |span: &TimeRange| TimeRange {
        from: span.from.max(whole.from),
        to: span.to.min(whole.to),
    };
    spans.iter().map(cut).filter(|span| span.from < span.to).collect()
}

/// The parts of `whole` outside the others.
pub(super) fn minus<'a>(whole: TimeRange, others: impl Iterator<Item = &'a TimeRange>) -> Vec<TimeRange> {
    let mut others: Vec<TimeRange> = others.copied().collect();
    others.sort_unstable_by_key(|span| span.from);
    let mut left = Vec::new();
    let mut from = whole.from;
    for other in others {
        if other.from > from && from < whole.to {
            left.push(TimeRange {
                from,
                to: other.from.min(whole.to),
            });
        }
        from = from.max(other.to);
    }
    if from < whole.to {
        left.push(TimeRange { from, to: whole.to });
    }
    left
}
