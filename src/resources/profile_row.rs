//! How one profile becomes a row: properties as one JSON object, dates, sets of ids, and the hash over its meaning. It is
//! read by `fast.rs`, or by `loose.rs` where it is unusual, and written straight into the batch.

mod draft;
mod fast;
mod loose;
#[cfg(test)]
mod tests;

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::model::batch::{Batch, Known};
use crate::model::table::{Column, ColumnKind, Merge, Table};

use super::fields::Fields;
use super::identity::Problem;
use crate::json::bitmap::Bitmap;

use draft::{CompleteProfile, Draft, jsonb_order};
pub(super) use loose::segment_ids;

/// The table of profiles.
pub(super) static TABLE: Table = Table {
    name: "profiles",
    columns: &[
        Column::new("id", ColumnKind::Text).from("id").meaning("The profile's id at the tenant."),
        Column::new("created_at", ColumnKind::Timestamptz).from("creationDate").meaning("When it was made at the tenant (creationDate, else the property creationdate)."),
        Column::new("modified_at", ColumnKind::Timestamptz).meaning("When it last changed at the tenant (the property lastmodifieddate)."),
        Column::new("privacy_legislation", ColumnKind::Text).from("privacyLegislation").meaning("The legislation under which it was collected, such as GDPR."),
        Column::new("permission_level", ColumnKind::Text).from("permissions.level").meaning("What may be stored of it: DO_NOT_TRACK, ANONYMOUS or PERSONAL."),
        Column::new("consented_objectives", ColumnKind::TextArray).meaning("Objectives consented to; empty when there are none."),
        Column::new("refused_objectives", ColumnKind::TextArray).meaning("Objectives refused; empty when there are none."),
        Column::new("segment_ids", ColumnKind::TextArray).from("segments").meaning("Ids of the segments it is in; profile_segments unnests them, segment_members() finds by one."),
        Column::new("properties", ColumnKind::Jsonb).from("properties").meaning("Property id to its values, an array of texts in the order in which they came (a null that came stays one): {\"email\": [\"a@b.example\"], \"visits\": [\"3\"]}."),
        Column::new("source_hash", ColumnKind::Bytea).meaning("Hash over the element's bytes as they came: equal bytes need no decoding."),
        Column::new("content_hash", ColumnKind::Bytea).meaning("Hash over its meaning: equal content needs no writing."),
    ],
    key: &["id"],
    merge: Merge::Profile,
    children: &[],
};

/// The seed of both hashes: the decoder's version and every setting that changes what is stored.
#[derive(Debug, Clone, Copy)]
pub(super) struct Seeds(pub(super) u64);

/// Makes rows of profiles, in room that is kept from one to the next.
#[derive(Debug)]
pub(super) struct ProfileRows {
    /// The properties that are stored, in order; none: all.
    wanted: Vec<String>,
    seeds: Seeds,
    draft: Draft,
    bitmap: Bitmap,
    /// How many profiles were too unusual for the fast reader.
    unusual: u64,
}

impl ProfileRows {
    /// With these properties alone, in any order; none: all. The dates are taken from all that come.
    pub(super) fn new(mut wanted: Vec<String>, seeds: Seeds) -> Self {
        wanted.sort_unstable_by(|one, other| jsonb_order(one).cmp(&jsonb_order(other)));
        Self {
            wanted,
            seeds,
            draft: Draft::default(),
            bitmap: Bitmap::default(),
            unusual: 0,
        }
    }

    /// Puts a profile into the batch: as a row, as a refreshed hash, or as the loser of a merge. The element need not be
    /// JSON at all.
    pub(super) fn put(
        &mut self,
        element: &[u8],
        source: [u8; 16],
        known: Known,
        into: &mut Batch,
    ) -> Result<(), Problem> {
        let element = std::str::from_utf8(element).map_err(|error| Problem::Shape(error.to_string()))?;
        self.read(element, into)?;
        let profile = self.draft.complete(element, &self.wanted);
        into.tally.unreadable_dates += profile.unreadable_dates;
        write(&profile, self.seeds, source, known, into)
    }

    fn read(&mut self, element: &str, into: &mut Batch) -> Result<(), Problem> {
        self.draft.clear();
        if fast::read(element, &mut self.bitmap, &mut self.draft).is_ok() {
            return Ok(());
        }
        self.unusual += 1;
        self.draft.clear();
        let mut fields = Fields::default();
        let read = loose::read(element, &mut fields, &mut self.draft);
        into.tally.replaced_characters += fields.replaced;
        read
    }
}

fn write(
    profile: &CompleteProfile<'_>,
    seeds: Seeds,
    source: [u8; 16],
    known: Known,
    into: &mut Batch,
) -> Result<(), Problem> {
    let id = profile.id.ok_or(Problem::NoId)?;
    let losers = profile.replaces().filter(|loser| *loser != id);
    into.aliases
        .extend(losers.map(|loser| (loser.to_owned(), id.to_owned())));
    if let Some(survivor) = profile.replaced_by.filter(|survivor| *survivor != id) {
        into.aliases.push((id.to_owned(), survivor.to_owned()));
        return Ok(());
    }
    let mut row = into.rows.row(id.as_bytes(), profile.modified_at, 11);
    let meaning = row.text(id).place();
    row.timestamp(profile.created_at)
        .timestamp(profile.modified_at)
        .text_or_null(profile.privacy_legislation)
        .text_or_null(profile.permission_level)
        .text_array_of(profile.consented_objectives())
        .text_array_of(profile.refused_objectives())
        .text_array_of(profile.segment_ids())
        .jsonb_with(|json| profile.write_properties(json));
    // As it is encoded, each part has its length before it: equal bytes are an equal meaning.
    let content = xxh3_128_with_seed(row.since(meaning), seeds.0).to_be_bytes();
    if matches!(known, Known::Differs { content: stored, .. } if stored == content) {
        row.take_back();
        into.tally.unchanged += 1;
        into.rehash.push((id.to_owned(), source));
    } else {
        row.bytea(&source).bytea(&content);
    }
    Ok(())
}
