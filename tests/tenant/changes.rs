//! What happens to the data while the tenant serves.

use serde_json::Value;
use simulated_tenant::settings::{MergedLookup, Settings};

use super::asker::{Asker, body, elements, fixed, read};

#[tokio::test]
async fn what_changes_shows_at_once() {
    let asker = Asker::new(Settings {
        profiles: 500,
        ..fixed()
    })
    .await;
    let tenant = &asker.tenant;
    let segment = tenant.segments()[1].clone();
    let members = tenant.member_count(&segment.id).unwrap();
    let outside = tenant
        .profiles()
        .find(|profile| !profile.segment_ids.contains(&segment.id))
        .unwrap();
    assert!(tenant.set_member(outside.position, &segment.id, true));
    assert!(tenant.rename_segment(&segment.id, "Renamed"));
    assert_eq!(tenant.member_count(&segment.id), Some(members + 1));
    assert!(
        asker
            .ids(&segment.id, &[("count", "500")])
            .await
            .contains(&outside.id)
    );
    let path = format!("/profiles/{}", outside.id);
    let body = asker
        .json(
            &path,
            &[("expand", "profile.segments"), ("profileProperty", "visits")],
        )
        .await;
    let listed = body["segments"].as_array().unwrap();
    assert!(
        listed
            .iter()
            .any(|one| one["id"] == segment.id.as_str() && one["name"] == "Renamed")
    );
    assert!(tenant.set_property(outside.position, "plan", Some(&["gold", "silver"])));
    assert!(tenant.set_property(outside.position, "visits", None));
    let truth = tenant.profile(outside.position).unwrap();
    assert_eq!(
        (truth.modified_at, truth.values("visits")),
        (outside.modified_at, None)
    );
    assert_eq!(
        read(&asker.json(&path, &[]).await, outside.position).values("plan"),
        truth.values("plan")
    );
    let before = tenant.profile(7).unwrap();
    assert!(tenant.touch(7, "city", &["Utrecht"]));
    let after = tenant.profile(7).unwrap();
    assert!(after.modified_at >= Some(tenant.now() - 60_000) && after.modified_at > before.modified_at);
    assert_eq!(
        (after.creation_date, after.events),
        (before.creation_date, before.events)
    );
    assert!(tenant.delete(outside.position));
    assert!(!tenant.delete(outside.position), "it is gone");
    assert_eq!(asker.status(&path, &[]).await, 404);
    assert_eq!(asker.ids("allvisitors", &[("count", "500")]).await.len(), 499);
    assert!(tenant.restore(outside.position));
    assert_eq!(tenant.profile(outside.position), Some(truth));
    assert!(tenant.remove_segment(&segment.id));
    assert_eq!(
        asker
            .status(&format!("/segments/{}/profiles", segment.id), &[])
            .await,
        404
    );
    assert!(
        tenant
            .profiles()
            .all(|profile| !profile.segment_ids.contains(&segment.id))
    );
    assert!(tenant.remove_property("email"));
    let properties = asker.json("/profileProperties", &[("count", "1000")]).await;
    assert_eq!(properties["totalResults"], 39);
}

#[tokio::test]
async fn merges_show_at_the_winner_and_by_the_losers_id() {
    for lookup in [
        MergedLookup::ReplacedBy,
        MergedLookup::Survivor,
        MergedLookup::NotFound,
    ] {
        let asker = Asker::new(Settings {
            merged_lookup: lookup,
            merged_per_thousand: 100,
            ..fixed()
        })
        .await;
        let tenant = &asker.tenant;
        assert!(tenant.merge(10, 20));
        assert!(!tenant.merge(10, 30), "it is merged already");
        let (loser, winner) = (tenant.id(10), tenant.id(20));
        let made = tenant
            .profiles()
            .find(|profile| !profile.replaces.is_empty() && profile.id != winner)
            .unwrap();
        let aliases = tenant.aliases();
        assert!(aliases.contains(&(loser.clone(), winner.clone())) && aliases.len() > 50);
        let listed = asker
            .walk(
                "allvisitors",
                &[("expand", "profiles.profile.replace"), ("count", "1000")],
            )
            .await;
        let listed = elements(&listed[0]);
        assert!(listed.iter().all(|profile| profile["id"] != loser.as_str()));
        let found = listed
            .iter()
            .find(|profile| profile["id"] == winner.as_str())
            .unwrap();
        assert!(
            found["replaces"]
                .as_array()
                .unwrap()
                .contains(&Value::from(loser.clone()))
        );
        for (loser, winner) in [(loser, winner), (made.replaces[0].clone(), made.id.clone())] {
            let answer = asker.ask(&format!("/profiles/{loser}"), &[]).await;
            match lookup {
                MergedLookup::NotFound => assert_eq!(answer.status(), 404),
                MergedLookup::Survivor => assert_eq!(body(answer).await["id"], winner),
                MergedLookup::ReplacedBy => {
                    let expected = serde_json::json!({"id": loser, "replacedBy": winner});
                    assert_eq!(body(answer).await, expected);
                }
            }
        }
    }
}

#[tokio::test]
async fn listings_go_wrong_as_ordered() {
    let asker = Asker::new(Settings {
        profiles: 50,
        ..fixed()
    })
    .await;
    let tenant = &asker.tenant;
    tenant.insert_raw(5, r#"{"id":7,"properties":"none"}"#);
    tenant.repeat(1, 40);
    tenant.skip(9);
    let pages = asker.walk("allvisitors", &[("count", "30")]).await;
    assert!(pages.iter().all(|page| page["totalResults"] == 50));
    let listed: Vec<Value> = pages
        .iter()
        .flat_map(elements)
        .map(|one| one["id"].clone())
        .collect();
    assert_eq!(listed.len(), 51);
    assert_eq!(listed[5], 7);
    assert_eq!(
        listed.iter().filter(|id| **id == tenant.id(1).as_str()).count(),
        2
    );
    assert!(!listed.contains(&tenant.id(9).into()));
    assert_eq!(
        asker.status(&format!("/profiles/{}", tenant.id(9)), &[]).await,
        200
    );
    tenant.list_truly();
    assert_eq!(asker.ids("allvisitors", &[]).await.len(), 50);
}

#[tokio::test]
async fn a_raw_element_may_be_no_json_at_all() {
    let asker = Asker::new(Settings {
        profiles: 3,
        ..fixed()
    })
    .await;
    asker.tenant.insert_raw(0, &b"{\"id\":\"\xff"[..]);
    let body = asker
        .ask("/segments/allvisitors/profiles", &[])
        .await
        .bytes()
        .await
        .unwrap();
    assert!(
        body.windows(9).any(|window| window == b"[{\"id\":\"\xff"),
        "first in the array"
    );
    assert!(serde_json::from_slice::<Value>(&body).is_err());
}
