//! Many rounds of random changes, merges, deletions and returns: every interval is the one that a small model expects, from the walk that
//! brought it to the walk that ended it.

use std::collections::{BTreeMap, BTreeSet};

use rand::rngs::StdRng;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::json;

use super::{ALL_ON, Person, Scene};

const PROFILES: usize = 40;
const ROUNDS: u64 = 12;
/// What the histories hold of each profile: the history, what it is about, and its value.
type Fact = (String, String, String);
/// The walk that brought a fact and the one that ended it.
type Interval = (u64, Option<u64>);

/// What is so now, and what was.
#[derive(Default)]
struct Model {
    people: BTreeMap<String, Person>,
    gone: BTreeMap<String, Person>,
    intervals: BTreeMap<Fact, Vec<Interval>>,
}

fn facts(id: &str, person: &Person) -> BTreeSet<Fact> {
    let fact = |history: &str, about: String, value: &str| {
        (history.to_owned(), format!("{id} {about}"), value.to_owned())
    };
    let segments = person.segments.iter().map(String::as_str).chain(["allvisitors"]);
    let segments = segments.map(|segment| fact("segment", segment.to_owned(), ""));
    let consented = person
        .consented
        .iter()
        .map(|one| fact("consent", format!("{one} consented"), ""));
    let refused = person
        .refused
        .iter()
        .map(|one| fact("consent", format!("{one} refused"), ""));
    let stages = person.stages.iter();
    let stages = stages.map(|(lifecycle, stage)| fact("stage", format!("{lifecycle} {stage}"), ""));
    let properties = [("tier", &person.tier), ("city", &person.city)];
    let properties = properties.into_iter();
    let properties =
        properties.filter_map(|(id, value)| Some(fact("property", id.to_owned(), value.as_ref()?)));
    segments
        .chain(consented)
        .chain(refused)
        .chain(stages)
        .chain(properties)
        .collect()
}

impl Model {
    fn current(&self) -> BTreeSet<Fact> {
        self.people
            .iter()
            .flat_map(|(id, person)| facts(id, person))
            .collect()
    }

    /// What a walk notices.
    fn notice(&mut self, before: &BTreeSet<Fact>, walk: u64) {
        let now = self.current();
        for ended in before.difference(&now) {
            self.intervals.get_mut(ended).unwrap().last_mut().unwrap().1 = Some(walk);
        }
        for begun in now.difference(before) {
            self.intervals
                .entry(begun.clone())
                .or_default()
                .push((walk, None));
        }
    }

    /// The values of profiles that the tenant deleted.
    fn forget_values(&mut self, deleted: &BTreeSet<String>) {
        let is_of = |about: &str| deleted.iter().any(|id| about.starts_with(&format!("{id} ")));
        self.intervals
            .retain(|(history, about, _), _| !(history == "property" && is_of(about)));
    }

    fn shown(&self) -> Vec<String> {
        let rows = self
            .intervals
            .iter()
            .flat_map(|((history, about, value), intervals)| {
                intervals.iter().map(move |(from, to)| {
                    let to = to.map_or("now".to_owned(), |to| to.to_string());
                    format!("{history} {about} ={value} {from} {to}")
                })
            });
        let mut rows: Vec<String> = rows.collect();
        rows.sort_unstable();
        rows
    }
}

/// The same of the views.
async fn stored(scene: &Scene) -> Vec<String> {
    let walk = |time: &str| {
        format!(
            "(select count(*) from sync.runs as r where r.resource = 'profiles' and r.started_at <= {time})"
        )
    };
    let rows = format!(
        "with h as materialized (
           select 'segment' as history, profile_id, segment_id as about, '' as value, valid_from, valid_to
           from blueconic.segment_membership_history
           union all
           select 'consent', profile_id, objective_id || ' ' || state, '', valid_from, valid_to from blueconic.profile_consent_history
           union all
           select 'stage', profile_id, lifecycle_id || ' ' || stage_id, '', valid_from, valid_to from blueconic.lifecycle_stage_history
           union all
           select 'property', profile_id, property_id, value, valid_from, valid_to from blueconic.profile_property_history
         )
         select concat_ws(' ', history, profile_id, about, '=' || value, {}, case when valid_to is null then 'now' else {}::text end) from h",
        walk("valid_from"),
        walk("valid_to")
    );
    let mut rows = scene.database.texts(&rows).await;
    rows.sort_unstable();
    rows
}

fn some_of(random: &mut StdRng, all: &[&str]) -> BTreeSet<String> {
    let chosen = all.iter().filter(|_| random.random_bool(0.5));
    chosen.map(|one| (*one).to_owned()).collect()
}

/// Changes one part of a person, or nothing that a history is made from.
fn change(random: &mut StdRng, person: &mut Person) {
    match random.random_range(0..7) {
        0 | 1 => person.segments = some_of(random, &["a", "b", "c", "d"]),
        2 => {
            person.consented = some_of(random, &["mail", "phone"]);
            person.refused = some_of(random, &["post", "phone"]);
        }
        3 => {
            let stages = some_of(random, &["new", "loyal"]);
            person.stages = stages
                .into_iter()
                .map(|stage| ("life".to_owned(), stage))
                .collect();
        }
        4 => person.tier = ["gold", "silver"].choose(random).map(|tier| (*tier).to_owned()),
        5 => {
            person.city = random
                .random_bool(0.5)
                .then(|| format!("city{}", random.random_range(0..3)));
        }
        _ => person.name = random.random_range(0..100).to_string(),
    }
}

/// A round: the changes, and the ids of the profiles that the tenant deleted.
fn round(random: &mut StdRng, scene: &Scene, model: &mut Model) -> BTreeSet<String> {
    let mut deleted = BTreeSet::new();
    let ids: Vec<String> = model.people.keys().cloned().collect();
    for id in ids.sample(random, 12).cloned().collect::<Vec<_>>() {
        match random.random_range(0..12) {
            0 => {
                let person = model.people.remove(&id).unwrap();
                scene.remove(&id);
                model.gone.insert(id.clone(), person);
                deleted.insert(id);
            }
            1 => {
                let person = model.people.remove(&id).unwrap();
                scene.remove(&id);
                let mut elsewhere = person.sent(&id);
                elsewhere["segments"] = json!([{"id": "elsewhere"}]);
                scene.answers(&id, elsewhere);
                model.gone.insert(id, person);
            }
            2 => {
                let Some((winner, person)) = model.people.iter_mut().find(|(winner, _)| **winner != id)
                else {
                    continue;
                };
                person.replaces.insert(id.clone());
                let sent = person.sent(winner);
                scene.held.lock().unwrap().put(sent);
                model.people.remove(&id);
                scene.remove(&id);
            }
            _ => {
                let person = model.people.get_mut(&id).unwrap();
                change(random, person);
                let person = person.clone();
                scene.put(&id, &person);
            }
        }
    }
    // Somebody comes back, and somebody is new.
    if let Some((id, mut person)) = model.gone.pop_first()
        && !deleted.contains(&id)
    {
        change(random, &mut person);
        scene.held.lock().unwrap().unlisted.remove(&id);
        scene.put(&id, &person);
        model.people.insert(id, person);
    }
    let id = format!("n{}", random.random_range(0..1_000_000));
    let person = Person::within(&["a"]);
    scene.put(&id, &person);
    model.people.insert(id, person);
    deleted
}

async fn rounds(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let scene = Scene::with(&ALL_ON).await;
    let mut model = Model::default();
    for number in 0..PROFILES {
        let mut person = Person::within(&["a"]);
        for _ in 0..4 {
            change(&mut random, &mut person);
        }
        scene.put(&format!("p{number:02}"), &person);
        model.people.insert(format!("p{number:02}"), person);
    }
    scene.walk().await;
    model.notice(&BTreeSet::new(), 1);
    for walk in 2..=ROUNDS {
        let before = model.current();
        let deleted = round(&mut random, &scene, &mut model);
        scene.walk().await;
        model.notice(&before, walk);
        model.forget_values(&deleted);
        assert_eq!(stored(&scene).await, model.shown(), "seed {seed}, walk {walk}");
    }
    let ended = model.intervals.values().flatten().filter(|(_, to)| to.is_some());
    assert!(ended.count() > 50, "seed {seed}: too little has ended");
}

#[tokio::test(flavor = "multi_thread")]
async fn every_interval_is_from_the_walk_that_brought_it_to_the_walk_that_ended_it() {
    for seed in 1..=5 {
        rounds(seed).await;
    }
}
