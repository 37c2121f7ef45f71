//! A picture of the tables that join, as SVG: their keys, the columns that name rows of other tables, and a line from each such column to
//! its table. A view that shows another one without bytes is left out. Tables that are named stand to the right of those that name them, with profiles in between.

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use crate::model::dictionary::{Dictionary, Relation};

use super::escape::escaped;

/// The table that most others name.
const HUB: &str = "profiles";
/// How the name of a view ends that shows another table or view without bytes.
const COPY: &str = "_plain";
/// Sizes in pixels.
const WIDTH: usize = 250;
const ROW: usize = 18;
const HEAD: usize = 26;
const GAP: usize = 22;
/// Between two stacks, where the lines run.
const BETWEEN: usize = 150;
const MARGIN: usize = 20;
/// Where the hub's stack begins, in pixels from the top.
const HUB_TOP: usize = 240;

const STYLE: &str = "<style>text { font: 12px ui-monospace, monospace; fill: #1d2733; } .name { font-weight: bold; } \
    .key { fill: #8a5a00; } .box { fill: #fff; stroke: #9aa7b5; } .head { fill: #e8eef5; stroke: #9aa7b5; } \
    .view { fill: #eef5e8; stroke: #9aa7b5; } .join { fill: none; stroke: #5b7fa6; } .end { fill: #5b7fa6; }</style>\n";

/// A table in the picture.
struct Drawn<'a> {
    relation: &'a Relation,
    /// The names of its shown columns: of the key, and those that join.
    rows: Vec<&'a str>,
    left: usize,
    top: usize,
}

impl Drawn<'_> {
    fn height(&self) -> usize {
        HEAD + ROW * self.rows.len() + 6
    }

    /// The middle of a column's row, or of the head where the column is not shown.
    fn middle(&self, column: &str) -> usize {
        let place = self.rows.iter().position(|row| *row == column);
        self.top + place.map_or(HEAD / 2, |place| HEAD + ROW * place + ROW / 2)
    }
}

/// The picture.
pub(super) fn svg(dictionary: &Dictionary) -> String {
    let drawn = placed(dictionary);
    let right = drawn.values().map(|one| one.left + WIDTH).max().unwrap_or(0) + BETWEEN / 2 + MARGIN;
    let bottom = drawn
        .values()
        .map(|one| one.top + one.height())
        .max()
        .unwrap_or(0)
        + MARGIN;
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{right}\" height=\"{bottom}\" viewBox=\"0 0 {right} {bottom}\" \
         role=\"img\" aria-label=\"How the tables join\">\n{STYLE}"
    );
    for one in drawn.values() {
        lines(one, &drawn, &mut svg);
    }
    for one in drawn.values() {
        table(one, &mut svg);
    }
    svg.push_str("</svg>\n");
    svg
}

/// The tables with their places: those that name profiles alone, profiles, those that name other tables, and these.
fn placed(dictionary: &Dictionary) -> BTreeMap<&str, Drawn<'_>> {
    let targets: BTreeMap<&str, BTreeSet<&str>> = dictionary
        .relations
        .iter()
        .map(|relation| (relation.name.as_str(), targets(relation)))
        .collect();
    let named: BTreeSet<&str> = targets.values().flatten().copied().collect();
    let mut stacks: [Vec<&Relation>; 4] = Default::default();
    for relation in &dictionary.relations {
        let own = &targets[relation.name.as_str()];
        let stack = if relation.name.ends_with(COPY) {
            continue;
        } else if relation.name == HUB {
            1
        } else if named.contains(relation.name.as_str()) {
            3
        } else if own.is_empty() {
            continue;
        } else if own.iter().all(|target| *target == HUB) {
            0
        } else {
            2
        };
        stacks[stack].push(relation);
    }
    // A table stands at the height of what it names.
    let order: Vec<&str> = stacks[3].iter().map(|relation| relation.name.as_str()).collect();
    stacks[2].sort_by_key(|relation| {
        let own = targets[relation.name.as_str()].iter();
        let places = own.filter_map(|target| order.iter().position(|name| name == target));
        places.min().unwrap_or(0)
    });
    let mut drawn = BTreeMap::new();
    for (place, stack) in stacks.iter().enumerate() {
        let mut top = if place == 1 { HUB_TOP } else { MARGIN };
        for relation in stack {
            let one = Drawn {
                relation,
                rows: rows(relation),
                left: MARGIN + place * (WIDTH + BETWEEN),
                top,
            };
            top += one.height() + GAP;
            drawn.insert(relation.name.as_str(), one);
        }
    }
    drawn
}

/// The tables that a table names, itself left out.
fn targets(relation: &Relation) -> BTreeSet<&str> {
    let joins = relation.columns.iter().filter_map(|column| column.joins.as_ref());
    joins
        .map(|(to, _)| to.as_str())
        .filter(|to| *to != relation.name)
        .collect()
}

fn rows(relation: &Relation) -> Vec<&str> {
    let shown = relation
        .columns
        .iter()
        .filter(|column| column.is_key || column.joins.is_some());
    shown.map(|column| column.name.as_str()).collect()
}

fn lines(from: &Drawn<'_>, drawn: &BTreeMap<&str, Drawn<'_>>, svg: &mut String) {
    for column in &from.relation.columns {
        let Some((to, by)) = &column.joins else { continue };
        let Some(target) = drawn.get(to.as_str()).filter(|_| *to != from.relation.name) else {
            continue;
        };
        let (y, end) = (from.middle(&column.name), target.middle(by));
        let half = BETWEEN / 2;
        let right = target.left + WIDTH;
        let (x, bend, other, goal) = match from.left.cmp(&target.left) {
            Ordering::Less => (
                from.left + WIDTH,
                from.left + WIDTH + half,
                target.left - half,
                target.left,
            ),
            Ordering::Greater => (from.left, from.left - half, right + half, right),
            Ordering::Equal => (right, right + half, right + half, right),
        };
        let _ = writeln!(
            svg,
            "<path class=\"join\" d=\"M{x},{y} C{bend},{y} {other},{end} {goal},{end}\"><title>{} = {}</title></path>\n\
             <circle class=\"end\" cx=\"{goal}\" cy=\"{end}\" r=\"3\"/>",
            escaped(&format!("{}.{}", from.relation.name, column.name)),
            escaped(&format!("{to}.{by}")),
        );
    }
}

fn table(one: &Drawn<'_>, svg: &mut String) {
    let Drawn {
        left,
        top,
        relation,
        rows,
    } = one;
    let class = if relation.kind == "view" { "view" } else { "head" };
    let _ = writeln!(
        svg,
        "<g><title>{}</title>\n<rect class=\"box\" x=\"{left}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{}\" rx=\"4\"/>\n\
         <rect class=\"{class}\" x=\"{left}\" y=\"{top}\" width=\"{WIDTH}\" height=\"{HEAD}\" rx=\"4\"/>\n\
         <text class=\"name\" x=\"{}\" y=\"{}\">{}</text>",
        escaped(&relation.description),
        one.height(),
        left + 8,
        top + 17,
        escaped(&relation.name),
    );
    let keys: BTreeSet<&str> = relation.key().map(|column| column.name.as_str()).collect();
    for (place, row) in rows.iter().enumerate() {
        let class = if keys.contains(row) { " class=\"key\"" } else { "" };
        let y = top + HEAD + ROW * place + 14;
        let _ = writeln!(
            svg,
            "<text{class} x=\"{}\" y=\"{y}\">{}</text>",
            left + 8,
            escaped(row)
        );
    }
    svg.push_str("</g>\n");
}
