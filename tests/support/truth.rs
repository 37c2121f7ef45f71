//! Compares the tables with a tenant's data in SQL: the data is copied into temporary tables, and rows that only one
//! side has are shown. Arrays of ids compare as sets, values of properties in their order.

use blueconic_sync::model::description::{Description, List};
use blueconic_sync::model::table::{ColumnKind, REST};
use serde_json::{Map, Value, json};
use simulated_tenant::tenant::Tenant;
use simulated_tenant::truth::{AuditEvent, Profile};
use sqlx::{AssertSqlSafe, PgConnection};

use super::database::Database;
use super::history::assert_history;
use super::registry::{FEW_URLS, by_default, is_by_day, urls};
use super::typed::assert_typed_columns;

/// Sorted: the order of these arrays has no meaning.
const SORTED: &str = "
create or replace function pg_temp.sorted(texts text[]) returns text[] language sql immutable as
$$ select coalesce(array_agg(t order by t collate \"C\"), '{}') from unnest(texts) as t $$;
create or replace function pg_temp.sorted(texts jsonb) returns text[] language sql immutable as
$$ select coalesce(array_agg(t order by t collate \"C\"), '{}')
   from jsonb_array_elements_text(coalesce(nullif(texts, 'null'), '[]')) as t $$;
-- Without the fields of a later release, which `body` keeps, with numbers as numbers where they came as texts, and without
-- empty arrays, which may be absent.
create or replace function pg_temp.known(came jsonb) returns jsonb language sql immutable as
$$ select case jsonb_typeof(value)
     when 'object' then (
       select coalesce(jsonb_object_agg(key, plain_value) filter (where plain_value <> '{}'), '{}')
       from jsonb_each(value - 'xFutureField') as e (key, inner_value)
       cross join lateral (
         select case jsonb_typeof(inner_value)
           when 'object' then (
             select coalesce(jsonb_object_agg(k, v) filter (where v <> '[]'), '{}')
             from jsonb_each(inner_value - 'xFutureField') as i (k, v))
           else inner_value
         end) as p (plain_value))
     when 'array' then (
       select coalesce(jsonb_agg(case jsonb_typeof(one) when 'object' then one - 'xFutureField' else one end order by place), '[]')
       from jsonb_array_elements(value) with ordinality as e (one, place))
     else value
   end
   from (select regexp_replace(came::text, '\"(-?[0-9]+)\"(?!:)', '\\1', 'g')::jsonb as value) as plain $$;
-- An array of {id, values} as an object.
create or replace function pg_temp.keyed(listed jsonb) returns jsonb language sql immutable as
$$ select coalesce(jsonb_object_agg(one ->> 'id', one -> 'values'), '{}') from jsonb_array_elements(listed) as one $$;
create or replace function pg_temp.moment(milliseconds jsonb) returns timestamptz language sql immutable as
$$ select timestamptz 'epoch' + (nullif(milliseconds, 'null'))::bigint * interval '1 millisecond' $$;
";

const SEGMENTS: (&str, &str) = (
    "select id, name, description, pg_temp.sorted(tags), profile_count, creator, created_at, modified_at, inverse_of,
        inversed_by
     from blueconic.segments",
    "select j->>'id', j->>'name', j->>'description', pg_temp.sorted(j->'tags'), (j->>'profile_count')::bigint,
        j->>'creator', pg_temp.moment(j->'created'), pg_temp.moment(j->'modified'), j->>'inverse_of',
        j->>'inversed_by'
     from truth",
);

const PROPERTIES: (&str, &str) = (
    "select id, name, description, filter_type, \"precision\", currency, data_sensitivity, permission_level,
        merge_strategy, indexed, pg_temp.sorted(tags), profile_count, created_at, modified_at
     from blueconic.profile_properties",
    "select j->>'id', j->>'name', j->>'description', j->>'filter_type', (j->>'precision')::int, j->>'currency',
        j->>'data_sensitivity', j->>'permission_level', j->>'merge_strategy', (j->>'indexed')::bool,
        pg_temp.sorted(j->'tags'), (j->>'profile_count')::bigint, pg_temp.moment(j->'created'),
        pg_temp.moment(j->'modified')
     from truth",
);

const GROUP_PROPERTIES: (&str, &str) = (
    "select group_type_id, id, name, description, filter_type, \"precision\", data_sensitivity, permission_level, indexed,
        pg_temp.sorted(tags), created_at, modified_at
     from blueconic.group_properties",
    "select j->>'type', j->>'id', j->>'name', j->>'description', j->>'filter_type', (j->>'precision')::int,
        j->>'data_sensitivity', j->>'permission_level', (j->>'indexed')::bool, pg_temp.sorted(j->'tags'),
        pg_temp.moment(j->'created'), pg_temp.moment(j->'modified')
     from truth",
);

const PROFILES: (&str, &str) = (
    "select id, created_at, modified_at, privacy_legislation, permission_level,
        pg_temp.sorted(consented_objectives), pg_temp.sorted(refused_objectives), pg_temp.sorted(segment_ids),
        properties
     from (select * from blueconic.profiles offset 0) as p",
    "select j->>'id', pg_temp.moment(j->'created'), pg_temp.moment(j->'modified'), j->>'legislation', j->>'level',
        pg_temp.sorted(j->'consented'), pg_temp.sorted(j->'refused'), pg_temp.sorted(j->'segments'),
        j->'properties'
     from truth",
);

const ALIASES: (&str, &str) = (
    "select profile_id, survivor_id from blueconic.profile_aliases",
    "select j->>'loser', j->>'survivor' from truth",
);

const EVENTS: (&str, &str) = (
    "select occurred_at, user_name, application, object_type, operation, ip_address,
        (select coalesce(jsonb_agg(o order by o), '[]') from jsonb_array_elements(objects) as o)
     from blueconic.audit_events",
    "select pg_temp.moment(j->'date'), j->>'user', j->>'application', j->>'type', j->>'operation', j->>'ip',
        (select coalesce(jsonb_agg(o order by o), '[]')
         from jsonb_array_elements(coalesce(nullif(j->'objects', 'null'), '[]')) as o)
     from truth",
);

const PROFILE_GROUPS: (&str, &str) = (
    "select profile_id, group_type_id, group_id from blueconic.profile_groups",
    "select j->>'profile', j->>'type', j->>'id' from truth",
);

const STAGES: (&str, &str) = (
    "select profile_id, lifecycle_id, stage_id from blueconic.profile_lifecycle_stages",
    "select j->>'profile', j->>'lifecycle', j->>'stage' from truth",
);

const CONSENT: (&str, &str) = (
    "select profile_id, occurred_at, event_type, properties from blueconic.consent_events",
    "select j->>'profile', pg_temp.moment(j->'date'), j->>'type', j->'values' from truth",
);

const TIMELINES: (&str, &str) = (
    "select profile_id, event_type_id, event_id, occurred_at, source, data from blueconic.timeline_events",
    "select j->>'profile', j->>'type', j->>'id', pg_temp.moment(j->'date'), j->>'source', j->'data' from truth",
);

/// Each element that a run read is in exactly one of its counts, and no successful run leaves more unexplained
/// than changes during the run can explain.
pub(crate) async fn assert_ledgers_add_up(database: &Database) {
    let wrong = database
        .texts(
            "select to_jsonb(r)::text from sync.runs as r
             where rows_read <> rows_inserted + rows_updated + rows_unchanged + rows_rejected
                 + case when resource = 'audit_events' then 0 else rows_suppressed end
                 + rows_repeated + rows_elsewhere
               or rows_distinct > rows_read
               or (status = 'succeeded' and error is not null)
               or (status in ('partial', 'failed', 'needs_approval') and error is null)
               or (status = 'succeeded' and abs(unexplained) > greatest(10, source_total / 100))
               or (status = 'succeeded' and unexplained <> 0 and resource <> 'profiles')",
        )
        .await;
    assert!(wrong.is_empty(), "{wrong:#?}");
    let runs = database.count("sync.runs where status <> 'running'").await;
    assert!(runs > 0, "there is no ledger to look at");
}

/// All tables equal the tenant.
pub(crate) async fn assert_equal(database: &Database, tenant: &Tenant) {
    assert_lists_equal(database, tenant).await;
    assert_profiles_equal(database, tenant).await;
    assert_events_equal(database, tenant).await;
    assert_ledgers_add_up(database).await;
}

/// The lists that are read by default equal the tenant's.
pub(crate) async fn assert_lists_equal(database: &Database, tenant: &Tenant) {
    let segments = tenant.segments().into_iter().map(|segment| {
        json!({
            "id": segment.id, "name": segment.name, "description": segment.description, "tags": segment.tags,
            "profile_count": segment.profile_count, "creator": segment.creator, "created": segment.creation_date,
            "modified": segment.last_modified_date, "inverse_of": segment.inverse_of,
            "inversed_by": segment.inversed_by,
        })
    });
    assert_same(database, "segments", SEGMENTS, segments).await;
    let properties = tenant.properties().into_iter().map(|property| {
        json!({
            "id": property.id, "name": property.name, "description": property.description,
            "filter_type": property.filter_type, "precision": property.precision,
            "currency": property.currency.map(|currency| currency.iso_code),
            "data_sensitivity": property.data_sensitivity, "permission_level": property.permission_level,
            "merge_strategy": property.merge_strategy, "indexed": property.indexed, "tags": property.tags,
            "profile_count": property.profile_count, "created": property.creation_date,
            "modified": property.last_modified_date,
        })
    });
    assert_same(database, "profile_properties", PROPERTIES, properties).await;
    let of_groups = tenant.group_properties().into_iter();
    // A tenant without groups has properties of group types that it does not list.
    let of_groups = of_groups.filter(|_| !tenant.group_types().is_empty());
    let of_groups = of_groups.map(|property| {
        json!({
            "type": property.group_type_id, "id": property.id, "name": property.name,
            "description": property.description, "filter_type": property.filter_type,
            "precision": property.precision, "data_sensitivity": property.data_sensitivity,
            "permission_level": property.permission_level, "indexed": property.indexed,
            "tags": property.tags, "created": property.creation_date, "modified": property.last_modified_date,
        })
    });
    assert_same(database, "group_properties", GROUP_PROPERTIES, of_groups).await;
    for description in by_default() {
        let mut by_hand = vec!["segments", "profile_properties", "group_properties"];
        if tenant.group_types().is_empty() {
            by_hand.push("groups");
        }
        let is_other = !by_hand.contains(&description.name());
        if description.as_list().is_some() && is_other && !is_by_day(description) {
            assert_list_equal(database, tenant, description).await;
        }
    }
}

/// The table of a list equals the list that the tenant serves.
pub(crate) async fn assert_list_equal(database: &Database, tenant: &Tenant, list: &Description) {
    let columns = || list.table.columns.iter();
    let stored: Vec<String> = columns()
        .map(|column| match column.kind {
            ColumnKind::TextArray => format!("pg_temp.sorted(\"{}\")", column.name),
            ColumnKind::Jsonb => format!("pg_temp.known(\"{}\")", column.name),
            _ => format!("\"{}\"", column.name),
        })
        .collect();
    let whole = columns()
        .map(|column| column.source)
        .filter(|source| !source.contains('.'));
    let whole: Vec<String> = whole.map(|source| format!("'{source}'")).collect();
    let truth: Vec<String> = columns()
        .map(|column| {
            match column.source {
                "" => return "j #>> '{parent}'".to_owned(),
                REST => return format!("pg_temp.known(j - 'parent' - array[{}])", whole.join(", ")),
                _ => {}
            }
            let place = format!("'{{{}}}'", column.source.replace('.', ","));
            if column.keyed {
                return format!("pg_temp.known(pg_temp.keyed(j #> {place}))");
            }
            match column.kind {
                ColumnKind::TextArray => format!("pg_temp.sorted(j #> {place})"),
                ColumnKind::Bigint => format!("(j #>> {place})::bigint"),
                ColumnKind::Int => format!("(j #>> {place})::int"),
                ColumnKind::Bool => format!("(j #>> {place})::bool"),
                ColumnKind::Timestamptz => format!("(j #>> {place})::timestamptz"),
                ColumnKind::Jsonb => format!("pg_temp.known(j #> {place})"),
                ColumnKind::Text | ColumnKind::Date | ColumnKind::Bytea => format!("j #>> {place}"),
            }
        })
        .collect();
    let stored = format!("select {} from blueconic.{}", stored.join(", "), list.name());
    let truth = format!("select {} from truth", truth.join(", "));
    let rows = if list.as_list().is_some_and(List::is_of_urls) {
        tenant.listed_about(list.path, &urls(FEW_URLS))
    } else {
        tenant.listed(list.path)
    };
    assert!(!rows.is_empty(), "the tenant was not given `{}`", list.path);
    assert_same(database, list.name(), (&stored, &truth), rows.into_iter()).await;
}

/// Profiles and aliases equal the tenant's.
pub(crate) async fn assert_profiles_equal(database: &Database, tenant: &Tenant) {
    assert_same(
        database,
        "profiles",
        PROFILES,
        tenant.profiles().map(|one| profile(&one)),
    )
    .await;
    let aliases = tenant.aliases().into_iter();
    let aliases = aliases.map(|(loser, survivor)| json!({ "loser": loser, "survivor": survivor }));
    assert_same(database, "profile_aliases", ALIASES, aliases).await;
    assert_typed_columns(database).await;
    assert_history(database).await;
}

/// The timelines equal the tenant's. What a merge moved to its survivor is more than the tenant has: see
/// [`assert_timelines_hold`].
pub(crate) async fn assert_timelines_equal(database: &Database, tenant: &Tenant) {
    assert_same(database, "timeline_events", TIMELINES, timelines(tenant)).await;
}

/// The histories of consent equal the tenant's.
pub(crate) async fn assert_consent_equal(database: &Database, tenant: &Tenant) {
    let events =
        (0..tenant.positions()).filter_map(|position| tenant.profile(position).map(|one| (position, one.id)));
    let events = events.flat_map(|(position, id)| {
        let events = tenant.consent_events(position).into_iter();
        events.map(move |event| {
            let values = event
                .properties
                .into_iter()
                .map(|one| (one.id, json!(one.values)));
            let values: Map<String, Value> = values.collect();
            json!({ "profile": id, "date": event.date, "type": event.event_type, "values": values })
        })
    });
    assert_same(database, "consent_events", CONSENT, events).await;
}

/// The groups and lifecycle stages of profiles equal the tenant's.
pub(crate) async fn assert_memberships_equal(database: &Database, tenant: &Tenant) {
    let groups = tenant.profiles().flat_map(|profile| {
        let id = profile.id;
        let groups = profile.groups.into_iter();
        groups.map(move |(group_type, group)| json!({ "profile": id, "type": group_type, "id": group }))
    });
    assert_same(database, "profile_groups", PROFILE_GROUPS, groups).await;
    let stages = tenant.profiles().flat_map(|profile| {
        let id = profile.id;
        let stages = profile.stages.into_iter();
        stages.map(
            move |stage| json!({ "profile": id, "lifecycle": stage.lifecycle_id, "stage": stage.stage_id }),
        )
    });
    assert_same(database, "profile_lifecycle_stages", STAGES, stages).await;
}

/// The tables hold every event of the tenant, and perhaps others.
pub(crate) async fn assert_timelines_hold(database: &Database, tenant: &Tenant) {
    let mut connection = database.pool.acquire().await.unwrap();
    fill(&mut connection, timelines(tenant)).await;
    let (stored, truth) = TIMELINES;
    let missing = differences(&mut connection, &format!("({truth}) except ({stored})")).await;
    assert!(missing.is_empty(), "there, but not stored: {missing:#?}");
}

/// The expected rows of all timelines.
fn timelines(tenant: &Tenant) -> impl Iterator<Item = Value> {
    tenant.profiles().flat_map(|profile| {
        let id = profile.id;
        profile.events.into_iter().map(move |event| {
            json!({
                "profile": id, "type": event.event_type_id, "id": event.id, "date": event.date,
                "source": event.source,
                "data": {
                    "order_number": [event.order_number],
                    "product": [{"id": [storable(&event.product)], "quantity": [event.quantity]}],
                },
            })
        })
    })
}

/// The differences between the stored profiles and the tenant's profiles in a segment.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Departures {
    /// At the tenant, but not stored.
    pub(crate) lost: u64,
    /// Stored with other values, or more often.
    pub(crate) other: u64,
    /// Stored, but no longer in the segment.
    pub(crate) stale: u64,
}

/// Compares profiles like [`assert_profiles_equal`], and counts the differences.
pub(crate) async fn departures(database: &Database, tenant: &Tenant, segment: &str) -> Departures {
    let listed = tenant
        .profiles()
        .filter(|one| one.segment_ids.iter().any(|id| id == segment));
    let mut connection = database.pool.acquire().await.unwrap();
    fill(&mut connection, listed.map(|one| profile(&one))).await;
    let (stored, truth) = PROFILES;
    let sql = format!(
        "with there as ({truth}), here as ({stored}), surplus as (select * from here except all select * from there)
         select
           (select count(*) from truth where j->>'id' not in (select id from blueconic.profiles)),
           (select count(*) from surplus where id in (select j->>'id' from truth)),
           (select count(*) from surplus where id not in (select j->>'id' from truth))"
    );
    let (lost, other, stale): (i64, i64, i64) = sqlx::query_as(AssertSqlSafe(sql))
        .fetch_one(&mut *connection)
        .await
        .unwrap();
    let count = |rows: i64| u64::try_from(rows).unwrap();
    Departures {
        lost: count(lost),
        other: count(other),
        stale: count(stale),
    }
}

/// Audit events equal the tenant's, with their multiplicities.
pub(crate) async fn assert_events_equal(database: &Database, tenant: &Tenant) {
    let events = tenant.audit_events().into_iter().map(event);
    assert_same(database, "audit_events", EVENTS, events).await;
    let skipped = database
        .count("(select from blueconic.audit_events group by event_key having max(occurrence) <> count(*) - 1) as s")
        .await;
    assert_eq!(skipped, 0, "occurrences count 0, 1, 2 …");
}

/// Every stored event is the tenant's, and every missing event lies in a recorded gap. Returns the number of missing
/// events.
pub(crate) async fn assert_events_within(database: &Database, tenant: &Tenant) -> i64 {
    assert_shown_events_within(database, tenant, |_| true).await
}

/// The same for the events that the tenant lists.
pub(crate) async fn assert_shown_events_within(
    database: &Database,
    tenant: &Tenant,
    shown: impl Fn(&AuditEvent) -> bool,
) -> i64 {
    let events = tenant.audit_events().into_iter().filter(shown).map(event);
    let mut connection = database.pool.acquire().await.unwrap();
    fill(&mut connection, events).await;
    let (stored, truth) = EVENTS;
    let invented = differences(&mut connection, &format!("({stored}) except all ({truth})")).await;
    assert!(
        invented.is_empty(),
        "stored, but not at the tenant: {invented:#?}"
    );
    let unexplained = format!(
        "select missing.* from (({truth}) except all ({stored})) as missing (occurred_at)
         where not exists (
           select from sync.gaps as g
           where g.resource = 'audit_events' and g.closed_at is null
             and missing.occurred_at > g.from_at and missing.occurred_at <= g.to_at
         )"
    );
    let unexplained = differences(&mut connection, &unexplained).await;
    assert!(unexplained.is_empty(), "missing without a gap: {unexplained:#?}");
    let missing = format!("select count(*) from (({truth}) except all ({stored})) as m");
    sqlx::query_scalar(AssertSqlSafe(missing))
        .fetch_one(&mut *connection)
        .await
        .unwrap()
}

/// The expected row of a profile.
pub(crate) fn profile(profile: &Profile) -> Value {
    let created = profile
        .values("creationdate")
        .and_then(|values| values.first()?.parse().ok());
    let mut properties = Map::new();
    for property in profile.properties.iter().flatten() {
        let values = property.values.iter().map(|value| Value::from(storable(value)));
        let known = properties
            .entry(storable(&property.id))
            .or_insert_with(|| json!([]));
        known.as_array_mut().unwrap().extend(values);
    }
    json!({
        "id": profile.id, "created": profile.creation_date.or(created), "modified": profile.modified_at,
        "legislation": profile.privacy_legislation, "level": profile.permission_level,
        "consented": profile.consented_objectives, "refused": profile.refused_objectives,
        "segments": profile.segment_ids, "properties": properties,
    })
}

fn event(event: AuditEvent) -> Value {
    let objects = event.objects.map(|objects| {
        let objects = objects
            .into_iter()
            .map(|(id, name)| json!({ "id": id, "name": name }));
        objects.collect::<Vec<Value>>()
    });
    json!({
        "date": event.date, "user": event.user_name, "application": event.application, "type": event.object_type,
        "operation": event.operation, "ip": event.ip_address, "objects": objects,
    })
}

/// A character that PostgreSQL cannot store becomes one U+FFFD.
fn storable(text: &str) -> String {
    text.replace('\0', "\u{fffd}")
}

async fn assert_same(
    database: &Database,
    table: &str,
    (stored, truth): (&str, &str),
    rows: impl Iterator<Item = Value>,
) {
    let mut connection = database.pool.acquire().await.unwrap();
    let expected = fill(&mut connection, rows).await;
    let surplus = differences(&mut connection, &format!("({stored}) except all ({truth})")).await;
    let missing = differences(&mut connection, &format!("({truth}) except all ({stored})")).await;
    assert!(
        surplus.is_empty() && missing.is_empty(),
        "{table} differs from the tenant ({expected} rows there)\nstored, but not there: {surplus:#?}\nthere, but not stored: {missing:#?}"
    );
}

/// The first rows of a query, as JSON.
async fn differences(connection: &mut PgConnection, query: &str) -> Vec<String> {
    let sql = format!("select to_jsonb(d)::text from ({query}) as d limit 4");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_all(connection)
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Copies rows into the temporary table `truth(j)`.
async fn fill(connection: &mut PgConnection, rows: impl Iterator<Item = Value>) -> u64 {
    let prepare = format!("{SORTED} drop table if exists truth; create temp table truth (j jsonb not null);");
    sqlx::raw_sql(AssertSqlSafe(prepare))
        .execute(&mut *connection)
        .await
        .unwrap();
    let mut copy = connection.copy_in_raw("copy truth from stdin").await.unwrap();
    let mut part = String::new();
    for row in rows {
        // COPY's text format escapes the backslash; JSON has no bare line end or tab.
        part.push_str(&row.to_string().replace('\\', "\\\\"));
        part.push('\n');
        if part.len() > 1 << 20 {
            copy.send(std::mem::take(&mut part).into_bytes()).await.unwrap();
        }
    }
    copy.send(part.into_bytes()).await.unwrap();
    copy.finish().await.unwrap()
}
