//! Questions about profiles: their properties, and what merges leave behind.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::model::format;
use crate::model::ports::Walkable;

use super::found::{Answer, Found, Unanswered};
use super::pages::List;
use super::prober::Prober;
use super::question::Question;
use super::requests;

/// The resource that lists properties.
const CATALOGUE: &str = "profile_properties";
/// Properties of a page.
const PAGE: u64 = 1000;
/// Pages of properties.
const MOST_PAGES: u64 = 5;
/// So many lists of merged ids show whether they are cut off.
const ENOUGH: usize = 20;
/// Merged profiles that are looked up.
const LOOKED_UP: usize = 4;

pub(super) const PROPERTIES: Question = Question {
    name: "properties",
    asks: "Do the properties that come stand in the catalogue, and the reverse?",
    assumed: "all that come stand in it",
    ask: |prober| Box::pin(properties(prober)),
};
pub(super) const REPLACES: Question = Question {
    name: "replaces",
    asks: "Does `replaces` list all merged profiles?",
    assumed: "yes",
    ask: |prober| Box::pin(async move { replaces(prober) }),
};
pub(super) const MERGED: Question = Question {
    name: "merged_lookup",
    asks: "What does the tenant answer about a profile that was merged into another one?",
    assumed: "its id and `replacedBy`",
    ask: |prober| Box::pin(merged(prober)),
};

async fn properties(prober: &mut Prober<'_>) -> Answer {
    let description = prober
        .subject
        .list(CATALOGUE)
        .ok_or_else(|| Unanswered::because("no properties are read"))?;
    let mut catalogue = BTreeSet::new();
    for page in 0..MOST_PAGES {
        let answer = prober
            .get(&requests::list(description, page * PAGE, PAGE))
            .await?;
        let page = List::read(&answer.body, description.arrays)
            .ok_or_else(|| Unanswered::because("the answer is no list of properties"))?;
        let ids = page.elements.iter().filter_map(|element| element.get("id"));
        catalogue.extend(ids.filter_map(Value::as_str).map(str::to_owned));
        let is_last = page.total.is_none_or(|total| catalogue.len() as u64 >= total);
        if page.elements.is_empty() || is_last {
            break;
        }
    }
    let sample = &prober.facts.sample;
    if sample.profiles == 0 {
        return Err(Unanswered::because("no profiles could be read"));
    }
    let lacking = sample.properties.difference(&catalogue).count() as u64;
    let unused = catalogue.difference(&sample.properties).count() as u64;
    let found = format!(
        "{} in the catalogue, {} in {} profiles: {} came that the catalogue lacks, {} of the catalogue did not come",
        format::count(catalogue.len() as u64),
        format::count(sample.properties.len() as u64),
        format::count(sample.profiles),
        format::count(lacking),
        format::count(unused)
    );
    if lacking == 0 {
        return Ok(Found::as_assumed(found));
    }
    Ok(Found::differs(
        found,
        "they are stored all the same in `blueconic.profiles.properties`; the catalogue gives them no type",
    ))
}

fn replaces(prober: &Prober<'_>) -> Answer {
    let merged = &prober.facts.sample.merged;
    let mut lengths: BTreeMap<usize, usize> = BTreeMap::new();
    for (_, ids) in merged {
        *lengths.entry(ids.len()).or_default() += 1;
    }
    let Some((longest, with_longest)) = lengths.last_key_value() else {
        return Err(Unanswered::because(format!(
            "none of {} profiles names a merge",
            format::count(prober.facts.sample.profiles)
        )));
    };
    let found = format!(
        "{} profiles name merges; the longest list has {longest} id(s), and so have {with_longest} of the lists",
        merged.len()
    );
    if merged.len() < ENOUGH {
        return Err(Unanswered::because(format!("too few to tell: {found}")));
    }
    // Long lists are rarer than short ones, unless they are cut off.
    let shorter = lengths.range(..longest).map(|(_, number)| *number).max();
    if shorter.is_none_or(|shorter| *with_longest * 2 > shorter * 3) {
        return Ok(Found::differs(
            format!("{found}: they look cut off"),
            "ids that are left out stay in the tables until a sweep looks them up; the tenant's answer then says who survived",
        ));
    }
    Ok(Found::as_assumed(found).so("nothing speaks for lists that are cut off"))
}

async fn merged(prober: &mut Prober<'_>) -> Answer {
    let losers = prober.facts.sample.merged.iter().take(LOOKED_UP);
    let losers: Vec<(String, String)> = losers
        .filter_map(|(winner, ids)| Some((winner.clone(), ids.first()?.clone())))
        .collect();
    if losers.is_empty() {
        return Err(Unanswered::because("no merged profile is known"));
    }
    let mut answers: BTreeMap<&str, u32> = BTreeMap::new();
    for (winner, loser) in losers {
        let Some(request) = prober
            .subject
            .walk()
            .map(|walk: &dyn Walkable| walk.lookup(&loser))
        else {
            return Err(Unanswered::because("no profiles are read"));
        };
        if let Some(status) = prober.facts.denied.get(request.scope) {
            return Err(Unanswered::status(*status, request.scope));
        }
        let answer = prober.ask(&request).await?;
        if matches!(answer.status, 401 | 403) {
            prober.facts.denied.insert(request.scope, answer.status);
            return Err(Unanswered::status(answer.status, request.scope));
        }
        let body: Value = serde_json::from_slice(&answer.body).unwrap_or_default();
        let text = |name: &str| body.get(name).and_then(Value::as_str);
        let what = match answer.status {
            404 => "HTTP 404",
            200 if text("id") == Some(&loser) && text("replacedBy").is_some() => "its id and `replacedBy`",
            200 if text("id") == Some(&winner) => "the profile that it was merged into",
            200 if text("id") == Some(&loser) => "its id without `replacedBy`",
            _ => "something else",
        };
        *answers.entry(what).or_default() += 1;
    }
    let found: Vec<String> = answers
        .iter()
        .map(|(what, times)| format!("{what} ({times})"))
        .collect();
    let found = found.join(", ");
    let all = |what: &str| answers.keys().all(|found| *found == what);
    if all("its id and `replacedBy`") {
        return Ok(Found::as_assumed(found));
    }
    let follows = if answers.contains_key("HTTP 404") {
        "a merged profile whose survivor does not name it counts as deleted: its history is not moved"
    } else if all("the profile that it was merged into") {
        "nothing: a look-up that answers with a survivor counts as a merge"
    } else {
        "a look-up does not tell such a profile from one that left the segment: report this"
    };
    Ok(Found::differs(found, follows))
}
