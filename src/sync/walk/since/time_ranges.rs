//! Arithmetic of stretches of time, `(from, to]`.

use crate::model::batch::TimeRange;

/// Adds a span that begins where the last one ends, or later: a scan of a thousand pages still covers one stretch.
pub(super) fn add(spans: &mut Vec<TimeRange>, span: TimeRange) {
    match spans.last_mut() {
        Some(last) if last.to == span.from => last.to = span.to,
        _ => spans.push(span),
    }
}

/// What of the spans lies within another.
pub(super) fn within(whole: TimeRange, spans: &[TimeRange]) -> Vec<TimeRange> {
    let cut = |span: &TimeRange| TimeRange {
        from: span.from.max(whole.from),
        to: span.to.min(whole.to),
    };
    spans.iter().map(cut).filter(|span| span.from < span.to).collect()
}

/// What is left of a span without the others.
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
