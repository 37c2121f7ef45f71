//! Whole walks over a listing that skips and repeats profiles while they change: what is in the segment all the time is
//! never removed, what is gone goes with the next quiet walk, and the tombstone says why. Every other tenant has two read paths.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use rand::RngExt as _;
use simulated_tenant::read_paths::ReadPaths;
use simulated_tenant::settings::{MergedLookup, Settings};
use simulated_tenant::tenant::Tenant;

use crate::support::truth::{Departures, departures};
use crate::support::{Scene, scene, small};

use super::table::{Case, tries};

const PROFILES: u64 = 300;
const SEGMENT: &str = "allvisitors";

/// What became of profiles since the tables last equalled the tenant.
#[derive(Default)]
struct Fates {
    /// Each reason that would be right, by id.
    reasons: HashMap<String, HashSet<&'static str>>,
    /// Positions that are gone, and can return.
    deleted: Vec<u64>,
    outside: Vec<u64>,
    /// What is told of a merged one whose survivor is gone.
    of_lost_survivors: &'static str,
}

impl Fates {
    fn note(&mut self, id: String, reason: &'static str) {
        self.reasons.entry(id).or_default().insert(reason);
    }

    /// Changes something at random.
    fn change(&mut self, tenant: &Tenant) {
        let mut random = rand::rng();
        let position = random.random_range(0..tenant.positions());
        let other = random.random_range(0..tenant.positions());
        let inside = |position| {
            let profile = tenant.profile(position);
            profile.is_some_and(|one| one.segment_ids.iter().any(|id| id == SEGMENT))
        };
        match random.random_range(0..20) {
            0..5 => {
                tenant.touch(position, "name", &[&random.random::<u32>().to_string()]);
            }
            // It moves to another page: there it comes once more, here it comes no more.
            5..9 => {
                tenant.skip(position);
                tenant.repeat(position, other);
            }
            9..11 => tenant.repeat(position, other),
            11 => tenant.skip(position),
            12 => {
                tenant.add_profiles(1);
            }
            13 if inside(position) && tenant.delete(position) => {
                self.note(tenant.id(position), "deleted");
                self.deleted.push(position);
            }
            14 if inside(position) && tenant.set_member(position, SEGMENT, false) => {
                self.note(tenant.id(position), "out_of_scope");
                self.outside.push(position);
            }
            15 if inside(position) && inside(other) && tenant.merge(position, other) => {
                self.note(tenant.id(position), "merged");
                // A tenant that answers with the survivor has nothing to answer with when that one is gone, too.
                self.note(tenant.id(position), self.of_lost_survivors);
            }
            16 => {
                if let Some(position) = self.deleted.pop() {
                    tenant.restore(position);
                }
            }
            17 => {
                if let Some(position) = self.outside.pop() {
                    tenant.set_member(position, SEGMENT, true);
                }
            }
            18 => tenant.list_truly(),
            _ => {}
        }
    }
}

/// Changes the tenant for as long as the walk goes on.
async fn walk_while_it_changes(scene: &Scene, fates: &mut Fates) -> i32 {
    let over = AtomicBool::new(false);
    let walking = async {
        let ended = scene.program.run(&["backfill", "--full", "profiles"]).await;
        over.store(true, Ordering::Relaxed);
        assert!(
            matches!(ended.code(), 0 | 3),
            "{}\n{}",
            ended.code(),
            ended.stderr
        );
        ended.code()
    };
    let changing = async {
        while !over.load(Ordering::Relaxed) {
            fates.change(&scene.tenant);
            let pause = rand::random_range(0..12);
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
    };
    tokio::join!(walking, changing).0
}

/// Those that are stored, by id.
async fn stored(scene: &Scene) -> HashSet<String> {
    let ids = scene.database.texts("select id from blueconic.profiles").await;
    ids.into_iter().collect()
}

/// Rows that went although nothing had happened that would take them out of the segment.
async fn removed_wrongly(scene: &Scene, before: &HashSet<String>, fates: &Fates) -> u64 {
    let after = stored(scene).await;
    let gone = before
        .difference(&after)
        .filter(|id| !fates.reasons.contains_key(*id));
    gone.count() as u64
}

/// Tombstones whose reason is none that was ever true, and rows that are gone without one.
async fn wrong_reasons(scene: &Scene, before: &HashSet<String>, fates: &Fates) -> Vec<String> {
    let rows: Vec<(String, String)> = scene
        .database
        .rows("select profile_id, reason from blueconic.profile_tombstones")
        .await;
    let tombstones: HashMap<String, String> = rows.into_iter().collect();
    let stored = stored(scene).await;
    let mut wrong = Vec::new();
    for (id, reasons) in &fates.reasons {
        match tombstones.get(id) {
            Some(_) if stored.contains(id) => wrong.push(format!("{id} is stored and has a tombstone")),
            Some(reason) if !reasons.contains(reason.as_str()) => {
                wrong.push(format!("{id}: {reason} is none of {reasons:?}"));
            }
            // One that came and left between two readings was never here.
            None if before.contains(id) && !stored.contains(id) => {
                wrong.push(format!("{id} is gone without a tombstone: {reasons:?}"));
            }
            _ => {}
        }
    }
    wrong
}

#[tokio::test(flavor = "multi_thread")]
async fn drifting_listings_lose_nothing() {
    let mut case = Case::new("walks of a listing that drifts while profiles change");
    let (mut partial, mut left, mut changes) = (0, 0, 0);
    let mut scene = fresh(0).await;
    for number in 0..tries(6, 200) {
        if number > 0 && number % of_one_tenant() == 0 {
            scene = fresh(number).await;
        }
        let mut fates = Fates {
            of_lost_survivors: match merged_lookup(number) {
                MergedLookup::Survivor => "deleted",
                MergedLookup::ReplacedBy | MergedLookup::NotFound => "merged",
            },
            ..Fates::default()
        };
        let before = stored(&scene).await;
        let code = walk_while_it_changes(&scene, &mut fates).await;
        partial += u32::from(code == 3);
        case.wrongly_deleted(removed_wrongly(&scene, &before, &fates).await);
        scene.tenant.list_truly();
        let began = Instant::now();
        scene.program.expect(0, &["backfill", "--full", "profiles"]).await;
        case.recovered(began.elapsed());
        case.wrongly_deleted(removed_wrongly(&scene, &before, &fates).await);
        let departed = departures(&scene.database, &scene.tenant, SEGMENT).await;
        assert_eq!(departed, Departures::default(), "try {number}");
        let wrong = wrong_reasons(&scene, &before, &fates).await;
        assert!(wrong.is_empty(), "try {number}: {wrong:#?}");
        left += fates.reasons.len();
        changes += usize::from(!fates.reasons.is_empty());
        case.tried(1);
    }
    assert!(changes > 0, "nothing ever left");
    case.note(format!("{left} profiles left, {partial} walks ended partial"));
    case.report();
}

/// A tenant and tables that equal it; merged profiles are answered in each of the ways that are thinkable.
async fn fresh(number: u32) -> Scene {
    let mut scene = scene(Settings {
        latency: Duration::from_millis(8),
        merged_per_thousand: 0,
        merged_lookup: merged_lookup(number),
        read_paths: (number / of_one_tenant() % 2 == 1).then(ReadPaths::default),
        seed: u64::from(number) + 1,
        ..small(PROFILES)
    })
    .await;
    scene.program = scene.program.set("resources.profiles.page_size", "20");
    scene.program.expect(0, &["backfill", "--full", "profiles"]).await;
    scene
}

/// Tries with one tenant.
fn of_one_tenant() -> u32 {
    tries(3, 20)
}

/// By turns, scene by scene.
fn merged_lookup(number: u32) -> MergedLookup {
    if number % 80 < 40 {
        MergedLookup::ReplacedBy
    } else {
        MergedLookup::Survivor
    }
}
