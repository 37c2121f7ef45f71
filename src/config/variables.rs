//! The environment variables of a process, as a value that tests can construct.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// Environment variables by name.
pub type Variables = BTreeMap<String, OsString>;

/// The variables of this process. Parts of names that are not Unicode become U+FFFD.
pub fn of_process() -> Variables {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .collect()
}
