//! The rows of child tables in a batch, and their parents. A parent comes with all of its children or, if they are stored
//! already, with none. Knows nothing of connections or SQL.

use std::collections::HashMap;

use xxhash_rust::xxh3::Xxh3;

use super::Time;
use super::rows::{RowWriter, Rows};

/// A hash over all children of one parent.
pub type ChildHash = [u8; 16];

/// The hash of a parent without children.
pub const CHILDLESS: ChildHash = [0; 16];

/// Children of several parents, in the order in which their elements were read.
#[derive(Debug, Default, Clone)]
pub struct Children {
    parents: Vec<Parent>,
    /// The rows of each child table, in the order of the parent's description.
    tables: Vec<ChildRows>,
    /// The number of parents without a row in the batch.
    alone: usize,
}

/// An element of a table with children.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parent {
    /// Its id.
    pub id: String,
    /// The hash over the element's bytes.
    pub source: [u8; 16],
    /// The hash over the content of its own row.
    pub content: [u8; 16],
    /// The hash over its children.
    pub children: ChildHash,
    /// Whether the children differ from the stored ones. If so, all of them are in the batch, otherwise none.
    pub differs: bool,
    /// Whether its own row is in the batch; otherwise the row is stored already.
    pub has_row: bool,
    /// The time of the request for its page, as in [`Rows::asked_at`].
    pub asked_at: Option<Time>,
    /// The date that shows which of two copies from one page is older.
    pub modified_at: Option<Time>,
}

/// The rows of one child table.
#[derive(Debug, Default, Clone)]
struct ChildRows {
    rows: Rows,
    /// For each row, the index of its parent in [`Children::parents`]. The rows of a parent are adjacent.
    parents: Vec<usize>,
}

impl ChildRows {
    /// The index of the first row of the current parent.
    fn first_of(&self, parent: usize) -> usize {
        self.parents.partition_point(|of| *of < parent)
    }

    /// Keeps the rows of some parents. `places` has the new index of each kept parent.
    fn keep(&mut self, places: &[Option<usize>]) {
        let Self { rows, parents } = self;
        rows.retain_places(|row| places[parents[row]].is_some());
        *parents = parents.iter().filter_map(|parent| places[*parent]).collect();
    }
}

impl Children {
    /// Starts a row of the current element. `table` is the index of the child table in the description. `key` is unique among
    /// the element's rows in that table; of rows with equal keys, the last one stays. [`Children::keep`] or
    /// [`Children::discard`] ends the element.
    pub fn row(&mut self, table: usize, key: &[u8], fields: u16) -> RowWriter<'_> {
        if self.tables.len() <= table {
            self.tables.resize_with(table + 1, ChildRows::default);
        }
        let ChildRows { rows, parents } = &mut self.tables[table];
        parents.push(self.parents.len());
        rows.row(key, None, fields)
    }

    /// The hash over the rows of the current element, independent of their order.
    pub fn hash(&mut self) -> ChildHash {
        let parent = self.parents.len();
        let mut hasher = Xxh3::new();
        let mut any = false;
        for (place, table) in self.tables.iter_mut().enumerate() {
            let first = table.first_of(parent);
            table.rows.deduplicate_from(first);
            table.parents.truncate(table.rows.len());
            for tuple in table.rows.tuples().skip(first) {
                any = true;
                hasher.update(&place.to_be_bytes());
                hasher.update(tuple);
            }
        }
        if any {
            hasher.digest128().to_be_bytes()
        } else {
            CHILDLESS
        }
    }

    /// Drops the rows of the current element.
    pub fn discard(&mut self) {
        let parent = self.parents.len();
        for table in &mut self.tables {
            let first = table.first_of(parent);
            table.rows.truncate(first);
            table.parents.truncate(first);
        }
    }

    /// Ends the current element; its rows stay if they differ from the stored ones.
    pub fn keep(&mut self, parent: Parent) {
        if !parent.differs {
            self.discard();
        }
        self.alone += usize::from(!parent.has_row);
        self.parents.push(parent);
    }

    /// Whether there is no parent.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The parents.
    pub fn parents(&self) -> &[Parent] {
        &self.parents
    }

    /// How many parents have no row in the batch.
    pub fn alone(&self) -> usize {
        self.alone
    }

    /// The rows of each child table, in the order of the description; tables at its end may be missing.
    pub fn tables(&self) -> impl Iterator<Item = &Rows> {
        self.tables.iter().map(|table| &table.rows)
    }

    /// The ids of the parents that have rows in each child table, in the order of the description.
    pub fn owners(&self) -> impl Iterator<Item = Vec<&str>> {
        self.tables.iter().map(|table| {
            let mut owners = table.parents.clone();
            owners.dedup();
            owners
                .into_iter()
                .map(|parent| self.parents[parent].id.as_str())
                .collect()
        })
    }

    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.tables().map(Rows::len).sum()
    }

    /// Their size in bytes.
    pub fn size(&self) -> usize {
        self.tables().map(Rows::size).sum()
    }

    /// Sets the time of the request for all of them.
    pub fn asked_at(&mut self, asked_at: Option<Time>) {
        for parent in &mut self.parents {
            parent.asked_at = asked_at;
        }
    }

    /// Appends the children of another batch.
    pub fn append(&mut self, later: Self) {
        let moved = self.parents.len();
        if self.tables.len() < later.tables.len() {
            self.tables.resize_with(later.tables.len(), ChildRows::default);
        }
        for (own, other) in self.tables.iter_mut().zip(later.tables) {
            own.rows.append(other.rows);
            own.parents
                .extend(other.parents.iter().map(|parent| parent + moved));
        }
        self.parents.extend(later.parents);
        self.alone += later.alone;
    }

    /// Keeps one copy of each parent, as [`Rows::deduplicate`] does. Returns the number of dropped parents without a row in the
    /// batch.
    pub fn deduplicate(&mut self) -> usize {
        let mut newest: HashMap<&str, usize> = HashMap::with_capacity(self.parents.len());
        for (place, parent) in self.parents.iter().enumerate() {
            let kept = newest.entry(&parent.id).or_insert(place);
            let is_later =
                |than: &Parent| (parent.asked_at, parent.modified_at) >= (than.asked_at, than.modified_at);
            if is_later(&self.parents[*kept]) {
                *kept = place;
            }
        }
        if newest.len() == self.parents.len() {
            return 0;
        }
        let mut stays = vec![false; self.parents.len()];
        for place in newest.into_values() {
            stays[place] = true;
        }
        let before = self.alone;
        self.keep_only(&stays);
        before - self.alone
    }

    /// Drops the parents that are not wanted, with their children. Returns how many of them had no row in the batch.
    pub fn retain(&mut self, wanted: impl Fn(&str) -> bool) -> usize {
        let stays: Vec<bool> = self.parents.iter().map(|parent| wanted(&parent.id)).collect();
        let before = self.alone;
        self.keep_only(&stays);
        before - self.alone
    }

    fn keep_only(&mut self, stays: &[bool]) {
        let mut next = 0;
        let places: Vec<Option<usize>> = stays
            .iter()
            .map(|stays| {
                stays.then(|| {
                    next += 1;
                    next - 1
                })
            })
            .collect();
        for table in &mut self.tables {
            table.keep(&places);
        }
        let mut stays = stays.iter();
        self.parents.retain(|_| stays.next() == Some(&true));
        self.alone = self.parents.iter().filter(|parent| !parent.has_row).count();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parent(id: &str, asked: i64, has_row: bool) -> Parent {
        Parent {
            id: id.to_owned(),
            source: [1; 16],
            content: [2; 16],
            children: CHILDLESS,
            differs: true,
            has_row,
            asked_at: Time::from_timestamp_millis(asked),
            modified_at: None,
        }
    }

    /// Adds a parent with a row for each text, and returns the hash over the rows.
    fn add(children: &mut Children, of: Parent, rows: &[(usize, &str)]) -> ChildHash {
        for (table, text) in rows {
            children.row(*table, text.as_bytes(), 1).text(text);
        }
        let hash = children.hash();
        children.keep(Parent { children: hash, ..of });
        hash
    }

    /// The keys of all rows by table.
    fn keys(children: &Children) -> Vec<Vec<&str>> {
        children.tables().map(|rows| rows.ids().collect()).collect()
    }

    #[test]
    fn a_hash_is_over_the_rows_in_any_order_and_tells_tables_apart() {
        let mut children = Children::default();
        let mut hash = |rows: &[(usize, &str)]| add(&mut children, parent("p", 1, true), rows);
        let one = hash(&[(0, "a"), (0, "b"), (1, "c")]);
        assert_eq!(hash(&[(1, "c"), (0, "b"), (0, "a")]), one);
        assert_eq!(hash(&[(0, "b"), (0, "a"), (1, "c"), (0, "b")]), one, "a repeat");
        assert_ne!(hash(&[(0, "a"), (0, "b"), (0, "c")]), one);
        assert_ne!(hash(&[(0, "a"), (1, "c")]), one);
        assert_eq!(hash(&[]), CHILDLESS);
    }

    #[test]
    fn what_is_discarded_or_does_not_differ_leaves_no_row() {
        let mut children = Children::default();
        add(&mut children, parent("p", 1, true), &[(0, "z"), (1, "a")]);
        children.row(0, b"b", 1).text("b");
        children.row(0, b"a", 1).text("a");
        children.hash();
        children.discard();
        let same = Parent {
            differs: false,
            ..parent("q", 1, true)
        };
        add(&mut children, same, &[(0, "c")]);
        add(&mut children, parent("r", 1, true), &[(0, "d")]);
        assert_eq!(keys(&children), [vec!["z", "d"], vec!["a"]]);
        assert_eq!(children.owners().collect::<Vec<_>>(), [vec!["p", "r"], vec!["p"]]);
        let sizes: usize = children.tables().flat_map(Rows::tuples).map(<[u8]>::len).sum();
        assert_eq!(children.size(), sizes, "no byte of a dropped row is left");
    }

    #[test]
    fn of_a_parent_that_comes_twice_the_later_reading_stays_with_all_of_its_children_and_no_other() {
        let mut first = Children::default();
        add(&mut first, parent("p", 2, true), &[(0, "new")]);
        add(&mut first, parent("q", 1, false), &[(0, "q1"), (1, "q2")]);
        let mut second = Children::default();
        add(&mut second, parent("p", 1, false), &[(0, "old"), (1, "older")]);
        add(&mut second, parent("q", 1, true), &[(1, "q3")]);
        first.append(second);
        assert_eq!(first.deduplicate(), 2, "both dropped copies had no row");
        assert_eq!(keys(&first), [vec!["new"], vec!["q3"]]);
        assert_eq!((first.parents().len(), first.alone()), (2, 0));
        assert_eq!(first.retain(|id| id == "q"), 0);
        assert_eq!(keys(&first), [vec![], vec!["q3"]]);
        assert_eq!(first.owners().collect::<Vec<_>>(), [vec![], vec!["q"]]);
    }
}
