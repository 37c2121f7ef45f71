//! Small charts as SVG, drawn here: nothing runs in the browser. The stylesheet colours them, for light and dark; the form says the same
//! as the colour. Each has a title and a description, and the page says the same facts as text.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::html::Text;
use super::severity::class;
use crate::model::severity::Severity;

/// The size of a cell of a strip or of a row of bars, in units of the drawing, which is stretched to its place.
const CELL: usize = 10;
const BAR: usize = 8;
const HEIGHT: usize = 24;

/// What a chart says, for those who do not see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) title: &'a str,
    pub(super) description: &'a str,
}

/// A cell for each severity: a whole bar is well, a lower one needs attention, a broken one a person; a low one was not there to read, a
/// line says that nothing ran.
pub(super) fn strip(cells: &[Option<Severity>], said: Said<'_>) -> Markup {
    const DRAWN: [Option<Severity>; 6] = [
        None,
        Some(Severity::Idle),
        Some(Severity::Good),
        Some(Severity::Running),
        Some(Severity::Attention),
        Some(Severity::Person),
    ];
    let width = cells.len() * CELL;
    html! {
        svg.strip role="img" viewBox={ "0 0 " (width) " " (HEIGHT) } preserveAspectRatio="none" {
            (spoken(said))
            @for drawn in DRAWN {
                @let path = outline(cells, drawn);
                @if !path.is_empty() { path class=(drawn.map_or("none", class)) d=(path) {} }
            }
        }
    }
}

/// One cell of a strip for a legend, whose words stand beside it.
pub(super) fn sample(cell: Option<Severity>) -> Markup {
    html! {
        svg.sample aria-hidden="true" viewBox={ "0 0 " (CELL) " " (HEIGHT) } {
            path class=(cell.map_or("none", class)) d=(outline(&[cell], cell)) {}
        }
    }
}

fn outline(cells: &[Option<Severity>], drawn: Option<Severity>) -> String {
    let parts: &[(usize, usize)] = match drawn {
        None => &[(HEIGHT - 2, 2)],
        Some(Severity::Idle) => &[(16, 8)],
        Some(Severity::Good | Severity::Running) => &[(0, HEIGHT)],
        Some(Severity::Attention) => &[(8, 16)],
        Some(Severity::Person) => &[(0, 9), (15, 9)],
    };
    let mut path = String::new();
    for (position, _) in cells.iter().enumerate().filter(|(_, cell)| **cell == drawn) {
        for (top, height) in parts {
            rectangle(&mut path, position * CELL + 1, *top, BAR, *height);
        }
    }
    path
}

/// A bar for each value, relative to the largest one. A value above zero can be seen.
pub(super) fn bars(values: &[f64], said: Said<'_>) -> Markup {
    let most = values.iter().copied().fold(0.0, f64::max);
    let mut path = String::new();
    for (position, value) in values.iter().enumerate().filter(|(_, value)| **value > 0.0) {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of the height, between 1 and the height"
        )]
        let height = ((value / most * HEIGHT as f64).ceil() as usize).clamp(1, HEIGHT);
        rectangle(&mut path, position * CELL + 1, HEIGHT - height, BAR, height);
    }
    html! {
        svg.bars role="img" viewBox={ "0 0 " (values.len() * CELL) " " (HEIGHT) } preserveAspectRatio="none" {
            (spoken(said))
            path.base d={ "M0 " (HEIGHT - 1) "h" (values.len() * CELL) "v1H0z" } {}
            @if !path.is_empty() { path d=(path) {} }
        }
    }
}

/// A part of a time line, between 0 and 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Mark {
    pub(super) from: f64,
    pub(super) to: f64,
    /// Its colour; one that is idle is also lower.
    pub(super) severity: Severity,
}

/// The width of a time line, in units of the drawing.
const LINE: usize = 1000;

/// Marks on a line of time. A mark is at least `least` of the thousand units wide, so that it can be seen; marks in one place are drawn
/// once.
pub(super) fn line(marks: &[Mark], least: usize, said: Said<'_>) -> Markup {
    let mut severities: Vec<Severity> = marks.iter().map(|mark| mark.severity).collect();
    severities.sort_unstable();
    severities.dedup();
    html! {
        svg.line role="img" viewBox={ "0 0 " (LINE) " " (HEIGHT) } preserveAspectRatio="none" {
            (spoken(said))
            path.base d={ "M0 " (HEIGHT - 1) "h" (LINE) "v1H0z" } {}
            @for severity in severities {
                path class=(class(severity)) d=(marked(marks, severity, least)) {}
            }
        }
    }
}

fn marked(marks: &[Mark], severity: Severity, least: usize) -> String {
    let mut path = String::new();
    let mut drawn = None;
    for mark in marks.iter().filter(|mark| mark.severity == severity) {
        let (from, to) = (place(mark.from), place(mark.to));
        let left = from.min(LINE - least);
        let width = to.saturating_sub(left).max(least);
        if drawn != Some((left, width)) {
            let top = if severity == Severity::Idle { HEIGHT / 2 } else { 2 };
            rectangle(&mut path, left, top, width, HEIGHT - top);
        }
        drawn = Some((left, width));
    }
    path
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    clippy::cast_precision_loss,
    reason = "a place on the line, between 0 and its length"
)]
fn place(share: f64) -> usize {
    (share.clamp(0.0, 1.0) * LINE as f64).round() as usize
}

/// A part of a whole as a bar of its own.
pub(super) fn share(part: f64, severity: Severity, said: Said<'_>) -> Markup {
    let width = place(part);
    html! {
        svg.share role="img" viewBox={ "0 0 " (LINE) " 10" } preserveAspectRatio="none" {
            (spoken(said))
            path.base d={ "M0 0h" (LINE) "v10H0z" } {}
            path class=(class(severity)) d={ "M0 0h" (width) "v10H0z" } {}
        }
    }
}

fn rectangle(path: &mut String, left: usize, top: usize, width: usize, height: usize) {
    // Writing to a String cannot fail.
    let _ = write!(path, "M{left} {top}h{width}v{height}h-{width}z");
}

fn spoken(said: Said<'_>) -> Markup {
    html! {
        title { (Text(said.title)) }
        @if !said.description.is_empty() { desc { (Text(said.description)) } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SAID: Said<'static> = Said {
        title: "<b>",
        description: "",
    };

    #[test]
    fn each_outcome_has_a_form_of_its_own() {
        let forms = [
            None,
            Some(Severity::Idle),
            Some(Severity::Good),
            Some(Severity::Attention),
            Some(Severity::Person),
        ]
        .map(|cell| outline(&[cell], cell));
        for (position, form) in forms.iter().enumerate() {
            assert!(!form.is_empty());
            assert!(!forms[position + 1..].contains(form), "{form}");
        }
        let drawn = strip(&[Some(Severity::Good), None, Some(Severity::Good)], SAID).into_string();
        assert_eq!(drawn.matches("<path").count(), 2, "{drawn}");
        assert!(drawn.contains("<title>&lt;b&gt;</title>"), "{drawn}");
        assert!(drawn.contains("M1 0h8v24h-8zM21 0h8v24h-8z"), "{drawn}");
    }

    #[test]
    fn the_largest_value_fills_the_height_and_the_least_one_is_seen() {
        let drawn = bars(&[0.0, 1e-9, 5.0, 10.0], SAID).into_string();
        assert!(
            drawn.contains("M11 23h8v1h-8zM21 12h8v12h-8zM31 0h8v24h-8z"),
            "{drawn}"
        );
        let none = bars(&[0.0; 4], SAID).into_string();
        assert_eq!(none.matches("<path").count(), 1, "{none}");
    }

    #[test]
    fn marks_stay_on_the_line() {
        let mark = |from, to| Mark {
            from,
            to,
            severity: Severity::Attention,
        };
        let marks = [mark(-1.0, 0.5), mark(1.0, 1.0), mark(1.0, 1.0), mark(0.2, 0.1)];
        assert_eq!(
            marked(&marks, Severity::Attention, 4),
            "M0 2h500v22h-500zM996 2h4v22h-4zM200 2h4v22h-4z"
        );
    }
}
