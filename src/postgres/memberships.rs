//! The ids of all segments that profiles are in, in `sync.segment_ids`: through them the view `profile_segments` finds the members of a
//! segment by the index.

use std::collections::{BTreeSet, HashSet};

use sqlx::PgConnection;

use crate::model::rows::{Rows, texts_at};
use crate::model::table::{Merge, Table};
use crate::postgres::error::{Doing, Error};

/// The column with the ids of a profile's segments.
const SEGMENT_IDS: &str = "segment_ids";

/// The ids that a loading connection knows to be stored.
#[derive(Debug, Default)]
pub(crate) struct KnownSegments {
    /// The index of the column; none in other tables.
    column: Option<usize>,
    known: HashSet<Vec<u8>>,
    /// Those of the current transaction.
    pending: BTreeSet<Vec<u8>>,
}

impl KnownSegments {
    /// Those of a table; none are known yet.
    pub(crate) fn of(table: &Table) -> Self {
        let columns = table.columns.iter();
        let column = columns
            .filter(|_| table.merge == Merge::Profile)
            .position(|column| column.name == SEGMENT_IDS);
        Self {
            column,
            ..Self::default()
        }
    }

    /// Stores the ids in these rows that are not known. The caller holds the locks on the rows, and no lock is taken after these.
    pub(crate) async fn record(&mut self, connection: &mut PgConnection, rows: &Rows) -> Result<(), Error> {
        let Some(column) = self.column else {
            return Ok(());
        };
        self.pending.clear();
        for id in rows.tuples().flat_map(|tuple| texts_at(tuple, column)) {
            if !self.known.contains(id) && !self.pending.contains(id) {
                self.pending.insert(id.to_vec());
            }
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        let ids = self.pending.iter().filter_map(|id| std::str::from_utf8(id).ok());
        let ids: Vec<&str> = ids.collect();
        sqlx::query!(
            "insert into sync.segment_ids (id)
             select id from unnest($1::text[]) as one (id) order by id collate \"C\"
             on conflict (id) do nothing",
            &ids as &[&str]
        )
        .execute(connection)
        .await
        .doing("recording segments")?;
        Ok(())
    }

    /// The transaction was committed.
    pub(crate) fn are_stored(&mut self) {
        self.known.extend(std::mem::take(&mut self.pending));
    }
}
