//! What becomes of personal data: brings it in line with the rules of the settings and the stored catalogue of properties. `scrub.rs`
//! applies what became stricter to the profiles that are stored.
//!
//! No load is under way while it changes. Each load checks the version that it was decoded by, and none is let through before all
//! stored profiles are scrubbed, so that no value is hashed twice and none is stored as it was allowed before.

use sqlx::{Connection as _, PgConnection};

use crate::model::personal_data::{
    Action, BroughtPolicy, ListedProperty, Policy, Treated, Treatment, WITHHELD,
};
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::load_lock::wait_for_loads;
use crate::postgres::recorded;

pub(crate) mod scrub;

const READING: &str = "reading what becomes of personal data";
const CHANGING: &str = "changing what becomes of personal data";
/// How long the change waits for loads that are under way. Those that come meanwhile wait behind it.
const LOADS: &str = "60s";

/// The stored state.
#[derive(Debug, PartialEq, Eq)]
struct Stored {
    version: i64,
    rules: Vec<String>,
    key_check: Option<String>,
    treatment: Treatment,
    scrub: Option<Treatment>,
    analyze_due: bool,
}

impl Stored {
    fn has_rules_of(&self, policy: &Policy) -> bool {
        self.rules == texts(policy) && (self.key_check == policy.key_check || !policy.hashes())
    }

    fn brought(self, listed: &[ListedProperty], policy: &Policy) -> BroughtPolicy {
        let unlisted = if listed.is_empty() {
            Vec::new()
        } else {
            policy.unlisted(listed)
        };
        BroughtPolicy {
            treated: Treated {
                version: self.version,
                treatment: self.treatment.into(),
                listed: listed.iter().map(|property| property.id.clone()).collect(),
            },
            scrub: self.scrub,
            statistics_are_due: self.analyze_due,
            notice: (!unlisted.is_empty()).then(|| {
                format!(
                    "`resources.profiles.personal_data` names properties that the tenant does not list: {}",
                    unlisted.join(", ")
                )
            }),
        }
    }
}

fn texts(policy: &Policy) -> Vec<String> {
    policy.rules.iter().map(ToString::to_string).collect()
}

/// Brings it in line. `was_set`: this process has set these rules before, so that others were set by another one since.
pub(crate) async fn bring(
    connection: &mut PgConnection,
    policy: &Policy,
    was_set: bool,
) -> Result<BroughtPolicy, Error> {
    loop {
        let stored = read(connection).await?;
        let is_ours = stored.has_rules_of(policy);
        if was_set && !is_ours {
            return Err(Error::OtherRules);
        }
        let listed = listed(connection, policy, &stored).await?;
        // What is being scrubbed is finished first, also for other rules.
        if stored.scrub.is_some() {
            return Ok(stored.brought(&listed, policy));
        }
        let treatment = policy.treatment(&listed);
        if is_ours && treatment == stored.treatment {
            return Ok(stored.brought(&listed, policy));
        }
        change(connection, &stored, policy, &treatment).await?;
    }
}

/// The properties that the tenant lists, as far as they are needed.
async fn listed(
    connection: &mut PgConnection,
    policy: &Policy,
    stored: &Stored,
) -> Result<Vec<ListedProperty>, Error> {
    if policy.rules.is_empty() && stored.treatment.is_none() {
        return Ok(Vec::new());
    }
    sqlx::query_as!(
        ListedProperty,
        "select id, data_sensitivity, permission_level, tags from blueconic.profile_properties order by id"
    )
    .fetch_all(connection)
    .await
    .doing(READING)
}

async fn read(connection: &mut PgConnection) -> Result<Stored, Error> {
    let row = sqlx::query!(
        r#"select version, rules, key_check, treatment::text as "treatment!", scrub::text, analyze_due
           from sync.personal_data"#
    )
    .fetch_one(connection)
    .await
    .doing(READING)?;
    let parsed =
        |text: &str| serde_json::from_str::<Treatment>(text).map_err(|source| Error::Treatment { source });
    Ok(Stored {
        version: row.version,
        rules: row.rules,
        key_check: row.key_check,
        treatment: parsed(&row.treatment)?,
        scrub: row.scrub.as_deref().map(parsed).transpose()?,
        analyze_due: row.analyze_due,
    })
}

/// Changes it in one transaction, while no load is under way. Rejects lose what they show at once.
async fn change(
    connection: &mut PgConnection,
    stored: &Stored,
    policy: &Policy,
    treatment: &Treatment,
) -> Result<(), Error> {
    let mut transaction = connection.begin().await.doing(CHANGING)?;
    sqlx::query!("select set_config('lock_timeout', $1, true)", LOADS)
        .fetch_one(&mut *transaction)
        .await
        .doing(CHANGING)?;
    wait_for_loads(&mut transaction).await?;
    // Another process may have changed it meanwhile.
    if read(&mut transaction).await? != *stored {
        return transaction.rollback().await.doing(CHANGING);
    }
    let scrub = treatment.to_scrub(&stored.treatment);
    if let Some(scrub) = &scrub {
        forget_histories(&mut transaction, scrub).await?;
    }
    let rejects = if treatment.is_none() {
        0
    } else {
        withhold_rejects(&mut transaction).await?
    };
    let is_same =
        stored.has_rules_of(policy) && treatment.does_the_same(&stored.treatment) && scrub.is_none();
    sqlx::query!(
        "update sync.personal_data set
           version = version + $1, rules = $2, key_check = $3, treatment = $4::text::jsonb,
           scrub = $5::text::jsonb, scrub_after = case when $5::text is not null then '' end,
           analyze_due = analyze_due or $6",
        i64::from(!is_same),
        &texts(policy),
        policy.key_check,
        json(treatment)?,
        scrub.as_ref().map(json).transpose()?,
        scrub.is_some() || rejects > 0
    )
    .execute(&mut *transaction)
    .await
    .doing(CHANGING)?;
    boundary::cross("personal/change", CHANGING, transaction.commit()).await
}

/// Removes the recorded values of properties that are scrubbed. Their histories begin anew.
async fn forget_histories(connection: &mut PgConnection, scrub: &Treatment) -> Result<(), Error> {
    let recorded = sqlx::query_scalar!("select property_id from sync.histories where history = 'properties'")
        .fetch_all(&mut *connection)
        .await
        .doing(CHANGING)?;
    let scrubbed: Vec<String> = recorded
        .into_iter()
        .filter(|property| scrub.action(property) != Action::Keep)
        .collect();
    sqlx::query!(
        "with gone as (delete from sync.property_intervals where property_id = any ($1))
         delete from sync.histories where history = 'properties' and property_id = any ($1)",
        &scrubbed
    )
    .execute(&mut *connection)
    .await
    .doing(CHANGING)?;
    // A reader of histories does not hold up a scrub, as it would a truncation.
    recorded::forget_arrivals(connection, "delete from").await
}

/// Takes from the rejects of profiles what may be values.
async fn withhold_rejects(connection: &mut PgConnection) -> Result<u64, Error> {
    let changed = sqlx::query!(
        "update sync.rejects set raw = '', detail = $1
         where resource = 'profiles' and (raw <> '' or detail <> $1)",
        WITHHELD
    )
    .execute(connection)
    .await
    .doing(CHANGING)?;
    Ok(changed.rows_affected())
}

fn json(treatment: &Treatment) -> Result<String, Error> {
    serde_json::to_string(treatment).map_err(|source| Error::Treatment { source })
}

/// Records that the planner's statistics hold no samples from before a scrub any more.
pub(crate) async fn analyzed(connection: &mut PgConnection) -> Result<(), Error> {
    let recording =
        sqlx::query!("update sync.personal_data set analyze_due = false where scrub is null and analyze_due")
            .execute(connection);
    boundary::cross("personal/analyzed", CHANGING, recording).await?;
    Ok(())
}
