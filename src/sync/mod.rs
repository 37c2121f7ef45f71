//! The engine: what to read, in which order, and when a cursor may move. It knows only the ports in `model`.

mod batch;
mod clocks;
mod dispatcher;
pub mod engine;
mod events;
mod lane;
mod lease;
mod lists;
mod lookups;
mod missed;
mod on_demand_loader;
mod pages;
mod pipeline;
mod profiles;
pub mod progress;
mod renames;
mod restart;
mod run;
pub mod run_spec;
mod segment;
mod small_pages;
mod sweep;
mod transfer;
mod transfer_end;
mod verify;
mod walk;
mod watermarks;
