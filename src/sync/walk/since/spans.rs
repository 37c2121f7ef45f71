//! Arithmetic of stretches of time, `(from, to]`.

use crate::model::batch::Span;

/// Adds a span that begins where the last one ends, or later: a scan of a thousand pages still covers one stretch.
pub(super) fn add(spans: &mut Vec<Span>, span: Span) {
    match spans.last_mut() {
        Some(last) if last.to == span.from => last.to = span.to,
        _ => spans.push(span),
    }
}

/// What of the spans lies within another.
pub(super) fn within(whole: Span, spans: &[Span]) -> Vec<Span> {
    let cut = |span: &Span| Span {
        from: span.from.max(whole.from),
        to: span.to.min(whole.to),
    };
    spans.iter().map(cut).filter(|span| span.from < span.to).collect()
}

/// What is left of a span without the others.
pub(super) fn minus<'a>(whole: Span, others: impl Iterator<Item = &'a Span>) -> Vec<Span> {
    let mut others: Vec<Span> = others.copied().collect();
    others.sort_unstable_by_key(|span| span.from);
    let mut left = Vec::new();
    let mut from = whole.from;
    for other in others {
        if other.from > from && from < whole.to {
            left.push(Span {
                from,
                to: other.from.min(whole.to),
            });
        }
        from = from.max(other.to);
    }
    if from < whole.to {
        left.push(Span { from, to: whole.to });
    }
    left
}
