//! The reader for every form that a profile can have. It also reports what is wrong with an element. It is slow; `fast.rs`
//! reads the common form.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::resources::fields::{BoundedList, Fields, MOST_ENTRIES, RawField, Wrong, array, too_many, wrong};
use crate::resources::identity::{self, LONGEST_ID, Problem};

use super::draft::{Draft, MOST_REPLACED, Text};

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile<'a> {
    #[serde(borrow)]
    id: RawField<'a>,
    #[serde(borrow)]
    creation_date: RawField<'a>,
    #[serde(borrow)]
    privacy_legislation: RawField<'a>,
    #[serde(borrow)]
    consented_objectives: RawField<'a>,
    #[serde(borrow)]
    refused_objectives: RawField<'a>,
    #[serde(borrow)]
    permissions: Option<Permissions<'a>>,
    #[serde(borrow)]
    properties: Option<BoundedList<Property<'a>>>,
    #[serde(borrow)]
    segments: RawField<'a>,
    #[serde(borrow)]
    replaced_by: RawField<'a>,
    #[serde(borrow)]
    replaces: RawField<'a>,
}

#[derive(Deserialize)]
struct Permissions<'a> {
    #[serde(borrow)]
    level: RawField<'a>,
}

#[derive(Deserialize)]
struct Property<'a> {
    #[serde(borrow)]
    id: RawField<'a>,
    #[serde(borrow)]
    values: RawField<'a>,
}

/// Reads a profile into an empty draft.
pub(super) fn read(element: &str, fields: &mut Fields, draft: &mut Draft) -> Result<(), Problem> {
    let profile: Profile<'_> = serde_json::from_str(element)?;
    let id = identity::id_of(profile.id)?;
    for property in profile
        .properties
        .map_or_else(Vec::new, |properties| properties.0)
    {
        add(element, &property, fields, draft)?;
    }
    let creation_date = fields.text("creationDate", profile.creation_date)?;
    draft.found.creation_date = draft.kept_or_none(creation_date)?;
    let legislation = fields.text("privacyLegislation", profile.privacy_legislation)?;
    draft.found.privacy_legislation = draft.kept_or_none(legislation)?;
    let level = profile.permissions.and_then(|permissions| permissions.level);
    let level = fields.text("permissions.level", level)?;
    draft.found.permission_level = draft.kept_or_none(level)?;
    let consented = fields.texts("consentedObjectives", profile.consented_objectives)?;
    draft.found.consented_objectives = draft.all_kept(&consented)?;
    let refused = fields.texts("refusedObjectives", profile.refused_objectives)?;
    draft.found.refused_objectives = draft.all_kept(&refused)?;
    let segments = segment_ids(fields, profile.segments)?;
    draft.found.segment_ids = draft.all_kept(&segments)?;
    let survivor = one_id(fields, "replacedBy", profile.replaced_by)?;
    draft.found.replaced_by = draft.kept_or_none(survivor)?;
    let losers = ids(fields, "replaces", profile.replaces)?;
    draft.found.replaces = draft.all_kept(&losers)?;
    draft.found.id = Some(draft.kept(&id)?);
    Ok(())
}

fn add(
    element: &str,
    property: &Property<'_>,
    fields: &mut Fields,
    draft: &mut Draft,
) -> Result<(), Problem> {
    let id = fields.text("properties[].id", property.id)?;
    let id = id.ok_or_else(|| Wrong("a property has no `id`".to_owned()))?;
    let first = draft.found.begin_values();
    for value in array("properties[].values", property.values)? {
        let value = fields.text("properties[].values[]", Some(value))?;
        let value = draft.kept_or_none(value)?;
        draft.found.value(value);
    }
    if draft.found.is_overfull() {
        return Err(too_many("properties[].values", MOST_ENTRIES).into());
    }
    let text = draft.kept(&id)?;
    draft.property(element, text, first);
    Ok(())
}

/// The ids of a profile's segments, in order. An entry is `{"id": …}` or the bare id.
pub(in crate::resources) fn segment_ids<'a>(
    fields: &mut Fields,
    raw: RawField<'a>,
) -> Result<Vec<Cow<'a, str>>, Wrong> {
    #[derive(Deserialize)]
    struct Identified<'a> {
        #[serde(borrow)]
        id: Option<&'a RawValue>,
    }
    let mut found = Vec::new();
    for entry in array("segments", raw)? {
        let id = match serde_json::from_str::<Identified<'_>>(entry.get()) {
            Ok(object) => object.id,
            Err(_) => Some(entry),
        };
        found.extend(fields.text("segments[].id", id)?);
    }
    if found.iter().any(|id| id.len() > LONGEST_ID) {
        return Err(Wrong(format!("a segment's id is longer than {LONGEST_ID} bytes")));
    }
    Ok(found)
}

fn one_id<'a>(fields: &mut Fields, name: &str, raw: RawField<'a>) -> Result<Option<Cow<'a, str>>, Wrong> {
    let id = fields.text(name, raw)?.filter(|id| !id.is_empty());
    match id {
        Some(id) if id.len() > LONGEST_ID => Err(wrong(name, "an id", &id)),
        id => Ok(id),
    }
}

fn ids<'a>(fields: &mut Fields, name: &str, raw: RawField<'a>) -> Result<Vec<Cow<'a, str>>, Wrong> {
    let mut found = Vec::new();
    for value in array(name, raw)? {
        found.extend(one_id(fields, name, Some(value))?);
        if found.len() > MOST_REPLACED {
            return Err(too_many(name, MOST_REPLACED));
        }
    }
    Ok(found)
}

impl Draft {
    fn kept(&mut self, text: &str) -> Result<Text, Wrong> {
        self.keep(text)
            .ok_or_else(|| Wrong("the element is larger than 4 GiB".to_owned()))
    }

    fn kept_or_none(&mut self, text: Option<Cow<'_, str>>) -> Result<Option<Text>, Wrong> {
        text.map(|text| self.kept(&text)).transpose()
    }

    fn all_kept(&mut self, texts: &[Cow<'_, str>]) -> Result<Vec<Text>, Wrong> {
        texts.iter().map(|text| self.kept(text)).collect()
    }
}
