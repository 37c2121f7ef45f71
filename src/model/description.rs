//! What a resource is, as data: its names, where the tenant lists it, the table that it fills, and how it is read.
//! Slots, jobs, settings, command line, status page and `freshness` follow from descriptions; `resources::registry`
//! holds those of this program.

use super::position::{Scope, Slot};
use super::table::Table;

/// One resource.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// What people call it, as on the status page.
    pub title: &'static str,
    /// What its table holds: the comment on the table.
    pub holds: &'static str,
    /// The path of its listing below the API.
    pub path: &'static str,
    /// The keys of the envelope under which its elements may come: the vendor renames them.
    pub arrays: &'static [&'static str],
    /// The OAuth scope that the vendor asks for.
    pub oauth_scope: &'static str,
    /// The table that it fills.
    pub table: &'static Table,
    /// How it is read. What is no plain list has settings and a reader of its own.
    pub reading: Reading<List, (), ()>,
}

/// How the engine reads a resource. Each kind carries what a layer knows of it: a description, a port, a run.
#[derive(Debug, Clone, Copy)]
pub enum Reading<L, W, F> {
    /// A plain list, whole each time. Its settings and its decoding follow from the description alone.
    List(L),
    /// By cursor, in full walks and increments: profiles.
    Walk(W),
    /// By date: audit events.
    Feed(F),
}

/// What is particular to a plain list.
#[derive(Debug, Clone, Copy)]
pub struct List {
    /// `resources.NAME.enabled` where nobody sets it.
    pub enabled: bool,
    /// `resources.NAME.schedule` where nobody sets it: a cron expression.
    pub schedule: &'static str,
    /// `resources.NAME.page_size` where nobody sets it.
    pub page_size: u32,
    /// A field of elements that belong to something else: an element with a value in it counts as read and fills no
    /// row. Its id is unique only together with that value.
    pub owner: Option<&'static str>,
}

impl Description {
    /// The name: that of the table, of the settings below `resources`, and of the resource on the command line.
    pub const fn name(&self) -> &'static str {
        self.table.name
    }

    /// The scopes that it is read in, in the order in which they are shown.
    pub const fn scopes(&self) -> &'static [Scope] {
        match self.reading {
            Reading::List(_) => &[Scope::Full],
            Reading::Walk(()) => &[Scope::Full, Scope::Increment],
            Reading::Feed(()) => &[Scope::Increment],
        }
    }

    /// The slots of its scopes.
    pub fn slots(&self) -> impl Iterator<Item = Slot> + use<> {
        let resource = self.name();
        self.scopes().iter().map(move |scope| Slot {
            resource,
            scope: *scope,
        })
    }

    /// Whether it is read where no setting says otherwise.
    pub const fn is_by_default(&self) -> bool {
        match &self.reading {
            Reading::List(list) => list.enabled,
            Reading::Walk(()) | Reading::Feed(()) => true,
        }
    }

    /// What is particular to it as a plain list; none where it is not one.
    pub const fn as_list(&self) -> Option<&List> {
        match &self.reading {
            Reading::List(list) => Some(list),
            Reading::Walk(()) | Reading::Feed(()) => None,
        }
    }
}

/// All resources, in the order in which a backfill reads them: what others refer to comes first. By default there are none.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry {
    lists: &'static [Description],
    others: &'static [Description],
}

impl Registry {
    /// The plain lists, and what is read after them.
    pub const fn new(lists: &'static [Description], others: &'static [Description]) -> Self {
        Self { lists, others }
    }

    /// The same with other plain lists.
    #[must_use]
    pub const fn with_lists(self, lists: &'static [Description]) -> Self {
        Self { lists, ..self }
    }

    /// The same with others than plain lists.
    #[must_use]
    pub const fn with_others(self, others: &'static [Description]) -> Self {
        Self { others, ..self }
    }

    /// The tables whose rows are persons.
    pub fn person_tables(self) -> Vec<&'static Table> {
        let persons = self.iter().filter(|one| matches!(one.reading, Reading::Walk(())));
        persons.map(|one| one.table).collect()
    }

    /// What is read after the plain lists.
    pub fn others(self) -> impl Iterator<Item = &'static Description> {
        self.others.iter()
    }

    /// Every resource.
    pub fn iter(self) -> impl Iterator<Item = &'static Description> {
        self.lists.iter().chain(self.others)
    }

    /// The plain lists.
    pub fn lists(self) -> impl Iterator<Item = (&'static Description, &'static List)> {
        self.lists.iter().filter_map(|one| Some((one, one.as_list()?)))
    }

    /// Every name.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.iter().map(Description::name)
    }

    /// The resource of a name.
    pub fn named(self, name: &str) -> Option<&'static Description> {
        self.iter().find(|one| one.name() == name)
    }
}
