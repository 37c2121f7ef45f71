//! Proofs by generated inputs: properties that must hold for any tenant, any body, any order of things.

mod aliases;
mod audit_walk;
mod audit_walk_in_sql;
mod bodies;
mod event_identity;
mod event_store;
mod event_tenant;
mod living_tenant;
mod plain_events;
mod reader;
mod scenario;
mod sweep_while_living;
