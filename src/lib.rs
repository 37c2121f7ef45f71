//! `blueconic-sync` keeps a PostgreSQL database equal to a BlueConic tenant.
//!
//! The folders are layers and imports run down only; ARCHITECTURE.md draws them, `tests/layers.rs` holds them.
//! Nothing is imported through this file.

pub mod app;
pub mod blueconic;
pub mod cli;
pub mod commands;
pub mod config;
pub mod demo;
pub mod model;
pub mod postgres;
pub mod resources;
pub mod schedule;
pub mod shutdown;
pub mod sync;
pub mod telemetry;
pub mod web;
