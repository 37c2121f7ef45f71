//! PostgreSQL: a session like the product's, and the few statements that a sync needs.

use std::time::Instant;

use sqlx::postgres::PgConnection;
use sqlx::{AssertSqlSafe, Connection, Row};

use crate::arguments::{Database, Done, variable};
use crate::batch::Batch;
use crate::known::Known;
use crate::profile::{COLUMNS, write_row};
use bench::Outcome;

/// Bytes of one message of a copy.
const MESSAGE: usize = 256 * 1024;
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
const TRAILER: [u8; 2] = (-1_i16).to_be_bytes();

/// Connects with the given settings.
pub(crate) async fn connect(database: &Database) -> Outcome<PgConnection> {
    let mut connection = PgConnection::connect(&variable("DATABASE_URL")?).await?;
    for setting in database.session.split(',').filter(|setting| !setting.is_empty()) {
        let (name, value) = setting.split_once('=').ok_or("a setting is `name=value`")?;
        sqlx::query("select set_config($1, $2, false)")
            .bind(name)
            .bind(value)
            .execute(&mut connection)
            .await?;
    }
    Ok(connection)
}

/// A connection that loads, with its staging.
pub(crate) struct Loader {
    connection: PgConnection,
    upsert: String,
    rows: Vec<u8>,
}

impl Loader {
    pub(crate) async fn open(database: &Database) -> Outcome<Self> {
        let mut connection = connect(database).await?;
        sqlx::query(
            "create temporary table staged on commit delete rows as
             select * from blueconic.profiles with no data",
        )
        .execute(&mut connection)
        .await?;
        let assignments: Vec<String> = COLUMNS
            .split(',')
            .map(str::trim)
            .filter(|column| *column != "id")
            .map(|column| format!("{column} = excluded.{column}"))
            .collect();
        let upsert = format!(
            "insert into blueconic.profiles as stored ({COLUMNS}, synced_at)
             select {COLUMNS}, now() from staged order by id
             on conflict (id) do update set {}, synced_at = excluded.synced_at
             where stored.source_hash <> excluded.source_hash",
            assignments.join(", ")
        );
        Ok(Self {
            connection,
            upsert,
            rows: Vec::new(),
        })
    }

    /// Compares a batch with the stored rows, and loads what differs. Returns the number of written rows.
    pub(crate) async fn load(&mut self, mut batch: Batch, known: &Known) -> Outcome<u64> {
        batch.order();
        let elements = batch.elements.iter().enumerate();
        let differing = elements.filter(|(_, element)| !known.is_same(batch.id(element), element.hash));
        let places: Vec<usize> = differing.map(|(place, _)| place).collect();
        if places.is_empty() {
            return Ok(0);
        }
        self.rows.clear();
        for place in places {
            let element = &batch.elements[place];
            write_row(batch.text(element), &element.hash, &mut self.rows)?;
        }
        drop(batch);
        let mut transaction = self.connection.begin().await?;
        copy(&mut transaction, &self.rows).await?;
        let written = sqlx::query(AssertSqlSafe(self.upsert.as_str()))
            .execute(&mut *transaction)
            .await?;
        transaction.commit().await?;
        Ok(written.rows_affected())
    }
}

async fn copy(connection: &mut PgConnection, rows: &[u8]) -> Outcome<()> {
    let statement = format!("copy staged ({COLUMNS}) from stdin (format binary)");
    let mut copy = connection.copy_in_raw(&statement).await?;
    copy.send(HEADER).await?;
    for message in rows.chunks(MESSAGE) {
        copy.send(message).await?;
    }
    copy.send(&TRAILER[..]).await?;
    copy.finish().await?;
    Ok(())
}

/// Deletes unseen rows, and makes the index and the statistics if requested. Returns the number of deleted rows.
pub(crate) async fn end_walk(database: &Database, known: &Known, index: bool) -> Outcome<u64> {
    let mut connection = connect(database).await?;
    let deleted = known.sweep(&mut connection).await?;
    if index {
        for statement in [
            "create index if not exists profiles_segment_ids on blueconic.profiles using gin (segment_ids)",
            "analyze blueconic.profiles",
        ] {
            sqlx::query(statement).execute(&mut connection).await?;
        }
    }
    Ok(deleted)
}

/// Copies rows into staging and discards them, on so many connections. The seconds are those of the copying alone.
pub(crate) async fn copy_limit(
    database: &Database,
    rows: u64,
    batches: Vec<(u64, Vec<u8>)>,
) -> Outcome<(Done, f64)> {
    let batches = std::sync::Arc::new(batches);
    let share = rows / u64::try_from(database.connections)?;
    let mut loaders = Vec::new();
    for _ in 0..database.connections {
        loaders.push(Loader::open(database).await?);
    }
    let begun = Instant::now();
    let tasks: Vec<_> = loaders
        .into_iter()
        .map(|mut loader| {
            let batches = std::sync::Arc::clone(&batches);
            tokio::spawn(async move {
                let mut done = Done::default();
                for (rows, bytes) in batches.iter().cycle() {
                    if done.rows >= share {
                        break;
                    }
                    let mut transaction = loader.connection.begin().await?;
                    copy(&mut transaction, bytes).await?;
                    transaction.commit().await?;
                    done.rows += rows;
                    done.bytes += bytes.len() as u64;
                }
                Outcome::Ok(done)
            })
        })
        .collect();
    let mut all = Done::default();
    for task in tasks {
        let done = task.await??;
        all.rows += done.rows;
        all.bytes += done.bytes;
    }
    Ok((all, begun.elapsed().as_secs_f64()))
}

/// The number of rows, and a sum over them that does not depend on their order.
pub(crate) async fn digest() -> Outcome<String> {
    let columns = COLUMNS.replace(", source_hash, content_hash", "");
    let statement = format!(
        "select count(*), coalesce(sum(hashtextextended(row({columns})::text, 0)::numeric), 0)::text
         from blueconic.profiles"
    );
    let mut connection = PgConnection::connect(&variable("DATABASE_URL")?).await?;
    let row = sqlx::query(AssertSqlSafe(statement))
        .fetch_one(&mut connection)
        .await?;
    Ok(format!(
        "{} {}",
        row.try_get::<i64, _>(0)?,
        row.try_get::<String, _>(1)?
    ))
}
