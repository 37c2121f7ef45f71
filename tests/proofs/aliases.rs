//! Who is who after any merges: `blueconic.profile_identity` against a model in a dozen lines. Hundreds of graphs share
//! a database, told apart by the heads of their ids.

use std::collections::{BTreeMap, BTreeSet};

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::lease::Lease;
use blueconic_sync::model::ledger::{Counts, Ledger};
use blueconic_sync::model::ports::RunStore as _;
use blueconic_sync::model::status::RunStatus;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult};
use sqlx::{Connection as _, PgConnection};

use crate::support::fixture::{Fixture, PROFILES_FULL, add_profile, fixture, load, run};

/// Ids of one graph; links between so few make chains, circles and links to oneself.
const IDS: u8 = 9;
const GRAPHS: usize = 150;

type Identity = BTreeSet<(String, Option<String>)>;

/// The id at the end of the chain; none in a circle.
fn current<'a>(aliases: &'a BTreeMap<String, String>, id: &'a str) -> Option<&'a str> {
    let mut passed = BTreeSet::new();
    let mut at = id;
    while let Some(next) = aliases.get(at) {
        if !passed.insert(at) {
            return None;
        }
        at = next;
    }
    Some(at)
}

fn identity(profiles: &BTreeSet<String>, aliases: &BTreeMap<String, String>) -> Identity {
    let owned = |id: &str| current(aliases, id).map(str::to_owned);
    let merged = aliases.keys().map(|id| (id.clone(), owned(id)));
    let there = profiles.iter().map(|id| (id.clone(), Some(id.clone())));
    merged.chain(there).collect()
}

/// What the view says; each id once.
async fn stored(db: &Fixture) -> Identity {
    // Compiling the query would take a hundred times as long as running it.
    let mut connection = db.look.acquire().await.unwrap();
    run(&mut connection, "set jit = off").await;
    let rows: Vec<(String, Option<String>)> =
        sqlx::query_as("select profile_id, current_id from blueconic.profile_identity")
            .fetch_all(&mut *connection)
            .await
            .unwrap();
    let count = rows.len();
    let identity: Identity = rows.into_iter().collect();
    let ids: BTreeSet<&String> = identity.iter().map(|(id, _)| id).collect();
    assert_eq!(ids.len(), count, "an id came twice");
    identity
}

fn same(stored: &Identity, expected: &Identity) -> TestCaseResult {
    let differs: Vec<_> = stored.symmetric_difference(expected).take(6).collect();
    prop_assert!(differs.is_empty(), "the view and the model differ: {differs:?}");
    Ok(())
}

fn name(graph: usize, id: u8) -> String {
    format!("{graph:03}-{id}")
}

async fn empty(db: &Fixture) {
    let sql = "truncate blueconic.profiles, blueconic.profile_aliases, blueconic.profile_tombstones";
    run(&mut db.look.acquire().await.unwrap(), sql).await;
}

async fn close(db: &Fixture, lease: &Lease) {
    let ledger = Ledger {
        status: RunStatus::Succeeded,
        counts: Counts::default(),
        error: None,
        hint: None,
    };
    db.store.close(lease, &ledger).await.unwrap();
}

/// The rows of the tables as they may stand, also those that no merge of ours would leave.
#[derive(Debug, Clone)]
struct Stored {
    links: BTreeMap<u8, u8>,
    profiles: BTreeSet<u8>,
}

fn stored_graph() -> impl Strategy<Value = Stored> {
    let links = prop::collection::btree_map(0..IDS, 0..IDS, 0..usize::from(IDS));
    (links, prop::collection::btree_set(0..IDS, 0..5)).prop_map(|(links, mut profiles)| {
        profiles.retain(|id| !links.contains_key(id));
        Stored { links, profiles }
    })
}

async fn view_of(db: &Fixture, graphs: &[Stored]) -> TestCaseResult {
    empty(db).await;
    let mut profiles = BTreeSet::new();
    let mut aliases = BTreeMap::new();
    for (place, graph) in graphs.iter().enumerate() {
        profiles.extend(graph.profiles.iter().map(|id| name(place, *id)));
        aliases.extend(
            graph
                .links
                .iter()
                .map(|(from, to)| (name(place, *from), name(place, *to))),
        );
    }
    let mut batch = Batch::default();
    for id in &profiles {
        add_profile(&mut batch, id, None, "x");
    }
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    load(&mut db.profiles(&lease, Some(walk)).await, batch).await;
    close(db, &lease).await;
    let (losers, survivors): (Vec<&str>, Vec<&str>) = aliases
        .iter()
        .map(|(from, to)| (from.as_str(), to.as_str()))
        .unzip();
    let insert = "insert into blueconic.profile_aliases (profile_id, survivor_id, noticed_at)
                  select loser, survivor, now() from unnest($1::text[], $2::text[]) as link (loser, survivor)";
    let mut connection = PgConnection::connect_with(&db.options).await.unwrap();
    sqlx::query(insert)
        .bind(losers)
        .bind(survivors)
        .execute(&mut connection)
        .await
        .unwrap();
    same(&stored(db).await, &identity(&profiles, &aliases))
}

/// What one batch of a walk brings about a graph: profiles that came, and what they say to have replaced.
#[derive(Debug, Clone)]
struct Brought {
    profiles: BTreeSet<u8>,
    /// Loser and survivor, in the order of reading.
    links: Vec<(u8, u8)>,
}

fn brought() -> impl Strategy<Value = Brought> {
    let links = prop::collection::vec((0..IDS, 0..IDS), 0..5);
    (prop::collection::btree_set(0..IDS, 0..4), links)
        .prop_map(|(profiles, links)| Brought { profiles, links })
}

/// The tables as they should be.
#[derive(Debug, Default)]
struct Tables {
    profiles: BTreeSet<String>,
    aliases: BTreeMap<String, String>,
    /// Aliases that this walk noticed: their ids do not come back in it.
    fresh: BTreeSet<String>,
}

impl Tables {
    fn take(&mut self, profiles: &[String], links: &[(String, String)]) {
        self.profiles.extend(profiles.iter().cloned());
        let losers: BTreeMap<&String, &String> = links
            .iter()
            .filter(|(from, to)| from != to)
            .map(|(from, to)| (from, to))
            .collect();
        for (loser, survivor) in losers {
            self.profiles.remove(loser);
            if self.aliases.insert(loser.clone(), survivor.clone()).as_ref() != Some(survivor) {
                self.fresh.insert(loser.clone());
            }
        }
        for id in profiles {
            if self.fresh.contains(id) {
                self.profiles.remove(id);
            } else if self.profiles.contains(id) {
                self.aliases.remove(id);
            }
        }
    }
}

/// Batches of two walks, each batch with something of every graph.
async fn walks(db: &Fixture, graphs: &[[Vec<Brought>; 2]]) -> TestCaseResult {
    empty(db).await;
    let mut expected = Tables::default();
    for number in 0..2 {
        let (lease, walk) = db.walk(PROFILES_FULL).await;
        let mut loader = db.profiles(&lease, Some(walk)).await;
        expected.fresh.clear();
        let longest = graphs.iter().map(|walks| walks[number].len()).max().unwrap_or(0);
        for step in 0..longest {
            let mut batch = Batch::default();
            let mut came = Vec::new();
            for (place, brought) in graphs
                .iter()
                .enumerate()
                .filter_map(|(place, walks)| Some((place, walks[number].get(step)?)))
            {
                came.extend(brought.profiles.iter().map(|id| name(place, *id)));
                batch.aliases.extend(
                    brought
                        .links
                        .iter()
                        .map(|(from, to)| (name(place, *from), name(place, *to))),
                );
            }
            for id in &came {
                add_profile(&mut batch, id, None, "x");
            }
            expected.take(&came, &batch.aliases);
            load(&mut loader, batch).await;
            same(
                &stored(db).await,
                &identity(&expected.profiles, &expected.aliases),
            )?;
        }
        drop(loader);
        close(db, &lease).await;
    }
    Ok(())
}

fn config() -> Config {
    Config {
        cases: 3,
        max_shrink_iters: 200,
        failure_persistence: None,
        ..Config::default()
    }
}

#[test]
fn every_graph_of_merges_resolves_as_the_model_does() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(fixture());
    proptest!(config(), |(graphs in prop::collection::vec(stored_graph(), GRAPHS))| {
        runtime.block_on(view_of(&db, &graphs))?;
    });
}

#[test]
fn merges_in_any_batches_and_in_any_order_leave_what_the_model_leaves() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let db = runtime.block_on(fixture());
    let walk = || prop::collection::vec(brought(), 1..6);
    let graph = (walk(), walk()).prop_map(|(first, second)| [first, second]);
    proptest!(config(), |(graphs in prop::collection::vec(graph, GRAPHS))| {
        runtime.block_on(walks(&db, &graphs))?;
    });
}
