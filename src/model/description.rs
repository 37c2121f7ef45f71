//! The description of a resource as data: its names, the tenant's path, its table, and how it is read. Slots, jobs, settings,
//! the command line, the status page and `freshness` follow from descriptions. `resources::registry` holds those of this
//! program.

use super::history::History;
use super::position::{Scope, Slot};
use super::table::Table;

/// One resource.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// Its title, as on the status page.
    pub title: &'static str,
    /// The comment on its table.
    pub holds: &'static str,
    /// The path of its listing below the API.
    pub path: &'static str,
    /// The keys of the envelope that may hold its elements; several, since the vendor renames them.
    pub arrays: &'static [&'static str],
    /// The OAuth scope that the vendor asks for.
    pub oauth_scope: &'static str,
    /// The table that it fills.
    pub table: &'static Table,
    /// How it is read. Other resources than plain lists have settings and a reader of their own.
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

/// The additional data of a plain list.
#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each says one thing of a list, in any combination"
)]
pub struct List {
    /// The default of `resources.NAME.enabled`.
    pub enabled: bool,
    /// The default of `resources.NAME.schedule`, a cron expression.
    pub schedule: &'static str,
    /// The default of `resources.NAME.page_size`.
    pub page_size: u32,
    /// The field that names the owner of an element. An element with an owner counts as read and fills no row; its id is unique
    /// only together with the owner.
    pub owner: Option<&'static str>,
    /// Whether a tenant may lack the list, since its release is older (404), and an application its scope. The list is then skipped and
    /// requested again after five minutes, then once a day; a denied list that the settings or a command name is reported as denied.
    pub optional: bool,
    /// Whether the listing is paged by `startIndex` and `count`; otherwise one answer holds all of it.
    pub paged: bool,
    /// Whether the listing is paged by `cursor` instead. A walk continues at the page where it stopped, and each row that it missed is
    /// looked up by id, below the listing's path, before it is removed.
    pub by_cursor: bool,
    /// Whether rows stay that the tenant no longer lists.
    pub keeps: bool,
    /// What has a listing of its own each; none: there is one listing.
    pub each: Option<Each>,
    /// Of listings of parents: what reads each of them as a whole, once its parent has changed. The table has a row for each parent with the
    /// parent's hash at that time, in the column `source_hash`, and a child table for the items.
    pub history: Option<&'static dyn History>,
}

impl List {
    /// What most lists have in common; a list adds its schedule.
    pub const PLAIN: Self = Self {
        enabled: true,
        schedule: "",
        page_size: 1000,
        owner: None,
        optional: true,
        paged: true,
        by_cursor: false,
        keeps: false,
        each: None,
        history: None,
    };

    /// The table of the stored parents, if its listings follow from some.
    pub fn parents(&self) -> Option<&'static Table> {
        self.each.and_then(|each| each.table())
    }

    /// Whether its listings follow from the URLs of its settings.
    pub const fn is_of_urls(&self) -> bool {
        matches!(
            self.each,
            Some(Each {
                parents: Parents::Urls,
                ..
            })
        )
    }
}

/// Listings that follow from parents.
#[derive(Debug, Clone, Copy)]
pub struct Each {
    /// What the parents are.
    pub parents: Parents,
    /// How a request names what its listing is about.
    pub named: Named,
}

/// The parents of listings.
#[derive(Debug, Clone, Copy)]
pub enum Parents {
    /// The rows of another list, by its table.
    Stored(&'static Table),
    /// The URLs in the list's own setting `urls`.
    Urls,
}

/// How a request names what its listing is about. The first column of the table's key holds that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Named {
    /// One parent, in the path in place of `{parent}`.
    InPath,
    /// One parent, in this parameter.
    ByParameter(&'static str),
    /// One day, and many parents.
    ByDay(ByDay),
}

/// Listings for each day, of numbers that still change for some days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByDay {
    /// The parameter with a parent's id, once for each parent.
    pub ids: &'static str,
    /// The most parents of one request.
    pub at_once: usize,
    /// The parameter with the day on which the numbers begin, and the one with the day on which they end.
    pub days: [&'static str; 2],
    /// How many days before today the first reading begins.
    pub first: u32,
    /// How many days before the last complete reading are read again.
    pub again: u32,
}

impl Each {
    /// The table of the stored parents; none: nothing has to be stored before.
    pub const fn table(&self) -> Option<&'static Table> {
        match self.parents {
            Parents::Stored(table) => Some(table),
            Parents::Urls => None,
        }
    }
}

impl Description {
    /// The name of the resource: that of its table, of its settings below `resources`, and on the command line.
    pub const fn name(&self) -> &'static str {
        self.table.name
    }

    /// The scopes of the resource, in the order in which they are shown.
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

    /// Whether it is enabled by default.
    pub const fn is_by_default(&self) -> bool {
        match &self.reading {
            Reading::List(list) => list.enabled,
            Reading::Walk(()) | Reading::Feed(()) => true,
        }
    }

    /// The additional data of a plain list; none for other resources.
    pub const fn as_list(&self) -> Option<&List> {
        match &self.reading {
            Reading::List(list) => Some(list),
            Reading::Walk(()) | Reading::Feed(()) => None,
        }
    }
}

/// All resources, in the order in which a backfill reads them: referenced resources come first. The default is empty.
#[derive(Debug, Clone, Copy, Default)]
pub struct Registry {
    lists: &'static [Description],
    others: &'static [Description],
}

impl Registry {
    /// A registry of plain lists and of other resources, which are read after the lists.
    pub const fn new(lists: &'static [Description], others: &'static [Description]) -> Self {
        Self { lists, others }
    }

    /// The same with other plain lists.
    #[must_use]
    pub const fn with_lists(self, lists: &'static [Description]) -> Self {
        Self { lists, ..self }
    }

    /// The same with other resources that are not plain lists.
    #[must_use]
    pub const fn with_others(self, others: &'static [Description]) -> Self {
        Self { others, ..self }
    }

    /// The tables whose rows are persons.
    pub fn person_tables(self) -> Vec<&'static Table> {
        let persons = self.iter().filter(|one| matches!(one.reading, Reading::Walk(())));
        persons.map(|one| one.table).collect()
    }

    /// The resources that are read after the plain lists.
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

    /// The resources whose settings follow from their descriptions: plain lists, and histories of profiles.
    pub fn described(self) -> impl Iterator<Item = (&'static Description, &'static List)> {
        self.iter().filter_map(|one| Some((one, one.as_list()?)))
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
