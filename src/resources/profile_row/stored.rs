//! The typed columns of stored profiles, from their properties as they are stored.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::property_columns::StoredProfile;
use crate::model::rows::Rows;

use super::draft::{CompleteProfile, Draft};
use super::typed::{ColumnPlan, TypedColumns};

/// Rows without a field, with the typed columns of each profile beside them.
pub(in crate::resources) fn rows_of_stored(
    plan: &Arc<ColumnPlan>,
    profiles: &[StoredProfile],
) -> Outcome<Rows> {
    let mut typed = TypedColumns::new(Arc::clone(plan));
    let (mut rows, mut draft) = (Rows::default(), Draft::default());
    for profile in profiles {
        draft.clear();
        read(&profile.properties, &mut draft)?;
        let mut complete = draft
            .complete("", &[], None)
            .map_err(|_| unreadable(&"they are too large"))?;
        take_fields(&mut complete, profile);
        typed.read(&complete);
        let mut row = rows.row(profile.id.as_bytes(), None, 0);
        typed.write(&complete, &profile.id, &mut row);
    }
    Ok(rows)
}

/// Takes what the row of a stored profile has beside its properties.
pub(super) fn take_fields<'a>(complete: &mut CompleteProfile<'a>, profile: &'a StoredProfile) {
    complete.created_at = profile.created_at;
    complete.modified_at = profile.modified_at;
    complete.privacy_legislation = profile.privacy_legislation.as_deref();
    complete.permission_level = profile.permission_level.as_deref();
}

/// Why the properties of a stored profile cannot be used.
pub(super) fn unreadable(what: &dyn fmt::Display) -> Fault {
    Fault::new(Kind::Final, "the stored properties of a profile cannot be read").because(what.to_string())
}

/// Reads stored properties into an empty draft.
pub(super) fn read(properties: &str, draft: &mut Draft) -> Outcome<()> {
    let stored: BTreeMap<String, Vec<Option<String>>> =
        serde_json::from_str(properties).map_err(|error| unreadable(&error))?;
    let too_large = || unreadable(&"they are too large");
    for (id, values) in stored {
        let id = draft.keep(&id).ok_or_else(too_large)?;
        let first = draft.found.begin_values();
        for value in values {
            let value = match value {
                Some(value) => Some(draft.keep(&value).ok_or_else(too_large)?),
                None => None,
            };
            draft.found.value(value);
        }
        draft.property("", id, first);
    }
    Ok(())
}
