//! The command line as people expect it: completions, manual pages, a version that says what was built, no colour where none is
//! wanted, and all settings with where they came from.

mod colour;
mod config_show;
mod pages;
mod version;
