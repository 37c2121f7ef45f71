//! Remembers which settings a server does not take from this role, so that only the first session of a process has to look.
//! Nothing depends on it: a server that refuses a setting is looked at again.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex, MutexGuard, PoisonError};

/// A database's server, by the version that it names when a session starts.
type Version = Option<u32>;

/// The settings that a server of this version refused, by the address of the database.
type Refused = HashMap<String, (Version, Arc<[&'static str]>)>;

static REFUSED: LazyLock<Mutex<Refused>> = LazyLock::new(Mutex::default);

/// The settings that the server at this address refused; none if no session of this server was prepared yet.
pub(crate) fn of(database: &str, version: Version) -> Option<Arc<[&'static str]>> {
    let refused = refused();
    let (known, names) = refused.get(database)?;
    (*known == version && version.is_some()).then(|| Arc::clone(names))
}

/// Remembers what a server refused.
pub(crate) fn remember(database: &str, version: Version, names: Vec<&'static str>) {
    refused().insert(database.to_owned(), (version, names.into()));
}

fn refused() -> MutexGuard<'static, Refused> {
    REFUSED.lock().unwrap_or_else(PoisonError::into_inner)
}
