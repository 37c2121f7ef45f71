//! A date in another form is read, and one that cannot be read is said: its row is there without it.

use crate::support::{Scene, scene, small};

#[tokio::test(flavor = "multi_thread")]
async fn dates_of_other_forms_are_read_and_unreadable_ones_are_said() {
    let Scene {
        tenant,
        database,
        program,
    } = scene(small(20)).await;
    for (position, created, modified) in [(2, "2023-03-27 10:36", "1679913371"), (3, "2023-03-27", "soon")] {
        let element = serde_json::json!({
            "id": tenant.id(position),
            "creationDate": created,
            "properties": [{ "id": "lastmodifieddate", "values": [modified] }],
            "segments": [{ "id": "allvisitors" }],
        });
        tenant.skip(position);
        tenant.insert_raw(position, element.to_string());
    }
    let ended = program.expect(0, &["backfill", "profiles", "--full"]).await;
    ended.tells(&["1 date(s) of profiles could not be read"]);
    let reported = |position| {
        let id = tenant.id(position);
        format!(
            "select concat_ws(' ', created_at at time zone 'UTC', coalesce((modified_at at time zone 'UTC')::text, 'none')) \
             from blueconic.profiles where id = '{id}'"
        )
    };
    assert_eq!(
        database.one::<String>(&reported(2)).await,
        "2023-03-27 10:36:00 2023-03-27 10:36:11"
    );
    assert_eq!(
        database.one::<String>(&reported(3)).await,
        "2023-03-27 00:00:00 none"
    );
    let hint: String = database
        .one("select hint from sync.runs where resource = 'profiles'")
        .await;
    assert!(hint.contains("could not be read"), "{hint}");
    // What did not change is not decoded again, and nothing is said of it.
    let again = program.expect(0, &["backfill", "profiles", "--full"]).await;
    assert!(!again.stderr.contains("could not be read"), "{}", again.stderr);
}
