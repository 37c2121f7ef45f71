//! Several connections that load the same profiles at once: lanes of a full walk, lanes of an increment, and a sweep,
//! with losers and survivors in both directions, returns, and older versions that come later.

use std::collections::{BTreeMap, BTreeSet};

use blueconic_sync::model::batch::{Batch, Known, Written};
use blueconic_sync::model::fault::{Kind, Outcome};
use blueconic_sync::model::lease::Lease;
use blueconic_sync::model::ports::{LoadStore as _, Loader as _, RunStore as _, SweepStore as _};
use blueconic_sync::model::verdict::Verdict;
use blueconic_sync::model::walk::Walk;
use blueconic_sync::postgres::loader::PostgresLoader;
use rand::RngExt as _;
use rand::seq::SliceRandom as _;

use crate::support::fixture::{
    Fixture, PROFILES, PROFILES_FULL, PROFILES_INCREMENT, add_profile, advance, fixture, position, print, run,
};

use super::table::{Case, tries};

/// Profiles that several batches of one round have in common.
const IDS: usize = 24;
/// Batches of one lane in one walk.
const BATCHES: usize = 8;

/// What a lane brings: an id with its version, and whether it is merged away.
#[derive(Debug, Clone)]
struct Page {
    /// Versions by id, as they would be listed.
    versions: BTreeMap<String, i64>,
    /// Loser and survivor.
    merged: Vec<(String, String)>,
}

/// What must be so at the end of a walk.
#[derive(Debug, Default)]
struct Expected {
    /// The newest version that came of each id.
    newest: BTreeMap<String, i64>,
    losers: BTreeSet<String>,
}

impl Expected {
    fn of<'page>(pages: impl Iterator<Item = &'page Page>) -> Self {
        let mut expected = Self::default();
        for page in pages {
            for (id, version) in &page.versions {
                let newest = expected.newest.entry(id.clone()).or_insert(*version);
                *newest = (*newest).max(*version);
            }
            expected
                .losers
                .extend(page.merged.iter().map(|(loser, _)| loser.clone()));
        }
        expected
    }
}

/// A page of ids in any order; a share of the losers is told to be merged by it, into one another's direction.
fn page(losers: &[String], version: i64) -> Page {
    let mut random = rand::rng();
    let mut page = Page {
        versions: BTreeMap::new(),
        merged: Vec::new(),
    };
    for number in 0..IDS {
        if random.random_ratio(2, 3) {
            // Older versions come later, too.
            page.versions
                .insert(format!("p{number:02}"), version - random.random_range(0..6));
        }
    }
    for loser in losers {
        if random.random_ratio(1, 3) {
            let survivor = format!("p{:02}", random.random_range(0..IDS));
            page.merged.push((loser.clone(), survivor));
        } else if random.random_ratio(1, 2) {
            page.versions.insert(loser.clone(), version);
        }
    }
    page
}

/// Loads a page as a lane does: asks which are known, and stages what differs.
async fn try_to_load(loader: &mut PostgresLoader, page: &Page) -> Outcome<Written> {
    let mut ids: Vec<(&String, &i64)> = page.versions.iter().collect();
    ids.shuffle(&mut rand::rng());
    let prints: Vec<_> = ids
        .iter()
        .map(|(id, version)| print(id, &format!("{id} {version}")))
        .collect();
    let known = loader.known(&prints).await?;
    let mut batch = Batch::default();
    for ((id, version), known) in ids.into_iter().zip(known) {
        if known == Known::Same {
            batch.seen.push(id.clone());
        } else {
            add_profile(&mut batch, id, Some(*version), &format!("{id} {version}"));
        }
    }
    batch.aliases.clone_from(&page.merged);
    loader.load(batch, None).await
}

/// As a lane does: what may pass by itself is done again, from the comparison on.
async fn load(loader: &mut PostgresLoader, page: &Page) -> Written {
    for _ in 0..20 {
        match try_to_load(loader, page).await {
            Err(fault) if fault.kind == Kind::Transient => {
                assert!(
                    fault.to_string().contains("went while"),
                    "a conflict surfaced: {fault}"
                );
            }
            done => return done.unwrap(),
        }
    }
    panic!("{page:?} does not load");
}

/// All pages of one lane, one after the other.
async fn lane(mut loader: PostgresLoader, pages: Vec<Page>) -> (i64, i64) {
    let mut counts = (0, 0);
    for page in pages {
        let written = load(&mut loader, &page).await;
        counts.0 += i64::try_from(written.inserted).unwrap();
        counts.1 += i64::try_from(written.removed).unwrap();
    }
    counts
}

/// Rows that differ from what the loads should have left.
struct Deviations {
    lost: u64,
    older: u64,
    brought_back: u64,
}

/// Compares the table with what must be so after a walk.
async fn judge(db: &Fixture, expected: &Expected, deviations: &mut Deviations) {
    let rows: Vec<(String, i64)> = sqlx::query_as(
        "select id, extract(epoch from modified_at)::bigint - 1700000000 from blueconic.profiles",
    )
    .fetch_all(&db.look)
    .await
    .unwrap();
    let stored: BTreeMap<String, i64> = rows.into_iter().collect();
    for (id, newest) in &expected.newest {
        match stored.get(id) {
            Some(_) if expected.losers.contains(id) => deviations.brought_back += 1,
            Some(version) => deviations.older += u64::from(version < newest),
            None if !expected.losers.contains(id) => deviations.lost += 1,
            None => {}
        }
    }
    let mut look = db.look.acquire().await.unwrap();
    run(&mut look, "set jit = off").await;
    let rows: Vec<(String, i64)> = sqlx::query_as(WRONG).fetch_all(&mut *look).await.unwrap();
    let wrong: Vec<_> = rows.into_iter().filter(|(_, rows)| *rows != 0).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}

/// What must count nothing: each that is here and each that was merged has one identity, never two and never none
/// (survivors are never merged themselves here), and nothing of a merge stays behind.
const WRONG: &str = "
with identity as materialized (select * from blueconic.profile_identity)
select 'an alias of one that is here', count(*)
  from blueconic.profiles as p join blueconic.profile_aliases as a on a.profile_id = p.id
union all select 'two identities', count(*)
  from (select from identity group by profile_id having count(*) > 1) as twice
union all select 'identities', (select count(*) from identity)
  - (select count(*) from blueconic.profiles) - (select count(*) from blueconic.profile_aliases)
union all select 'leads nowhere', count(*) from identity where current_id is null
union all select 'a tombstone of one that is here', count(*)
  from blueconic.profile_tombstones as t join blueconic.profiles as p on p.id = t.profile_id
union all select 'a placeholder', count(*) from blueconic.profiles where source_hash = ''";

async fn loader(db: &Fixture, lease: &Lease, walk: Walk) -> PostgresLoader {
    db.store.loader(&PROFILES, lease, Some(walk)).await.unwrap()
}

async fn new_walk(db: &Fixture) -> Walk {
    Walk {
        id: uuid::Uuid::new_v4(),
        opened_at: db.store.now().await.unwrap(),
        passed: None,
    }
}

async fn conflicts(db: &Fixture) -> (i64, i64) {
    // The backends of the loaders report when they are idle for a second.
    tokio::time::sleep(std::time::Duration::from_millis(1_200)).await;
    let deadlocks = "select deadlocks from pg_stat_database where datname = current_database()";
    let rollbacks = "select xact_rollback from pg_stat_database where datname = current_database()";
    (db.one(deadlocks).await, db.one(rollbacks).await)
}

async fn lanes_load_at_once(lanes_of_each: usize) {
    let db = fixture().await;
    let full = db.lease(PROFILES_FULL).await;
    let increment = db.lease(PROFILES_INCREMENT).await;
    let connections = lanes_of_each * 2;
    let mut case = Case::new(&format!(
        "batches of {connections} loading connections, merges, increments"
    ));
    let batches = usize::try_from(tries(160, 5_000)).unwrap();
    let mut deviations = Deviations {
        lost: 0,
        older: 0,
        brought_back: 0,
    };
    let (before_deadlocks, before_rollbacks) = conflicts(&db).await;
    let (mut inserted, mut removed, mut version) = (0, 0, 10);
    let mut losers: Vec<String> = Vec::new();
    while usize::try_from(case.tries()).unwrap() < batches {
        // Those of the walk before return with this one, beside new ones.
        let mut now = losers.split_off(losers.len() / 2);
        now.extend((0..4).map(|number| format!("loser-{version}-{number}")));
        losers = now;
        let mut lanes = tokio::task::JoinSet::new();
        let mut all = Vec::new();
        let (full_walk, increments_walk) = (new_walk(&db).await, new_walk(&db).await);
        for number in 0..connections {
            let pages: Vec<Page> = (0..BATCHES)
                .map(|_| {
                    version += 1;
                    page(&losers, version)
                })
                .collect();
            all.extend(pages.iter().cloned());
            let (lease, walk) = if number % 2 == 0 {
                (&full, full_walk)
            } else {
                (&increment, increments_walk)
            };
            lanes.spawn(lane(loader(&db, lease, walk).await, pages));
        }
        for (more, less) in lanes.join_all().await {
            inserted += more;
            removed += less;
        }
        judge(&db, &Expected::of(all.iter()), &mut deviations).await;
        case.tried(all.len() as u64);
    }
    assert_eq!(
        db.one::<i64>("select count(*) from blueconic.profiles").await,
        inserted - removed,
        "counts add up"
    );
    let (deadlocks, rollbacks) = conflicts(&db).await;
    case.lost(deviations.lost);
    case.doubled(deviations.older + deviations.brought_back);
    case.note(format!(
        "{} older, {} brought back, {} deadlocks, {} rolled back and retried",
        deviations.older,
        deviations.brought_back,
        deadlocks - before_deadlocks,
        rollbacks - before_rollbacks
    ));
    case.report();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_connections() {
    lanes_load_at_once(1).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_connections() {
    lanes_load_at_once(2).await;
}

/// A sweep whose look-ups came before an increment brings the same profiles: whatever the increment read stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn a_sweep_beside_increments_removes_nothing_that_they_read() {
    let db = fixture().await;
    let full = db.lease(PROFILES_FULL).await;
    let increment = db.lease(PROFILES_INCREMENT).await;
    let mut case = Case::new("sweeps beside increments that read the same profiles");
    let ids: Vec<String> = (0..IDS).map(|number| format!("p{number:02}")).collect();
    let rounds = tries(60, 1_000);
    let mut lanes = [
        loader(&db, &increment, new_walk(&db).await).await,
        loader(&db, &increment, new_walk(&db).await).await,
    ];
    for round in 0..rounds {
        let everything = Page {
            versions: ids.iter().map(|id| (id.clone(), i64::from(round / 7))).collect(),
            merged: Vec::new(),
        };
        load(&mut lanes[0], &everything).await;
        let walk = new_walk(&db).await;
        let mut open = advance();
        open.position = Some(position(walk));
        db.store.advance(&full, &open).await.unwrap();
        // Unchanged ones and changed ones.
        let mut read = [everything.clone(), everything.clone()];
        for page in &mut read {
            page.versions.retain(|_, _| rand::rng().random_ratio(1, 3));
            for version in page.versions.values_mut() {
                *version += i64::from(rand::rng().random_ratio(1, 4));
            }
        }
        let verdicts: Vec<(String, Verdict)> = ids.iter().map(|id| (id.clone(), Verdict::Deleted)).collect();
        let [left, right] = &mut lanes;
        let pause = std::time::Duration::from_micros(rand::random_range(0..4_000));
        let sweep = async {
            tokio::time::sleep(pause).await;
            db.store.remove(&PROFILES, &full, walk, &verdicts).await.unwrap()
        };
        tokio::join!(load(left, &read[0]), load(right, &read[1]), sweep);
        let stored: BTreeSet<String> = db
            .texts("select id from blueconic.profiles")
            .await
            .into_iter()
            .collect();
        let expected: BTreeSet<&String> = read.iter().flat_map(|page| page.versions.keys()).collect();
        case.wrongly_deleted(expected.iter().filter(|id| !stored.contains(**id)).count() as u64);
        case.tried(1);
        db.store.forget(&full, walk.id).await.unwrap();
    }
    case.report();
}
