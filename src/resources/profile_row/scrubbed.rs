//! Stored profiles whose values are hashed and dropped after the fact: their properties, the hash over their content, and their typed
//! columns.

use std::sync::Arc;

use crate::model::fault::Outcome;
use crate::model::rows::Rows;
use crate::model::scrub::StoredContent;

use super::content::{HashSeeds, write_content};
use super::draft::Draft;
use super::stored::{read, take_fields, unreadable};
use super::treating::Treating;
use super::typed::{ColumnPlan, TypedColumns};

/// Rows of id, properties and content hash, with the typed columns of each profile beside them. `stores_rest`: `properties` leaves
/// out what the columns hold.
pub(in crate::resources) fn rows_of_scrubbed(
    treating: &Treating,
    plan: Option<&Arc<ColumnPlan>>,
    stores_rest: bool,
    seeds: HashSeeds,
    profiles: &[StoredContent],
) -> Outcome<Rows> {
    let mut typed = plan.map(|plan| TypedColumns::new(Arc::clone(plan)));
    let (mut rows, mut draft, mut whole) = (Rows::default(), Draft::default(), Rows::default());
    for StoredContent { profile, arrays } in profiles {
        draft.clear();
        read(&profile.properties, &mut draft)?;
        let too_large = || unreadable(&"they are too large");
        for (texts, found) in arrays.iter().zip([0, 1, 2]) {
            for text in texts {
                let kept = draft.keep(text).ok_or_else(too_large)?;
                draft.found.array(found).push(kept);
            }
        }
        let mut complete = draft.complete("", &[], Some(treating)).map_err(|_| too_large())?;
        take_fields(&mut complete, profile);
        whole.truncate(0);
        let (_, content) = write_content(&complete, &profile.id, seeds, &mut whole.row(b"", None, 0));
        let is_held = match &mut typed {
            Some(typed) if stores_rest => typed.read(&complete).to_vec(),
            Some(typed) => {
                typed.read(&complete);
                Vec::new()
            }
            None => Vec::new(),
        };
        let mut row = rows.row(profile.id.as_bytes(), None, 3);
        row.text(&profile.id)
            .jsonb_with(|json| complete.write_properties(&is_held, json))
            .bytea(&content);
        if let Some(typed) = &typed {
            typed.write(&complete, &profile.id, &mut row);
        }
    }
    Ok(rows)
}
