//! The resources: the requests that read them, the decoding of their elements, and the tables that they fill.
//!
//! No I/O, no SQL, no HTTP. A plain list is one description in [`registry`] and one migration; nothing else names it.

mod audit_events;
mod audit_key;
mod audit_values;
mod child_gaps;
mod child_rows;
mod consent_history;
mod consent_tables;
mod dates;
mod fields;
mod identity;
mod json_text;
mod keyed_json;
mod list;
mod list_row;
mod lists;
mod members;
mod memberships;
mod profile_lookup;
mod profile_request;
mod profile_row;
mod profiles;
pub mod registry;
mod reject;
mod segment_counter;
pub(crate) mod segment_profiles;
mod segment_resolver;
mod timeline;
pub mod usages;
