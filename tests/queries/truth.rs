//! What the tenant holds, read as an analyst would: values by their types, moments as PostgreSQL writes them. It shares no code with the
//! program, and no SQL with the questions.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use chrono::{DateTime, Datelike as _, Utc};
use simulated_tenant::tenant::Tenant;
use simulated_tenant::truth::{AuditEvent, Profile, Property, Segment};

/// Decimals are counted in units of this.
const UNIT: i128 = 10_000;

/// All that the answers are made of.
pub(super) struct Truth<'a> {
    pub(super) tenant: &'a Tenant,
    pub(super) profiles: Vec<Profile>,
    pub(super) segments: Vec<Segment>,
    pub(super) events: Vec<AuditEvent>,
    /// The days of dialogues that were read.
    pub(super) days: Vec<String>,
}

/// What a value is that does not fit its type.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Misfit {
    Empty,
    NotANumber,
    NotAnInteger,
    OutOfRange,
    NotADate,
}

impl Misfit {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotANumber => "not_a_number",
            Self::NotAnInteger => "not_an_integer",
            Self::OutOfRange => "out_of_range",
            Self::NotADate => "not_a_date",
        }
    }
}

impl<'a> Truth<'a> {
    pub(super) fn of(tenant: &'a Tenant, days: Vec<String>) -> Self {
        Self {
            profiles: tenant.profiles().collect(),
            segments: tenant.segments(),
            events: tenant.audit_events(),
            tenant,
            days,
        }
    }

    /// The members of a segment, by its name.
    pub(super) fn members(&self, name: &str) -> Vec<&Profile> {
        let segment = self.segments.iter().find(|segment| segment.name == name).unwrap();
        let members = self
            .profiles
            .iter()
            .filter(|one| one.segment_ids.contains(&segment.id));
        members.collect()
    }
}

/// The first value of a property.
pub(super) fn text(profile: &Profile, property: &str) -> Option<String> {
    profile.values(property)?.first().cloned()
}

/// The first value of a property as a whole number.
pub(super) fn whole(profile: &Profile, property: &str) -> Option<i64> {
    as_whole(&text(profile, property)?).ok()
}

/// The first value of a property in ten thousandths.
pub(super) fn decimal(profile: &Profile, property: &str) -> Option<i128> {
    as_decimal(&text(profile, property)?).ok()
}

pub(super) fn as_whole(text: &str) -> Result<i64, Misfit> {
    let number = as_decimal(text)?;
    if number % UNIT != 0 || text.contains('.') {
        return Err(Misfit::NotAnInteger);
    }
    i64::try_from(number / UNIT).map_err(|_| Misfit::OutOfRange)
}

/// In ten thousandths, which is more than the tenant's values have.
pub(super) fn as_decimal(text: &str) -> Result<i128, Misfit> {
    if text.is_empty() {
        return Err(Misfit::Empty);
    }
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let are_digits = |text: &str| text.chars().all(|one| one.is_ascii_digit());
    if whole.is_empty() || !are_digits(whole) || !are_digits(fraction) {
        return Err(Misfit::NotANumber);
    }
    assert!(fraction.len() <= 4, "{text} has more places than are counted");
    format!("{whole}{fraction:0<4}")
        .parse()
        .map_err(|_| Misfit::OutOfRange)
}

/// In milliseconds.
pub(super) fn as_date(text: &str) -> Result<i64, Misfit> {
    if text.is_empty() {
        return Err(Misfit::Empty);
    }
    let digits = text.trim_start_matches('-');
    if text.len() - digits.len() <= 1 && digits.len() <= 14 && digits.chars().all(|one| one.is_ascii_digit())
    {
        return Ok(text.parse().unwrap());
    }
    let day = format!("{text}T00:00:00Z");
    let date = text.parse::<DateTime<Utc>>().or_else(|_| day.parse());
    date.map(|date| date.timestamp_millis())
        .map_err(|_| Misfit::NotADate)
}

/// When a profile was made.
pub(super) fn created(profile: &Profile) -> Option<i64> {
    let property = || text(profile, "creationdate")?.parse().ok();
    profile.creation_date.or_else(property)
}

fn moment(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap()
}

/// A moment as PostgreSQL writes it.
pub(super) fn stamp(milliseconds: i64) -> String {
    let whole = moment(milliseconds).format("%Y-%m-%d %H:%M:%S").to_string();
    let fraction = format!("{:03}", milliseconds.rem_euclid(1000));
    let fraction = fraction.trim_end_matches('0');
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{whole}{point}{fraction}+00")
}

pub(super) fn month(milliseconds: i64) -> String {
    let moment = moment(milliseconds);
    format!("{}-{:02}", moment.year(), moment.month())
}

pub(super) fn day(milliseconds: i64) -> String {
    moment(milliseconds).format("%Y-%m-%d").to_string()
}

pub(super) fn hour(milliseconds: i64) -> i64 {
    milliseconds.div_euclid(3_600_000).rem_euclid(24)
}

/// A fraction with so many places, rounded away from zero.
pub(super) fn rounded(numerator: i128, denominator: i128, places: u32) -> String {
    let scale = 10_i128.pow(places);
    let scaled = (2 * numerator * scale + denominator) / (2 * denominator);
    let width = places as usize;
    if places == 0 {
        return scaled.to_string();
    }
    format!("{}.{:0width$}", scaled / scale, scaled % scale)
}

pub(super) fn percent(part: usize, all: usize) -> String {
    rounded(
        100 * i128::try_from(part).unwrap(),
        i128::try_from(all).unwrap(),
        1,
    )
}

/// The average of what is known; empty if nothing is. `unit`: what one counts.
fn average(values: &[i128], unit: i128, places: u32) -> String {
    let count = i128::try_from(values.len()).unwrap();
    if count == 0 {
        return String::new();
    }
    rounded(values.iter().sum(), count * unit, places)
}

pub(super) fn average_of_wholes(values: impl Iterator<Item = i64>, places: u32) -> String {
    average(&values.map(i128::from).collect::<Vec<_>>(), 1, places)
}

pub(super) fn average_of_decimals(values: impl Iterator<Item = i128>, places: u32) -> String {
    average(&values.collect::<Vec<_>>(), UNIT, places)
}

/// How often each value occurs.
pub(super) fn counted<K: Ord>(values: impl Iterator<Item = K>) -> BTreeMap<K, usize> {
    let mut counts = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    counts
}

/// Null comes last.
pub(super) fn nulls_last<T: Ord>(one: Option<&T>, other: Option<&T>) -> Ordering {
    (one.is_none(), one).cmp(&(other.is_none(), other))
}

/// The counts as rows, the largest first, then by the value.
pub(super) fn by_count(counts: BTreeMap<Option<String>, usize>) -> Vec<(Option<String>, usize)> {
    let mut rows: Vec<(Option<String>, usize)> = counts.into_iter().collect();
    rows.sort_by(|(one, first), (other, second)| {
        second
            .cmp(first)
            .then_with(|| nulls_last(one.as_ref(), other.as_ref()))
    });
    rows
}

/// A value as a field; null is empty.
pub(super) fn field<T: ToString>(value: Option<T>) -> String {
    value.map_or_else(String::new, |value| value.to_string())
}

/// A row of fields.
pub(super) fn row(fields: &[&dyn ToString]) -> String {
    let fields: Vec<String> = fields.iter().map(|one| one.to_string()).collect();
    fields.join("|")
}

/// The first value of a property of a group.
pub(super) fn first_of(properties: &[Property], id: &str) -> Option<String> {
    let property = properties.iter().find(|property| property.id == id)?;
    property.values.first().cloned()
}
