//! The rows of the table: the content of each, and its goal.

use crate::results::{Case, PRODUCT, REFERENCE, Results, Spread};
use crate::text::{grouped, megabytes, memory, percent, rate, ratio, seconds};

/// Rows about one size of the tenant.
#[derive(Debug)]
pub(crate) struct Section {
    pub(crate) title: String,
    pub(crate) rows: Vec<Row>,
}

/// One row. `None` was not measured, or does not apply.
#[derive(Clone, Debug, Default)]
pub(crate) struct Row {
    pub(crate) what: String,
    pub(crate) product: Option<String>,
    pub(crate) reference: Option<String>,
    pub(crate) ratio: Option<String>,
    /// The goal; empty: none.
    pub(crate) target: String,
    pub(crate) reached: Option<bool>,
}

/// The most memory that the process may use, in KiB.
const MEMORY: f64 = 64.0 * 1024.0;
/// The latency of the cases with latency, in seconds.
const LATENCY: f64 = 0.1;
/// The page sizes for which memory is measured.
const PAGES: [&str; 4] = ["1000", "10000", "100000", "1000000"];
/// Peers, and the goals: how many times as fast the product has to be, in a full load and in an unchanged walk.
const PEERS: [(&str, &str, f64, f64); 2] = [
    (
        "script",
        "an obvious script (requests, execute_values, on conflict)",
        8.0,
        40.0,
    ),
    ("dlt", "dlt (rest_api, merge/upsert)", 20.0, 100.0),
];

/// All rows: for the tenant that has all cases, and for costs that grow with the tenant.
pub(crate) fn all(results: &Results) -> Vec<Section> {
    let sizes = results.sizes();
    let Some(main) = sizes.last().copied() else {
        return Vec::new();
    };
    let size = Size {
        results,
        profiles: main,
    };
    let title = |profiles: u64| format!("{} profiles", grouped_count(profiles));
    let everything = [
        size.limits(),
        size.loads(),
        size.storage(),
        size.latency(),
        size.broken(),
        size.timelines(),
        size.typed(),
        size.memory(),
        size.service(),
    ];
    let peers: Vec<Row> = size.peers().into_iter().filter(Row::was_measured).collect();
    if !peers.is_empty() {
        return vec![Section {
            title: title(main),
            rows: peers,
        }];
    }
    // The long form omits most cases.
    let is_long = sizes.len() > 1;
    let rows = everything.concat().into_iter();
    let mut sections = vec![Section {
        title: title(main),
        rows: rows.filter(|row| !is_long || row.was_measured()).collect(),
    }];
    for profiles in sizes.iter().rev().skip(1).copied() {
        let rows: Vec<Row> = Size { results, profiles }
            .loads()
            .into_iter()
            .filter(Row::was_measured)
            .collect();
        sections.push(Section {
            title: title(profiles),
            rows,
        });
    }
    sections.push(Section {
        title: "What grows with the tenant".into(),
        rows: growth(results, &sizes),
    });
    sections
}

impl Row {
    fn was_measured(&self) -> bool {
        self.product.is_some() || self.reference.is_some()
    }

    fn new(what: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            target: target.into(),
            ..Self::default()
        }
    }

    /// A number of the product with an upper bound.
    fn below(mut self, value: Option<Spread>, write: fn(Spread) -> String, bound: f64) -> Self {
        self.product = value.map(write);
        self.reached = value.map(|value| value.median < bound);
        self
    }

    /// A ratio with an upper bound.
    fn ratio_below(mut self, value: Option<Spread>, bound: f64) -> Self {
        self.ratio = value.map(ratio);
        self.reached = value.map(|value| value.median <= bound);
        self
    }
}

/// The results for a tenant of one size.
#[derive(Clone, Copy, Debug)]
struct Size<'a> {
    results: &'a Results,
    profiles: u64,
}

impl<'a> Size<'a> {
    fn case(self, name: &'a str, side: &'a str) -> Case<'a> {
        Case {
            profiles: self.profiles,
            name,
            side,
        }
    }

    fn product(self, name: &'a str, measure: &str) -> Option<Spread> {
        self.results.spread(self.case(name, PRODUCT), measure)
    }

    fn rate(self, name: &'a str, side: &'a str) -> Option<Spread> {
        self.results.rate(self.case(name, side), "rows")
    }

    /// The ratio of two cases' seconds, both the product's.
    fn times(self, name: &'a str, other: &'a str) -> Option<Spread> {
        let (one, other) = (self.case(name, PRODUCT), self.case(other, PRODUCT));
        self.results.ratio(one, other, "seconds")
    }

    fn limits(self) -> Vec<Row> {
        let limit = |what: &str, name| Row {
            reference: self.rate(name, REFERENCE).map(rate),
            ..Row::new(what, "")
        };
        vec![
            limit("tenant drained, profiles/s", "drain"),
            limit("ends of elements by `RawValue` + hash, profiles/s", "raw values"),
            limit("ends of elements by brackets + hash, profiles/s", "boundaries"),
            limit("COPY into staging, 1 connection, rows/s", "copy 1"),
            limit("COPY into staging, 2 connections, rows/s", "copy 2"),
        ]
    }

    fn loads(self) -> Vec<Row> {
        vec![
            self.against_reference("full load, profiles/s", "full", Some(0.95)),
            self.against_reference("unchanged walk, profiles/s", "unchanged", Some(0.8)),
            self.against_reference("1% changed, profiles/s", "changed", None),
            Row::new("1% changed / unchanged, time", "≤ 1.2")
                .ratio_below(self.times("changed", "unchanged"), 1.2),
            Row {
                product: self.product("increment", "seconds").map(seconds),
                ..Row::new("increment of 1,000", "")
            },
            Row {
                product: self.rate("audit", PRODUCT).map(rate),
                ..Row::new("audit events, events/s", "")
            },
        ]
    }

    fn against_reference(self, what: &str, name: &'a str, wanted: Option<f64>) -> Row {
        // The ratio of speeds: the inverse of that of the times.
        let (product, reference) = (self.case(name, PRODUCT), self.case(name, REFERENCE));
        let speed = self.results.ratio(reference, product, "seconds");
        Row {
            product: self.rate(name, PRODUCT).map(rate),
            reference: self.rate(name, REFERENCE).map(rate),
            ratio: speed.map(ratio),
            reached: speed.zip(wanted).map(|(speed, wanted)| speed.median >= wanted),
            ..Row::new(
                what,
                wanted.map(|wanted| format!("≥ {wanted}")).unwrap_or_default(),
            )
        }
    }

    fn storage(self) -> Vec<Row> {
        let reference = |name, measure| self.results.spread(self.case(name, REFERENCE), measure);
        let by_full = |name| {
            let (one, full) = (self.case(name, PRODUCT), self.case("full", PRODUCT));
            self.results.ratio(one, full, "wal")
        };
        let share = by_full("unchanged");
        let both = |what: &str, measure| Row {
            product: self.product("full", measure).map(megabytes),
            reference: reference("full", measure).map(megabytes),
            ..Row::new(what, "")
        };
        vec![
            self.writes_nothing("rows written by an unchanged walk", "unchanged"),
            both("WAL of a full load", "wal"),
            Row {
                product: self.product("unchanged", "wal").map(megabytes),
                reference: reference("unchanged", "wal").map(megabytes),
                ratio: share.map(percent),
                reached: share.map(|share| share.median < 0.01),
                ..Row::new(
                    "WAL of an unchanged walk, and its share of a full load's",
                    "< 1 %",
                )
            },
            both("profiles with indexes, after a full load", "size"),
            Row {
                product: self.product("changed", "size").map(megabytes),
                reference: reference("changed", "size").map(megabytes),
                ..Row::new("the same after two more walks, one with 1% changed", "")
            },
        ]
    }

    fn latency(self) -> Vec<Row> {
        // The pages of the walk, its sign-in and a few more requests, one after the other.
        let pages = self.product("late unchanged", "pages");
        let bound = pages.map(|pages| (pages.median + 5.0) * LATENCY * 1.2);
        let unchanged = self.product("late unchanged", "seconds");
        let wanted = bound.map_or("≤ 1.2 × (pages + 5) × 0.1 s".into(), |bound| {
            format!("≤ {bound:.2} s = 1.2 × (pages + 5) × 0.1 s")
        });
        vec![
            Row {
                product: self.product("late full", "seconds").map(seconds),
                ..Row::new("full load at 100 ms a request, time by that without", "≤ 1.3")
                    .ratio_below(self.times("late full", "full"), 1.3)
            },
            Row {
                product: unchanged.map(seconds),
                reached: unchanged
                    .zip(bound)
                    .map(|(unchanged, bound)| unchanged.median <= bound),
                ..Row::new("unchanged walk at 100 ms a request", wanted)
            },
        ]
    }

    fn broken(self) -> Vec<Row> {
        let row = |what: &str, name, whole| Row {
            product: self.rate(name, PRODUCT).map(rate),
            ..Row::new(what, "≤ 1.05").ratio_below(self.times(name, whole), 1.05)
        };
        vec![
            row(
                "full load, 1% broken elements; time by that without",
                "broken full",
                "sound full",
            ),
            row(
                "unchanged walk, 1% broken elements; the same",
                "broken unchanged",
                "sound unchanged",
            ),
        ]
    }

    fn writes_nothing(self, what: &str, name: &'a str) -> Row {
        let written = self.product(name, "written");
        Row {
            product: written.map(rate),
            reached: written.map(|written| written.most == 0.0),
            ..Row::new(what, "0")
        }
    }

    fn timelines(self) -> Vec<Row> {
        let row = |what: &str, name, without| Row {
            product: self.rate(name, PRODUCT).map(rate),
            ratio: self.times(name, without).map(ratio),
            ..Row::new(what, "")
        };
        vec![
            row(
                "full load, ten events for each profile; time by that without timelines",
                "with timelines, full",
                "without timelines, full",
            ),
            row(
                "unchanged walk, ten events for each profile; the same",
                "with timelines, unchanged",
                "without timelines, unchanged",
            ),
            self.writes_nothing(
                "rows written by an unchanged walk with timelines",
                "with timelines, unchanged",
            ),
        ]
    }

    /// Typed columns of 40 properties: by speeds, above 1 they are faster than none.
    fn typed(self) -> Vec<Row> {
        let row = |what: &str, name: &'a str, without: &'a str, wanted: f64| {
            let speed = self.times(without, name);
            Row {
                product: self.rate(name, PRODUCT).map(rate),
                ratio: speed.map(ratio),
                reached: speed.map(|speed| speed.median >= wanted),
                ..Row::new(what, format!("≥ {wanted}"))
            }
        };
        vec![
            row(
                "full load with typed columns beside all of `properties`",
                "typed all, full",
                "typed off, full",
                0.7,
            ),
            row(
                "unchanged walk, the same",
                "typed all, unchanged",
                "typed off, unchanged",
                0.95,
            ),
            row(
                "full load with typed columns and the rest in `properties`",
                "typed rest, full",
                "typed off, full",
                1.3,
            ),
            row(
                "unchanged walk, the same",
                "typed rest, unchanged",
                "typed off, unchanged",
                0.95,
            ),
        ]
    }

    fn memory(self) -> Vec<Row> {
        let row = |what: String, name: &'a str| {
            Row::new(what, "≤ 64 MiB").below(self.product(name, "peak"), memory, MEMORY)
        };
        let pages = PAGES.iter().flat_map(|count| {
            let name = |case: &str| leak(format!("{case}, pages of {count}"));
            [
                row(
                    format!("peak memory, full load, pages of {}", grouped_text(count)),
                    name("full"),
                ),
                row(
                    format!("peak memory, unchanged walk, pages of {}", grouped_text(count)),
                    name("unchanged"),
                ),
            ]
        });
        let all = [
            ("full load", "full"),
            ("unchanged walk", "unchanged"),
            ("1% changed", "changed"),
            ("1% broken, full load", "broken full"),
            ("audit events", "audit"),
            ("lists", "lists"),
            ("full load with timelines", "with timelines, full"),
            ("unchanged walk with timelines", "with timelines, unchanged"),
            ("full load with typed columns", "typed all, full"),
            ("full load with the rest", "typed rest, full"),
        ];
        pages
            .chain(all.map(|(what, name)| row(format!("peak memory, {what}"), name)))
            .collect()
    }

    fn service(self) -> Vec<Row> {
        vec![
            Row::new("start to first row, empty database", "< 1 s").below(
                self.product("first row", "seconds"),
                seconds,
                1.0,
            ),
            Row::new("`serve` idle, resident", "< 30 MiB").below(
                self.product("idle", "resident"),
                memory,
                30.0 * 1024.0,
            ),
            Row::new("`serve` idle, share of a core", "< 0.1 %").below(
                self.product("idle", "share"),
                percent,
                0.001,
            ),
        ]
    }

    fn peers(self) -> Vec<Row> {
        PEERS
            .iter()
            .flat_map(|(name, what, full, again)| {
                [
                    self.peer(&format!("{what}: full load"), "whole full", name, *full),
                    self.peer(
                        &format!("{what}: the same again"),
                        "whole unchanged",
                        name,
                        *again,
                    ),
                ]
            })
            .collect()
    }

    /// Whole commands: the seconds of both, and how many times as fast the product is, round by round.
    fn peer(self, what: &str, case: &'a str, side: &'a str, wanted: f64) -> Row {
        let (own, peer) = (self.case(case, PRODUCT), self.case(case, side));
        let times = self.results.ratio(peer, own, "seconds");
        Row {
            product: self.results.spread(own, "seconds").map(seconds),
            reference: self.results.spread(peer, "seconds").map(seconds),
            ratio: times.map(|times| format!("{:.1}", times.median)),
            reached: times.map(|times| times.median >= wanted),
            ..Row::new(what, format!("≥ {wanted} times"))
        }
    }
}

/// The cost of a profile in a large tenant, by the cost in a small one.
fn growth(results: &Results, sizes: &[u64]) -> Vec<Row> {
    let cost = |name: &'static str| {
        let by_profile = |profiles: u64| {
            let case = Case {
                profiles,
                name,
                side: PRODUCT,
            };
            results
                .rate(case, "rows")
                .map(|rate| (profiles, 1.0 / rate.median))
        };
        let measured: Vec<(u64, f64)> = sizes.iter().filter_map(|size| by_profile(*size)).collect();
        compared(&measured)
    };
    let increment: Vec<(u64, f64)> = sizes
        .iter()
        .filter_map(|size| {
            let case = Case {
                profiles: *size,
                name: "increment",
                side: PRODUCT,
            };
            Some((*size, results.spread(case, "seconds")?.median))
        })
        .collect();
    vec![
        grown("full load: cost of a profile", 1.15, cost("full")),
        grown("unchanged walk: cost of a profile", 1.15, cost("unchanged")),
        grown("increment of 1,000: time", 1.5, compared(&increment)),
    ]
}

/// The ratio of the largest tenant to the smallest.
fn compared(measured: &[(u64, f64)]) -> Option<(u64, u64, f64)> {
    let (small, large) = (measured.first()?, measured.last()?);
    (small.0 < large.0).then(|| (small.0, large.0, large.1 / small.1))
}

fn grown(what: &str, bound: f64, compared: Option<(u64, u64, f64)>) -> Row {
    let between =
        compared.map(|(small, large, _)| format!("{} by {}", grouped_count(large), grouped_count(small)));
    Row {
        product: between,
        ratio: compared.map(|(_, _, times)| format!("{times:.2}")),
        reached: compared.map(|(_, _, times)| times <= bound),
        ..Row::new(what, format!("≤ {bound}"))
    }
}

#[expect(clippy::cast_precision_loss, reason = "millions")]
fn grouped_count(count: u64) -> String {
    grouped(count as f64)
}

fn grouped_text(count: &str) -> String {
    count.parse().map_or_else(|_| count.to_owned(), grouped)
}

/// Makes the name of a case `'static`: it lives as long as the table.
fn leak(name: String) -> &'static str {
    Box::leak(name.into_boxed_str())
}
