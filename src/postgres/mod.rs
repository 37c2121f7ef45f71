//! Loading: everything that knows SQL or PostgreSQL.
pub mod embedded;
