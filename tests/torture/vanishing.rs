//! Segments and properties that vanish: really, and by a fault of the list. Only a list that is complete and says the
//! same when it is read again removes anything.

use std::time::Instant;

use rand::RngExt as _;
use simulated_tenant::faults::{Fault, Inconsistency, Kind, Route, When};
use simulated_tenant::settings::Settings;

use crate::support::registry::list_names;
use crate::support::truth::assert_lists_equal;
use crate::support::{Scene, scene, small};

use super::table::{Case, tries};

const PAGE: u64 = 4;

/// What makes a list look shorter than it is, once: the requests of one reading that are hit, and how.
fn faults(route: Route) -> (Vec<Fault>, &'static str) {
    let mut random = rand::rng();
    let at = random.random_range(1..=3);
    let short_by = random.random_range(1..=3_usize);
    let off = -i64::try_from(short_by).unwrap();
    let inconsistent = |short_by, total_off| {
        Kind::Inconsistent(Inconsistency {
            short_by,
            total_off,
            no_next: false,
            ..Inconsistency::default()
        })
    };
    let once = |number, kind| Fault {
        limit: Some(1),
        ..Fault::at(route, When::Request(number), kind)
    };
    match random.random_range(0..7) {
        0 => (vec![once(at, inconsistent(short_by, 0))], "a page is short"),
        1 => (
            vec![once(at, inconsistent(short_by, off))],
            "a page and its total are short",
        ),
        2 => (
            vec![once(at, inconsistent(0, -4))],
            "the total changes between pages",
        ),
        3 => (vec![once(at, inconsistent(usize::MAX, 0))], "a page is missing"),
        4 => (
            vec![once(1, inconsistent(usize::MAX, -1_000))],
            "the list is empty, and says so",
        ),
        5 => (vec![once(at, Kind::Empty)], "an answer is empty"),
        // The first reading is shorter throughout, and adds up.
        _ => {
            let kind = inconsistent(usize::MAX, -1_000 + i64::from(random.random_range(0..4_u8)));
            (
                vec![once(2, inconsistent(usize::MAX, -4)), once(3, kind)],
                "the list ends early and adds up",
            )
        }
    }
}

async fn set() -> Scene {
    let mut scene = scene(Settings {
        segments: 12,
        properties: 14,
        ..small(20)
    })
    .await;
    scene.program = scene
        .program
        .set("resources.segments.page_size", &PAGE.to_string())
        .set("resources.profile_properties.page_size", &PAGE.to_string());
    scene
        .program
        .expect(0, &[&["backfill"], list_names().as_slice()].concat())
        .await;
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_shrink_by_a_fault_lose_nothing() {
    let scene = set().await;
    let mut case = Case::new("lists that shrink by a fault");
    let all = |table: &str| format!("blueconic.{table}");
    let mut partial = 0;
    for _ in 0..tries(10, 100) {
        let (route, table) = if rand::random() {
            (Route::Segments, "segments")
        } else {
            (Route::ProfileProperties, "profile_properties")
        };
        let before = scene.database.count(&all(table)).await;
        let (faults, reported) = faults(route);
        for fault in faults {
            scene.tenant.faults().push(fault);
        }
        let ended = scene.program.run(&["backfill", table]).await;
        assert!(matches!(ended.code(), 0 | 3), "{reported}\n{}", ended.stderr);
        partial += u32::from(ended.code() == 3);
        scene.tenant.faults().clear();
        let after = scene.database.count(&all(table)).await;
        if after < before {
            case.note(format!("{table}: {reported}"));
        }
        case.wrongly_deleted(u64::try_from(before - after).unwrap_or(0));
        if ended.code() != 0 {
            let began = Instant::now();
            scene.program.expect(0, &["backfill", table]).await;
            case.recovered(began.elapsed());
        }
        case.tried(1);
        if after < before {
            break;
        }
    }
    if partial > 0 {
        case.note(format!("{partial} ended partial"));
    }
    case.report();
    assert_lists_equal(&scene.database, &scene.tenant).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_really_vanished_is_removed() {
    let scene = set().await;
    let mut case = Case::new("segments and properties that really vanish");
    // Never more than half of what is stored goes unasked, and each time one of each.
    for _ in 0..tries(2, 5) {
        let segment = scene.tenant.segments()[3].id.clone();
        let property = scene.tenant.properties().pop().unwrap().id;
        assert!(scene.tenant.remove_segment(&segment) && scene.tenant.remove_property(&property));
        scene.tenant.requests().forget();
        let began = Instant::now();
        scene
            .program
            .expect(0, &["backfill", "segments", "profile_properties"])
            .await;
        case.recovered(began.elapsed());
        assert_lists_equal(&scene.database, &scene.tenant).await;
        case.tried(1);
    }
    case.report();
}
