//! Sends encoded rows to `COPY … (format binary)` as they stand. Knows the stream's frame, not what is in it.

use bytes::{BufMut as _, BytesMut};
use sqlx::PgConnection;

use crate::failpoint::{self, Side};
use crate::model::rows::Rows;

/// Signature, flags and the length of the header's extension.
/// <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4>
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of a count of fields: the end.
const TRAILER: i16 = -1;
/// Tuples are gathered to messages of about this size: each costs a write to the socket.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Runs `statement` with the settled rows, and gives back how many the server took.
pub(crate) async fn send(
    connection: &mut PgConnection,
    statement: &str,
    rows: &Rows,
) -> Result<u64, sqlx::Error> {
    let mut copy = connection.copy_in_raw(statement).await?;
    let mut message = BytesMut::with_capacity(MESSAGE_BYTES.min(rows.size() + HEADER.len() + 2));
    message.put_slice(HEADER);
    for tuple in rows.tuples() {
        if message.len() + tuple.len() > MESSAGE_BYTES && !message.is_empty() {
            copy.send(&message[..]).await?;
            message.clear();
        }
        message.put_slice(tuple);
    }
    message.put_i16(TRAILER);
    copy.send(&message[..]).await?;
    failpoint::at("copy", Side::Before)?;
    copy.finish().await
}
