//! What makes a schema distributed by Citus, and how far it is: `distribute` and `check`. Loads need to know none of it.

use serde::Serialize;
use sqlx::{AssertSqlSafe, PgConnection};

use crate::model::fault::Outcome;
use crate::model::sanitize;
use crate::postgres::distributed::FIRST;
use crate::postgres::error::{Doing, Error};
use crate::postgres::session::SETTINGS;
use crate::postgres::store::PostgresStore;

const LOOKING: &str = "looking how far tables are distributed";
const DISTRIBUTING: &str = "distributing tables";

/// The other tables with a row or more for each profile, and the column with its id. `profile_columns_N` are added to them.
const OF_PROFILES: [(&str, &str); 16] = [
    ("blueconic.profile_aliases", "profile_id"),
    ("blueconic.profile_tombstones", "profile_id"),
    ("blueconic.profile_identifiers", "profile_id"),
    ("blueconic.profile_groups", "profile_id"),
    ("blueconic.profile_lifecycle_stages", "profile_id"),
    ("blueconic.consent_history", "profile_id"),
    ("blueconic.consent_events", "profile_id"),
    ("blueconic.timeline_events", "profile_id"),
    ("blueconic.timeline_gaps", "profile_id"),
    ("sync.child_hashes", "parent_id"),
    ("sync.segment_intervals", "profile_id"),
    ("sync.consent_intervals", "profile_id"),
    ("sync.property_intervals", "profile_id"),
    ("sync.stage_intervals", "profile_id"),
    ("sync.profile_arrivals", "profile_id"),
    ("blueconic.profile_columns_1", "id"),
];
/// Events have no profile: they lie by their own keys.
const EVENTS: (&str, &str) = ("blueconic.audit_events", "event_key");

/// Small tables of which every node has a copy, beside those of [`JOINED`]: views join them with tables of profiles.
const COPIED: [&str; 2] = ["sync.histories", "sync.segment_ids"];

/// The lists that columns of profiles and of their tables name, by the dictionary: every node has a copy. Those of `$1` lie otherwise.
const JOINED: &str = "
select distinct d.joins_relation from blueconic.data_dictionary as d
join pg_class as c on c.oid = to_regclass('blueconic.' || quote_ident(d.joins_relation)) and c.relkind = 'r'
where d.joins_relation <> all ($1) and (
  d.relation = 'profiles'
  or d.relation in (select of_profiles.relation from blueconic.data_dictionary as of_profiles where of_profiles.joins_relation = 'profiles')
)
order by 1";
/// A list of any length, which is walked page by page as profiles are: it stays on the coordinator.
const LONG: &str = "groups";

/// The settings of this program's sessions that the nodes need as well. What a session sets stays on the coordinator; what is set for
/// its role in the database, Citus repeats on every node. Without the first, nodes compress several times slower.
const OF_SESSIONS: [&str; 3] = ["default_toast_compression", "jit", "work_mem"];

/// The statements for those of the settings `$1` with the values `$2` that the role has not. A value that this server does not know is
/// left out.
const MISSING_SETTINGS: &str = "
select format('alter role current_user in database %I set %I = %L', current_database(), wanted.name, wanted.value)
from unnest($1::text[], $2::text[]) with ordinality as wanted (name, value, place)
join pg_settings as known on known.name = wanted.name and (known.enumvals is null or wanted.value = any (known.enumvals))
where not exists (
  select from pg_db_role_setting as s
  join pg_roles as r on r.oid = s.setrole and r.rolname = current_user
  join pg_database as d on d.oid = s.setdatabase and d.datname = current_database()
  cross join unnest(s.setconfig) as own (setting)
  where split_part(own.setting, '=', 1) = wanted.name)
order by wanted.place";

/// What has another form over distributed tables: functions and views that analysts read.
const OTHER_FORMS: [&str; 4] = [
    "create or replace function blueconic.segment_members(segment_id text) returns setof blueconic.profiles \
     language plpgsql stable set search_path = pg_catalog, pg_temp \
     as $$ begin return query select p.* from blueconic.profiles as p where p.segment_ids @> array[$1]; end $$",
    "create or replace view blueconic.profile_consent as \
     select p.id as profile_id, c.objective_id, 'consented'::text as state, p.privacy_legislation as legislation \
     from blueconic.profiles as p cross join lateral unnest(p.consented_objectives) as c (objective_id) \
     union all \
     select p.id, c.objective_id, 'refused'::text, p.privacy_legislation \
     from blueconic.profiles as p cross join lateral unnest(p.refused_objectives) as c (objective_id)",
    "create or replace view blueconic.profile_identity as \
     select p.id as profile_id, p.id as current_id from blueconic.profiles as p \
     union all \
     select m.profile_id collate \"C\", m.current_id collate \"C\" from sync.merged_identity() as m",
    // The next run over profiles makes the views over typed columns anew.
    "update sync.column_layout set views_version = 0",
];

/// How far the schema is distributed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Distribution {
    /// The version of the extension in this database; none: it is not there.
    pub extension: Option<String>,
    /// The nodes that may hold rows. The coordinator counts if it may.
    pub workers: i64,
    /// The tables that are to be distributed.
    pub tables: Vec<DistributedTable>,
    /// The statements that set for the program's role, and so on every node, what its sessions set for themselves.
    pub missing_settings: Vec<String>,
}

/// A table that is to be distributed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct DistributedTable {
    /// Its name with its schema.
    pub name: String,
    /// The column by which its rows are distributed; none: every node has all of them.
    pub column: Option<String>,
    /// Whether it is.
    pub is_distributed: bool,
    /// Whether the coordinator still has the rows that it held before, which nobody can see.
    pub has_left_over: bool,
}

impl Distribution {
    /// How many tables are distributed.
    pub fn distributed(&self) -> usize {
        self.tables.iter().filter(|table| table.is_distributed).count()
    }

    /// Whether nothing is left to do.
    pub fn is_whole(&self) -> bool {
        let is_done = |table: &DistributedTable| table.is_distributed && !table.has_left_over;
        self.tables.iter().all(is_done) && self.missing_settings.is_empty()
    }

    /// The statements that are left, in order. The settings come first: rows that are moved are compressed anew.
    pub fn statements(&self) -> Vec<String> {
        let mut statements = self.missing_settings.clone();
        let wanted = self.tables.iter().filter(|table| !table.is_distributed);
        let distribute: Vec<String> = wanted.map(DistributedTable::distribute).collect();
        if !distribute.is_empty() {
            statements.extend(distribute);
            statements.extend(OTHER_FORMS.map(str::to_owned));
        }
        let left_over = self
            .tables
            .iter()
            .filter(|table| !table.is_distributed || table.has_left_over);
        statements.extend(left_over.map(DistributedTable::empty_shell));
        statements
    }
}

impl DistributedTable {
    fn distribute(&self) -> String {
        let Some(column) = &self.column else {
            return format!("select create_reference_table('{}')", self.name);
        };
        let together = match self.name.as_str() {
            FIRST => "",
            name if name == EVENTS.0 => ", colocate_with => 'none'",
            _ => ", colocate_with => 'blueconic.profiles'",
        };
        format!(
            "select create_distributed_table('{}', '{column}'{together})",
            self.name
        )
    }

    /// An erasure does not reach rows that stay in the coordinator's own table. Without such rows it does nothing.
    fn empty_shell(&self) -> String {
        format!(
            "select truncate_local_data_after_distributing_table('{}')",
            self.name
        )
    }
}

/// How far the schema is distributed.
pub async fn read(store: &PostgresStore) -> Result<Distribution, Error> {
    let look = async {
        let mut connection = store.control().acquire().await.doing(LOOKING)?;
        look_at(&mut connection).await
    };
    store.minutes(LOOKING, look).await
}

async fn look_at(connection: &mut PgConnection) -> Result<Distribution, Error> {
    let extension: Option<String> =
        sqlx::query_scalar("select e.extversion from pg_extension as e where e.extname = 'citus'")
            .fetch_optional(&mut *connection)
            .await
            .doing(LOOKING)?;
    let workers = match extension {
        Some(_) => sqlx::query_scalar(
            "select count(*) from pg_dist_node as n where n.isactive and n.shouldhaveshards and n.noderole = 'primary'",
        )
        .fetch_one(&mut *connection)
        .await
        .doing(LOOKING)?,
        None => 0,
    };
    let more: Vec<String> = sqlx::query_scalar(
        "select c.relname::text from pg_class as c
         where c.relnamespace = 'blueconic'::regnamespace and c.relkind = 'r'
           and c.relname ~ '^profile_columns_[0-9]+$' and c.relname <> 'profile_columns_1'
         order by length(c.relname), c.relname",
    )
    .fetch_all(&mut *connection)
    .await
    .doing(LOOKING)?;
    let more = more.iter().map(|name| (format!("blueconic.{name}"), Some("id")));
    let of_profiles = std::iter::once((FIRST, "id"))
        .chain(OF_PROFILES)
        .map(|(name, column)| (name.to_owned(), Some(column)));
    let events = (EVENTS.0.to_owned(), Some(EVENTS.1));
    let joined: Vec<String> = sqlx::query_scalar(JOINED)
        .bind(["profiles", LONG])
        .fetch_all(&mut *connection)
        .await
        .doing(LOOKING)?;
    let joined = joined.iter().map(|name| format!("blueconic.{name}"));
    let copied: Vec<(String, Option<&str>)> = COPIED
        .map(str::to_owned)
        .into_iter()
        .chain(joined)
        .map(|name| (name, None))
        .collect();
    let mut tables = Vec::new();
    for (name, column) in of_profiles.chain(more).chain([events]).chain(copied) {
        let (is_distributed, left_over): (bool, i64) = sqlx::query_as(
            "select sync.is_distributed($1::text::regclass), coalesce(sum(pg_relation_size(t.relid)), 0)::bigint
             from pg_partition_tree($1::text::regclass) as t",
        )
        .bind(&name)
        .fetch_one(&mut *connection)
        .await
        .doing(LOOKING)?;
        tables.push(DistributedTable {
            name,
            column: column.map(str::to_owned),
            is_distributed,
            has_left_over: is_distributed && left_over > 0,
        });
    }
    let settings = SETTINGS.iter().filter(|(name, _)| OF_SESSIONS.contains(name));
    let (names, values): (Vec<&str>, Vec<&str>) = settings.copied().unzip();
    let missing_settings = sqlx::query_scalar(MISSING_SETTINGS)
        .bind(names)
        .bind(values)
        .fetch_all(connection)
        .await
        .doing(LOOKING)?;
    Ok(Distribution {
        extension,
        workers,
        tables,
        missing_settings,
    })
}

/// Runs a statement of [`Distribution::statements`]. A table with rows takes its time.
pub async fn run(store: &PostgresStore, statement: &str) -> Outcome<()> {
    store
        .watch(DISTRIBUTING, async |session| {
            let running = sqlx::raw_sql(AssertSqlSafe(statement.to_owned())).execute(session);
            running.await.doing(DISTRIBUTING).map(drop)
        })
        .await
}

/// A statement as a person reads it.
pub fn shown(statement: &str) -> String {
    format!("{};", sanitize::line(statement))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(name: &str, is_distributed: bool, has_left_over: bool) -> DistributedTable {
        DistributedTable {
            name: name.to_owned(),
            column: Some("id".to_owned()),
            is_distributed,
            has_left_over,
        }
    }

    fn of(tables: Vec<DistributedTable>) -> Distribution {
        Distribution {
            extension: None,
            workers: 0,
            tables,
            missing_settings: Vec::new(),
        }
    }

    #[test]
    fn only_what_is_left_is_done() {
        let done = of(vec![table(FIRST, true, false)]);
        assert!(done.is_whole() && done.statements().is_empty());
        let left_over = of(vec![table(FIRST, true, true)]);
        assert_eq!(
            left_over.statements(),
            ["select truncate_local_data_after_distributing_table('blueconic.profiles')"]
        );
        let half = of(vec![
            table(FIRST, true, false),
            table("sync.child_hashes", false, false),
        ]);
        let statements = half.statements();
        assert_eq!(
            statements[0],
            "select create_distributed_table('sync.child_hashes', 'id', colocate_with => 'blueconic.profiles')"
        );
        assert_eq!(statements.len(), 2 + OTHER_FORMS.len());
        assert_eq!(half.distributed(), 1);
        let unset = Distribution {
            missing_settings: vec!["alter role current_user set jit = 'off'".to_owned()],
            ..of(vec![table(FIRST, true, false)])
        };
        assert!(!unset.is_whole());
        assert_eq!(unset.statements(), unset.missing_settings);
    }
}
