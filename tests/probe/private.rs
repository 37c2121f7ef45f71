//! A report is made to be sent on: nothing of the tenant's data, ids or secrets is in it, in the log, in the table or in the status.

use std::collections::BTreeSet;

use super::tenants::{Subject, UNLISTED, as_assumed, newer, older};

/// Texts of the tenant that are shorter than this are words of the language.
const TELLING: usize = 7;

/// Every text of the tenant that says something about it or about a person.
fn canaries(subject: &Subject) -> BTreeSet<String> {
    let tenant = &subject.tenant;
    let mut canaries = BTreeSet::from([UNLISTED.to_owned(), "simulated-secret".to_owned()]);
    for position in 0..tenant.positions() {
        canaries.insert(tenant.id(position));
        let Some(profile) = tenant.profile(position) else {
            continue;
        };
        canaries.extend(profile.replaces.iter().cloned());
        let properties = profile.properties.into_iter().flatten();
        let named = ["email", "firstname", "lastname", "fullname", "phone"];
        let personal = properties.filter(|property| named.contains(&property.id.as_str()));
        canaries.extend(personal.flat_map(|property| property.values));
    }
    for segment in tenant.segments() {
        canaries.extend([segment.id, segment.name, segment.description]);
    }
    for event in tenant.audit_events() {
        canaries.extend([event.user_name, event.ip_address].into_iter().flatten());
        let objects = event.objects.into_iter().flatten();
        canaries.extend(objects.flat_map(|(id, name)| [id, name]));
    }
    // Of these the default setting, and the vendor, which audit events name, tell nothing.
    canaries.retain(|text| text.len() >= TELLING && !["allvisitors", "BlueConic"].contains(&text.as_str()));
    canaries
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_the_tenant_comes_to_light() {
    for subject in [as_assumed().await, older().await, newer().await] {
        let program = subject.program.with("RUST_LOG", "blueconic_sync=trace");
        let mut told = Vec::new();
        for arguments in [
            &["probe", "--patience", "1s"][..],
            &["probe", "--json", "--patience", "1s"],
            &["status"],
            &["status", "--json"],
        ] {
            let ended = program.expect(0, arguments).await;
            told.extend([ended.stdout, ended.stderr]);
        }
        told.extend(
            subject
                .database
                .texts("select p::text from sync.probe as p")
                .await,
        );
        let canaries = canaries(&subject);
        assert!(canaries.len() > 2_000, "{}", canaries.len());
        let told = told.join("\n");
        let found: Vec<&String> = canaries
            .iter()
            .filter(|text| told.contains(text.as_str()))
            .collect();
        assert!(found.is_empty(), "{found:?} in\n{told}");
        assert!(told.contains("index_lateness"), "the report was searched");
    }
}
