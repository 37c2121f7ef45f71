//! Turns a profile into a row: its properties as one JSON object, dates, sets of ids, and the hash over its content.
//! `fast.rs` reads the common form, `loose.rs` all others; the row is written directly into the batch.

mod content;
mod draft;
mod fast;
mod loose;
mod property_order;
mod scrubbed;
mod stored;
#[cfg(test)]
mod tests;
mod treating;
mod typed;

use std::sync::Arc;

use crate::model::batch::{Batch, Known};
use crate::model::children::{CHILDLESS, ChildHash, Parent};
use crate::model::table::{Child, Column, ColumnKind, Merge, Table};

use super::child_rows::ChildPlans;
use super::fields::Fields;
use super::identity::Problem;
use super::timeline::{self, Timelines};
use super::{consent_tables, memberships};
use crate::json::bitmap::Bitmap;

pub(super) use content::HashSeeds;
use content::write_content;
use draft::{CompleteProfile, Draft, TooLarge};
pub(super) use loose::segment_ids;
use property_order::jsonb_order;
pub(super) use scrubbed::rows_of_scrubbed;
pub(super) use stored::rows_of_stored;
pub(super) use treating::{Treating, ValueHasher};
pub(super) use typed::ColumnPlan;
use typed::TypedColumns;

/// The columns of the table of profiles.
const COLUMNS: &[Column] = &[
    Column::new("id", ColumnKind::Text).from("id").comment("The profile's id at the tenant."),
    Column::new("created_at", ColumnKind::Timestamptz).from("creationDate").comment("When it was made at the tenant (creationDate, else the property creationdate)."),
    Column::new("modified_at", ColumnKind::Timestamptz).comment("When it last changed at the tenant (the property lastmodifieddate)."),
    Column::new("privacy_legislation", ColumnKind::Text).from("privacyLegislation").comment("The legislation under which it was collected, such as GDPR."),
    Column::new("permission_level", ColumnKind::Text).from("permissions.level").comment("What may be stored of it: DO_NOT_TRACK, ANONYMOUS or PERSONAL."),
    Column::new("consented_objectives", ColumnKind::TextArray).comment("Objectives consented to; empty when there are none."),
    Column::new("refused_objectives", ColumnKind::TextArray).comment("Objectives refused; empty when there are none."),
    Column::new("segment_ids", ColumnKind::TextArray).from("segments").comment("Ids of the segments it is in; profile_segments unnests them, segment_members() finds by one."),
    Column::new("properties", ColumnKind::Jsonb).from("properties").comment("Property id to its values, an array of texts in the order in which they came (a null that came stays one): {\"email\": [\"a@b.example\"], \"visits\": [\"3\"]}."),
    Column::new("source_hash", ColumnKind::Bytea).comment("Hash over the element's bytes as they came: equal bytes need no decoding."),
    Column::new("content_hash", ColumnKind::Bytea).comment("Hash over its meaning: equal content needs no writing."),
];

/// Which child tables of profiles are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReadChildren {
    /// Those of timelines.
    pub(super) timelines: Timelines,
    /// That of groups.
    pub(super) groups: bool,
    /// That of lifecycle stages.
    pub(super) lifecycle_stages: bool,
}

/// The number of choices.
const CHOICES: usize = 12;

impl ReadChildren {
    const NONE: Self = Self::at(0);

    const fn at(place: usize) -> Self {
        Self {
            timelines: match place % 3 {
                0 => Timelines::Unread,
                1 => Timelines::Kept,
                _ => Timelines::WhileListed,
            },
            groups: place / 3 % 2 == 1,
            lifecycle_stages: place / 6 % 2 == 1,
        }
    }

    /// Its number among all choices.
    fn place(self) -> usize {
        self.timelines as usize + 3 * usize::from(self.groups) + 6 * usize::from(self.lifecycle_stages)
    }

    /// Whether none are read.
    pub(super) fn is_none(self) -> bool {
        self.place() == Self::NONE.place()
    }

    /// The table of profiles of which these children are read.
    pub(super) fn table(self) -> &'static Table {
        &TABLES[self.place()]
    }
}

const fn children(read: ReadChildren) -> [Child; 6] {
    // A gap names its table by its index among those that are read, so timelines come first.
    let [events, gaps] = timeline::children(read.timelines);
    let groups = memberships::groups(read.groups);
    let stages = memberships::lifecycle_stages(read.lifecycle_stages);
    let [consent_events, consent_history] = consent_tables::children();
    [events, gaps, groups, stages, consent_events, consent_history]
}

const fn table(children: &'static [Child]) -> Table {
    Table {
        name: "profiles",
        columns: COLUMNS,
        key: &["id"],
        merge: Merge::Profile,
        children,
    }
}

/// The child tables, for each choice of those that are read: the index is its number in [`ReadChildren::at`].
static CHILDREN: [[Child; 6]; CHOICES] = {
    let mut choices = [const { children(ReadChildren::NONE) }; CHOICES];
    let mut place = 0;
    while place < CHOICES {
        choices[place] = children(ReadChildren::at(place));
        place += 1;
    }
    choices
};

/// The table of profiles, for each choice of child tables.
static TABLES: [Table; CHOICES] = {
    let mut choices = [const { table(&[]) }; CHOICES];
    let mut place = 0;
    while place < CHOICES {
        choices[place] = table(&CHILDREN[place]);
        place += 1;
    }
    choices
};

/// The table of profiles of which no children are read.
pub(super) static TABLE: Table = table(&CHILDREN[0]);

/// Turns profiles into rows. Its buffers are reused for the next profile.
#[derive(Debug)]
pub(super) struct ProfileRows {
    /// The properties that are stored, in order; empty: all.
    wanted: Vec<String>,
    seeds: HashSeeds,
    /// Hashes and drops values; none: all are stored as they came.
    treating: Option<Arc<Treating>>,
    children: ChildPlans,
    /// Writes the typed columns; none: they are off.
    typed: Option<TypedColumns>,
    /// Whether `properties` leaves out what the typed columns hold exactly as it came.
    stores_rest: bool,
    /// The elements answer look-ups that do not bring all children: theirs stay as they are stored.
    without_children: bool,
    draft: Draft,
    bitmap: Bitmap,
    /// Profiles that the fast reader did not support.
    slow_reads: u64,
}

impl ProfileRows {
    /// Stores only the `wanted` properties, given in any order; empty: all. Dates are taken from all properties that come.
    pub(super) fn new(mut wanted: Vec<String>, seeds: HashSeeds, table: &'static Table) -> Self {
        wanted.sort_unstable_by(|one, other| jsonb_order(one).cmp(&jsonb_order(other)));
        Self {
            wanted,
            seeds,
            treating: None,
            children: ChildPlans::of(table),
            typed: None,
            stores_rest: false,
            without_children: false,
            draft: Draft::default(),
            bitmap: Bitmap::default(),
            slow_reads: 0,
        }
    }

    /// The same where a request asks for so many items of each child array.
    pub(super) fn asking_for(self, items: Option<usize>) -> Self {
        Self {
            children: self.children.asking_for(items),
            ..self
        }
    }

    /// The same with typed columns. With `stores_rest`, `properties` leaves out what they hold exactly as it came.
    pub(super) fn with_columns(self, plan: Option<Arc<ColumnPlan>>, stores_rest: bool) -> Self {
        Self {
            stores_rest,
            typed: plan.map(TypedColumns::new),
            ..self
        }
    }

    /// The same with values that are hashed and dropped.
    pub(super) fn treating(self, treating: Option<Arc<Treating>>) -> Self {
        Self { treating, ..self }
    }

    /// The same for answers to look-ups. What a look-up does not bring is not known to be gone.
    pub(super) fn looked_up(self, table: &'static Table) -> Self {
        Self {
            without_children: table.read_children().any(memberships::is_listed_only),
            ..self
        }
    }

    /// Adds a profile to the batch: as a row, as a refreshed hash, or as the loser of a merge. The element may be any bytes.
    pub(super) fn put(
        &mut self,
        element: &[u8],
        source: [u8; 16],
        known: Known,
        into: &mut Batch,
    ) -> Result<(), Problem> {
        let element = std::str::from_utf8(element).map_err(|error| Problem::Shape(error.to_string()))?;
        self.read(element, into)?;
        let profile = self
            .draft
            .complete(element, &self.wanted, self.treating.as_deref())?;
        into.read_counts.unreadable_dates += profile.unreadable_dates;
        let id = profile.id.ok_or(Problem::NoId)?;
        let children =
            if self.children.is_empty() || self.without_children || survivor(&profile, id).is_some() {
                None
            } else {
                let mut fields = Fields::default();
                let hash = self
                    .children
                    .read(element.as_bytes(), id, &mut fields, &mut into.children);
                into.read_counts.replaced_characters += fields.replaced;
                Some(hash?)
            };
        if write_aliases(&profile, id, into) {
            // The next walk has to decode it again, even if it brings the same bytes: to compare the children, or because the catalogue
            // may list a property by then.
            let source = if self.without_children || profile.has_unknown {
                source.map(|byte| !byte)
            } else {
                source
            };
            let writer = RowsOfProfile {
                profile: &profile,
                id,
                seeds: self.seeds,
                typed: self.typed.as_mut(),
                stores_rest: self.stores_rest,
            };
            writer.write((source, known), children, into);
        }
        Ok(())
    }

    fn read(&mut self, element: &str, into: &mut Batch) -> Result<(), Problem> {
        self.draft.clear();
        if fast::read(element, &mut self.bitmap, &mut self.draft).is_ok() {
            return Ok(());
        }
        self.slow_reads += 1;
        self.draft.clear();
        let mut fields = Fields::default();
        let read = loose::read(element, &mut fields, &mut self.draft);
        into.read_counts.replaced_characters += fields.replaced;
        read
    }
}

impl From<TooLarge> for Problem {
    fn from(_: TooLarge) -> Self {
        Self::Shape("the element is larger than 4 GiB".to_owned())
    }
}

/// The profile that replaces this one.
fn survivor<'a>(profile: &CompleteProfile<'a>, id: &str) -> Option<&'a str> {
    profile.replaced_by.filter(|survivor| *survivor != id)
}

/// Adds the aliases: the profiles that this one replaces, and the one that replaces it. False if the profile is replaced, so
/// that it has no row.
fn write_aliases(profile: &CompleteProfile<'_>, id: &str, into: &mut Batch) -> bool {
    let losers = profile.replaces().filter(|loser| *loser != id);
    into.aliases
        .extend(losers.map(|loser| (loser.to_owned(), id.to_owned())));
    let survivor = survivor(profile, id);
    into.aliases
        .extend(survivor.map(|survivor| (id.to_owned(), survivor.to_owned())));
    survivor.is_none()
}

/// Writes what is stored of a profile.
struct RowsOfProfile<'p, 'a> {
    profile: &'p CompleteProfile<'a>,
    id: &'a str,
    seeds: HashSeeds,
    typed: Option<&'p mut TypedColumns>,
    stores_rest: bool,
}

impl RowsOfProfile<'_, '_> {
    /// Adds the row and the children, as far as they differ from the stored ones. `children` is the hash over the children that
    /// were read; none if the table has no child tables.
    fn write(self, (source, known): ([u8; 16], Known), children: Option<ChildHash>, into: &mut Batch) {
        let Self { profile, id, .. } = self;
        let mut row = into.rows.row(id.as_bytes(), profile.modified_at, 11);
        let (properties, content) = write_content(profile, id, self.seeds, &mut row);
        let (stored, stored_children) = match known {
            Known::Differs { content, children } => (Some(content), children),
            Known::Absent | Known::Same => (None, CHILDLESS),
        };
        let has_row = stored != Some(content);
        if !has_row {
            row.take_back();
        } else if let Some(typed) = self.typed {
            let is_held = typed.read(profile);
            if self.stores_rest {
                row.back_to(properties);
                row.jsonb_with(|json| profile.write_properties(is_held, json));
            }
            row.bytea(&source).bytea(&content);
            typed.write(profile, id, &mut row);
            into.columns.get_or_insert_with(|| Arc::clone(typed.columns()));
        } else {
            row.bytea(&source).bytea(&content);
        }
        let differs = children.is_some_and(|children| children != stored_children);
        if !has_row && !differs {
            into.children.discard();
            into.read_counts.unchanged += 1;
            into.rehash.push((id.to_owned(), source));
        } else if let Some(children) = children {
            into.children.keep(Parent {
                id: id.to_owned(),
                source,
                content,
                children,
                differs,
                has_row,
                asked_at: None,
                modified_at: profile.modified_at,
            });
        }
    }
}
