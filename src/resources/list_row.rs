//! Decodes one element of a plain list into a row. Everything follows from the columns of the list's table.

use std::borrow::Cow;

use chrono::NaiveDate;

use crate::model::Time;
use crate::model::rows::{RowWriter, Rows};
use crate::model::table::{Column, ColumnKind, REST, Table};

use super::fields::{Fields, RawField, wrong};
use super::identity::{Problem, id_of, object};
use super::keyed_json::keyed;
use super::members::{Rest, members, members_and_rest};

/// Separates an element's id from its owner or its parent.
const OF: char = '\u{1f}';
/// The column that shows which of two readings of an element is the later one.
const MODIFIED_AT: &str = "modified_at";

/// The id under which an element counts as read; nothing else is decoded. If the element has another `owner` than `wanted`, the id
/// contains the owner's name.
pub(super) fn identity(
    element: &[u8],
    id: &'static str,
    owner: Option<&'static str>,
    wanted: Option<&str>,
) -> Result<String, Problem> {
    object(element)?;
    let names: Vec<&'static str> = [id].into_iter().chain(owner).collect();
    let found = members(element, &names)?;
    let id = id_of(found.first().copied().flatten())?;
    let Some(name) = owner else {
        return Ok(id);
    };
    let owned_by = owner_of(name, found.get(1).copied().flatten())?;
    Ok(if owned_by.as_deref() == wanted {
        id
    } else {
        of(&owned_by.unwrap_or_default(), &id)
    })
}

/// The id of an element together with that of its owner or its parent.
pub(super) fn of(outer: &str, id: &str) -> String {
    format!("{outer}{OF}{id}")
}

/// The parts of such an id.
pub(super) fn parts(id: &str) -> Option<(&str, &str)> {
    id.split_once(OF)
}

/// The member that holds an element's id: the source of the last column of the key.
pub(super) fn id_member(table: &'static Table) -> &'static str {
    let key = table.key.last().copied().unwrap_or_default();
    let mut columns = table.columns.iter();
    columns
        .find(|column| column.name == key)
        .map_or("id", |column| column.source)
}

/// The owner of an element that does not belong to the list; none or empty for an element of the list.
fn owner_of<'a>(name: &str, raw: RawField<'a>) -> Result<Option<Cow<'a, str>>, Problem> {
    let owner = Fields::default().text(name, raw)?;
    Ok(owner.filter(|owner| !owner.is_empty()))
}

/// The plan by which each element of a list becomes a row, made once per list.
pub(super) struct Plan {
    /// The members that are read from the element, each once.
    members: Vec<&'static str>,
    /// Those among them that a column holds as a whole.
    whole: Vec<&'static str>,
    columns: Vec<Cell>,
    /// The member that holds the element's id.
    id: &'static str,
    owner: Option<&'static str>,
    /// What the listing is about, which is the first column.
    about: Option<About>,
}

/// What a listing is about, if its list has several.
#[derive(Debug, Clone)]
pub(super) enum About {
    /// The row of another list with this id, or this URL.
    Parent(String),
    /// A day, and the rows of another list with these ids.
    Day(NaiveDate, Vec<String>),
}

impl About {
    /// The text of the first column.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Parent(id) => id.clone(),
            Self::Day(day, _) => day.to_string(),
        }
    }

    /// The owner of the elements of this listing.
    pub(super) fn owner(&self) -> Option<&str> {
        match self {
            Self::Parent(id) => Some(id),
            Self::Day(..) => None,
        }
    }
}

/// A column and the place of its value in the element.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) column: &'static Column,
    /// The index of its member among those that are read.
    pub(super) member: usize,
    /// The rest of the column's path below that member.
    below: Option<&'static str>,
}

/// The value of a column.
pub(super) enum Value<'a> {
    Text(Option<Cow<'a, str>>),
    Texts(Vec<Cow<'a, str>>),
    Bigint(Option<i64>),
    Int(Option<i32>),
    Bool(Option<bool>),
    Moment(Option<Time>),
    Json(Option<Cow<'a, str>>),
}

impl Plan {
    /// The plan for `table`. `owner` is the member that names the owner of an element; `about` is what the first column holds, if the
    /// list has several listings.
    pub(super) fn of(table: &'static Table, owner: Option<&'static str>, about: Option<About>) -> Self {
        let mut members: Vec<&'static str> = owner.into_iter().collect();
        let columns = table.columns.iter().skip(usize::from(about.is_some()));
        let whole = columns.clone().map(|column| column.source);
        let whole = owner
            .into_iter()
            .chain(whole.filter(|source| !source.contains('.')));
        let whole = whole.collect();
        let columns = columns.map(|column| Cell::of(column, &mut members)).collect();
        Self {
            members,
            whole,
            columns,
            id: id_member(table),
            owner,
            about,
        }
    }

    /// Adds the element's row; none for an element with another owner than the listing.
    pub(super) fn row(&self, element: &[u8], fields: &mut Fields, into: &mut Rows) -> Result<(), Problem> {
        let (found, rest) = members_and_rest(element, &self.members, &self.whole, &mut fields.unknown)?;
        if let Some(name) = self.owner {
            let wanted = self.about.as_ref().and_then(About::owner);
            if owner_of(name, found.first().copied().flatten())?.as_deref() != wanted {
                return Ok(());
            }
        }
        let mut values = Vec::with_capacity(self.columns.len());
        let (mut id, mut modified_at) = (String::new(), None);
        for cell in &self.columns {
            if cell.column.source == REST {
                values.push(Value::Json(Some(rest_as_object(&rest, fields)?.into())));
                continue;
            }
            let raw = cell.raw(found.get(cell.member).copied().flatten())?;
            if cell.column.source == self.id {
                id = id_of(raw)?;
            }
            let value = cell.value(raw, fields)?;
            if let (MODIFIED_AT, Value::Moment(time)) = (cell.column.name, &value) {
                modified_at = *time;
            }
            values.push(value);
        }
        let key = match &self.about {
            Some(about) => of(&about.text(), &id),
            None => id,
        };
        let count = u16::try_from(values.len() + usize::from(self.about.is_some())).unwrap_or(u16::MAX);
        let mut row = into.row(key.as_bytes(), modified_at, count);
        match &self.about {
            Some(About::Parent(id)) => {
                row.text(id);
            }
            Some(About::Day(day, _)) => {
                row.date(Some(*day));
            }
            None => {}
        }
        for value in &values {
            value.write(&mut row);
        }
        Ok(())
    }
}

/// The members as one JSON object, in a form that PostgreSQL stores.
fn rest_as_object(rest: &[Rest<'_>], fields: &mut Fields) -> Result<String, Problem> {
    let mut object = String::from("{");
    for (name, value) in rest {
        if object.len() > 1 {
            object.push(',');
        }
        object.push_str(&serde_json::to_string(name)?);
        object.push(':');
        object.push_str(value.get());
    }
    object.push('}');
    Ok(fields.storable(REST, &object)?.into_owned())
}

impl Cell {
    /// The cell of a column; adds its member to those that are read.
    pub(super) fn of(column: &'static Column, members: &mut Vec<&'static str>) -> Self {
        let (member, below) = below(column.source, members);
        Self {
            column,
            member,
            below,
        }
    }

    /// The raw value: the member, or the value at the path below it.
    pub(super) fn raw<'a>(&self, member: RawField<'a>) -> Result<RawField<'a>, Problem> {
        raw_below(member, self.below, self.column.source)
    }

    pub(super) fn value<'a>(&self, raw: RawField<'a>, fields: &mut Fields) -> Result<Value<'a>, Problem> {
        let name = self.column.source;
        Ok(match self.column.kind {
            ColumnKind::Text => Value::Text(fields.text(name, raw)?),
            ColumnKind::TextArray => Value::Texts(fields.texts(name, raw)?),
            ColumnKind::Bigint => Value::Bigint(fields.integer(name, raw)?),
            ColumnKind::Int => Value::Int(small(name, fields.integer(name, raw)?)?),
            ColumnKind::Bool => Value::Bool(fields.boolean(name, raw)?),
            ColumnKind::Timestamptz => Value::Moment(fields.date(name, raw)?),
            ColumnKind::Jsonb => Value::Json(match raw {
                Some(raw) if self.column.keyed => Some(keyed(name, raw, fields)?.into()),
                raw => fields.json(name, raw)?,
            }),
            // No plain list has such a column in its elements, as a test of `lists.rs` checks.
            ColumnKind::Date | ColumnKind::Bytea => Value::Text(None),
        })
    }
}

/// The index of a path's first member among those that are read, and the rest of the path.
pub(super) fn below(path: &'static str, members: &mut Vec<&'static str>) -> (usize, Option<&'static str>) {
    let (name, below) = match path.split_once('.') {
        Some((name, below)) => (name, Some(below)),
        None => (path, None),
    };
    let known = members.iter().position(|member| *member == name);
    let place = known.unwrap_or_else(|| {
        members.push(name);
        members.len() - 1
    });
    (place, below)
}

/// The value in a member: `path` is the whole path, `below` its rest below the member.
pub(super) fn raw_below<'a>(
    member: RawField<'a>,
    below: Option<&str>,
    path: &str,
) -> Result<RawField<'a>, Problem> {
    let mut raw = member;
    for name in below.into_iter().flat_map(|below| below.split('.')) {
        let Some(outer) = raw else {
            return Ok(None);
        };
        if !outer.get().starts_with('{') {
            return Err(wrong(path, "in an object", outer.get()).into());
        }
        raw = members(outer.get().as_bytes(), &[name])?
            .first()
            .copied()
            .flatten();
    }
    Ok(raw)
}

/// Checks that a number fits an `integer`.
fn small(name: &str, number: Option<i64>) -> Result<Option<i32>, Problem> {
    let fits = number.map(i32::try_from).transpose();
    fits.map_err(|_| {
        wrong(
            name,
            "a small whole number",
            &number.unwrap_or_default().to_string(),
        )
        .into()
    })
}

impl Value<'_> {
    /// Whether the value is null.
    pub(super) fn is_null(&self) -> bool {
        match self {
            Self::Text(text) => text.is_none(),
            Self::Texts(_) => false,
            Self::Bigint(number) => number.is_none(),
            Self::Int(number) => number.is_none(),
            Self::Bool(truth) => truth.is_none(),
            Self::Moment(time) => time.is_none(),
            Self::Json(json) => json.is_none(),
        }
    }

    /// Writes the value as the next field of a row.
    pub(super) fn write(&self, row: &mut RowWriter<'_>) {
        match self {
            Self::Text(text) => row.text_or_null(text.as_deref()),
            Self::Texts(texts) => row.text_array(texts),
            Self::Bigint(number) => row.bigint(*number),
            Self::Int(number) => row.int(*number),
            Self::Bool(truth) => row.bool(*truth),
            Self::Moment(time) => row.timestamp(*time),
            Self::Json(Some(json)) => row.jsonb(json.as_bytes()),
            Self::Json(None) => row.null(),
        };
    }
}

#[cfg(test)]
mod tests;
