//! The engine: what to read, in which order, and when a cursor may move. It knows only the ports in `model`.

mod at_hand;
mod ending;
pub mod engine;
mod events;
mod lane;
mod lease;
mod lists;
mod loading;
mod lookups;
mod marks;
mod missed;
mod pages;
mod pipeline;
mod profiles;
pub mod progress;
mod reading;
mod renames;
mod restart;
mod segment;
mod sweep;
pub mod task;
mod verify;
mod walk;
