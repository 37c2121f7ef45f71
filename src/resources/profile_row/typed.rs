//! The values of properties in typed columns: what fits a column's type, and what does not.

use std::sync::Arc;

use chrono::{DateTime, Datelike as _};

use crate::model::Time;
use crate::model::decimal::{Decimal, NotDecimal};
use crate::model::personal_data::{Action, Treatment};
use crate::model::property_columns::{FIXED_COLUMNS, PropertyColumns, ValueKind};
use crate::model::rows::{RowWriter, Rows};
use crate::resources::dates;

use super::draft::{CompleteProfile, ReadProperty, Text};
use super::property_order::{head, jsonb_order};

/// The most digits of a date in milliseconds.
const MOST_MILLISECONDS: usize = 14;

/// The longest value that is an identifier, in bytes: it has to fit into an entry of an index.
const LONGEST_IDENTIFIER: usize = 600;

/// Where the values of each property go, found once for all decoders of a run.
#[derive(Debug)]
pub(in crate::resources) struct ColumnPlan {
    columns: Arc<PropertyColumns>,
    /// The properties that have columns, in the order of their ids ([`jsonb_order`]).
    planned: Vec<PlannedProperty>,
}

/// Writes the typed columns of profiles. Its buffers are reused for the next profile.
#[derive(Debug)]
pub(super) struct TypedColumns {
    plan: Arc<ColumnPlan>,
    /// One row with the fields of the current profile, encoded one after another.
    scratch: Rows,
    fields: Vec<Field>,
    problems: Vec<String>,
    /// The identifiers of the current profile: their properties, by their places in `planned_identifiers`, and values.
    identifiers: Vec<(usize, String)>,
    /// For each of the profile's properties: whether its columns hold exactly what came.
    is_held: Vec<bool>,
}

#[derive(Debug)]
struct PlannedProperty {
    head: u64,
    id: String,
    columns: Vec<PlannedColumn>,
    /// Its place among the properties whose values are identifiers.
    identifier: Option<usize>,
}

#[derive(Debug)]
struct PlannedColumn {
    table: usize,
    place: usize,
    kind: ValueKind,
    is_all: bool,
    /// Whether `blueconic.profiles_json` reads it: of several columns of one form, the oldest.
    is_read_back: bool,
}

/// An encoded field.
#[derive(Debug)]
struct Field {
    table: usize,
    place: usize,
    start: usize,
    end: usize,
}

impl ColumnPlan {
    /// The plan for these columns. A hashed value is written into columns of texts alone.
    pub(in crate::resources) fn new(columns: Arc<PropertyColumns>, treatment: &Treatment) -> Self {
        let mut planned: Vec<PlannedProperty> = Vec::new();
        let mut sorted: Vec<_> = columns.all().collect();
        sorted
            .sort_by(|(.., one), (.., other)| jsonb_order(&one.property).cmp(&jsonb_order(&other.property)));
        for (table, place, column) in sorted {
            if planned.last().is_none_or(|last| last.id != column.property) {
                planned.push(PlannedProperty {
                    head: head(column.property.as_bytes()),
                    id: column.property.clone(),
                    columns: Vec::new(),
                    identifier: columns.identifiers.binary_search(&column.property).ok(),
                });
            }
            let Some(property) = planned.last_mut() else {
                continue;
            };
            let is_first = |one: &PlannedColumn| one.is_all != column.is_all;
            let is_read_back = property.columns.iter().all(is_first);
            property.columns.push(PlannedColumn {
                table,
                place,
                kind: column.kind,
                is_all: column.is_all,
                is_read_back,
            });
        }
        for property in &mut planned {
            if treatment.action(&property.id) != Action::Keep {
                property.columns.retain(|column| column.kind == ValueKind::Text);
            }
        }
        Self { columns, planned }
    }

    /// Whether `properties` may leave out what the columns hold.
    pub(in crate::resources) fn has_rest(&self) -> bool {
        self.columns.has_rest
    }
}

impl TypedColumns {
    pub(super) fn new(plan: Arc<ColumnPlan>) -> Self {
        Self {
            plan,
            scratch: Rows::default(),
            fields: Vec::new(),
            problems: Vec::new(),
            identifiers: Vec::new(),
            is_held: Vec::new(),
        }
    }

    /// The columns that it writes.
    pub(super) fn columns(&self) -> &Arc<PropertyColumns> {
        &self.plan.columns
    }

    /// Reads the values of a profile. Returns which of its properties, in their order, the columns hold exactly as they came.
    pub(super) fn read(&mut self, profile: &CompleteProfile<'_>) -> &[bool] {
        self.scratch.truncate(0);
        self.fields.clear();
        self.problems.clear();
        self.identifiers.clear();
        self.is_held.clear();
        let mut out = self.scratch.row(b"", None, 0);
        let mut planned = self.plan.planned.as_slice();
        for property in profile.properties() {
            // Both are in the same order.
            let found = planned.binary_search_by(|planned| {
                let id = (planned.id.len(), planned.id.as_bytes());
                (planned.head.cmp(&property.head)).then_with(|| id.cmp(&(property.id.len(), property.id)))
            });
            let (Ok(place) | Err(place)) = found;
            planned = &planned[place..];
            let Some(planned) = planned.first().filter(|_| found.is_ok()) else {
                self.is_held.push(false);
                continue;
            };
            let mut is_held = false;
            for column in &planned.columns {
                let start = out.place();
                let written = if column.is_all {
                    all(profile, property, column.kind, &mut out)
                } else {
                    first(profile, property, column.kind, &mut out)
                };
                is_held |= written.is_exact && column.is_read_back;
                let misfit = written.misfit.map(|misfit| format!("{}:{misfit}", planned.id));
                self.problems.extend(misfit);
                let end = out.place();
                if end > start {
                    self.fields.push(Field {
                        table: column.table,
                        place: column.place,
                        start,
                        end,
                    });
                }
            }
            self.is_held.push(is_held);
            if let Some(place) = planned.identifier {
                for value in property.values.iter().flatten() {
                    let mut meant = String::new();
                    let value = profile.content(*value, &mut meant);
                    if (1..=LONGEST_IDENTIFIER).contains(&value.len()) {
                        self.identifiers.push((place, value.to_owned()));
                    }
                }
            }
        }
        self.fields
            .sort_unstable_by_key(|field| (field.table, field.place));
        self.problems.sort_unstable();
        self.problems.dedup();
        self.identifiers.sort_unstable();
        self.identifiers.dedup();
        &self.is_held
    }

    /// Writes what was read last beside the profile's row: a tuple for each table, beyond the first one only where the profile has a value,
    /// and then one for each identifier.
    pub(super) fn write(&self, profile: &CompleteProfile<'_>, id: &str, row: &mut RowWriter<'_>) {
        let mut fields = self.fields.as_slice();
        let encoded = self.scratch.last_since(0);
        for (table, columns) in self.plan.columns.tables.iter().enumerate() {
            let (own, others) = fields.split_at(fields.partition_point(|field| field.table <= table));
            fields = others;
            if table > 0 && own.is_empty() {
                row.nothing_beside();
                continue;
            }
            let fixed = if table == 0 { FIXED_COLUMNS.len() } else { 1 };
            row.beside(u16::try_from(fixed + columns.len()).unwrap_or(u16::MAX));
            row.text(id);
            if table == 0 {
                row.timestamp(profile.created_at)
                    .timestamp(profile.modified_at)
                    .text_or_null(profile.privacy_legislation)
                    .text_or_null(profile.permission_level);
                if self.problems.is_empty() {
                    row.null();
                } else {
                    row.text_array(&self.problems);
                }
            }
            let mut written = 0;
            for field in own {
                row.nulls(field.place - written);
                row.encoded(&encoded[field.start..field.end]);
                written = field.place + 1;
            }
            row.nulls(columns.len() - written);
        }
        for (place, value) in &self.identifiers {
            row.beside(3)
                .text(&self.plan.columns.identifiers[*place])
                .text(value)
                .text(id);
        }
    }
}

/// What became of the values of a property in one column.
#[derive(Default)]
struct Written {
    /// Whether the column holds exactly the values that came.
    is_exact: bool,
    /// Why a value does not fit.
    misfit: Option<&'static str>,
}

/// Writes the first value that is not null; nothing if there is none or if it does not fit.
fn first(
    profile: &CompleteProfile<'_>,
    property: ReadProperty<'_>,
    kind: ValueKind,
    out: &mut RowWriter<'_>,
) -> Written {
    let Some(value) = property.values.iter().flatten().next() else {
        return Written::default();
    };
    let is_only = property.values.len() == 1;
    match write(profile, *value, kind, out) {
        Ok(is_same) => Written {
            is_exact: is_only && is_same,
            misfit: None,
        },
        Err(misfit) => Written {
            is_exact: false,
            misfit: Some(misfit),
        },
    }
}

/// Writes all values as an array if two of them are not null. A value that does not fit is null in it.
fn all(
    profile: &CompleteProfile<'_>,
    property: ReadProperty<'_>,
    kind: ValueKind,
    out: &mut RowWriter<'_>,
) -> Written {
    if property.values.len() < 2 || property.values.iter().flatten().nth(1).is_none() {
        return Written::default();
    }
    let mut written = Written {
        is_exact: true,
        misfit: None,
    };
    out.array_of(kind, property.values.iter(), |out, value| {
        let is_same = match value.as_ref().map(|value| write(profile, *value, kind, out)) {
            Some(Ok(is_same)) => is_same,
            Some(Err(misfit)) => {
                written.misfit = Some(misfit);
                out.null();
                false
            }
            None => {
                out.null();
                false
            }
        };
        written.is_exact &= is_same;
    });
    written
}

/// Writes a value. Returns whether the database shows it as it came; the error says why it does not fit.
fn write(
    profile: &CompleteProfile<'_>,
    value: Text,
    kind: ValueKind,
    out: &mut RowWriter<'_>,
) -> Result<bool, &'static str> {
    let mut meant = String::new();
    if kind == ValueKind::Text {
        out.text_bytes(profile.bytes(value, &mut meant));
        return Ok(true);
    }
    let text = profile.content(value, &mut meant);
    match typed(kind, text)? {
        Typed::Text => out.text(text),
        Typed::Bigint(number) => out.bigint(Some(number)),
        Typed::Numeric(number) => out.numeric(&number),
        Typed::Moment(moment) => out.timestamp(Some(moment)),
    };
    Ok(is_shown_as(kind, text))
}

/// A value of a type.
#[derive(Debug, PartialEq)]
enum Typed<'a> {
    /// The text itself.
    Text,
    Bigint(i64),
    Numeric(Decimal<'a>),
    Moment(Time),
}

/// The value of a text, or why it has none of this type.
fn typed(kind: ValueKind, text: &str) -> Result<Typed<'_>, &'static str> {
    if kind == ValueKind::Text {
        return Ok(Typed::Text);
    }
    if text.trim().is_empty() {
        return Err("empty");
    }
    let number = |text| {
        Decimal::parse(text).map_err(|problem| match problem {
            NotDecimal::Form => "not_a_number",
            NotDecimal::Digits => "out_of_range",
        })
    };
    match kind {
        ValueKind::Text => Ok(Typed::Text),
        ValueKind::Bigint => {
            if let Ok(number) = text.parse() {
                return Ok(Typed::Bigint(number));
            }
            number(text)?;
            Err(if text.contains('.') {
                "not_an_integer"
            } else {
                "out_of_range"
            })
        }
        ValueKind::Numeric => number(text).map(Typed::Numeric),
        ValueKind::Timestamptz => moment(text).map(Typed::Moment).ok_or("not_a_date"),
    }
}

/// A date: milliseconds (negative before 1970), or the form of ISO 8601. None before year 1 or after 9999.
fn moment(text: &str) -> Option<Time> {
    let time = match milliseconds(text) {
        Some(number) => DateTime::from_timestamp_millis(number),
        None => dates::iso(text),
    };
    time.filter(|time| (1..=9999).contains(&time.year()))
}

/// A number of milliseconds, with a sign before 1970.
fn milliseconds(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let is_number = digits.len() <= MOST_MILLISECONDS && digits.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Whether the database shows a value that fits as this text: numbers as PostgreSQL writes them, dates in milliseconds.
fn is_shown_as(kind: ValueKind, text: &str) -> bool {
    let is_plain = || text == "0" || !text.strip_prefix('-').unwrap_or(text).starts_with('0');
    match kind {
        ValueKind::Text => true,
        ValueKind::Bigint if is_plain() && text.bytes().all(|byte| byte.is_ascii_digit()) => true,
        ValueKind::Bigint | ValueKind::Numeric => {
            Decimal::parse(text).is_ok_and(|number| number.is_written_as(text))
        }
        ValueKind::Timestamptz => milliseconds(text).is_some() && is_plain(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_that_do_not_fit_say_why() {
        use ValueKind::{Bigint, Numeric, Text, Timestamptz};
        for (kind, text, problem) in [
            (Bigint, "", Some("empty")),
            (Bigint, "  ", Some("empty")),
            (Bigint, "12", None),
            (Bigint, "-9223372036854775808", None),
            (Bigint, "9223372036854775808", Some("out_of_range")),
            (Bigint, "12345678901234567890", Some("out_of_range")),
            (Bigint, "12.5", Some("not_an_integer")),
            (Bigint, "12,50", Some("not_a_number")),
            (Bigint, " 12", Some("not_a_number")),
            (Bigint, "1e3", Some("not_a_number")),
            (Bigint, "n/a", Some("not_a_number")),
            (Bigint, "2024-01-01", Some("not_a_number")),
            (Numeric, "12.50", None),
            (Numeric, "NaN", Some("not_a_number")),
            (Numeric, "1 000", Some("not_a_number")),
            (Numeric, "12345678901234567890", None),
            (Timestamptz, "1679913371990", None),
            (Timestamptz, "0", None),
            (Timestamptz, "2023-03-27T10:36:11.990Z", None),
            (Timestamptz, "2023-03-27", None),
            (Timestamptz, "123456789012345", Some("not_a_date")),
            (Timestamptz, "-1", None),
            (Timestamptz, "-62135596800000", None),
            (Timestamptz, "-62135596800001", Some("not_a_date")),
            (Timestamptz, "-", Some("not_a_date")),
            (Timestamptz, "--1", Some("not_a_date")),
            (Timestamptz, "yesterday", Some("not_a_date")),
            (Timestamptz, "", Some("empty")),
            (Text, "", None),
        ] {
            assert_eq!(typed(kind, text).err(), problem, "{kind:?} {text:?}");
        }
    }

    #[test]
    fn a_date_of_fourteen_digits_is_in_milliseconds() {
        assert_eq!(
            moment("99999999999999"),
            DateTime::from_timestamp_millis(99_999_999_999_999)
        );
        assert_eq!(
            moment("1679913371"),
            DateTime::from_timestamp_millis(1_679_913_371)
        );
        assert_eq!(moment("2023-03-27T12:36:11+02:00"), moment("1679913371000"));
    }

    #[test]
    fn a_value_is_shown_as_it_came_or_not() {
        use ValueKind::{Bigint, Numeric, Text, Timestamptz};
        for (kind, text, is_same) in [
            (Bigint, "7", true),
            (Bigint, "007", false),
            (Bigint, "+7", false),
            (Bigint, "-0", false),
            (Numeric, "12.50", true),
            (Numeric, ".5", false),
            (Timestamptz, "1679913371990", true),
            (Timestamptz, "0", true),
            (Timestamptz, "01", false),
            (Timestamptz, "-631152000001", true),
            (Timestamptz, "-01", false),
            (Timestamptz, "-0", false),
            (Timestamptz, "2023-03-27", false),
            (Text, "", true),
        ] {
            assert_eq!(is_shown_as(kind, text), is_same, "{kind:?} {text:?}");
        }
    }
}
