//! The check of a tenant's own document over fifteen real releases of it: what each lacks of what this program uses, what changed
//! from each to the next one, and that nothing is an alarm where nothing is wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;

use blueconic_sync::clock::SystemClock;
use blueconic_sync::config::load::load;
use blueconic_sync::config::variables::Variables;
use blueconic_sync::drift::api::{Api, Operation};
use blueconic_sync::drift::changes::changes;
use blueconic_sync::drift::check::check;
use blueconic_sync::model::drift::{DriftKind, Finding, Rest, Role, Severity, Usage, UsedField};
use blueconic_sync::model::ports::Clock;
use blueconic_sync::resources::registry::RESOURCES;
use blueconic_sync::resources::usages::{KNOWN_RELEASE, usages};

use super::document::Document;

/// The releases of `history/` beside the document, and the document itself.
const RELEASES: std::ops::RangeInclusive<u32> = 89..=103;
/// The resources that were there when the table below was written. A later list adds lines of its own.
const FIRST: [&str; 4] = ["segments", "profile_properties", "profiles", "audit_events"];

/// Every release, the oldest first.
fn releases() -> Vec<(u32, Api)> {
    let folder = Document::path().parent().unwrap().join("history");
    RELEASES
        .map(|number| {
            let document = if number == *RELEASES.end() {
                Document::load().value
            } else {
                packed(&folder.join(format!("r{number}.json.gz")))
            };
            let api = Api::read(&document).unwrap();
            assert_eq!(api.release.as_deref(), Some(format!("{number}.0").as_str()));
            (number, api)
        })
        .collect()
}

fn packed(path: &PathBuf) -> serde_json::Value {
    let file = std::fs::File::open(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let mut text = String::new();
    flate2::read::GzDecoder::new(file)
        .read_to_string(&mut text)
        .unwrap();
    serde_json::from_str(&text).unwrap()
}

/// What this program uses where every resource is on.
fn all_usages() -> Vec<Usage> {
    let expansions = ["TIMELINE", "GROUPS", "LIFECYCLE_STAGES"].map(|name| {
        let name = format!("BLUECONIC_SYNC__RESOURCES__PROFILES__{name}");
        (name, "with_profiles".into())
    });
    let settings = load(None, &Variables::from(expansions), RESOURCES).unwrap();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let mut all = usages(&settings, &clock);
    for usage in &mut all {
        usage.enabled = true;
    }
    let names: BTreeSet<&str> = all.iter().map(|usage| usage.resource).collect();
    assert_eq!(names, RESOURCES.names().collect());
    all
}

fn line(finding: &Finding) -> String {
    let Finding {
        severity,
        kind,
        resource,
        path,
        name,
        ..
    } = finding;
    let words = [severity.as_str(), kind.as_str(), resource, path, name];
    words
        .into_iter()
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

fn worse_than_notes(findings: &[Finding]) -> Vec<&Finding> {
    findings
        .iter()
        .filter(|finding| finding.severity != Severity::Note)
        .collect()
}

#[test]
fn the_descriptions_follow_the_document_that_is_the_newest_here() {
    assert_eq!(Document::load().value["info"]["version"], KNOWN_RELEASE);
}

/// A line for each thing that a release lacks of what the first four resources use.
const LACKED: &[(u32, &str)] = &[
    (
        89,
        "breaks missing_parameter profiles /segments/{segment}/profiles refinement",
    ),
    (
        89,
        "loses missing_option profiles /profiles/{profileId} expand = profile.segments",
    ),
    (
        89,
        "loses missing_option profiles /segments/{segment}/profiles expand = profiles.profile.groups",
    ),
    (
        89,
        "loses missing_field profiles /segments/{segment}/profiles groups",
    ),
    (
        89,
        "loses missing_field profiles /segments/{segment}/profiles groups.groupTypeId",
    ),
    (
        89,
        "loses missing_field profiles /segments/{segment}/profiles groups.id",
    ),
    (89, "loses missing_field segments /segments profileCount"),
    (
        90,
        "breaks missing_parameter profiles /segments/{segment}/profiles refinement",
    ),
    (
        90,
        "loses missing_option profiles /profiles/{profileId} expand = profile.segments",
    ),
    (
        90,
        "loses missing_option profiles /segments/{segment}/profiles expand = profiles.profile.groups",
    ),
    (
        90,
        "loses missing_field profiles /segments/{segment}/profiles groups",
    ),
    (
        90,
        "loses missing_field profiles /segments/{segment}/profiles groups.groupTypeId",
    ),
    (
        90,
        "loses missing_field profiles /segments/{segment}/profiles groups.id",
    ),
    (90, "loses missing_field segments /segments profileCount"),
    (
        91,
        "breaks missing_parameter profiles /segments/{segment}/profiles refinement",
    ),
    (
        91,
        "loses missing_option profiles /profiles/{profileId} expand = profile.segments",
    ),
    (
        91,
        "loses missing_option profiles /segments/{segment}/profiles expand = profiles.profile.groups",
    ),
    (
        91,
        "loses missing_field profiles /segments/{segment}/profiles groups",
    ),
    (
        91,
        "loses missing_field profiles /segments/{segment}/profiles groups.groupTypeId",
    ),
    (
        91,
        "loses missing_field profiles /segments/{segment}/profiles groups.id",
    ),
    (91, "loses missing_field segments /segments profileCount"),
    (
        92,
        "loses missing_option profiles /profiles/{profileId} expand = profile.segments",
    ),
    (
        92,
        "loses missing_option profiles /segments/{segment}/profiles expand = profiles.profile.groups",
    ),
    (
        92,
        "loses missing_field profiles /segments/{segment}/profiles groups",
    ),
    (
        92,
        "loses missing_field profiles /segments/{segment}/profiles groups.groupTypeId",
    ),
    (
        92,
        "loses missing_field profiles /segments/{segment}/profiles groups.id",
    ),
    (92, "loses missing_field segments /segments profileCount"),
    (
        93,
        "loses missing_option profiles /profiles/{profileId} expand = profile.segments",
    ),
    (
        93,
        "loses missing_option profiles /segments/{segment}/profiles expand = profiles.profile.groups",
    ),
    (
        93,
        "loses missing_field profiles /segments/{segment}/profiles groups",
    ),
    (
        93,
        "loses missing_field profiles /segments/{segment}/profiles groups.groupTypeId",
    ),
    (
        93,
        "loses missing_field profiles /segments/{segment}/profiles groups.id",
    ),
    (93, "loses missing_field segments /segments profileCount"),
    (94, "loses missing_field segments /segments profileCount"),
    (95, "loses missing_field segments /segments profileCount"),
    (96, "loses missing_field segments /segments profileCount"),
    (97, "loses missing_field segments /segments profileCount"),
    (98, "loses missing_field segments /segments profileCount"),
];

#[test]
fn each_release_lacks_what_came_later_and_the_newest_lacks_nothing() {
    let usages = all_usages();
    let mut lacked = Vec::new();
    let mut alarms = Vec::new();
    for (number, api) in releases() {
        let findings = check(&usages, &api, KNOWN_RELEASE);
        for finding in worse_than_notes(&findings) {
            if FIRST.contains(&finding.resource.as_str()) {
                lacked.push((number, line(finding)));
            } else if finding.severity != Severity::Loses || number == *RELEASES.end() {
                // A list may be of a later release than the tenant's; that wakes nobody.
                alarms.push((number, line(finding)));
            }
        }
    }
    assert_eq!(alarms, [], "{alarms:#?}");
    let expected = LACKED.iter().map(|(number, line)| (*number, (*line).to_owned()));
    assert_eq!(lacked, expected.collect::<Vec<_>>(), "{lacked:#?}");
}

/// A line for each change of an operation that the first four resources use, and of the operations that came or went.
const CHANGED: &[(u32, &str)] = &[
    (90, "note new_parameter /profiles/{profileId} eventProperty"),
    (
        91,
        "note new_value /profileProperties profileProperties.mergeStrategy = SYSTEM_DEFINED",
    ),
    (
        92,
        "note new_value /auditEvents auditEvents.objectType = INACTIVITY_TIMEOUT_SETTING",
    ),
    (
        92,
        "note new_value /auditEvents auditEvents.objectType = TIMELINE_EVENT_ROLLUP",
    ),
    (92, "note new_path /channels"),
    (92, "note new_path /channels/{channelId}"),
    (92, "note new_path /groups/{grouptype}"),
    (92, "note new_path /groups/{grouptype}/{group}"),
    (
        92,
        "note new_parameter /segments/{segment}/profiles eventProperty",
    ),
    (92, "note new_parameter /segments/{segment}/profiles refinement"),
    (
        93,
        "note new_value /profiles/{profileId} privacyLegislation = CDPA_CTCPDA",
    ),
    (
        93,
        "note new_value /profiles/{profileId} privacyLegislation = MEXICO_LFPDPPP",
    ),
    (
        93,
        "note new_value /profiles/{profileId} privacyLegislation = UCPA",
    ),
    (93, "note gone_field /segments segments.canDelete"),
    (
        93,
        "note new_value /segments/{segment}/profiles profiles.privacyLegislation = CDPA_CTCPDA",
    ),
    (
        93,
        "note new_value /segments/{segment}/profiles profiles.privacyLegislation = MEXICO_LFPDPPP",
    ),
    (
        93,
        "note new_value /segments/{segment}/profiles profiles.privacyLegislation = UCPA",
    ),
    (
        94,
        "note gone_field /profileProperties profileProperties.compositionStrategy",
    ),
    (94, "note new_parameter /profiles/{profileId} groupProperty"),
    (94, "note new_parameter /profiles/{profileId} profileProperty"),
    (94, "note new_field /profiles/{profileId} groups"),
    (94, "note new_field /profiles/{profileId} matchingGroups"),
    (
        94,
        "note new_parameter /segments/{segment}/profiles groupProperty",
    ),
    (
        94,
        "note new_parameter /segments/{segment}/profiles profileProperty",
    ),
    (94, "note new_field /segments/{segment}/profiles profiles.groups"),
    (
        94,
        "note new_field /segments/{segment}/profiles profiles.matchingGroups",
    ),
    (
        96,
        "note gone_field /profileProperties profileProperties.favorite",
    ),
    (
        96,
        "note gone_field /profileProperties profileProperties.readOnly",
    ),
    (96, "note new_path /roles"),
    (96, "note new_path /roles/{role}"),
    (96, "note gone_field /segments segments.favorite"),
    (96, "note gone_field /segments segments.readOnly"),
    (96, "note new_parameter /segments/{segment}/profiles audienceId"),
    (96, "note new_parameter /segments/{segment}/profiles autoCommit"),
    (
        96,
        "note new_parameter /segments/{segment}/profiles trackProperties",
    ),
    (
        96,
        "note new_parameter /segments/{segment}/profiles trackPropertiesModifiedSince",
    ),
    (
        96,
        "note new_parameter /segments/{segment}/profiles trackPropertyChangesInNumberOfDays",
    ),
    (96, "note new_path /users"),
    (96, "note new_path /users/{user}"),
    (97, "note new_value /auditEvents auditEvents.objectType = MODEL"),
    (97, "note new_path /models"),
    (97, "note new_path /models/{model}"),
    (97, "note new_path /models/{model}/model"),
    (
        98,
        "note new_value /auditEvents auditEvents.objectType = AI_CANVAS",
    ),
    (
        98,
        "note new_value /auditEvents auditEvents.objectType = GEN_AI_SETTING",
    ),
    (98, "note new_path /connections"),
    (98, "note new_path /connections/{connection}"),
    (98, "note new_path /connections/{connection}/runs"),
    (98, "note new_path /contentStores"),
    (98, "note new_path /contentStores/{contentStore}/items"),
    (98, "note new_path /dialogues"),
    (98, "note new_path /dialogues/{dialogue}"),
    (98, "note new_path /groupTypes"),
    (98, "note new_path /lifecycles"),
    (98, "note new_path /lifecycles/{lifecycle}"),
    (98, "note new_path /listeners"),
    (98, "note new_path /listeners/{listener}"),
    (98, "note new_path /notebooks"),
    (98, "note new_path /notebooks/{notebook}"),
    (98, "note new_path /notebooks/{notebook}/runs"),
    (98, "note new_path /objectives"),
    (98, "note new_path /objectives/{objective}"),
    (98, "note new_path /plugins"),
    (98, "note new_path /plugins/{plugin}"),
    (98, "note new_parameter /profileProperties groupTypeId"),
    (
        98,
        "note new_field /profileProperties profileProperties.compositionStrategy",
    ),
    (
        98,
        "note new_field /profileProperties profileProperties.groupTypeId",
    ),
    (
        98,
        "note gone_field /profileProperties profileProperties.canDelete",
    ),
    (98, "note new_path /reporting/dialogues"),
    (98, "note new_path /timelineEventRollups"),
    (98, "note new_path /timelineEventRollups/{rollup}"),
    (98, "note new_path /timelineEventTypes"),
    (98, "note new_path /timelineEventTypes/{timelineEventType}"),
    (
        99,
        "note renamed_value /auditEvents auditEvents.objectType = INACTIVITY_TIMEOUT_SETTING -> INACTIVITY_SETTING",
    ),
    (99, "note new_field /segments segments.profileCount"),
    (100, "note new_field /profileProperties links.links.Href"),
    (100, "note new_field /profileProperties links.links.Rel"),
    (100, "note new_field /profileProperties links.links.Type"),
    (100, "note new_field /profiles/{profileId} segments.tags"),
    (100, "note new_parameter /segments filterTag"),
    (
        100,
        "note new_parameter /segments/{segment}/profiles maxHitsAllowed",
    ),
    (100, "note new_field /segments/{segment}/profiles links.Href"),
    (100, "note new_field /segments/{segment}/profiles links.Rel"),
    (100, "note new_field /segments/{segment}/profiles links.Type"),
    (
        100,
        "note new_field /segments/{segment}/profiles profiles.segments.tags",
    ),
    (
        101,
        "note new_value /auditEvents auditEvents.objectType = CAMPAIGN",
    ),
    (
        101,
        "note new_value /auditEvents auditEvents.objectType = OUTCOME",
    ),
    (
        102,
        "note renamed_array /reporting/dialogues entries -> dialogueStatistics",
    ),
];

/// How many changes each release brought to all operations, by kind.
const COUNTS: &[(u32, &str)] = &[
    (90, "1 new_parameter"),
    (91, "2 new_value"),
    (92, "4 new_path, 2 new_parameter, 2 new_value"),
    (93, "1 gone_field, 6 new_value"),
    (94, "4 new_parameter, 4 new_field, 2 gone_field"),
    (95, ""),
    (96, "4 new_path, 5 new_parameter, 9 gone_field, 1 new_value"),
    (97, "3 new_path, 4 new_value"),
    (
        98,
        "24 new_path, 3 new_parameter, 8 new_field, 2 gone_field, 10 new_value",
    ),
    (99, "13 new_field, 6 new_value, 1 renamed_value"),
    (
        100,
        "4 new_parameter, 27 new_field, 1 gone_field, 4 new_value, 4 gone_value",
    ),
    (101, "6 new_field, 8 new_value"),
    (102, "1 renamed_array, 2 gone_field, 2 new_value"),
    (103, ""),
];

#[test]
fn each_step_between_two_releases_is_told() {
    let usages = all_usages();
    let releases = releases();
    let mut told = Vec::new();
    let mut counts = Vec::new();
    for ((_, before), (number, after)) in releases.iter().zip(releases.iter().skip(1)) {
        let used = |path: &str| {
            usages.iter().any(|usage| {
                FIRST.contains(&usage.resource)
                    && after.find(&usage.path).is_some_and(|(found, _)| found == path)
            })
        };
        let all = changes(before, after, |_| true);
        assert!(all.iter().all(|change| change.severity == Severity::Note));
        for change in &all {
            let comes_or_goes = matches!(change.kind, DriftKind::NewPath | DriftKind::GonePath);
            let is_rename = matches!(change.kind, DriftKind::RenamedArray | DriftKind::RenamedValue);
            if used(&change.path) || comes_or_goes || is_rename {
                told.push((*number, line(change)));
            }
        }
        counts.push((*number, counted(&all)));
        // The way back has as many of the opposite kind. A document that has both names of an array has lost none.
        if !all.iter().any(|change| change.kind == DriftKind::RenamedArray) {
            let back = changes(after, before, |_| true);
            assert_eq!(counted(&back), mirrored(&all), "release {number}");
        }
    }
    let expected: Vec<(u32, String)> = CHANGED
        .iter()
        .map(|(number, line)| (*number, (*line).to_owned()))
        .collect();
    assert_eq!(told, expected, "{told:#?}");
    let expected: Vec<(u32, String)> = COUNTS
        .iter()
        .map(|(number, line)| (*number, (*line).to_owned()))
        .collect();
    assert_eq!(counts, expected, "{counts:#?}");
}

fn counted(changes: &[Finding]) -> String {
    by_kind(changes.iter().map(|change| change.kind))
}

fn mirrored(changes: &[Finding]) -> String {
    by_kind(changes.iter().map(|change| match change.kind {
        DriftKind::NewPath => DriftKind::GonePath,
        DriftKind::GonePath => DriftKind::NewPath,
        DriftKind::NewParameter => DriftKind::GoneParameter,
        DriftKind::GoneParameter => DriftKind::NewParameter,
        DriftKind::NewField => DriftKind::GoneField,
        DriftKind::GoneField => DriftKind::NewField,
        DriftKind::NewValue => DriftKind::GoneValue,
        DriftKind::GoneValue => DriftKind::NewValue,
        kind => kind,
    }))
}

fn by_kind(kinds: impl Iterator<Item = DriftKind>) -> String {
    let mut counts: BTreeMap<DriftKind, usize> = BTreeMap::new();
    for kind in kinds {
        *counts.entry(kind).or_default() += 1;
    }
    let words: Vec<String> = counts
        .iter()
        .map(|(kind, count)| format!("{count} {}", kind.as_str()))
        .collect();
    words.join(", ")
}

/// A program that uses each parameter and each field of every list of a document.
fn uses_everything(api: &Api) -> Vec<Usage> {
    let lists = api.operations.iter().flat_map(|(path, operation)| {
        let arrays = elements(operation);
        arrays.map(move |array| uses_all(path, operation, array))
    });
    lists.collect()
}

fn uses_all(path: &str, operation: &Operation, array: &str) -> Usage {
    let below = |field: &String| Some(field.strip_prefix(array)?.strip_prefix('.')?.to_owned());
    let field = |path: String| UsedField {
        paths: vec![path],
        role: Role::Fills("column"),
    };
    let parameters = operation.parameters.keys();
    let array: &'static str = array.to_owned().leak();
    Usage {
        resource: "everything",
        enabled: true,
        essential: false,
        path: path.to_owned(),
        scope: "any",
        query: parameters
            .map(|name| (&*name.clone().leak(), String::new()))
            .collect(),
        arrays: vec![array].leak(),
        twin: None,
        envelope: &[],
        fields: operation.fields.keys().filter_map(below).map(field).collect(),
        rest: Rest::Dropped,
        values: &[],
    }
}

/// The arrays of an answer that hold objects; none where the schema is a single item's.
fn elements(operation: &Operation) -> impl Iterator<Item = &str> {
    let is_item = operation.fields.contains_key("id");
    let arrays = operation.arrays.iter().map(String::as_str);
    arrays.filter(move |array| {
        let head = format!("{array}.");
        !is_item && *array != "links" && operation.fields.keys().any(|field| field.starts_with(&head))
    })
}

/// What would break at each step for a program that uses everything.
const BROKEN: &[(u32, &str)] = &[
    (93, "breaks missing_field everything /segments canDelete"),
    (
        94,
        "breaks missing_field everything /profileProperties compositionStrategy",
    ),
    (96, "breaks missing_field everything /profileProperties favorite"),
    (96, "breaks missing_field everything /profileProperties readOnly"),
    (96, "breaks missing_field everything /segments favorite"),
    (96, "breaks missing_field everything /segments readOnly"),
    (98, "breaks missing_field everything /profileProperties canDelete"),
    (
        102,
        "breaks renamed_array everything /reporting/dialogues entries -> dialogueStatistics",
    ),
];

#[test]
fn a_program_that_uses_everything_is_warned_of_what_goes_and_of_nothing_else() {
    let releases = releases();
    let mut broken = Vec::new();
    for ((former, before), (number, after)) in releases.iter().zip(releases.iter().skip(1)) {
        let everything = uses_everything(before);
        assert!(everything.len() >= 4, "{}", everything.len());
        let release = format!("{former}.0");
        // Against its own document it finds nothing.
        let own = check(&everything, before, &release);
        assert_eq!(worse_than_notes(&own), Vec::<&Finding>::new());
        for finding in worse_than_notes(&check(&everything, after, &release)) {
            broken.push((*number, line(finding)));
        }
        // A tenant that is a release behind has no list that is taken for a broken one; an array alone cannot be awaited.
        let behind = check(&uses_everything(after), before, &format!("{number}.0"));
        for finding in worse_than_notes(&behind) {
            let is_array = matches!(finding.kind, DriftKind::RenamedArray | DriftKind::MissingArray);
            assert!(finding.severity == Severity::Loses || is_array, "{finding:?}");
        }
    }
    let expected: Vec<(u32, String)> = BROKEN
        .iter()
        .map(|(number, line)| (*number, (*line).to_owned()))
        .collect();
    assert_eq!(broken, expected, "{broken:#?}");
}

#[test]
fn the_known_values_of_audit_events_are_those_of_all_releases() {
    let usages = all_usages();
    let events = usages
        .iter()
        .find(|usage| usage.resource == "audit_events")
        .unwrap();
    for known in events.values {
        let field = format!("auditEvents.{}", known.field);
        let releases = releases();
        let listed = releases
            .iter()
            .flat_map(|(_, api)| &api.operations["/auditEvents"].fields[&field]);
        let listed: BTreeSet<&str> = listed.map(String::as_str).collect();
        let mut values: BTreeSet<&str> = known.values.iter().copied().collect();
        // The spelling of the example, which no schema lists.
        if known.field == "objectType" {
            assert!(values.remove("PROFILEPROPERTY"));
        }
        assert_eq!(values, listed, "{}", known.field);
    }
}
