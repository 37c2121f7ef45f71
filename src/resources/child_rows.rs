//! Decodes the children of an element: each item of its arrays becomes a row of a child table. Everything follows from the
//! table's description, so a child table needs no code here.

use serde_json::value::RawValue;

use crate::model::children::{ChildHash, Children};
use crate::model::rows::Rows;
use crate::model::table::{Child, Table};

use super::fields::{self, Fields, RawField, wrong};
use super::identity::{LONGEST_ID, Problem};
use super::list_row::{Cell, Value, below, members, raw_below};

/// The plan by which the children of each element become rows, made once per table.
#[derive(Debug)]
pub(super) struct ChildPlans {
    /// The members that are read from the element.
    members: Vec<&'static str>,
    /// One plan for each child table whose rows come in the element.
    plans: Vec<ChildPlan>,
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

impl ChildPlans {
    /// The plans for the child tables of `table`.
    pub(super) fn of(table: &'static Table) -> Self {
        let mut members = Vec::new();
        let plans = table.children.iter().enumerate();
        let plans = plans.filter(|(_, child)| !child.source.is_empty());
        let plans = plans
            .map(|(place, child)| ChildPlan::of(place, child, &mut members))
            .collect();
        Self { members, plans }
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
            if let Err(problem) = plan.read(member, id, fields, into) {
                into.discard();
                return Err(problem);
            }
        }
        Ok(into.hash())
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
        let source = self.child.source;
        let array = raw_below(member, self.below, source)?;
        for item in fields::array(source, array)? {
            self.row(item, id, fields, into)?;
        }
        Ok(())
    }

    fn row(
        &self,
        item: &RawValue,
        id: &str,
        fields: &mut Fields,
        into: &mut Children,
    ) -> Result<(), Problem> {
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
        Ok(())
    }

    /// The encoded fields of the child's key after the parent's.
    fn key(&self, values: &[Value<'_>]) -> Result<Vec<u8>, Problem> {
        let mut key = Rows::default();
        let mut fields = key.row(b"", None, 0);
        let place = fields.place();
        for (cell, value) in self.cells.iter().zip(values) {
            if !self.child.table.key.contains(&cell.column.name) {
                continue;
            }
            if value.is_null() {
                let said = format!(
                    "an item of `{}` has no `{}`",
                    self.child.source, cell.column.source
                );
                return Err(Problem::Shape(said));
            }
            value.write(&mut fields);
        }
        let key = fields.since(place).to_vec();
        if key.len() > LONGEST_ID {
            let said = format!(
                "the key of an item of `{}` is longer than {LONGEST_ID} bytes",
                self.child.source
            );
            return Err(Problem::Shape(said));
        }
        Ok(key)
    }
}
