//! The content of a profile's row, and the hash over it.

use xxhash_rust::xxh3::xxh3_128_with_seed;

use crate::model::rows::RowWriter;

use super::draft::CompleteProfile;

/// The seeds of the hashes. They follow from the decoder's version and from every setting that changes what is stored.
#[derive(Debug, Default, Clone, Copy)]
pub(in crate::resources) struct HashSeeds {
    /// The seed of the hash over an element; it also depends on the child tables.
    pub(in crate::resources) source: u64,
    /// The seed of the hash over the content of a row.
    pub(in crate::resources) content: u64,
}

/// Writes everything of a profile's row before its hashes. Returns the place of the properties, and the hash over the content.
pub(super) fn write_content(
    profile: &CompleteProfile<'_>,
    id: &str,
    seeds: HashSeeds,
    row: &mut RowWriter<'_>,
) -> (usize, [u8; 16]) {
    let content_start = row.text(id).place();
    row.timestamp(profile.created_at)
        .timestamp(profile.modified_at)
        .text_or_null(profile.privacy_legislation)
        .text_or_null(profile.permission_level)
        .text_array_of(profile.consented_objectives())
        .text_array_of(profile.refused_objectives())
        .text_array_of(profile.segment_ids());
    let properties = row.place();
    row.jsonb_with(|json| profile.write_properties(&[], json));
    // Each encoded field has its length before it, so equal bytes mean equal content. It is the same however much of the properties
    // is stored in typed columns.
    let content = xxh3_128_with_seed(row.since(content_start), seeds.content).to_be_bytes();
    (properties, content)
}
