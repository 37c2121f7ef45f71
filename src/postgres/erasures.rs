//! Erasure of persons: removing one everywhere, and keeping them out of every later load. What is kept of an id is a
//! hash. A load and an erasure never overlap: each transaction that writes what the tenant said takes a lock that loads
//! share and an erasure has alone, as its first one, and only then asks who was erased.

pub mod erase;
pub(crate) mod hash;
mod ids_in_text;
pub mod lift;
mod merged_ids;
mod statistics;
pub(crate) mod suppress;
