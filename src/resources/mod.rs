//! Meaning: one file per resource says where it is read, how its elements are decoded and which table they fill.
//!
//! No I/O, no SQL, no HTTP. A plain list is one row in [`registry`] and one migration; see `list.rs`.

mod audit_events;
mod audit_key;
mod census;
mod choice;
mod dates;
mod fields;
mod list;
mod profile_properties;
mod profile_row;
mod profiles;
pub mod registry;
mod reject;
mod segments;
