//! What the tenant's profiles and segments answer to the questions.

use std::collections::{BTreeMap, BTreeSet};

use simulated_tenant::truth::Profile;

use super::truth::{
    Misfit, Truth, as_date, as_decimal, as_whole, average_of_decimals, average_of_wholes, by_count, counted,
    created, day, decimal, field, hour, month, nulls_last, percent, rounded, row, stamp, text, whole,
};

const DAY: i64 = 86_400_000;
/// Of more different values than this the sample has the least and the largest one: it counts a hundred, and divides the others.
const SAMPLED: usize = 101;
/// A field that may hold any value.
pub(super) const ANY: &str = "?";

pub(super) fn members(truth: &Truth<'_>) -> Vec<String> {
    let mut members = truth.members("High value");
    members.sort_by(|one, other| one.id.cmp(&other.id));
    let members = members.into_iter().take(100);
    members
        .map(|one| row(&[&one.id, &field(text(one, "email")), &field(text(one, "country"))]))
        .collect()
}

pub(super) fn sizes(truth: &Truth<'_>) -> Vec<String> {
    let size = |name: &str| truth.members(name).len();
    let mut rows: Vec<_> = truth
        .segments
        .iter()
        .map(|one| (std::cmp::Reverse(size(&one.name)), &one.name, one.profile_count))
        .collect();
    rows.sort();
    rows.into_iter()
        .map(|(size, name, count)| row(&[name, &field(count), &size.0]))
        .collect()
}

pub(super) fn overlap(truth: &Truth<'_>) -> Vec<String> {
    let ids = |name: &str| -> BTreeSet<&String> {
        let members = truth.members(name);
        members.into_iter().map(|one| &one.id).collect()
    };
    let (one, other) = (ids("High value"), ids("Newsletter readers"));
    vec![row(&[
        &one.len(),
        &other.len(),
        &one.intersection(&other).count(),
    ])]
}

pub(super) fn other_segments(truth: &Truth<'_>) -> Vec<String> {
    let members = truth.members("High value");
    let mut rows = Vec::new();
    for segment in truth.segments.iter().filter(|one| one.name != "High value") {
        let both = members
            .iter()
            .filter(|one| one.segment_ids.contains(&segment.id))
            .count();
        if both > 0 {
            rows.push((std::cmp::Reverse(both), &segment.name));
        }
    }
    rows.sort();
    rows.into_iter()
        .map(|(both, name)| row(&[name, &both.0, &percent(both.0, members.len())]))
        .collect()
}

pub(super) fn comparison(truth: &Truth<'_>) -> Vec<String> {
    let mut names: Vec<&String> = truth.segments.iter().map(|one| &one.name).collect();
    names.sort();
    let of = |name: &String| {
        let members = truth.members(name);
        let visits = members.iter().filter_map(|one| whole(one, "visits"));
        let orders = members.iter().filter_map(|one| decimal(one, "order_value"));
        let mailed = members.iter().filter(|one| text(one, "email").is_some()).count();
        row(&[
            name,
            &members.len(),
            &average_of_wholes(visits, 1),
            &average_of_decimals(orders, 2),
            &percent(mailed, members.len()),
        ])
    };
    names
        .into_iter()
        .filter(|name| !truth.members(name).is_empty())
        .map(of)
        .collect()
}

fn by_property(truth: &Truth<'_>, property: &str) -> Vec<(Option<String>, usize)> {
    by_count(counted(truth.profiles.iter().map(|one| text(one, property))))
}

pub(super) fn countries(truth: &Truth<'_>) -> Vec<String> {
    let rows = by_property(truth, "country").into_iter();
    rows.map(|(country, count)| row(&[&field(country), &count]))
        .collect()
}

pub(super) fn legislations(truth: &Truth<'_>) -> Vec<String> {
    let pairs = truth.profiles.iter();
    let pairs = pairs.map(|one| (one.privacy_legislation.clone(), one.permission_level.clone()));
    let mut rows: Vec<_> = counted(pairs).into_iter().collect();
    rows.sort_by(|((one, level), count), ((other, others), counts)| {
        let by_name = nulls_last(one.as_ref(), other.as_ref())
            .then_with(|| nulls_last(level.as_ref(), others.as_ref()));
        counts.cmp(count).then(by_name)
    });
    rows.into_iter()
        .map(|((legislation, level), count)| row(&[&field(legislation), &field(level), &count]))
        .collect()
}

pub(super) fn consent(truth: &Truth<'_>) -> Vec<String> {
    let mut rows: BTreeMap<&String, (usize, usize)> = BTreeMap::new();
    for profile in &truth.profiles {
        for objective in profile.consented_objectives.iter().flatten() {
            rows.entry(objective).or_default().0 += 1;
        }
        for objective in profile.refused_objectives.iter().flatten() {
            rows.entry(objective).or_default().1 += 1;
        }
    }
    rows.into_iter()
        .map(|(objective, (consented, refused))| row(&[objective, &consented, &refused]))
        .collect()
}

pub(super) fn may_be_mailed(truth: &Truth<'_>) -> Vec<String> {
    let objective = "e_mail_marketing".to_owned();
    let consents = |one: &&Profile| {
        one.consented_objectives
            .iter()
            .flatten()
            .any(|id| *id == objective)
    };
    let has_address = |one: &&Profile| text(one, "email").is_some_and(|email| !email.is_empty());
    let profiles = truth.profiles.iter().filter(consents).filter(has_address);
    let rows = by_count(counted(profiles.map(|one| one.privacy_legislation.clone())));
    rows.into_iter()
        .map(|(legislation, count)| row(&[&field(legislation), &count]))
        .collect()
}

/// The profiles of each e-mail address.
fn addresses<'a>(truth: &'a Truth<'_>) -> BTreeMap<&'a String, BTreeSet<&'a String>> {
    let mut owners: BTreeMap<&String, BTreeSet<&String>> = BTreeMap::new();
    for profile in &truth.profiles {
        let values = profile.values("email").unwrap_or_default().iter();
        for value in values.filter(|value| (1..=600).contains(&value.len())) {
            owners.entry(value).or_default().insert(&profile.id);
        }
    }
    owners
}

pub(super) fn shared_addresses(truth: &Truth<'_>) -> Vec<String> {
    let mut shared: Vec<_> = addresses(truth)
        .into_iter()
        .filter(|(_, owners)| owners.len() > 1)
        .map(|(value, owners)| (std::cmp::Reverse(owners.len()), value, owners))
        .collect();
    shared.sort();
    let shared = shared.into_iter().take(100);
    shared
        .map(|(count, value, owners)| row(&[value, &count.0, owners.first().unwrap()]))
        .collect()
}

pub(super) fn identifiers(truth: &Truth<'_>) -> Vec<String> {
    let addresses = addresses(truth);
    let rows: usize = addresses.values().map(BTreeSet::len).sum();
    let profiles: BTreeSet<&&String> = addresses.values().flatten().collect();
    vec![row(&[&"email", &rows, &addresses.len(), &profiles.len()])]
}

/// Whether a value fits a property of this type, and if not, why.
fn misfit(filter_type: Option<&str>, value: &str) -> Option<Misfit> {
    match filter_type {
        Some("RANGE") => as_whole(value).err(),
        Some("DECIMAL" | "CURRENCY") => as_decimal(value).err(),
        Some("DATETIME") => as_date(value).err(),
        _ => None,
    }
}

pub(super) fn problems(truth: &Truth<'_>) -> Vec<String> {
    let mut found: BTreeMap<(String, &str), BTreeSet<&String>> = BTreeMap::new();
    for property in truth.tenant.properties() {
        for profile in &truth.profiles {
            let Some(value) = text(profile, &property.id) else {
                continue;
            };
            if let Some(why) = misfit(property.filter_type, &value) {
                found
                    .entry((property.id.clone(), why.name()))
                    .or_default()
                    .insert(&profile.id);
            }
        }
    }
    let mut rows: Vec<_> = found
        .into_iter()
        .map(|(problem, profiles)| (std::cmp::Reverse(profiles.len()), problem, profiles))
        .collect();
    rows.sort();
    rows.into_iter()
        .map(|(count, (property, problem), profiles)| {
            row(&[&property, &problem, &count.0, profiles.first().unwrap()])
        })
        .collect()
}

/// The planner's sample holds every profile of so small a tenant, so the shares are exact.
pub(super) fn quality(truth: &Truth<'_>) -> Vec<String> {
    let mut rows = Vec::new();
    for property in truth.tenant.properties() {
        let values: Vec<String> = truth
            .profiles
            .iter()
            .filter_map(|one| text(one, &property.id))
            .collect();
        let misfits = values
            .iter()
            .filter(|value| misfit(property.filter_type, value).is_some())
            .count();
        let fitting = values
            .iter()
            .filter(|value| misfit(property.filter_type, value).is_none());
        let fitting: Vec<&String> = fitting.collect();
        let share = |count: usize| {
            let all = i128::try_from(truth.profiles.len()).unwrap();
            rounded(i128::try_from(count).unwrap(), all, 3)
        };
        let (distinct, least, most) = extent(property.filter_type, &fitting);
        // Of so few values the sample may leave out a rare one.
        let end = |value: &String| {
            if distinct > SAMPLED {
                value.clone()
            } else {
                ANY.to_owned()
            }
        };
        let line = row(&[
            &property.id,
            &field(property.filter_type),
            &truth.profiles.len(),
            &share(fitting.len()),
            &distinct,
            &share(misfits),
            &end(&least),
            &end(&most),
        ]);
        rows.push((property.id, line));
    }
    rows.sort();
    rows.into_iter().map(|(_, row)| row).collect()
}

/// The least and the largest value are values of their property. `row`: a row of the answer.
pub(super) fn assert_ends_occur(truth: &Truth<'_>, row: &str) {
    let fields: Vec<&str> = row.split('|').collect();
    let [property, filter_type, .., least, most] = fields[..] else {
        panic!("{row}");
    };
    let values = truth.profiles.iter().filter_map(|one| text(one, property));
    let shown: BTreeSet<String> = values
        .filter_map(|value| match filter_type {
            "DATETIME" => as_date(&value).ok().map(stamp),
            "RANGE" => as_whole(&value).ok().map(|number| number.to_string()),
            _ => Some(value.chars().take(100).collect()),
        })
        .collect();
    for end in [least, most] {
        assert!(shown.contains(end), "{row}: {end} is no value");
    }
}

/// The number of different values, the least and the largest.
fn extent(filter_type: Option<&str>, values: &[&String]) -> (usize, String, String) {
    fn of<T: Ord + Clone>(
        values: impl Iterator<Item = T>,
        shown: impl Fn(T) -> String,
    ) -> (usize, String, String) {
        let values: BTreeSet<T> = values.collect();
        let end = |value: Option<&T>| value.cloned().map_or_else(String::new, &shown);
        (values.len(), end(values.first()), end(values.last()))
    }
    match filter_type {
        Some("RANGE") => of(values.iter().filter_map(|one| as_whole(one).ok()), |one| {
            one.to_string()
        }),
        Some("DATETIME") => of(values.iter().filter_map(|one| as_date(one).ok()), stamp),
        Some("DECIMAL" | "CURRENCY") => {
            // As it came: 0.10 has two places.
            let values = values.iter().map(|one| (as_decimal(one).ok(), (*one).clone()));
            let (_, least, most) = of(values.clone(), |(_, text)| text);
            (of(values.map(|(number, _)| number), field).0, least, most)
        }
        _ => {
            // A longer one counts as different from all others, and as neither end.
            let (short, long): (Vec<&String>, Vec<&String>) =
                values.iter().copied().partition(|one| one.len() <= 1024);
            let (distinct, least, most) =
                of(short.into_iter().cloned(), |one| one.chars().take(100).collect());
            (distinct + long.len(), least, most)
        }
    }
}

pub(super) fn distribution(truth: &Truth<'_>) -> Vec<String> {
    let buckets = truth
        .profiles
        .iter()
        .map(|one| whole(one, "visits").map(|visits| visits / 50 * 50));
    let mut rows: Vec<(Option<i64>, usize)> = counted(buckets).into_iter().collect();
    rows.sort_by(|(one, _), (other, _)| nulls_last(one.as_ref(), other.as_ref()));
    rows.into_iter()
        .map(|(from, count)| row(&[&field(from), &field(from.map(|from| from + 49)), &count]))
        .collect()
}

pub(super) fn topics(truth: &Truth<'_>) -> Vec<String> {
    let values = truth
        .profiles
        .iter()
        .filter_map(|one| one.values("newsletter_topics"));
    let rows = by_count(counted(values.flatten().cloned().map(Some)));
    rows.into_iter()
        .map(|(topic, count)| row(&[&field(topic), &count]))
        .collect()
}

pub(super) fn origins(truth: &Truth<'_>) -> Vec<String> {
    let rows = by_property(truth, "origin_type").into_iter();
    rows.map(|(origin, count)| row(&[&field(origin), &count, &percent(count, truth.profiles.len())]))
        .collect()
}

pub(super) fn last_changes(truth: &Truth<'_>) -> Vec<String> {
    let mut profiles: Vec<&Profile> = truth.profiles.iter().collect();
    profiles.sort_by_key(|one| {
        (
            one.modified_at.is_none(),
            std::cmp::Reverse(one.modified_at),
            &one.id,
        )
    });
    let newest = profiles.into_iter().take(20);
    newest
        .map(|one| row(&[&one.id, &field(one.modified_at.map(stamp))]))
        .collect()
}

pub(super) fn new_by_month(truth: &Truth<'_>) -> Vec<String> {
    let mut rows: Vec<_> = counted(truth.profiles.iter().map(|one| created(one).map(month)))
        .into_iter()
        .collect();
    rows.sort_by(|(one, _), (other, _)| nulls_last(one.as_ref(), other.as_ref()));
    rows.into_iter()
        .map(|(month, count)| row(&[&field(month), &count]))
        .collect()
}

pub(super) fn changed_by_day(truth: &Truth<'_>) -> Vec<String> {
    let mut rows: Vec<_> = counted(truth.profiles.iter().map(|one| one.modified_at.map(day)))
        .into_iter()
        .collect();
    rows.sort_by_key(|(day, _)| (day.is_none(), std::cmp::Reverse(day.clone())));
    let newest = rows.into_iter().take(30);
    newest.map(|(day, count)| row(&[&field(day), &count])).collect()
}

pub(super) fn cohorts(truth: &Truth<'_>) -> Vec<String> {
    let mut cohorts: BTreeMap<(bool, Option<String>), Vec<&Profile>> = BTreeMap::new();
    for profile in &truth.profiles {
        let cohort = created(profile).map(month);
        cohorts
            .entry((cohort.is_none(), cohort))
            .or_default()
            .push(profile);
    }
    let line = |((_, cohort), members): ((bool, Option<String>), Vec<&Profile>)| {
        let after = |days: i64| {
            let stayed = |one: &&&Profile| {
                let (from, to) = (created(one), one.modified_at);
                from.zip(to).is_some_and(|(from, to)| to >= from + days * DAY)
            };
            members.iter().filter(stayed).count()
        };
        row(&[
            &field(cohort),
            &members.len(),
            &after(30),
            &after(90),
            &after(365),
        ])
    };
    cohorts.into_iter().map(line).collect()
}

pub(super) fn funnel(truth: &Truth<'_>) -> Vec<String> {
    let back = truth
        .profiles
        .iter()
        .filter(|one| whole(one, "visits").is_some_and(|visits| visits > 1));
    let back: Vec<&Profile> = back.collect();
    let known = back
        .iter()
        .filter(|one| text(one, "email").is_some_and(|email| !email.is_empty()));
    let known: Vec<&&Profile> = known.collect();
    let ordered = known
        .iter()
        .filter(|one| decimal(one, "order_value").is_some_and(|value| value > 0));
    vec![row(&[
        &truth.profiles.len(),
        &back.len(),
        &known.len(),
        &ordered.count(),
    ])]
}

pub(super) fn hours(truth: &Truth<'_>) -> Vec<String> {
    let mut rows: Vec<_> = counted(truth.profiles.iter().map(|one| one.modified_at.map(hour)))
        .into_iter()
        .collect();
    rows.sort_by(|(one, _), (other, _)| nulls_last(one.as_ref(), other.as_ref()));
    rows.into_iter()
        .map(|(hour, count)| row(&[&field(hour), &count]))
        .collect()
}
