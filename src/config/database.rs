//! The settings of the database that is filled.

use std::num::{NonZeroU32, NonZeroUsize};
use std::ops::RangeInclusive;
use std::path::PathBuf;

use serde::Deserialize;

use super::secret::Secret;

/// The database that is filled.
#[derive(Debug, Clone, Deserialize)]
pub struct Database {
    /// `embedded`, or a PostgreSQL URL; secret, since it may hold a password.
    #[serde(deserialize_with = "secret")]
    pub url: Secret,
    /// Where the embedded cluster lives.
    pub data_dir: Option<PathBuf>,
    /// Connections in all.
    pub max_connections: NonZeroU32,
    /// Connections that load at once; none: [`Self::loading`] decides.
    pub load_connections: Option<NonZeroU32>,
}

/// The connections that load at once, where the settings leave the number open: one for each core within this range. A
/// loading session of PostgreSQL keeps about one core busy, and as a rule the database has no fewer cores than this process.
const LOAD_CONNECTIONS: RangeInclusive<u32> = 2..=6;
/// The connections that are not for loading.
pub(crate) const OTHER_CONNECTIONS: u32 = 3;

impl Database {
    /// Whether the embedded cluster is meant.
    pub fn is_embedded(&self) -> bool {
        self.url.expose() == "embedded"
    }

    /// The connections that load at once.
    pub fn loading(&self) -> u32 {
        let cores = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        match self.load_connections {
            Some(given) => given.get(),
            None => loading_for(cores(), self.max_connections.get()),
        }
    }
}

fn secret<'de, D: serde::Deserializer<'de>>(input: D) -> Result<Secret, D::Error> {
    String::deserialize(input).map(Secret::new)
}

/// The loading connections of a process with `cores`, of `most` connections in all.
fn loading_for(cores: usize, most: u32) -> u32 {
    let cores = u32::try_from(cores).unwrap_or(u32::MAX);
    let wanted = cores.clamp(*LOAD_CONNECTIONS.start(), *LOAD_CONNECTIONS.end());
    wanted.min(most.saturating_sub(OTHER_CONNECTIONS)).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_core_has_a_loading_connection_within_what_all_may_be() {
        let default = 10;
        let by_cores = [1, 2, 3, 4, 6, 64].map(|cores| loading_for(cores, default));
        assert_eq!(by_cores, [2, 2, 3, 4, 6, 6]);
        let by_connections = [4, 5, 7, 9].map(|most| loading_for(64, most));
        assert_eq!(by_connections, [1, 2, 4, 6]);
    }
}
