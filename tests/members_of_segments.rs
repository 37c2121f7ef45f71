//! The view `profile_segments` is what the arrays of profiles say, and finds the members of a segment by the index.

use crate::support::database::Database;
use crate::support::{Scene, scene, small};

async fn plan(database: &Database, query: &str) -> String {
    database
        .texts(&format!(
            "explain (analyze, costs off, timing off, summary off) {query}"
        ))
        .await
        .join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn members_of_a_segment_are_found_by_the_index_also_through_a_join() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(20_000)).await;
    program.expect(0, &["backfill", "--full"]).await;
    // As autovacuum does within minutes.
    database.run("analyze blueconic.segments").await;
    let differing = "(
        (select profile_id, segment_id from blueconic.profile_segments
         except all select p.id, s from blueconic.profiles as p cross join lateral unnest(p.segment_ids) as s)
        union all
        (select p.id, s from blueconic.profiles as p cross join lateral unnest(p.segment_ids) as s
         except all select profile_id, segment_id from blueconic.profile_segments)
      ) as d";
    assert_eq!(database.count(differing).await, 0);

    let segments = tenant.segments();
    let few = segments
        .iter()
        .filter(|segment| {
            tenant
                .member_count(&segment.id)
                .is_some_and(|members| members > 0)
        })
        .min_by_key(|segment| tenant.member_count(&segment.id))
        .unwrap();
    let by_id = format!(
        "select profile_id from blueconic.profile_segments where segment_id = '{}'",
        few.id
    );
    let by_name = format!(
        "select m.profile_id from blueconic.profile_segments as m
         join blueconic.segments as s on s.id = m.segment_id where s.name = '{}'",
        few.name.replace('\'', "''")
    );
    let by_function = format!("select id from blueconic.segment_members('{}')", few.id);
    for query in [by_id, by_name, by_function] {
        let plan = plan(&database, &query).await;
        assert!(
            plan.contains("Index Scan on profiles_segment_ids"),
            "{query}\n{plan}"
        );
        assert!(!plan.contains("Seq Scan on profiles"), "{query}\n{plan}");
        // Once, for the wanted segment, and not for each segment that there is.
        let scans = plan
            .lines()
            .filter(|line| line.contains("on profiles_segment_ids"));
        let loops: Vec<&str> = scans.filter_map(|line| line.split("loops=").nth(1)).collect();
        assert_eq!(loops, ["1)"], "{query}\n{plan}");
        let found: i64 = database.count(&format!("({query}) as members")).await;
        assert_eq!(u64::try_from(found).ok(), tenant.member_count(&few.id), "{query}");
    }
}

/// A segment that no profile was in before is known as soon as one is.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_segment_has_its_members_at_once() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(500)).await;
    program.expect(0, &["backfill", "--full"]).await;
    database.run("delete from sync.segment_ids").await;
    for position in 0..500 {
        tenant.touch(position, "name", &["Somebody Else"]);
    }
    program.expect(0, &["backfill", "--full", "profiles"]).await;
    let all: i64 = database
        .one("select sum(cardinality(segment_ids))::bigint from blueconic.profiles")
        .await;
    assert_eq!(database.count("blueconic.profile_segments").await, all);
}
