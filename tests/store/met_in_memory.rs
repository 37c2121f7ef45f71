//! What a full walk says of having met every stored profile: only where its sweep would find no candidate.

use std::collections::BTreeMap;

use blueconic_sync::model::batch::{Batch, Known};
use blueconic_sync::model::lease::Lease;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::walk::Walk;
use blueconic_sync::postgres::erasures::erase;
use blueconic_sync::postgres::loader::PostgresLoader;
use rand::rngs::StdRng;
use rand::seq::{IndexedMutRandom as _, IndexedRandom as _, SliceRandom as _};
use rand::{RngExt as _, SeedableRng as _};

use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, PROFILES_INCREMENT, add_profile, advance, compare, fixture, id_hasher,
    load, position, print, recording, run,
};

const ROOM: usize = 1024 * 1024;
/// Walks in one test run.
const STORIES: u64 = 120;

/// A full walk over profiles that were stored before it began, and a loader of it.
async fn walk_over(db: &Fixture, ids: &[&str]) -> (Lease, Walk, PostgresLoader) {
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut first = db.profiles(&lease, Some(walk)).await;
    load(&mut first, batch(&versions(ids, 0))).await;
    run(
        &mut db.look.acquire().await.unwrap(),
        "update sync.leases set expires_at = 'epoch'",
    )
    .await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut moved = advance();
    moved.position = Some(position(walk));
    db.store.advance(&lease, &moved).await.unwrap();
    let loader = db.profiles(&lease, Some(walk)).await;
    (lease, walk, loader)
}

fn versions<'id>(ids: &[&'id str], version: u32) -> Vec<(&'id str, u32)> {
    ids.iter().map(|id| (*id, version)).collect()
}

fn borrowed(profiles: &[(String, u32)]) -> Vec<(&str, u32)> {
    profiles
        .iter()
        .map(|(id, version)| (id.as_str(), *version))
        .collect()
}

fn content(id: &str, version: u32) -> String {
    format!("{id} v{version}")
}

fn batch(profiles: &[(&str, u32)]) -> Batch {
    let mut batch = Batch::default();
    for (id, version) in profiles {
        add_profile(&mut batch, id, Some(i64::from(*version)), &content(id, *version));
    }
    batch
}

/// The walk reads profiles: it compares them, and loads those that differ.
async fn read(loader: &mut PostgresLoader, walk: Walk, profiles: &[(&str, u32)]) {
    let prints: Vec<_> = profiles
        .iter()
        .map(|(id, version)| print(id, &content(id, *version)))
        .collect();
    let known = compare(loader, &prints).await;
    let differing: Vec<_> = profiles
        .iter()
        .zip(known)
        .filter(|(_, known)| *known != Known::Same)
        .map(|(profile, _)| *profile)
        .collect();
    let read = Batch {
        seen: profiles.iter().map(|(id, _)| (*id).to_owned()).collect(),
        ..batch(&differing)
    };
    load(loader, recording(walk, read)).await;
}

/// The walk reads profiles, loads those alone that memory knows as unchanged, and returns the others, to be read later.
async fn leave_over(
    loader: &mut PostgresLoader,
    walk: Walk,
    profiles: &[(String, u32)],
) -> Vec<(String, u32)> {
    let prints = profiles.iter();
    let prints: Vec<_> = prints
        .map(|(id, version)| print(id, &content(id, *version)))
        .collect();
    let Some(same) = loader.same_in_memory(&prints).await.unwrap() else {
        return profiles.to_vec();
    };
    let (same, others): (Vec<_>, Vec<_>) = profiles.iter().cloned().zip(same).partition(|(_, same)| *same);
    let unchanged = Batch {
        seen: same.into_iter().map(|((id, _), _)| id).collect(),
        ..Batch::default()
    };
    load(loader, recording(walk, unchanged)).await;
    others.into_iter().map(|(profile, _)| profile).collect()
}

async fn unseen(db: &Fixture, walk: Walk) -> u64 {
    let candidates = db.store.candidates(&PROFILES, walk, &id_hasher(walk)).await;
    candidates.unwrap().unseen
}

async fn increment(db: &Fixture) -> PostgresLoader {
    let (lease, walk) = db.walk(PROFILES_INCREMENT).await;
    db.profiles(&lease, Some(walk)).await
}

#[tokio::test]
async fn all_are_met_once_the_last_one_was_asked_for() {
    let db = fixture().await;
    let (lease, walk, mut loader) = walk_over(&db, &["a", "b", "c"]).await;
    assert!(!db.store.all_known_met(walk), "nothing was read");
    db.store.expect_known(walk);
    db.store.read_known(walk, 0, ROOM).await.unwrap();
    read(&mut loader, walk, &versions(&["a", "b", "new"], 0)).await;
    assert!(!db.store.all_known_met(walk));
    assert_eq!(unseen(&db, walk).await, 1);
    let mut lane = db.profiles(&lease, Some(walk)).await;
    read(&mut lane, walk, &versions(&["c"], 0)).await;
    assert!(db.store.all_known_met(walk), "by another lane");
    assert_eq!(unseen(&db, walk).await, 0);
    db.store.forget_known(walk);
    assert!(!db.store.all_known_met(walk));
}

#[tokio::test]
async fn what_was_looked_up_before_the_hashes_were_there_is_met() {
    for expected in [true, false] {
        let db = fixture().await;
        let (_lease, walk, mut loader) = walk_over(&db, &["a", "b", "c"]).await;
        if expected {
            db.store.expect_known(walk);
        }
        read(&mut loader, walk, &[("a", 0), ("b", 1)]).await;
        db.store.read_known(walk, 0, ROOM).await.unwrap();
        read(&mut loader, walk, &[("c", 0)]).await;
        // What was met before the hashes were expected is not noted. `b` was loaded before its hash was read, so that nobody has
        // met the hash that is stored now.
        assert!(!db.store.all_known_met(walk));
        read(&mut loader, walk, &[("b", 1)]).await;
        assert_eq!(db.store.all_known_met(walk), expected);
        assert_eq!(unseen(&db, walk).await, 0);
    }
}

#[tokio::test]
async fn a_profile_that_differs_is_met_by_its_row() {
    let db = fixture().await;
    let (_lease, walk, mut loader) = walk_over(&db, &["a", "b", "c"]).await;
    db.store.expect_known(walk);
    db.store.read_known(walk, 0, ROOM).await.unwrap();
    read(&mut loader, walk, &[("a", 1), ("b", 0), ("new", 0)]).await;
    assert!(!db.store.all_known_met(walk));
    read(&mut loader, walk, &[("c", 1), ("a", 1)]).await;
    assert!(db.store.all_known_met(walk));
    assert_eq!(unseen(&db, walk).await, 0);
}

/// The ordinary sweep runs wherever memory cannot tell.
#[tokio::test]
async fn what_others_change_or_what_does_not_fit_is_left_to_the_sweep() {
    let (ids, room) = (["a", "b", "c"], 2 * 7);
    for case in ["cut", "changed", "merged", "erased", "nothing"] {
        let db = fixture().await;
        let (_lease, walk, mut loader) = walk_over(&db, &ids).await;
        db.store.expect_known(walk);
        let room = if case == "cut" { room } else { ROOM };
        db.store.read_known(walk, 0, room).await.unwrap();
        read(&mut loader, walk, &versions(&["a"], 0)).await;
        let mut other = increment(&db).await;
        match case {
            "changed" => {
                load(&mut other, batch(&[("b", 1)])).await;
            }
            "merged" => {
                let mut merge = batch(&[("b", 0)]);
                merge.aliases.push(("c".to_owned(), "b".to_owned()));
                load(&mut other, merge).await;
            }
            "erased" => {
                let erased = erase::erase(&db.store, &[&PROFILES], &["a".to_owned()]).await;
                erased.unwrap();
            }
            _ => {}
        }
        let version = u32::from(case == "changed");
        let c: &[_] = if case == "merged" { &[] } else { &[("c", 0)] };
        read(&mut loader, walk, &[&[("b", version)], c].concat()).await;
        assert_eq!(db.store.all_known_met(walk), case == "nothing", "{case}");
        assert_eq!(unseen(&db, walk).await, 0, "{case}");
    }
}

/// A walk over a tenant that differs from what is stored, while others load, merge and erase.
struct Story<'db> {
    db: &'db Fixture,
    random: StdRng,
    seed: u64,
    /// The stored profiles, and what the tenant lists.
    stored: BTreeMap<String, u32>,
    listed: Vec<(String, u32)>,
    /// Whether others change the table meanwhile.
    lives: bool,
}

impl<'db> Story<'db> {
    fn begin(db: &'db Fixture, seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let stored: BTreeMap<String, u32> = (0..random.random_range(1..12))
            .map(|number| (format!("{seed}-{number}"), 0))
            .collect();
        let [lives, loses, changes] = [0.4, 0.4, 0.5].map(|odds| random.random_bool(odds));
        let mut listed = Vec::new();
        for id in stored.keys() {
            let is_gone = loses && random.random_bool(0.2);
            let is_changed = changes && random.random_bool(0.3);
            // A listing may bring a profile twice.
            let times = if is_gone { 0 } else { random.random_range(1..3) };
            listed.extend((0..times).map(|_| (id.clone(), u32::from(is_changed))));
        }
        listed.extend((0..random.random_range(0..3)).map(|number| (format!("{seed}-new{number}"), 0)));
        listed.shuffle(&mut random);
        Self {
            db,
            random,
            seed,
            stored,
            listed,
            lives,
        }
    }

    /// Whether the tenant lists all that is stored, and nobody else changes it.
    fn is_quiet(&self) -> bool {
        let listed = |id: &String| self.listed.iter().any(|(listed, _)| listed == id);
        !self.lives && self.stored.keys().all(listed)
    }

    /// Another run loads, merges or erases.
    async fn interfere(&mut self, other: &mut PostgresLoader) {
        let ids: Vec<String> = self.stored.keys().cloned().collect();
        let random = &mut self.random;
        let (Some(id), Some(survivor)) = (ids.choose(random), ids.choose(random)) else {
            return;
        };
        let kind = random.random_range(0..7);
        let new = format!("{}-other{kind}", self.seed);
        match kind {
            0..4 => {
                load(other, batch(&[(id, kind / 2)])).await;
            }
            4 => {
                load(other, batch(&[(&new, 0)])).await;
            }
            5 => {
                let mut merge = batch(&[(survivor, 0)]);
                merge.aliases.push((id.clone(), survivor.clone()));
                load(other, merge).await;
            }
            _ => {
                let erased = erase::erase(&self.db.store, &[&PROFILES], std::slice::from_ref(id)).await;
                erased.unwrap();
            }
        }
    }

    /// Tells the walk; gives back whether it met all, and how many candidates its sweep finds.
    async fn tell(&mut self) -> (bool, u64) {
        let db = self.db;
        let empty = "truncate blueconic.profiles, blueconic.profile_aliases, blueconic.profile_tombstones,
                       sync.cursors, sync.walk_seen, sync.walk_unseen, sync.walk_notices;
                     update sync.leases set expires_at = 'epoch'";
        run(&mut db.look.acquire().await.unwrap(), empty).await;
        let ids: Vec<&str> = self.stored.keys().map(String::as_str).collect();
        let (lease, walk, lane) = walk_over(db, &ids).await;
        let mut lanes = [lane, db.profiles(&lease, Some(walk)).await];
        let mut other = increment(db).await;
        db.store.expect_known(walk);
        let reads_after = self.random.random_range(0..3);
        let listed = std::mem::take(&mut self.listed);
        let mut left_over = Vec::new();
        let mut batches = listed
            .chunks(self.random.random_range(1..5))
            .enumerate()
            .peekable();
        while let Some((number, elements)) = batches.next() {
            if number == reads_after || batches.peek().is_none() && number < reads_after {
                db.store.read_known(walk, 0, ROOM).await.unwrap();
            }
            if self.lives && self.random.random_bool(0.3) {
                self.interfere(&mut other).await;
            }
            let lane = lanes.choose_mut(&mut self.random).unwrap();
            if self.random.random_bool(0.5) {
                left_over.extend(leave_over(lane, walk, elements).await);
            } else {
                read(lane, walk, &borrowed(elements)).await;
            }
        }
        read(&mut lanes[0], walk, &borrowed(&left_over)).await;
        let told = (db.store.all_known_met(walk), unseen(db, walk).await);
        db.store.forget_known(walk);
        told
    }
}

/// Whoever says that all were met has no candidate; the other way round, the sweep only takes longer.
#[tokio::test]
async fn a_walk_that_met_all_has_no_candidates() {
    let db = fixture().await;
    let [mut met, mut left, mut quiet] = [0; 3];
    for seed in 0..STORIES {
        let mut story = Story::begin(&db, seed);
        let is_quiet = story.is_quiet();
        let (all_met, unseen) = story.tell().await;
        assert!(!all_met || unseen == 0, "story {seed}: {unseen} candidates");
        met += u64::from(all_met);
        left += u64::from(unseen > 0);
        quiet += u64::from(is_quiet && all_met);
    }
    assert!(
        met > STORIES / 5 && left > STORIES / 5 && quiet > STORIES / 10,
        "{met} met all, {quiet} of them in quiet, {left} left some: hardly a trial"
    );
}
