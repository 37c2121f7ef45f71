//! A simulated BlueConic tenant, for the command `demo`, the tests and the bench. It follows the vendor's document and
//! imports no type of the service that reads it.

mod answer;
mod auditing;
mod authorization;
mod base;
mod bodies;
mod catalogue;
mod changes;
mod clock;
mod cursor;
mod dates;
mod form;
mod generation;
mod identity;
mod inconsistent;
mod json;
mod listing;
mod matching;
mod mutators;
mod oauth;
mod observe;
mod page;
mod profile_json;
mod query;
mod records;
mod refinement;
mod render_cache;
mod rendered;
mod routes;
mod server;
mod state;
mod timeline;
mod vocabulary;
mod world;

pub mod faults;
pub mod lists;
pub mod process;
pub mod requests;
pub mod settings;
pub mod shape;
pub mod tenant;
pub mod truth;
