//! Profiles: `GET /segments/{segment}/profiles`, walked by cursor, expanded by segments, permissions and merges.
//! `profile_row.rs` turns a profile into a row.

use std::sync::Arc;

use xxhash_rust::xxh3::{xxh3_64, xxh3_128_with_seed};

use crate::config::hash_key::HashKey;
use crate::config::settings::{Expansion, Profiles as Settings, PropertiesJson, TimelineKeep};
use crate::model::batch::{Batch, Fingerprint, Known, Reject};
use crate::model::description::{Description, Reading};
use crate::model::fault::Outcome;
use crate::model::page::{Broken, Lookup, Request, halved};
use crate::model::personal_data::{Policy, Treated, Treatment};
use crate::model::ports::{Decoder, Identified, Resource, SegmentCounter, SegmentResolver, Walkable};
use crate::model::position::CursorPosition;
use crate::model::property_columns::{PropertyColumns, StoredProfile, WantedColumns};
use crate::model::recorded_histories::WantedHistories;
use crate::model::rows::Rows;
use crate::model::scrub::StoredContent;
use crate::model::table::{Child, Merge, Table};
use crate::model::verdict::Verdict;

use super::lists::SEGMENTS;
use super::profile_request::{modified_within, selected, timeline};
use super::profile_row::{self, ColumnPlan, HashSeeds, ProfileRows, ReadChildren, Treating, ValueHasher};
use super::segment_counter::ProfileSegmentCounter;
use super::segment_profiles::{ARRAYS, PATH, encoded, path_of};
use super::segment_resolver::ProfileSegmentResolver;
use super::timeline::Timelines;
use super::{identity, profile_lookup, profile_request, reject};

/// The description of profiles.
pub(super) const DESCRIPTION: Description = Description {
    title: "Profiles",
    holds: "Profiles that exist now. One that is gone leaves this table: see profile_aliases and profile_tombstones.",
    path: PATH,
    arrays: ARRAYS,
    oauth_scope: SEGMENTS.oauth_scope,
    table: &profile_row::TABLE,
    reading: Reading::Walk(()),
};
/// The fields of a profile that are read beside those that its columns name, and what they fill. A check of the tenant's document
/// looks for them.
pub(super) const FIELDS: [(&str, &str); 6] = [
    ("consentedObjectives", "consented_objectives"),
    ("refusedObjectives", "refused_objectives"),
    ("segments.id", "segment_ids"),
    ("properties.values", "properties"),
    ("replaces", "profile_aliases"),
    ("replacedBy", "profile_aliases"),
];

/// Increase this version when the decoder stores something else for the same bytes. Equal bytes would otherwise hide the
/// change.
const DECODER_VERSION: u32 = 3;

/// Profiles as a resource.
#[derive(Debug, Clone)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a setting of its own, named as in the settings"
)]
pub(super) struct Profiles {
    table: &'static Table,
    /// How many events of each timeline are requested; none: no timeline.
    event_count: Option<u32>,
    /// Whether groups are requested.
    groups: bool,
    page_size: u32,
    segment: String,
    properties: Vec<String>,
    seeds: HashSeeds,
    /// Whether the settings want typed columns.
    are_typed: bool,
    /// Whether the settings want `properties` without what typed columns hold.
    wants_rest: bool,
    /// The histories that the settings want.
    histories: WantedHistories,
    /// Whether sizes by day are measured.
    daily_facts: bool,
    /// The typed columns of the current run.
    columns: Option<Arc<ColumnPlan>>,
    /// The rules about personal data.
    policy: Policy,
    hasher: Option<ValueHasher>,
    /// What the rules make of the properties, for the current run.
    treated: Treated,
    /// The same, prepared; none: all values are stored as they came.
    treating: Option<Arc<Treating>>,
}

impl Profiles {
    /// Profiles as the settings want them.
    pub(super) fn new(
        description: &'static Description,
        settings: &Settings,
        hash_key: Option<&HashKey>,
    ) -> Self {
        let mut properties = settings.properties.clone();
        properties.sort_unstable();
        properties.dedup();
        let is_read = |expansion: Expansion| expansion == Expansion::WithProfiles;
        let read = ReadChildren {
            timelines: match settings.timeline_keep {
                _ if !is_read(settings.timeline) => Timelines::Unread,
                TimelineKeep::Always => Timelines::Kept,
                TimelineKeep::WhileListed => Timelines::WhileListed,
            },
            groups: is_read(settings.groups),
            lifecycle_stages: is_read(settings.lifecycle_stages),
        };
        let table = if read.is_none() {
            description.table
        } else {
            read.table()
        };
        let event_count = is_read(settings.timeline).then_some(settings.timeline_count.get());
        let hasher = hash_key.map(|key| ValueHasher::new(key.expose()));
        let policy = Policy {
            rules: settings.personal_data.clone(),
            key_check: hasher.as_ref().map(ValueHasher::key_check),
        };
        let profiles = Self {
            table,
            event_count,
            groups: read.groups,
            page_size: settings.page_size.get(),
            segment: settings.segment.clone(),
            seeds: HashSeeds::default(),
            properties,
            are_typed: settings.typed_columns,
            wants_rest: settings.properties_json == PropertiesJson::Rest,
            histories: WantedHistories {
                segments: settings.history.segments,
                consent: settings.history.consent,
                lifecycle_stages: settings.history.lifecycle_stages,
                properties: settings.history.properties.clone(),
            },
            daily_facts: settings.daily_facts,
            columns: None,
            policy,
            hasher,
            treated: Treated::default(),
            treating: None,
        };
        profiles.with_plan(None)
    }

    /// The same with these typed columns.
    fn with_plan(mut self, columns: Option<Arc<ColumnPlan>>) -> Self {
        self.columns = columns;
        self.seeds = self.seeds();
        self
    }

    /// Whether rows leave out what the typed columns hold: where that is wanted, and the views put both together.
    fn stores_rest(&self) -> bool {
        self.wants_rest && self.columns.as_ref().is_some_and(|plan| plan.has_rest())
    }

    fn seeds(&self) -> HashSeeds {
        let mut fingerprint = format!("{DECODER_VERSION}\u{1f}{}", self.properties.join("\u{1f}"));
        if self.stores_rest() {
            fingerprint.push_str("\u{1f}\u{1f}rest");
        }
        let seed = xxh3_64(fingerprint.as_bytes());
        // What becomes of values changes what is stored of the same bytes. The content is hashed as it is stored.
        if !self.treated.treatment.is_none() {
            let actions = self.treated.treatment.actions.iter();
            let actions = actions.map(|(id, action)| format!("\u{1f}{}:{id}", action.as_str()));
            let key = self.hasher.as_ref().map(ValueHasher::seed).unwrap_or_default();
            fingerprint = format!(
                "{fingerprint}\u{1f}\u{1f}{key}\u{1f}{}{}",
                self.treated.treatment.kept.is_some(),
                actions.collect::<String>()
            );
        }
        HashSeeds {
            // A changed child table means that every element is decoded again, while no row of a profile changes. So does another
            // number of requested events, since it decides whether a timeline may be cut off.
            source: if self.table.reads_children() {
                let described = format!(
                    "{fingerprint}\u{1f}{}{:?}",
                    described(self.table),
                    self.event_count
                );
                xxh3_64(described.as_bytes())
            } else {
                xxh3_64(fingerprint.as_bytes())
            },
            content: seed,
        }
    }

    /// Turns profiles into rows.
    fn rows(&self) -> ProfileRows {
        let rows = ProfileRows::new(self.properties.clone(), self.seeds, self.table)
            .with_columns(self.columns.clone(), self.stores_rest());
        let asked_for = self.event_count.and_then(|count| usize::try_from(count).ok());
        rows.asking_for(asked_for).treating(self.treating.clone())
    }

    fn decoder_of(&self, rows: ProfileRows) -> ProfileDecoder {
        ProfileDecoder {
            rows,
            withholds: self.treating.is_some(),
        }
    }

    /// Takes from a reject what may be a value, while values are hashed or dropped.
    fn withheld(&self, reject: Reject) -> Reject {
        if self.treating.is_none() {
            return reject;
        }
        reject::withheld(reject)
    }

    /// The properties that are requested; empty: all.
    fn requested(&self) -> Vec<String> {
        profile_request::requested(&self.properties, &self.treated)
    }
}

/// Everything in the description of the child tables that decides what is stored.
fn described(table: &Table) -> String {
    let of = |child: &Child| {
        let columns = child.table.columns.iter();
        let columns: Vec<String> = columns
            .map(|column| format!("{} {:?} {}", column.name, column.kind, column.source))
            .collect();
        // The children are compared again, too, so that what was kept leaves.
        let while_listed = if child.table.merge == Merge::ListedHistory {
            " while listed"
        } else {
            ""
        };
        format!(
            "{} {} {}{while_listed}",
            child.table.name,
            child.source,
            columns.join("\u{1f}")
        )
    };
    table.read_children().map(of).collect::<Vec<_>>().join("\u{1f}")
}

impl Resource for Profiles {
    fn table(&self) -> &'static Table {
        self.table
    }

    fn trial_request(&self) -> Request {
        let query = vec![("cursor", "*".to_owned()), ("count", "1".to_owned())];
        Request {
            path: path_of(&self.segment),
            query,
            arrays: DESCRIPTION.arrays,
            scope: DESCRIPTION.oauth_scope,
        }
    }

    fn broken(&self, broken: &Broken) -> Reject {
        self.withheld(reject::broken(broken))
    }
}

impl Identified for Profiles {
    fn fingerprint(&self, element: &[u8]) -> Result<Fingerprint, Reject> {
        let id = match identity::quick_id(element) {
            Some(id) => id.to_owned(),
            None => identity::identity(element)
                .map_err(|problem| self.withheld(identity::reject(element, None, problem)))?,
        };
        Ok(Fingerprint {
            id,
            source: xxh3_128_with_seed(element, self.seeds.source).to_be_bytes(),
        })
    }

    fn decoder(&self) -> Box<dyn Decoder> {
        Box::new(self.decoder_of(self.rows()))
    }

    fn lookup_decoder(&self) -> Box<dyn Decoder> {
        Box::new(self.decoder_of(self.rows().looked_up(self.table)))
    }

    fn treatment_version(&self) -> i64 {
        self.treated.version
    }
}

impl Walkable for Profiles {
    fn page(&self, position: &CursorPosition, shrink: u32) -> Request {
        let count = halved(self.page_size, shrink);
        let mut query = vec![
            ("cursor", position.cursor.clone()),
            ("count", count.to_string()),
            ("expand", "profiles.profile.segments".to_owned()),
            ("expand", "profiles.profile.permissions".to_owned()),
            ("expand", "profiles.profile.replace".to_owned()),
        ];
        query.extend(timeline("profiles.profile.timeline", self.event_count));
        let groups = self.groups.then(|| "profiles.profile.groups".to_owned());
        query.extend(groups.map(|expansion| ("expand", expansion)));
        query.extend(selected(&position.properties));
        if let Some((from, to)) = position.range {
            query.push(("refinement", modified_within(from, to)));
        }
        Request {
            path: path_of(&position.segment),
            query,
            arrays: DESCRIPTION.arrays,
            scope: DESCRIPTION.oauth_scope,
        }
    }

    fn selection(&self) -> Vec<String> {
        self.requested()
    }

    fn reads_timelines(&self) -> bool {
        self.event_count.is_some()
    }

    fn lookup(&self, id: &str) -> Request {
        let mut query = vec![
            ("expand", "profile.segments".to_owned()),
            ("expand", "profile.permissions.exceptions".to_owned()),
        ];
        query.extend(timeline("profile.timeline", self.event_count));
        query.extend(selected(&self.requested()));
        Request {
            path: format!("/profiles/{}", encoded(id)),
            query,
            arrays: &[],
            scope: profile_lookup::SCOPE,
        }
    }

    fn verdict(&self, id: &str, segment: &str, found: &Lookup) -> Verdict {
        match found {
            Lookup::Gone => Verdict::Deleted,
            Lookup::Unclear(_) => Verdict::Kept,
            Lookup::Found(bytes) => profile_lookup::judge(id, segment, bytes),
        }
    }

    fn wanted_columns(&self) -> WantedColumns {
        WantedColumns {
            are_on: self.are_typed,
            properties: self.properties.clone(),
            stores_rest: self.wants_rest,
            treatment: Arc::clone(&self.treated.treatment),
        }
    }

    fn wanted_histories(&self) -> WantedHistories {
        self.histories.clone()
    }

    fn wants_daily_facts(&self) -> bool {
        self.daily_facts
    }

    fn policy(&self) -> &Policy {
        &self.policy
    }

    fn with_treatment(&self, treated: Treated) -> Arc<dyn Walkable> {
        let treatment = &treated.treatment;
        let treating = (!treatment.is_none()).then(|| Treating::new(treatment, self.hasher.clone()));
        let profiles = Self {
            treated,
            treating,
            ..self.clone()
        };
        Arc::new(profiles.with_plan(self.columns.clone()))
    }

    fn rows_of_scrubbed(&self, scrub: &Treatment, profiles: &[StoredContent]) -> Outcome<Rows> {
        let treating = Treating::new(scrub, self.hasher.clone());
        let plan = self.columns.as_ref();
        profile_row::rows_of_scrubbed(&treating, plan, self.stores_rest(), self.seeds, profiles)
    }

    fn with_columns(&self, columns: Option<Arc<PropertyColumns>>) -> Arc<dyn Walkable> {
        let plan = columns.map(|columns| Arc::new(ColumnPlan::new(columns, &self.treated.treatment)));
        Arc::new(self.clone().with_plan(plan))
    }

    fn rows_of_stored(&self, profiles: &[StoredProfile]) -> Outcome<Rows> {
        match &self.columns {
            Some(plan) => profile_row::rows_of_stored(plan, profiles),
            None => Ok(Rows::default()),
        }
    }

    fn segment_resolver(&self, wanted: Option<&str>) -> Box<dyn SegmentResolver> {
        let wanted = wanted.unwrap_or(&self.segment);
        Box::new(ProfileSegmentResolver::new(wanted, &self.segment))
    }

    fn segment_counter(&self) -> Box<dyn SegmentCounter> {
        Box::new(ProfileSegmentCounter)
    }
}

struct ProfileDecoder {
    rows: ProfileRows,
    /// Whether a reject may not show what came.
    withholds: bool,
}

impl Decoder for ProfileDecoder {
    fn decode(&mut self, element: &[u8], print: Fingerprint, known: Known, into: &mut Batch) {
        if let Err(problem) = self.rows.put(element, print.source, known, into) {
            let reject = identity::reject(element, Some(print.id), problem);
            into.rejects.push(if self.withholds {
                reject::withheld(reject)
            } else {
                reject
            });
        }
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test says what it needs by panicking")]

    use super::*;
    use crate::config::load::load;
    use crate::model::description::Registry;
    use crate::model::personal_data::ListedProperty;

    /// The properties that are requested with these settings, where `rule` drops and the tenant lists so many properties.
    fn requested(own: &str, rule: &str, listed: usize) -> Vec<String> {
        let variables = [
            ("BLUECONIC_SYNC__RESOURCES__PROFILES__PROPERTIES", own),
            ("BLUECONIC_SYNC__RESOURCES__PROFILES__PERSONAL_DATA", rule),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.into()));
        let settings = load(None, &variables.into(), Registry::default()).unwrap();
        let profiles = Profiles::new(&DESCRIPTION, &settings.resources.profiles, None);
        let listed: Vec<ListedProperty> = (0..listed)
            .map(|number| ListedProperty {
                id: format!("p{number}"),
                ..ListedProperty::default()
            })
            .collect();
        let treated = Treated {
            version: 1,
            treatment: Arc::new(profiles.policy.treatment(&listed)),
            listed: listed.into_iter().map(|property| property.id).collect(),
        };
        profiles.with_treatment(treated).selection()
    }

    #[test]
    fn what_is_dropped_is_not_requested_where_all_others_can_be_named() {
        let none: [&str; 0] = [];
        assert_eq!(requested("", "", 3), none);
        assert_eq!(requested("", "property:p1=keep", 3), none);
        assert_eq!(requested("", "property:p1=drop", 3), ["p0", "p2"]);
        assert_eq!(requested("", "property:p1=drop", 10_000), none);
        assert_eq!(requested("p0,p1", "property:p1=drop", 10_000), ["p0"]);
        assert_eq!(requested("p1", "property:p1=drop", 3), profile_request::ALWAYS);
        assert_eq!(
            requested("", "sensitivity:NON_PII=drop", 3),
            profile_request::ALWAYS
        );
    }
}
