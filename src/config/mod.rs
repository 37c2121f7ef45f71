//! Settings: what can be set, where it comes from, and what it must be. Knows nothing of the layers above.

mod bounds;
pub mod cron;
pub mod error;
mod keys;
pub mod load;
pub mod proxy;
pub mod secret;
pub mod settings;
mod units;
mod validate;
mod variables;
