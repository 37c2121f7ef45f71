//! Decodes the children of an element: each item of its arrays becomes a row of a child table. Everything follows from the
//! table's description, so a child table needs no code here.

use serde_json::value::RawValue;

use crate::model::Time;
use crate::model::children::{CHILDLESS, ChildHash, Children};
use crate::model::rows::Rows;
use crate::model::table::{Child, Merge, Table};

use super::child_gaps::{GapReason, Gaps};
use super::fields::{self, Fields, RawField, Wrong, wrong};
use super::identity::{LONGEST_ID, Problem};
use super::list_row::{Cell, Value, below, raw_below};
use super::members::members;

/// The plan by which the children of each element become rows, made once per table.
#[derive(Debug)]
pub(super) struct ChildPlans {
    /// The members that are read from the element.
    members: Vec<&'static str>,
    /// One plan for each child table whose rows come in the element.
    plans: Vec<ChildPlan>,
    /// How many items of each array the request asks for; none: all of them.
    asked_for: Option<usize>,
    /// Whether rows leave that would be history otherwise. The hashes are others then, so that a setting that no longer keeps
    /// history compares the children of every parent once.
    forgets: bool,
}

#[derive(Debug)]
struct ChildPlan {
    /// The index of the child table in the description.
    place: usize,
    child: &'static Child,
    /// The index of its member in [`ChildPlans::members`], and the rest of the path below that member.
    member: usize,
    below: Option<&'static str>,
    /// The members that are read from an item.
    item_members: Vec<&'static str>,
    /// The columns after the parent's key.
    cells: Vec<Cell>,
}

/// Why an item has no row.
struct ItemProblem {
    reason: GapReason,
    said: String,
}

impl From<Problem> for ItemProblem {
    fn from(problem: Problem) -> Self {
        Self {
            reason: GapReason::WrongShape,
            said: problem.said(),
        }
    }
}

impl From<Wrong> for ItemProblem {
    fn from(wrong: Wrong) -> Self {
        Problem::from(wrong).into()
    }
}

impl From<serde_json::Error> for ItemProblem {
    fn from(error: serde_json::Error) -> Self {
        Problem::from(error).into()
    }
}

impl From<ItemProblem> for Problem {
    fn from(problem: ItemProblem) -> Self {
        Self::Shape(problem.said)
    }
}

impl ChildPlans {
    /// The plans for the child tables of `table`.
    pub(super) fn of(table: &'static Table) -> Self {
        let mut members = Vec::new();
        let plans = table.read_children().enumerate();
        let plans = plans.filter(|(_, child)| !child.source.is_empty());
        let plans = plans
            .map(|(place, child)| ChildPlan::of(place, child, &mut members))
            .collect();
        Self {
            members,
            plans,
            asked_for: None,
            forgets: table
                .read_children()
                .any(|child| child.table.merge == Merge::ListedHistory),
        }
    }

    /// The same where a request asks for so many items of each array.
    pub(super) fn asking_for(self, items: Option<usize>) -> Self {
        Self {
            asked_for: items,
            ..self
        }
    }

    /// Whether the table has no children in its elements.
    pub(super) fn is_empty(&self) -> bool {
        self.plans.is_empty()
    }

    /// Adds the child rows of an element, which must be a valid object, and returns the hash over them. The caller keeps or
    /// discards the rows.
    pub(super) fn read(
        &self,
        element: &[u8],
        id: &str,
        fields: &mut Fields,
        into: &mut Children,
    ) -> Result<ChildHash, Problem> {
        let found = members(element, &self.members)?;
        for plan in &self.plans {
            let member = found.get(plan.member).copied().flatten();
            let read = match plan.child.gaps {
                Some(place) => {
                    plan.read_what_can_be(member, id, fields, self.asked_for, into)
                        .write(place, id, into);
                    Ok(())
                }
                None => plan.read(member, id, fields, into),
            };
            if let Err(problem) = read {
                into.discard();
                return Err(problem);
            }
        }
        let hash = into.hash();
        Ok(if self.forgets && hash != CHILDLESS {
            hash.map(|byte| !byte)
        } else {
            hash
        })
    }
}

impl ChildPlan {
    fn of(place: usize, child: &'static Child, members: &mut Vec<&'static str>) -> Self {
        let mut item_members = Vec::new();
        let columns = child.table.columns.iter().skip(1);
        let cells = columns
            .map(|column| Cell::of(column, &mut item_members))
            .collect();
        let (member, below) = below(child.source, members);
        Self {
            place,
            child,
            member,
            below,
            item_members,
            cells,
        }
    }

    fn read(
        &self,
        member: RawField<'_>,
        id: &str,
        fields: &mut Fields,
        into: &mut Children,
    ) -> Result<(), Problem> {
        for item in self.items(member)? {
            self.row(item, id, fields, into)?;
        }
        Ok(())
    }

    /// Reads the items that can be stored. Returns the gaps: the others, and an array with as many items as were asked for.
    fn read_what_can_be(
        &self,
        member: RawField<'_>,
        id: &str,
        fields: &mut Fields,
        asked_for: Option<usize>,
        into: &mut Children,
    ) -> Gaps {
        let mut gaps = Gaps::default();
        let items = match self.items(member) {
            Ok(items) => items,
            Err(problem) => {
                let problem = ItemProblem::from(problem);
                gaps.note(problem.reason, &problem.said);
                return gaps;
            }
        };
        let mut oldest: Option<Time> = None;
        for item in &items {
            match self.row(item, id, fields, into) {
                Ok(moment) => oldest = oldest.into_iter().chain(moment).min(),
                Err(problem) => gaps.note(problem.reason, &problem.said),
            }
        }
        if asked_for == Some(items.len()) {
            gaps.note_full(items.len(), oldest);
        }
        gaps
    }

    fn items<'a>(&self, member: RawField<'a>) -> Result<Vec<&'a RawValue>, Problem> {
        let source = self.child.source;
        let array = raw_below(member, self.below, source)?;
        Ok(fields::array(source, array)?)
    }

    /// Adds the row of an item. Returns the timestamp in its key.
    fn row(
        &self,
        item: &RawValue,
        id: &str,
        fields: &mut Fields,
        into: &mut Children,
    ) -> Result<Option<Time>, ItemProblem> {
        if !item.get().starts_with('{') {
            return Err(wrong(self.child.source, "a list of objects", item.get()).into());
        }
        let found = members(item.get().as_bytes(), &self.item_members)?;
        let mut values = Vec::with_capacity(self.cells.len());
        for cell in &self.cells {
            let raw = cell.raw(found.get(cell.member).copied().flatten())?;
            values.push(cell.value(raw, fields)?);
        }
        let key = self.key(&values)?;
        let count = u16::try_from(values.len() + 1).unwrap_or(u16::MAX);
        let mut row = into.row(self.place, &key, count);
        row.text(id);
        for value in &values {
            value.write(&mut row);
        }
        Ok(self.in_key(&values).find_map(|(_, value)| match value {
            Value::Moment(moment) => *moment,
            _ => None,
        }))
    }

    /// The columns of the child's key after the parent's, with their values.
    fn in_key<'v, 'a>(&'v self, values: &'v [Value<'a>]) -> impl Iterator<Item = (&'v Cell, &'v Value<'a>)> {
        let all = self.cells.iter().zip(values);
        all.filter(|(cell, _)| self.child.table.key.contains(&cell.column.name))
    }

    /// The encoded fields of the child's key after the parent's.
    fn key(&self, values: &[Value<'_>]) -> Result<Vec<u8>, ItemProblem> {
        let mut key = Rows::default();
        let mut fields = key.row(b"", None, 0);
        let place = fields.place();
        for (cell, value) in self.in_key(values) {
            if value.is_null() || (self.child.gaps.is_some() && is_empty_text(value)) {
                let said = format!(
                    "an item of `{}` has no `{}`",
                    self.child.source, cell.column.source
                );
                return Err(ItemProblem {
                    reason: GapReason::without(cell.column.name),
                    said,
                });
            }
            value.write(&mut fields);
        }
        let key = fields.since(place).to_vec();
        if key.len() > LONGEST_ID {
            let said = format!(
                "the key of an item of `{}` is longer than {LONGEST_ID} bytes",
                self.child.source
            );
            return Err(Problem::Shape(said).into());
        }
        Ok(key)
    }
}

/// Whether a value is a text without a character.
fn is_empty_text(value: &Value<'_>) -> bool {
    matches!(value, Value::Text(Some(text)) if text.is_empty())
}
