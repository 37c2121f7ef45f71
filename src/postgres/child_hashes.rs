//! The SQL over `sync.child_hashes`, for a table of [`Merge::Profile`] that has children. A row holds one hash over a parent's
//! children, and the hash of the element that brought them. Every statement that writes a row holds the lock on the
//! parent's own row.
//!
//! An element is unchanged if its bytes have the hash that the parent's row stores. A changed child does not rewrite the parent's
//! row, so `sync.child_hashes` holds the hash of the newer bytes for as long as the parent's row keeps its older hash.
//!
//! [`Merge::Profile`]: crate::model::table::Merge::Profile

use crate::model::table::{Merge, Table};
use crate::postgres::sql::{quoted, relation};

/// The hash of a parent without children.
const CHILDLESS: &str = r"'\x00000000000000000000000000000000'::bytea";

/// A hash that no children have: those that are stored are compared with nothing.
const NEVER: &str = r"'\xffffffffffffffffffffffffffffffff'::bytea";

/// The statements for one table.
#[derive(Debug)]
pub(crate) struct HashStatements {
    /// Returns the hashes of the elements that brought the rows `$1` and their children.
    pub(crate) sources: String,
    /// Returns the hashes over the contents of the rows `$1` and over their children.
    pub(crate) contents: String,
    /// Records the children of parents that are certainly new: `$1` are the ids, `$2` the hashes, `$3` the times of their
    /// requests.
    pub(crate) insert: String,
    /// Decides whose children are replaced, and records their hashes. `$1` are the ids, `$2` the hashes over the rows' contents,
    /// `$3` over the elements, `$4` over the children, `$5` the times of their requests, `$6` whether the children differed when
    /// they were compared, `$7` whether this transaction wrote the parent's row, `$8` the current time. Returns ids with a flag;
    /// false: nothing is replaced.
    pub(crate) judge: String,
    /// Refreshes the hashes of elements with the same content: `$1` are the ids, `$2` the hashes over the elements, `$3` and `$4`
    /// the known hashes over their contents and their children.
    pub(crate) refresh: String,
}

impl HashStatements {
    /// The statements for `table`.
    pub(crate) fn of(table: &Table) -> Self {
        let parent = relation(table);
        let name = table.name;
        let former = format!(
            "left join sync.child_hashes as former on former.parent_id = parent.id and former.parent_table = '{name}'"
        );
        Self {
            sources: format!(
                "select parent.id, case
                   when former.instead_of = parent.source_hash then former.source_hash
                   else parent.source_hash
                 end
                 from {parent} as parent {former} where parent.id = any ($1)"
            ),
            contents: format!(
                "select parent.id, parent.content_hash, {}
                 from {parent} as parent {former} where parent.id = any ($1)",
                stored_hash(table, "parent.id")
            ),
            insert: format!(
                "insert into sync.child_hashes (parent_id, parent_table, hash, asked_at)
                 select i.id, '{name}', i.hash, i.asked_at
                 from unnest($1::text[], $2::bytea[], $3::timestamptz[]) as i (id, hash, asked_at)"
            ),
            judge: judge(&parent, table, &former),
            refresh: format!(
                "insert into sync.child_hashes as stored
                   (parent_id, parent_table, hash, source_hash, instead_of, asked_at)
                 select i.id, '{name}', i.children, i.source_hash, parent.source_hash, former.asked_at
                 from unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[])
                   as i (id, source_hash, content_hash, children)
                 join {parent} as parent on parent.id = i.id and parent.content_hash = i.content_hash
                 {former}
                 where coalesce(former.hash, {CHILDLESS}) = i.children
                 order by i.id
                 on conflict (parent_id, parent_table) do update set
                   source_hash = excluded.source_hash, instead_of = excluded.instead_of"
            ),
        }
    }
}

/// The hash over the stored children of the row `id`, as SQL over `former`. History that a former setting kept has no hash: a
/// parent may have it without listing any child.
fn stored_hash(table: &Table, id: &str) -> String {
    let hash = format!("coalesce(former.hash, {CHILDLESS})");
    let listed = table
        .read_children()
        .filter(|child| child.table.merge == Merge::ListedHistory);
    listed.fold(hash, |hash, child| {
        format!(
            "case
               when {hash} = {CHILDLESS}
                 and exists (select from {} as kept where kept.{} = {id}) then {NEVER}
               else {hash}
             end",
            relation(child.table),
            quoted(child.parent())
        )
    })
}

/// Children follow their parent. If this transaction wrote the parent's row, it writes the children, too. If the row stayed the
/// same, the children are as new as their reading, unless the stored children came from a page that was requested later. If
/// the stored row is another one, a later reading brought it.
///
/// A written row may have children that were the same when they were compared and have changed since, or that came in another
/// copy of the element. The table then combines parts of two elements, so an empty hash makes the next walk decode the element.
fn judge(parent: &str, table: &Table, former: &str) -> String {
    let (name, hash) = (table.name, stored_hash(table, "parent.id"));
    format!(
        "with incoming as (
           select i.*, parent.source_hash as row_source,
             parent.content_hash = i.content_hash as is_same_row,
             {hash} as former_hash,
             coalesce(former.asked_at > i.asked_at and former.asked_at <= $8, false) as is_older
           from unnest($1::text[], $2::bytea[], $3::bytea[], $4::bytea[], $5::timestamptz[], $6::boolean[], $7::boolean[])
             as i (id, content_hash, source_hash, hash, asked_at, differs, written)
           join {parent} as parent on parent.id = i.id and parent.source_hash <> ''::bytea
           {former}
         ),
         judged as (
           select i.*, i.differs and i.is_same_row and (i.written or not i.is_older) as is_taken,
             i.former_hash <> i.hash as is_new
           from incoming as i
         ),
         recorded as (
           insert into sync.child_hashes as stored
             (parent_id, parent_table, hash, source_hash, instead_of, asked_at)
           select j.id, '{name}',
             case when j.is_taken then j.hash else j.former_hash end,
             case when j.is_taken then j.source_hash else ''::bytea end,
             j.row_source, j.asked_at
           from judged as j
           where (j.is_new and j.is_taken) or (j.written and not j.is_taken and (j.is_new or not j.is_same_row))
           order by j.id
           on conflict (parent_id, parent_table) do update set
             hash = excluded.hash, source_hash = excluded.source_hash,
             instead_of = excluded.instead_of, asked_at = excluded.asked_at
           returning parent_id, source_hash <> ''::bytea as is_taken
         )
         select parent_id, is_taken from recorded"
    )
}
