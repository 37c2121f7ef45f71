//! What `status --json`, the status page and the metrics tell, read in one place.

use serde_json::{Value, json};

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::Observer;
use crate::model::position::Slot;
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;
use crate::postgres::{migrate, session};

const DOING: &str = "reading the status";
const CONNECTING: &str = "connecting to the database";
/// What a person has to do when an authorization has ended.
const SIGN_IN: &str =
    "run `blueconic-sync login`: the authorization has ended, and only a person can renew it";

impl Observer for PostgresStore {
    async fn ready(&self) -> Outcome<()> {
        self.verify_schema().await?;
        self.verify_writable().await?;
        // The database answers; whether it can be loaded is what the last try says.
        match self.trouble() {
            Some(trouble) => Err(Fault::new(Kind::Transient, "nothing can be loaded").because(trouble)),
            None => Ok(()),
        }
    }

    async fn status(&self) -> Outcome<Value> {
        Ok(self.minutes(DOING, read(self)).await?)
    }
}

impl PostgresStore {
    /// A fault unless the database answers and its schema is this program's.
    pub async fn verify_schema(&self) -> Result<(), Error> {
        let verify = async {
            let mut connection = self.control().acquire().await.doing(CONNECTING)?;
            migrate::verify(&mut connection).await
        };
        self.moment(CONNECTING, verify).await
    }
}

impl PostgresStore {
    async fn verify_writable(&self) -> Result<(), Error> {
        let look = async {
            let mut connection = self.control().acquire().await.doing(CONNECTING)?;
            session::refuse_unwritable(&mut connection, &self.control().connect_options()).await
        };
        self.moment(CONNECTING, look).await
    }
}

/// `{tenant, resources: […], token, tables, audit_renames}`.
pub async fn read(store: &PostgresStore) -> Result<Value, Error> {
    let mut resources = Vec::new();
    for slot in store.slots() {
        resources.push(of_slot(store, *slot).await?);
    }
    let tenant = store.tenant().await?;
    Ok(json!({
        "tenant": tenant.map(|tenant| tenant.url),
        "resources": resources,
        "token": token(store).await?,
        "tables": tables(store).await?,
        "audit_renames": audit_renames(store).await?,
    }))
}

/// Gaps last when no scan can close them: by their reason, or because the tenant keeps events for 30 days only.
async fn of_slot(store: &PostgresStore, slot: Slot) -> Result<Value, Error> {
    let row = sqlx::query!(
        r#"select
             f.complete_as_of as "complete_as_of?",
             coalesce(f.open_gaps, 0) as "open_gaps!",
             (select count(*) from blueconic.gaps as g
              where g.resource = $1
                and (g.reason in ('retention', 'saturated') or g.to_at < sync.clock() - interval '30 days')
             ) as "lasting_gaps!",
             extract(epoch from sync.clock() - f.complete_as_of)::float8 as lag_seconds,
             case when c.watermark <= sync.clock() + interval '1 minute' then least(c.watermark, sync.clock()) end
               as watermark,
             case when c.watermark > sync.clock() + interval '1 minute'
               then extract(epoch from c.watermark - sync.clock())::float8 end as watermark_ahead_seconds,
             c.position as "position?",
             (select to_jsonb(r) from sync.runs as r
              where r.resource = $1 and r.mode = $2
              order by r.started_at desc, r.id desc limit 1) as last_run,
             (select jsonb_build_object(
                'holder', l.holder, 'fence', l.fence, 'expires_at', l.expires_at, 'run_id', l.run_id,
                'held', l.expires_at > sync.clock())
              from sync.leases as l where l.name = $1 || '/' || $2) as lease,
             (select min(s.next_run_at) from sync.schedule as s
              where s.resource = $1 and s.scope = $2) as next_run_at
           from (values ($1::text, $2::text)) as slot (resource, scope)
           left join blueconic.freshness as f on f.resource = slot.resource
           left join sync.cursors as c on c.resource = slot.resource and c.scope = slot.scope"#,
        slot.resource,
        slot.scope.as_str()
    )
    .fetch_one(store.control())
    .await
    .doing(DOING)?;
    Ok(json!({
        "resource": slot.resource,
        "scope": slot.scope.as_str(),
        "watermark": row.watermark,
        // A watermark of the future is no watermark: the next run mends it.
        "watermark_ahead_seconds": row.watermark_ahead_seconds,
        "complete_as_of": row.complete_as_of,
        "position": row.position,
        "last_run": row.last_run,
        "lag_seconds": row.lag_seconds,
        "open_gaps": row.open_gaps,
        "lasting_gaps": row.lasting_gaps,
        "lease": row.lease,
        "next_run_at": row.next_run_at,
    }))
}

/// Values of audit events that the tenant renamed; those that may name a person are withheld.
async fn audit_renames(store: &PostgresStore) -> Result<Vec<Value>, Error> {
    let rows = sqlx::query!(
        "select field, noticed_at,
           case when field not in ('user_name', 'ip_address') then old_value end as old_value,
           case when field not in ('user_name', 'ip_address') then new_value end as new_value
         from sync.audit_renames
         order by noticed_at, field, new_value"
    )
    .fetch_all(store.control())
    .await
    .doing(DOING)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            json!({
                "field": row.field,
                "old_value": row.old_value,
                "new_value": row.new_value,
                "noticed_at": row.noticed_at,
            })
        })
        .collect())
}

/// The token of the tenant that asked last.
async fn token(store: &PostgresStore) -> Result<Value, Error> {
    let row = sqlx::query!(
        "select grant_type, status, expires_at, issued_at, last_error from sync.tokens
         order by issued_at desc nulls last limit 1"
    )
    .fetch_optional(store.control())
    .await
    .doing(DOING)?;
    Ok(row.map_or(Value::Null, |row| {
        let reauth = row.status == "reauth_required";
        json!({
            "grant_type": row.grant_type,
            "status": row.status,
            "expires_at": row.expires_at,
            "issued_at": row.issued_at,
            "last_error": row.last_error,
            "hint": reauth.then_some(SIGN_IN),
        })
    }))
}

/// Rows as the planner believes, bytes with indexes, and those of the indexes; partitions gathered under their table.
async fn tables(store: &PostgresStore) -> Result<Vec<Value>, Error> {
    let rows = sqlx::query!(
        r#"select parent.relname::text as "name!",
             coalesce(sum(greatest(part.reltuples, 0)) filter (where part.relkind = 'r'), 0)::bigint as "rows!",
             coalesce(sum(pg_total_relation_size(part.oid)), 0)::bigint as "bytes!",
             coalesce(sum(pg_indexes_size(part.oid)), 0)::bigint as "index_bytes!"
           from pg_class as parent
           join pg_class as part
             on part.oid = parent.oid
             or part.oid in (select i.inhrelid from pg_inherits as i where i.inhparent = parent.oid)
           where parent.relnamespace = to_regnamespace('blueconic')
             and parent.relkind in ('r', 'p') and not parent.relispartition
           group by parent.relname
           order by parent.relname"#
    )
    .fetch_all(store.control())
    .await
    .doing(DOING)?;
    Ok(rows
        .into_iter()
        .map(|row| {
            json!({
                "name": row.name,
                "rows_estimated": row.rows,
                "bytes": row.bytes,
                "index_bytes": row.index_bytes,
            })
        })
        .collect())
}
