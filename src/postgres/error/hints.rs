//! What a person can do about each error of the database.

use std::borrow::Cow;

use crate::postgres::error::Error;
use crate::postgres::failure_class::{READ_ONLY, connect_hint, statement_hint};

impl Error {
    /// What a person can do about it.
    pub(super) fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Address(_) => {
                "use postgres://USER@HOST:PORT/DATABASE, or postgres:///DATABASE?host=/run/postgresql for a socket"
            }
            Self::Connect { source, .. } => connect_hint(source),
            Self::Certificate { hint, .. } | Self::Unsupported { hint, .. } => hint,
            Self::InTheWay { .. } => {
                "end those transactions (`select pg_terminate_backend(PID)`), then run `blueconic-sync migrate` again"
            }
            Self::NoSchema {
                schema,
                database,
                role,
            } => {
                return Some(format!(
                    "`grant create on database {database} to {role}`, or as an administrator `create schema {schema} \
                     authorization {role}` (for `blueconic` and for `sync`)"
                ));
            }
            Self::TooOld { .. } => "use PostgreSQL 15 or newer",
            Self::NotUtf8 { .. } => {
                "make one that can hold every text (`create database NAME encoding 'UTF8' template template0`) and name it \
                 in `DATABASE_URL`"
            }
            Self::ReadOnly { is_standby: true, .. } => READ_ONLY,
            Self::ReadOnly {
                is_standby: false, ..
            } => {
                "somebody closed it: find out why, then `alter database NAME reset default_transaction_read_only` (or the \
                 same setting of the server)"
            }
            Self::NoStaging { database, role } => {
                return Some(format!("`grant temporary on database {database} to {role}`"));
            }
            Self::Newer { .. } => "use the version of `blueconic-sync` that migrated it, or a newer one",
            Self::Altered { .. } => "use the version of `blueconic-sync` that migrated it",
            Self::Dirty { .. } => {
                "restore the database from a backup, or ask for help with the migration's number"
            }
            Self::Pending { .. } => "run `blueconic-sync migrate`",
            Self::MigrationsLocked { .. } => "wait for it to end, or end it, and try again",
            Self::OtherTenant { .. } => "use another database, or run `blueconic-sync reset tenant --yes`",
            Self::ErasureKeyLost => {
                "restore `sync.erasure_key` from a backup, or empty `sync.erasures` and erase the persons anew"
            }
            Self::OtherRules => {
                "give all processes the same rules and the same BLUECONIC_SYNC_HASH_KEY, and restart those with the former ones"
            }
            Self::Treatment { .. } => "use the version of `blueconic-sync` that wrote it, or a newer one",
            Self::NoHost { .. } => "set `tenant.url` to https://HOST",
            Self::TokenBusy => "try again in a minute",
            Self::Held { .. } => "stop that process, or wait until its run has ended",
            Self::NotBack { latest: None, .. } => "its next run reads everything anyway",
            Self::NotBack { .. } => {
                "name a time before the watermark; to read from there without moving it, say `backfill RESOURCE --since TIME`"
            }
            Self::Waited { blocker, .. } => blocker.hint(),
            Self::Position { .. } => "run `blueconic-sync reset RESOURCE`, so that the next run starts over",
            Self::Statement { source, .. } => return statement_hint(source).map(Cow::into_owned),
            Self::Migrate(_) => return self.cause().and_then(statement_hint).map(Cow::into_owned),
            Self::Gone { .. }
            | Self::NotFresh
            | Self::TooManyRemovals { .. }
            | Self::Fenced { .. }
            | Self::CommitsLost
            | Self::ColumnsChanged
            | Self::ClaimLost { .. }
            | Self::Random { .. } => {
                return None;
            }
        };
        Some(hint.to_owned())
    }
}
