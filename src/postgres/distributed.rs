//! Whether the tables of profiles are distributed over several servers by Citus. Nearly every statement has one form for both; this
//! file says which form is right where there are two.

use sqlx::PgConnection;

use crate::postgres::error::{Doing, Error};

/// Whether `blueconic.profiles` is distributed.
pub(crate) async fn is(connection: &mut PgConnection) -> Result<bool, Error> {
    sqlx::query_scalar("select sync.is_distributed('blueconic.profiles')")
        .fetch_one(connection)
        .await
        .doing("looking whether profiles are distributed")
}

/// Locks the profiles `$1` and returns their ids. A distributed table locks several rows only by an update.
pub(crate) const HOLD: &str =
    "update blueconic.profiles set synced_at = synced_at where id = any ($1) returning id";

/// The same of those whose content is still the one with the hash `$2`.
pub(crate) const HOLD_AS_READ: &str = "
update blueconic.profiles as p set synced_at = p.synced_at
from unnest($1::text[], $2::bytea[]) as read (id, content_hash)
where read.id = p.id and read.content_hash = p.content_hash
returning p.id";

/// Lets the rest of a transaction use one connection to each node: only then can it change functions and tables together.
pub(crate) async fn use_one_connection(connection: &mut PgConnection) -> Result<(), Error> {
    sqlx::query("select set_config('citus.multi_shard_modify_mode', 'sequential', true)")
        .execute(connection)
        .await
        .doing("preparing to change distributed tables")?;
    Ok(())
}
