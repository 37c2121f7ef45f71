//! The environment variables of a process, as one value that tests can make.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The process's variables, as one thing that tests can make.
pub type Variables = BTreeMap<String, OsString>;

/// The variables of this process; what is not Unicode in a name becomes U+FFFD.
pub fn of_process() -> Variables {
    std::env::vars_os()
        .map(|(name, value)| (name.to_string_lossy().into_owned(), value))
        .collect()
}
