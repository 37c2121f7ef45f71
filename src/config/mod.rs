//! Settings: their keys, sources, types and bounds. Knows nothing of the layers above.

pub mod authorities;
mod bounds;
pub mod cron;
pub mod database;
pub mod defaults;
pub mod error;
mod explain;
pub mod hash_key;
mod keys;
mod known;
pub mod load;
mod loopback;
pub mod network;
pub mod notify;
pub mod proxy;
mod reader;
pub mod secret;
pub mod settings;
pub mod shown;
mod table;
mod typed;
pub mod units;
mod validate;
pub mod variables;

#[cfg(test)]
mod tests;
