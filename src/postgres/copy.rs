//! Sends encoded rows to `COPY … (format binary)` unchanged. Knows the frame of the stream, not the rows.

use bytes::{BufMut as _, BytesMut};
use sqlx::PgConnection;
use sqlx::postgres::PgCopyIn;

use crate::failpoint::{self, Side};
use crate::model::Time;
use crate::model::rows::{self, Piece};

/// Signature, flags and the length of the header's extension.
/// <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4>
pub(crate) const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";
/// In place of a count of fields: the end.
const TRAILER: i16 = -1;
/// The length that encodes null.
const NULL: &[u8] = &(-1_i32).to_be_bytes();
/// The approximate size of a message, in bytes: each message costs a write to the socket.
const MESSAGE_BYTES: usize = 256 * 1024;

/// Runs `statement` with the tuples; returns the number of rows that the server accepted.
pub(crate) async fn send(
    connection: &mut PgConnection,
    statement: &str,
    tuples: impl Iterator<Item = &[u8]>,
) -> Result<u64, sqlx::Error> {
    let mut stream = Stream::open(connection, statement).await?;
    for tuple in tuples {
        stream.add(&[tuple]).await?;
    }
    stream.finish().await
}

/// Like [`send`], for tuples with runs of nulls ([`rows::pieces`]); appends `at` to each, if there is one.
pub(crate) async fn send_with_runs(
    connection: &mut PgConnection,
    statement: &str,
    tuples: impl Iterator<Item = &[u8]>,
    at: Option<Time>,
) -> Result<u64, sqlx::Error> {
    let last = at.map(moment);
    let last: &[u8] = last.as_ref().map_or(&[], |last| last);
    let mut stream = Stream::open(connection, statement).await?;
    for tuple in tuples {
        let Some((fields, columns)) = tuple.split_first_chunk::<2>() else {
            continue;
        };
        let fields = u16::from_be_bytes(*fields) + u16::from(at.is_some());
        stream.add(&[&fields.to_be_bytes()]).await?;
        for piece in rows::pieces(columns) {
            match piece {
                Piece::Bytes(bytes) => stream.add(&[bytes]).await?,
                Piece::Nulls(count) => stream.add_nulls(count).await?,
            }
        }
        stream.add(&[last]).await?;
    }
    stream.finish().await
}

/// Like [`send`], but appends to each tuple its own `timestamptz` or null, and then `at`, if there is one.
pub(crate) async fn send_with_times<'rows>(
    connection: &mut PgConnection,
    statement: &str,
    tuples: impl Iterator<Item = (&'rows [u8], Option<Time>)>,
    at: Option<Time>,
) -> Result<u64, sqlx::Error> {
    let last = at.map(moment);
    let last: &[u8] = last.as_ref().map_or(&[], |last| last);
    let more = 1 + u16::from(at.is_some());
    let mut stream = Stream::open(connection, statement).await?;
    for (tuple, own) in tuples {
        let Some((fields, columns)) = tuple.split_first_chunk::<2>() else {
            continue;
        };
        let fields = (u16::from_be_bytes(*fields) + more).to_be_bytes();
        match own.map(moment) {
            Some(own) => stream.add(&[&fields, columns, &own, last]).await?,
            None => stream.add(&[&fields, columns, NULL, last]).await?,
        }
    }
    stream.finish().await
}

/// A field that is a `timestamptz`.
fn moment(at: Time) -> [u8; 12] {
    let mut moment = [0; 12];
    moment[..4].copy_from_slice(&8_i32.to_be_bytes());
    moment[4..].copy_from_slice(&rows::timestamp(at).to_be_bytes());
    moment
}

/// A stream of tuples on its way.
struct Stream<'connection> {
    copy: PgCopyIn<&'connection mut PgConnection>,
    message: BytesMut,
}

impl<'connection> Stream<'connection> {
    async fn open(connection: &'connection mut PgConnection, statement: &str) -> Result<Self, sqlx::Error> {
        let mut message = BytesMut::with_capacity(MESSAGE_BYTES);
        message.put_slice(HEADER);
        let copy = connection.copy_in_raw(statement).await?;
        Ok(Self { copy, message })
    }

    /// Adds a tuple, or a part of one, that comes in parts.
    async fn add(&mut self, parts: &[&[u8]]) -> Result<(), sqlx::Error> {
        let length: usize = parts.iter().map(|part| part.len()).sum();
        if self.message.len() + length > MESSAGE_BYTES {
            self.copy.send(&self.message[..]).await?;
            self.message.clear();
        }
        for part in parts {
            self.message.put_slice(part);
        }
        Ok(())
    }

    /// Adds so many fields that are null.
    async fn add_nulls(&mut self, count: usize) -> Result<(), sqlx::Error> {
        let length = NULL.len() * count;
        if self.message.len() + length > MESSAGE_BYTES {
            self.copy.send(&self.message[..]).await?;
            self.message.clear();
        }
        self.message.put_bytes(u8::MAX, length);
        Ok(())
    }

    async fn finish(mut self) -> Result<u64, sqlx::Error> {
        self.message.put_i16(TRAILER);
        self.copy.send(&self.message[..]).await?;
        failpoint::at("copy", Side::Before)?;
        self.copy.finish().await
    }
}
