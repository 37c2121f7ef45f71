//! A property turns into personal data in mid-life, by the catalogue or by the settings: one run later no value of it is anywhere.

use blueconic_sync::model::position::Scope;
use serde_json::json;

use super::{FORMS, Scene, hash, profile};
use crate::support::traces::traces;

/// Profiles that were stored while nothing was personal, of which the tenant lists one as changed by now.
async fn lived(rules: &str, form: &[(&str, &str)]) -> Scene {
    let scene = Scene::new(rules, form).await;
    scene.lists("email", "EMAIL", "NON_PII").await;
    scene.lists("visits", "RANGE", "NON_PII").await;
    scene.lists("city", "None", "NON_PII").await;
    for number in 0..30 {
        let (email, visits) = (format!("tracemail{number}"), format!("7700{number}"));
        scene.put(
            &format!("p{number:02}"),
            &json!({"email": [email, "tracesecond"], "visits": [visits], "city": ["tracecity"]}),
        );
    }
    let mut wrong = profile("wrong", &json!({}));
    wrong["properties"] = json!([{"id": "email", "values": [{"deep": "tracewrong"}]}]);
    scene.held.lock().unwrap().put(wrong);
    scene.read(Scope::Full).await;
    scene.database.run("analyze").await;
    for value in ["tracemail", "77001"] {
        assert!(!traces(&scene.database, value).await.is_empty());
    }
    let held = std::mem::take(&mut *scene.held.lock().unwrap());
    scene.held.lock().unwrap().put(held.listed["p07"].clone());
    scene
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_catalogue_turns_is_scrubbed_by_the_next_increment_in_every_form() {
    for form in FORMS {
        let scene = lived("sensitivity:PII=hash, tag:internal=drop", form).await;
        scene.assert_nowhere(&["tracewrong"]).await;
        scene.lists("email", "EMAIL", "PII").await;
        scene.lists("visits", "RANGE", "PII").await;
        scene
            .database
            .run("update blueconic.profile_properties set tags = '{internal}' where id = 'city'")
            .await;
        scene.read(Scope::Increment).await;
        scene
            .assert_nowhere(&["tracemail", "tracesecond", "77001", "tracecity"])
            .await;
        let stored = "select properties::text from blueconic.profiles_json where id = 'p03'";
        let stored: serde_json::Value = serde_json::from_str(&scene.texts(stored).await[0]).unwrap();
        let expected = json!({"email": [hash("tracemail3"), hash("tracesecond")], "visits": [hash("77003")]});
        assert_eq!(stored, expected, "{form:?}");
        if form != FORMS[2] {
            let wide = "select concat_ws('|', email, visits, visits_text, city) from blueconic.profiles_wide where id = 'p03'";
            assert_eq!(
                scene.texts(wide).await,
                [format!("{}|{}", hash("tracemail3"), hash("77003"))]
            );
        }
        let changed = "select count(distinct id) from blueconic.changes
                       where table_name = 'profiles' and operation = 'updated'";
        assert_eq!(scene.database.one::<i64>(changed).await, 30);
        // What was scrubbed is what a reading of the same bytes would store.
        let again = scene.read(Scope::Full).await;
        assert_eq!(again["rows_updated"], 0, "{again}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn stricter_settings_are_applied_by_the_next_run_also_to_rejects() {
    for form in FORMS {
        let scene = lived("", form).await;
        assert!(!traces(&scene.database, "tracewrong").await.is_empty());
        let scene = scene
            .restarted("property:email=drop, property:visits=hash", form)
            .await;
        scene.read(Scope::Increment).await;
        scene
            .assert_nowhere(&["tracemail", "tracesecond", "77001", "tracewrong"])
            .await;
        assert!(!traces(&scene.database, "tracecity").await.is_empty());
        let scene = scene
            .restarted("property:email=drop, property:visits=drop", form)
            .await;
        scene.read(Scope::Increment).await;
        scene.assert_nowhere(&[&hash("77001"), &hash("77007")]).await;
    }
}
