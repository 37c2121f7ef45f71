//! Walks that meet faults at random pages before their sweep, while nothing is deleted at the tenant: nothing may be
//! removed, and what says that it succeeded has to equal the tenant.

use std::time::{Duration, Instant};

use rand::RngExt as _;
use simulated_tenant::faults::{Fault, Inconsistency, Kind, RetryAfter, Route, When};
use simulated_tenant::read_paths::ReadPaths;
use simulated_tenant::settings::Settings;

use crate::support::program::Ended;
use crate::support::truth::{Departures, assert_profiles_equal, departures};
use crate::support::{Scene, scene, small};

use super::table::{Case, tries};

/// Pages of more profiles than a walk may miss and still pass for complete.
const PROFILES: u64 = 240;
const PAGE: u64 = 24;
const PAGES: u64 = PROFILES / PAGE;

fn once(when: When, kind: Kind) -> Fault {
    Fault {
        limit: Some(1),
        ..Fault::at(Route::Profiles, when, kind)
    }
}

fn always(kind: Kind) -> Fault {
    Fault::at(Route::Profiles, When::Always, kind)
}

fn inconsistent(short_by: usize, total_off: i64, no_next: bool) -> Kind {
    Kind::Inconsistent(Inconsistency {
        short_by,
        total_off,
        no_next,
        ..Inconsistency::default()
    })
}

/// A firewall's, or a gateway's.
fn foreign(status: u16) -> Kind {
    Kind::Foreign {
        status,
        content_type: "text/html",
        body: "<html><body>Sorry, you have been blocked</body></html>",
    }
}

/// What goes wrong in one walk.
fn faults() -> Vec<Fault> {
    let mut random = rand::rng();
    let page = |random: &mut rand::rngs::ThreadRng| When::Page(random.random_range(1..=PAGES));
    let status = |status, retry_after| Kind::Status { status, retry_after };
    let bytes = random.random_range(0..40_000);
    let off = random.random_range(1..60) * if random.random() { 1 } else { -1 };
    match random.random_range(0..23) {
        0 => vec![
            once(page(&mut random), status(503, None)),
            once(page(&mut random), status(503, None)),
        ],
        1 => vec![once(page(&mut random), status(429, None))],
        2 => vec![once(page(&mut random), status(429, Some(RetryAfter::Seconds(1))))],
        3 => vec![
            once(page(&mut random), Kind::TokensDie),
            once(page(&mut random), Kind::TokensDie),
        ],
        4 => vec![once(page(&mut random), status(401, None))],
        5 => vec![Fault {
            limit: Some(2),
            ..once(page(&mut random), status(401, None))
        }],
        6 => vec![
            once(page(&mut random), Kind::CutAfter(bytes)),
            once(page(&mut random), Kind::EndAfter(bytes)),
        ],
        7 => vec![Fault {
            limit: Some(4),
            ..once(page(&mut random), Kind::CutAfter(bytes))
        }],
        8 => vec![once(
            page(&mut random),
            Kind::Slow {
                bytes_per_second: 400_000,
            },
        )],
        9 => vec![once(
            page(&mut random),
            Kind::Stall {
                after: bytes,
                pause: Duration::from_millis(1_500),
            },
        )],
        10 => vec![
            once(page(&mut random), Kind::Html),
            once(page(&mut random), Kind::Empty),
        ],
        11 => vec![
            once(page(&mut random), Kind::Reset),
            once(page(&mut random), Kind::Reset),
        ],
        12 => vec![once(
            When::Page(random.random_range(2..=PAGES)),
            status(400, None),
        )],
        // Longer than the patience: the run fails and says so.
        13 => vec![Fault {
            limit: None,
            ..once(page(&mut random), status(503, None))
        }],
        14 => vec![once(page(&mut random), Kind::Stale)],
        15 => vec![once(page(&mut random), inconsistent(usize::MAX, 0, false))],
        16 => vec![once(page(&mut random), inconsistent(0, 0, true))],
        17 => vec![always(inconsistent(0, off, false))],
        18 => vec![once(page(&mut random), inconsistent(0, off, false))],
        19 => vec![
            once(
                page(&mut random),
                status([507, 520, 522, 524, 529][random.random_range(0..5)], None),
            ),
            once(page(&mut random), status(425, None)),
        ],
        20 => vec![once(page(&mut random), foreign(403))],
        21 => vec![once(When::Page(random.random_range(2..=PAGES)), foreign(404))],
        // A page that is empty, and totals that agree with it: only asking for each candidate shows the lie.
        _ => {
            let when = page(&mut random);
            let lie = -i64::try_from(PAGE).unwrap();
            vec![
                once(when, inconsistent(usize::MAX, lie, false)),
                always(inconsistent(0, lie, false)),
            ]
        }
    }
}

/// The status that the run stored, which has to fit its exit code.
async fn status_of(scene: &Scene, ended: &Ended) -> String {
    let status: String = scene
        .database
        .one("select status from sync.runs where resource = 'profiles' order by started_at desc limit 1")
        .await;
    let code = match status.as_str() {
        "succeeded" => 0,
        "partial" => 3,
        "failed" if ended.stderr.contains("read:segments") => 3,
        "failed" => 1,
        other => panic!("`{other}`\n{}", ended.stderr),
    };
    assert_eq!(ended.code(), code, "{status}\n{}", ended.stderr);
    if code != 0 {
        assert!(
            ended.stderr.contains("profiles"),
            "it does not say what failed:\n{}",
            ended.stderr
        );
    }
    status
}

fn judge(case: &mut Case, departed: Departures, reported: &str) {
    if departed != Departures::default() {
        case.note(format!("{departed:?} after {reported}"));
    }
    case.lost(departed.lost);
    case.doubled(departed.other + departed.stale);
}

#[tokio::test(flavor = "multi_thread")]
async fn faulty_walks_remove_nothing() {
    let mut case = Case::new("walks with faults at random pages, before a sweep");
    let (mut succeeded, mut given) = (0, 0);
    for read_paths in [None, Some(ReadPaths::default())] {
        let mut scene = scene(Settings {
            merged_per_thousand: 0,
            read_paths,
            ..small(PROFILES)
        })
        .await;
        scene.program = scene
            .program
            .set("resources.profiles.page_size", &PAGE.to_string())
            .set("tenant.read_timeout", "1s")
            .set("retry.give_up_after", "3s");
        scene.program.expect(0, &["backfill", "--full"]).await;
        for _ in 0..tries(3, 100) {
            let (met, status) = faulty_walk(&scene, &mut case).await;
            given += u32::from(met);
            succeeded += u32::from(status == "succeeded");
        }
        assert_profiles_equal(&scene.database, &scene.tenant).await;
    }
    case.note(format!(
        "{given} met their fault, {succeeded} succeeded at once; half of them over two read paths"
    ));
    case.report();
}

/// One walk with faults, and the one that makes up for it. Returns whether a fault was met, and how the first walk ended.
async fn faulty_walk(scene: &Scene, case: &mut Case) -> (bool, String) {
    for _ in 0..4 {
        let position = rand::rng().random_range(0..PROFILES);
        let value = rand::random::<u32>().to_string();
        scene.tenant.touch(position, "name", &[&value]);
    }
    let faults = faults();
    let reported = format!("{faults:?}");
    for fault in faults {
        scene.tenant.faults().push(fault);
    }
    let before = scene.tenant.faults().given();
    let ended = scene.program.run(&["backfill", "--full", "profiles"]).await;
    let met = scene.tenant.faults().given() > before;
    let status = status_of(scene, &ended).await;
    scene.tenant.faults().clear();
    if status != "succeeded" {
        let began = Instant::now();
        scene.program.expect(0, &["backfill", "--full", "profiles"]).await;
        case.recovered(began.elapsed());
    }
    let departed = departures(&scene.database, &scene.tenant, "allvisitors").await;
    judge(case, departed, &reported);
    let removed = scene.database.count("blueconic.profile_tombstones").await;
    assert_eq!(removed, 0, "removed after {reported}");
    case.tried(1);
    (met, status)
}
