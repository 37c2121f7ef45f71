//! What the tenant's merges, audit events, connections, dialogues, timelines and groups answer to the questions.

use std::collections::{BTreeMap, BTreeSet};

use blueconic_sync::model::description::Named;
use blueconic_sync::resources::registry::RESOURCES;
use serde_json::Value;

use super::truth::{Truth, by_count, counted, field, first_of, hour, month, nulls_last, rounded, row, stamp};

/// All merges of the tenant were noticed in the walk of this test.
pub(super) fn merges_by_month(truth: &Truth<'_>) -> Vec<String> {
    let aliases = truth.tenant.aliases();
    let survivors: BTreeSet<&String> = aliases.iter().map(|(_, survivor)| survivor).collect();
    let now = month(chrono::Utc::now().timestamp_millis());
    vec![row(&[&now, &aliases.len(), &survivors.len()])]
}

pub(super) fn survivors(truth: &Truth<'_>) -> Vec<String> {
    let aliases = truth.tenant.aliases().into_iter();
    let rows = by_count(counted(aliases.map(|(_, survivor)| Some(survivor))));
    let most = rows.into_iter().take(20);
    most.map(|(survivor, count)| row(&[&field(survivor), &count]))
        .collect()
}

/// Nobody left while the test ran but the losers of merges.
pub(super) fn gone(truth: &Truth<'_>) -> Vec<String> {
    vec![row(&[&"merged", &truth.tenant.aliases().len()])]
}

pub(super) fn audit_changes(truth: &Truth<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for event in &truth.events {
        if !["CREATE", "UPDATE", "DELETE"].contains(&event.operation.as_str()) {
            continue;
        }
        let objects = event.objects.iter().flatten();
        let mut names: Vec<Option<String>> = objects.map(|(_, name)| Some(name.clone())).collect();
        if names.is_empty() {
            names.push(None);
        }
        rows.extend(names.into_iter().map(|name| (event, name)));
    }
    rows.sort_by(|(one, name), (other, others)| {
        (other.date.cmp(&one.date))
            .then_with(|| nulls_last(one.user_name.as_ref(), other.user_name.as_ref()))
            .then_with(|| (&one.operation, &one.object_type).cmp(&(&other.operation, &other.object_type)))
            .then_with(|| nulls_last(name.as_ref(), others.as_ref()))
    });
    rows.into_iter()
        .take(100)
        .map(|(event, name)| {
            let user = field(event.user_name.as_ref());
            row(&[
                &stamp(event.date),
                &user,
                &event.operation,
                &event.object_type,
                &field(name),
            ])
        })
        .collect()
}

pub(super) fn audit_users(truth: &Truth<'_>) -> Vec<String> {
    let rows = by_count(counted(truth.events.iter().map(|event| event.user_name.clone())));
    let line = |(user, count): (Option<String>, usize)| {
        let own = || truth.events.iter().filter(|event| event.user_name == user);
        let changes = own().filter(|event| event.operation == "UPDATE").count();
        let last = own().map(|event| event.date).max();
        row(&[&field(user.as_ref()), &count, &changes, &field(last.map(stamp))])
    };
    rows.into_iter().map(line).collect()
}

pub(super) fn audit_hours(truth: &Truth<'_>) -> Vec<String> {
    let rows = counted(truth.events.iter().map(|event| hour(event.date)));
    rows.into_iter()
        .map(|(hour, count)| row(&[&hour, &count]))
        .collect()
}

/// The elements of a list.
fn listed(truth: &Truth<'_>, name: &str) -> Vec<Value> {
    let elements = truth.tenant.listed(RESOURCES.named(name).unwrap().path);
    assert!(!elements.is_empty(), "the tenant has no {name}");
    elements
}

fn member(element: &Value, name: &str) -> Option<String> {
    element[name].as_str().map(str::to_owned)
}

fn milliseconds(element: &Value, name: &str) -> Option<i64> {
    let date: chrono::DateTime<chrono::Utc> = element[name].as_str()?.parse().unwrap();
    Some(date.timestamp_millis())
}

/// Connections by name and id.
fn connections(truth: &Truth<'_>) -> Vec<(Option<String>, String)> {
    let connections = listed(truth, "connections");
    let mut named: Vec<_> = connections
        .iter()
        .map(|one| (member(one, "name"), member(one, "id").unwrap()))
        .collect();
    named.sort_by(|(one, id), (other, others)| {
        nulls_last(one.as_ref(), other.as_ref()).then_with(|| id.cmp(others))
    });
    named
}

pub(super) fn connection_runs(truth: &Truth<'_>) -> Vec<String> {
    let runs = listed(truth, "connection_runs");
    let line = |(name, id): (Option<String>, String)| {
        let own: Vec<&Value> = runs.iter().filter(|run| run["parent"] == id.as_str()).collect();
        let failed = own.iter().filter(|run| run["state"] == "FAILED").count();
        let last = own.iter().filter_map(|run| milliseconds(run, "startDate")).max();
        let times: Vec<i64> = own
            .iter()
            .filter_map(|run| Some(milliseconds(run, "endDate")? - milliseconds(run, "startDate")?))
            .collect();
        let average = (!times.is_empty()).then(|| {
            let count = i128::try_from(times.len()).unwrap();
            rounded(times.iter().copied().map(i128::from).sum(), count * 1000, 0)
        });
        row(&[
            &field(name),
            &own.len(),
            &failed,
            &field(last.map(stamp)),
            &field(average),
        ])
    };
    connections(truth).into_iter().map(line).collect()
}

pub(super) fn connection_statistics(truth: &Truth<'_>) -> Vec<String> {
    let runs = listed(truth, "connection_runs");
    let mut rows = Vec::new();
    for (name, id) in connections(truth) {
        let mut amounts: BTreeMap<String, (usize, i64)> = BTreeMap::new();
        let own = runs.iter().filter(|run| run["parent"] == id.as_str());
        for statistic in own.filter_map(|run| run["goalStatistics"].as_array()).flatten() {
            let entry = amounts.entry(member(statistic, "id").unwrap()).or_default();
            entry.0 += 1;
            entry.1 += statistic["values"][0].as_str().unwrap().parse::<i64>().unwrap();
        }
        let lines = amounts.into_iter();
        rows.extend(
            lines.map(|(statistic, (count, sum))| row(&[&field(name.clone()), &statistic, &count, &sum])),
        );
    }
    assert!(rows.len() > 10, "{rows:?}");
    rows
}

pub(super) fn dialogues(truth: &Truth<'_>) -> Vec<String> {
    let description = RESOURCES.named("dialogue_statistics").unwrap();
    let each = description.as_list().and_then(|list| list.each).unwrap();
    assert!(matches!(each.named, Named::ByDay(_)));
    let dialogues = listed(truth, "dialogues");
    let ids: Vec<String> = dialogues.iter().map(|one| member(one, "id").unwrap()).collect();
    let mut sums: BTreeMap<String, [Option<i64>; 3]> = BTreeMap::new();
    for day in &truth.days {
        for element in truth.tenant.listed_on(description.path, &ids, day) {
            let own = sums.entry(member(&element, "dialogueId").unwrap()).or_default();
            for (sum, name) in own.iter_mut().zip(["views", "clicks", "conversions"]) {
                if let Some(amount) = element["statistics"][name].as_i64() {
                    *sum = Some(sum.unwrap_or(0) + amount);
                }
            }
        }
    }
    let mut rows: Vec<(String, [Option<i64>; 3])> = sums.into_iter().collect();
    assert!(rows.len() > 10, "only {} dialogues have numbers", rows.len());
    rows.sort_by_key(|(id, [views, ..])| (views.is_none(), std::cmp::Reverse(*views), id.clone()));
    let name = |id: &String| {
        let found = dialogues.iter().find(|one| one["id"] == id.as_str());
        found.and_then(|one| member(one, "name"))
    };
    rows.iter()
        .map(|(id, [views, clicks, conversions])| {
            let rate = views.filter(|views| *views != 0).zip(*clicks);
            let rate = rate.map(|(views, clicks)| rounded(100 * i128::from(clicks), views.into(), 2));
            row(&[
                &field(name(id)),
                &field(*views),
                &field(*clicks),
                &field(*conversions),
                &field(rate),
            ])
        })
        .collect()
}

pub(super) fn timelines(truth: &Truth<'_>) -> Vec<String> {
    let mut rows: BTreeMap<(String, &String), (usize, BTreeSet<&String>)> = BTreeMap::new();
    for profile in &truth.profiles {
        for event in &profile.events {
            let own = rows.entry((month(event.date), &event.event_type_id)).or_default();
            own.0 += 1;
            own.1.insert(&profile.id);
        }
    }
    assert!(!rows.is_empty(), "nobody did anything");
    rows.into_iter()
        .map(|((month, kind), (events, profiles))| row(&[&month, kind, &events, &profiles.len()]))
        .collect()
}

/// The names of stages stand in a list that this tenant generates apart from its profiles.
pub(super) fn stages(truth: &Truth<'_>) -> Vec<String> {
    let stages = truth.profiles.iter().flat_map(|one| &one.stages);
    let rows = counted(stages.map(|stage| (&stage.lifecycle_id, &stage.stage_id)));
    assert!(!rows.is_empty(), "nobody is in a stage");
    rows.into_iter()
        .map(|((lifecycle, stage), count)| row(&[lifecycle, stage, &"", &count]))
        .collect()
}

pub(super) fn groups(truth: &Truth<'_>) -> Vec<String> {
    let members = counted(truth.profiles.iter().flat_map(|one| &one.groups));
    let mut rows = Vec::new();
    for of_type in truth.tenant.group_types() {
        for group in truth.tenant.groups(&of_type.id) {
            let key = (of_type.id.clone(), group.id.clone());
            let named = || first_of(&group.properties, &format!("{}_name", of_type.id));
            let name = named().or_else(|| first_of(&group.properties, "name"));
            rows.push((
                std::cmp::Reverse(members.get(&key).copied().unwrap_or(0)),
                key,
                name,
            ));
        }
    }
    rows.sort();
    let most = rows.into_iter().take(20);
    most.map(|(count, (of_type, id), name)| row(&[&of_type, &id, &field(name), &count.0]))
        .collect()
}
