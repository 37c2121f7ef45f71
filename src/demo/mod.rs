//! A simulated tenant, for the `demo` command, the tests and the bench. It follows the vendor's document and knows
//! nothing of our client: no type of another layer comes in here.

mod answer;
mod auditing;
mod authorization;
mod base;
mod bent;
mod bodies;
mod catalogue;
mod changes;
mod clock;
mod cursor;
mod dates;
mod form;
mod generation;
mod identity;
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
mod rendered;
mod routes;
mod server;
mod state;
mod timeline;
mod vocabulary;
mod world;

pub mod faults;
pub mod requests;
pub mod settings;
pub mod shape;
pub mod tenant;
pub mod truth;
