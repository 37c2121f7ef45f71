//! Erasure of persons: removes a person everywhere and keeps them out of every later load. Only a hash of each id is kept.
//! A load and an erasure never overlap: the first lock of each transaction that writes the tenant's data is one that loads
//! share and an erasure holds exclusively. Only then does the transaction read who was erased.

pub mod erase;
pub(crate) mod hash;
mod ids_in_text;
pub mod lift;
mod merged_ids;
pub(crate) mod suppress;
