//! A tenant whose profiles appear, change, leave, go, merge and return while it is read, behind the engine's own port.
//! It changes with every request, also between answering and being heard. It may have two read paths: a scan of all in an order
//! of its own, and an index for changes, by date and id, which is late.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use blueconic_sync::model::Time;
use blueconic_sync::model::fault::Outcome;
use blueconic_sync::model::page::{Block, Head, Lookup, Meter, PageEnd, Request};
use blueconic_sync::model::ports::Source;
use bytes::Bytes;
use chrono::DateTime;
use rand::rngs::StdRng;
use rand::seq::IteratorRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use serde_json::{Value, json};

use super::event_tenant::Ready;

const SEGMENT: &str = "allvisitors";

/// A profile as the tenant has it.
#[derive(Debug, Clone, Default)]
struct Profile {
    /// In milliseconds since the epoch; a date may vanish.
    modified: Option<i64>,
    version: u32,
    in_segment: bool,
    replaces: BTreeSet<u32>,
}

/// All that the tenant knows.
pub(super) struct World {
    pub(super) now: i64,
    /// Whether it changes while it is read.
    pub(super) lives: bool,
    profiles: BTreeMap<u32, Profile>,
    /// Whose last change fell behind an earlier date, or has none: no increment finds it.
    undated: BTreeSet<u32>,
    gone: BTreeMap<u32, Profile>,
    losers: BTreeMap<u32, u32>,
    /// What the index knows of each id, and since when; none for a tenant with one read path.
    index: Option<(BTreeMap<u32, Profile>, i64)>,
    random: StdRng,
}

/// How late the index may be, in milliseconds.
pub(super) const LATE: i64 = 1_500;

impl World {
    pub(super) fn new(seed: u64, profiles: usize, two_paths: bool) -> Self {
        let mut world = Self {
            now: 1_760_000_000_000,
            lives: false,
            profiles: BTreeMap::new(),
            undated: BTreeSet::new(),
            gone: BTreeMap::new(),
            losers: BTreeMap::new(),
            index: two_paths.then(|| (BTreeMap::new(), 0)),
            random: StdRng::seed_from_u64(seed),
        };
        while world.profiles.len() < profiles {
            world.appear();
        }
        world.refresh_index();
        world
    }

    /// The index learns of all that has happened, once it may be no later.
    pub(super) fn refresh_index(&mut self) {
        let (profiles, now) = (&self.profiles, self.now);
        if let Some((index, at)) = self.index.as_mut().filter(|(_, at)| now - at >= LATE) {
            index.clone_from(profiles);
            *at = now;
        }
    }

    /// The profiles that the walked segment holds, with their versions.
    pub(super) fn alive(&self) -> BTreeMap<String, u32> {
        let alive = self.profiles.iter().filter(|(_, profile)| profile.in_segment);
        alive.map(|(id, profile)| (name(*id), profile.version)).collect()
    }

    /// Those whose last change no increment can find.
    pub(super) fn undated(&self) -> BTreeSet<String> {
        self.undated.iter().map(|id| name(*id)).collect()
    }

    fn turn(&mut self) {
        if !self.lives {
            return;
        }
        self.now += self.random.random_range(1..700);
        self.refresh_index();
        for _ in 0..self.random.random_range(0..3) {
            match self.random.random_range(0..8) {
                0 => self.appear(),
                1 | 2 => self.change(),
                3 => self.leave(),
                4 => self.go(),
                5 => self.merge(),
                _ => self.come_back(),
            }
        }
    }

    fn appear(&mut self) {
        let id = self.random.random_range(0..1_000_000);
        if !self.losers.contains_key(&id) && !self.gone.contains_key(&id) {
            self.undated.remove(&id);
            let profile = self.profiles.entry(id).or_default();
            profile.modified = Some(self.now);
            profile.version += 1;
            profile.in_segment = true;
        }
    }

    /// One of them, changed: most changes move the date to now, some back (a copy is restored), and some take it away.
    fn any(&mut self, which: impl Fn(&Profile) -> bool) -> Option<(u32, &mut Profile)> {
        let now = self.now;
        let fitting = self.profiles.iter_mut().filter(|(_, profile)| which(profile));
        let (id, profile) = fitting.choose(&mut self.random)?;
        profile.modified = match self.random.random_range(0..8) {
            0 => None,
            1 => Some(now - self.random.random_range(10_000..10_000_000)),
            _ => Some(now),
        };
        if profile.modified == Some(now) {
            self.undated.remove(id);
        } else {
            self.undated.insert(*id);
        }
        profile.version += 1;
        Some((*id, profile))
    }

    fn change(&mut self) {
        self.any(|profile| profile.in_segment);
    }

    fn leave(&mut self) {
        if let Some((_, profile)) = self.any(|profile| profile.in_segment) {
            profile.in_segment = false;
        }
    }

    fn go(&mut self) {
        if let Some((id, _)) = self.any(|profile| profile.replaces.is_empty())
            && let Some(profile) = self.profiles.remove(&id)
        {
            self.gone.insert(id, profile);
        }
    }

    fn merge(&mut self) {
        let Some((loser, _)) = self.any(|profile| profile.replaces.is_empty()) else {
            return;
        };
        self.profiles.remove(&loser);
        if let Some((winner, profile)) = self.any(|profile| profile.in_segment) {
            profile.replaces.insert(loser);
            self.losers.insert(loser, winner);
        }
    }

    /// Who left is in the segment again, or who was gone is there again.
    fn come_back(&mut self) {
        if let Some((_, profile)) = self.any(|profile| !profile.in_segment) {
            profile.in_segment = true;
        } else if let Some(id) = self.gone.keys().next().copied() {
            self.return_of(id);
        }
    }

    /// This one is in the segment again, whatever became of it.
    fn return_of(&mut self, id: u32) {
        if let Some(profile) = self.gone.remove(&id) {
            self.profiles.insert(id, profile);
        }
        let now = self.now;
        if let Some(profile) = self
            .profiles
            .get_mut(&id)
            .filter(|profile| !profile.in_segment || profile.modified.is_none_or(|modified| modified < now))
        {
            self.undated.remove(&id);
            profile.modified = Some(now);
            profile.version += 1;
            profile.in_segment = true;
        }
    }

    fn listing(&self, request: &Request) -> (Vec<Value>, Value) {
        let of = |name: &str| request.query.iter().find(|(key, _)| *key == name);
        let count: usize = of("count").unwrap().1.parse().unwrap();
        let range = of("refinement").map(|(_, text)| serde_json::from_str::<Value>(text).unwrap());
        let bound = |key: &str, open: i64| {
            let date = range
                .as_ref()
                .map(|range| DateTime::parse_from_rfc3339(range[key].as_str().unwrap()));
            date.map_or(open, |date| date.unwrap().timestamp_millis())
        };
        let (from, to) = (bound("fromDate", i64::MIN), bound("toDate", i64::MAX));
        let known = match &self.index {
            Some((index, _)) if range.is_some() => index,
            _ => &self.profiles,
        };
        let matching = known.iter().filter(|(_, profile)| {
            let in_range = |modified| (from..=to).contains(&modified);
            profile.in_segment && (range.is_none() || profile.modified.is_some_and(in_range))
        });
        let mut keyed: Vec<(Key, u32)> = matching
            .map(|(id, profile)| (self.key(*id, profile, range.is_some()), *id))
            .collect();
        keyed.sort_unstable();
        let after = of("cursor").and_then(|(_, cursor)| key_of(cursor));
        let rest: Vec<&(Key, u32)> = keyed
            .iter()
            .filter(|(key, _)| after.is_none_or(|after| *key > after))
            .take(count)
            .collect();
        let next = rest
            .last()
            .filter(|_| rest.len() == count)
            .map(|((sort, id), _)| format!("{sort}:{id}"));
        // The index finds a profile, and the store has what it is by now.
        let found = rest
            .iter()
            .filter_map(|(_, id)| Some(element(*id, self.profiles.get(id)?)))
            .collect();
        (found, json!({ "next": next, "total": keyed.len() }))
    }

    /// The place of a profile in the order of a listing.
    fn key(&self, id: u32, profile: &Profile, refined: bool) -> Key {
        match (&self.index, refined) {
            (None, _) => (0, id),
            (Some(_), true) => (profile.modified.unwrap_or(0), id),
            (Some(_), false) => (i64::from(id.wrapping_mul(0x9e37_79b1)), id),
        }
    }

    fn look_up(&self, id: u32) -> Lookup {
        let found = match (self.profiles.get(&id), self.losers.get(&id)) {
            (_, Some(winner)) => json!({ "id": name(id), "replacedBy": name(*winner) }),
            (Some(profile), None) => element(id, profile),
            (None, None) => return Lookup::Gone,
        };
        Lookup::Found(Bytes::from(found.to_string()))
    }
}

/// A sort value and an id.
type Key = (i64, u32);

fn key_of(cursor: &str) -> Option<Key> {
    let (sort, id) = cursor.split_once(':')?;
    Some((sort.parse().ok()?, id.parse().ok()?))
}

fn name(id: u32) -> String {
    format!("p{id}")
}

fn element(id: u32, profile: &Profile) -> Value {
    let replaces: Vec<String> = profile.replaces.iter().map(|id| name(*id)).collect();
    let segments = if profile.in_segment {
        json!([{ "id": SEGMENT }])
    } else {
        json!([])
    };
    let dates = profile.modified.map(|modified| modified.to_string());
    json!({
        "id": name(id),
        "segments": segments,
        "replaces": replaces,
        "properties": [
            { "id": "lastmodifieddate", "values": dates.as_slice() },
            { "id": "version", "values": [profile.version.to_string()] },
        ],
    })
}

/// The tenant as the engine reads it.
#[derive(Clone)]
pub(super) struct LivingSource(pub(super) Arc<Mutex<World>>);

impl LivingSource {
    /// Others get their turn, and things happen.
    async fn pass_time(&self) {
        let (turns, nap) = {
            let mut world = self.0.lock().unwrap();
            world.turn();
            (world.random.random_range(0..4), world.random.random_bool(0.2))
        };
        for _ in 0..turns {
            tokio::task::yield_now().await;
        }
        if nap {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
}

impl Source for LivingSource {
    type Page = Ready;

    async fn open(&self, request: &Request, _attempt: u32, meter: &Meter) -> Outcome<Ready> {
        meter.request();
        self.pass_time().await;
        let (elements, head, now) = {
            let world = self.0.lock().unwrap();
            let (elements, head) = if request.path == "/segments" {
                let segment = json!({ "id": SEGMENT, "name": "All", "profileCount": 1 });
                (vec![segment], json!({ "next": null, "total": 1 }))
            } else {
                world.listing(request)
            };
            (elements, head, world.now)
        };
        self.pass_time().await;
        let head = Head {
            next_cursor: head["next"].as_str().map(str::to_owned),
            total_results: head["total"].as_u64(),
            server_time: Some(second(now)),
        };
        Ok(ready(&elements, head))
    }

    async fn one(&self, request: &Request, _meter: &Meter) -> Lookup {
        let id = request.path.rsplit_once("/p").unwrap().1.parse().unwrap();
        self.pass_time().await;
        let (found, nap) = {
            let mut world = self.0.lock().unwrap();
            let found = world.look_up(id);
            // Some return as soon as they were called gone, and increments have the time to load them.
            if world.lives && world.random.random_bool(0.4) {
                world.now += 1_000;
                world.return_of(id);
            }
            (found, world.random.random_range(0..40) * u64::from(world.lives))
        };
        tokio::time::sleep(std::time::Duration::from_millis(nap)).await;
        self.pass_time().await;
        found
    }
}

/// As HTTP has it: in whole seconds.
fn second(millis: i64) -> Time {
    DateTime::from_timestamp(millis / 1000, 0).unwrap()
}

fn ready(elements: &[Value], head: Head) -> Ready {
    let mut bytes = Vec::new();
    let mut ranges = Vec::new();
    for element in elements {
        let start = bytes.len();
        bytes.extend_from_slice(element.to_string().as_bytes());
        ranges.push(start..bytes.len());
    }
    let block = Block {
        bytes: Bytes::from(bytes),
        elements: ranges,
        broken: Vec::new(),
    };
    Ready::new(block, PageEnd::whole(head, elements.len() as u64))
}
