//! Nobody stores by former rules: neither a process that started with them, nor a batch that was decoded before, nor anybody while stored
//! profiles are still to be scrubbed.

use blueconic_sync::model::batch::Batch;
use blueconic_sync::model::fault::Kind;
use blueconic_sync::model::personal_data::{Policy, Rule};
use blueconic_sync::model::ports::{Loader, PersonalDataStore};
use blueconic_sync::model::rows::Rows;

use crate::support::fixture::{PROFILES_FULL, add_profile, another_store, fixture};

fn policy(rules: &[&str]) -> Policy {
    Policy {
        rules: rules
            .iter()
            .map(|text| Rule::try_from((*text).to_owned()).unwrap())
            .collect(),
        key_check: None,
    }
}

fn batch(id: &str, version: i64) -> Batch {
    let mut batch = Batch::default();
    add_profile(&mut batch, id, None, "x");
    batch.treatment_version = version;
    batch
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_by_another_version_is_refused_and_every_batch_before_the_scrub_has_ended() {
    let db = fixture().await;
    let (lease, walk) = db.walk(PROFILES_FULL).await;
    let mut loader = db.profiles(&lease, Some(walk)).await;
    loader.load(batch("p", 0), None).await.unwrap();
    let rules = policy(&["property:email=drop"]);
    let brought = db.store.bring_policy(&rules).await.unwrap();
    let version = brought.treated.version;
    assert!(brought.scrub.is_some() && version == 1);
    for tried in [0, version] {
        let fault = loader.load(batch("q", tried), None).await.unwrap_err();
        assert_eq!(fault.kind, Kind::ColumnsChanged, "{tried}");
    }
    let range = db.store.range_to_scrub(version).await.unwrap().unwrap();
    assert!(range.profiles.is_empty() && range.until.is_none());
    let nothing = Rows::default();
    let written = db.store.write_scrubbed(&lease, None, &range, &nothing);
    written.await.unwrap();
    assert!(db.store.range_to_scrub(version).await.unwrap().is_none());
    let fault = loader.load(batch("q", 0), None).await.unwrap_err();
    assert_eq!(fault.kind, Kind::ColumnsChanged);
    loader.load(batch("q", version), None).await.unwrap();
    assert_eq!(db.one::<i64>("select count(*) from blueconic.profiles").await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_with_former_rules_cannot_bring_them_back() {
    let db = fixture().await;
    db.store.bring_policy(&policy(&[])).await.unwrap();
    let newer = another_store(&db.options, std::time::Duration::from_secs(30)).await;
    let rules = policy(&["property:email=drop"]);
    assert!(newer.bring_policy(&rules).await.unwrap().scrub.is_some());
    let fault = db.store.bring_policy(&policy(&[])).await.unwrap_err();
    assert_eq!(fault.kind, Kind::Settings, "{fault}");
    assert!(fault.hint.unwrap().contains("BLUECONIC_SYNC_HASH_KEY"));
    // With the same rules it goes on.
    assert!(db.store.bring_policy(&rules).await.unwrap().scrub.is_some());
}
