//! The compiled-in defaults.

/// The defaults, as they stand in `config/default.toml`.
pub const DEFAULTS: &str = include_str!("../../config/default.toml");
