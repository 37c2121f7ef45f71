//! The tenant in a process of its own, for tests and benchmarks: its command line, and the lines that the
//! process prints.

use std::io;
use std::time::{Duration, SystemTime};

use chrono::{DateTime, Utc};
use humantime::Timestamp;
use secrecy::ExposeSecret as _;

use crate::lists::List;
use crate::settings::{AuditOrder, Settings};
use crate::tenant::{self, Tenant};

/// The property that changes in a touched profile.
const TOUCHED: &str = "touched";
/// The most profiles that can be simulated.
const MOST_PROFILES: u64 = 100_000_000;

/// The tenant's data, and how it answers.
#[derive(Debug, clap::Args)]
pub struct Arguments {
    /// How many profiles it has
    #[arg(long, default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(..=MOST_PROFILES))]
    pub profiles: u64,
    /// How many audit events it has
    #[arg(long, default_value_t = 5_000, value_parser = clap::value_parser!(u64).range(..=10_000_000))]
    pub audit_events: u64,
    /// Answer audit events oldest first, so that any number of them can be read
    #[arg(long)]
    pub audit_oldest_first: bool,
    /// How many properties profiles have
    #[arg(long, value_parser = clap::value_parser!(u64).range(..=100_000))]
    pub properties: Option<u64>,
    /// The port on 127.0.0.1; 0 picks a free one
    #[arg(long, default_value_t = 0)]
    pub port: u16,
    /// Milliseconds before each answer begins
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(..=3_600_000))]
    pub latency: u64,
    /// Equal seeds make equal tenants
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// The data as of this time (RFC 3339, in UTC), so that two tenants are equal on any day; else as of the last midnight
    #[arg(long, value_name = "TIME")]
    pub as_of: Option<Timestamp>,
    /// How many profiles changed, evenly spread
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub touched: u64,
    /// When they changed (RFC 3339, in UTC), so that two tenants are equal; else a moment ago
    #[arg(long, value_name = "TIME")]
    pub touched_at: Option<Timestamp>,
    /// How many elements of the listing are no profile as documented, evenly spread
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub broken: u64,
    /// Render each profile once and send it from memory, which holds the whole tenant
    #[arg(long)]
    pub rendered: bool,
    /// Only so many profiles differ, all others are copies with ids and dates of their own: with `--rendered` five
    /// million of them take no more memory than a few thousand
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub distinct: Option<u64>,
    /// How many events each timeline has; else few, and now and then as many as a tenant keeps
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(..=100_000))]
    pub timeline_events: Option<u64>,
    /// Of 1,000 values of properties so many are odd: no number in a number, an empty text, none, 65,000 characters
    #[arg(long, default_value_t = 0, value_name = "N", value_parser = clap::value_parser!(u64).range(..=1_000))]
    pub odd_values: u64,
}

/// The groups of each type.
const GROUPS: u64 = 100;

impl Arguments {
    fn settings(&self) -> Settings {
        let mut settings = Settings {
            port: self.port,
            seed: self.seed,
            profiles: self.profiles,
            audit_events: count(self.audit_events),
            groups: GROUPS,
            odd_values_per_thousand: self.odd_values,
            latency: Duration::from_millis(self.latency),
            rendered: self.rendered,
            distinct: self.distinct,
            timeline_events: self.timeline_events,
            as_of: self.as_of.map(instant),
            ..Settings::default()
        };
        if self.audit_oldest_first {
            settings.audit_order = AuditOrder::OldestFirst;
        }
        settings.properties = self.properties.map_or(settings.properties, count);
        settings
    }
}

/// Starts the tenant with these lists beside its own. Returns it and the lines to print: its address and credentials, as
/// variables of the service.
pub async fn start(arguments: &Arguments, lists: Vec<List>) -> io::Result<(Tenant, [String; 3])> {
    let settings = arguments.settings().with_lists(lists);
    let (id, secret) = (settings.client_id.clone(), settings.client_secret.clone());
    let tenant = tenant::start(settings).await?;
    touch(&tenant, arguments);
    damage(&tenant, arguments.broken);
    let lines = [
        format!("BLUECONIC_URL={}", tenant.url()),
        format!("BLUECONIC_CLIENT_ID={id}"),
        format!("BLUECONIC_CLIENT_SECRET={}", secret.expose_secret()),
    ];
    Ok((tenant, lines))
}

/// Changes so many profiles, evenly spread: the property [`TOUCHED`], whose value becomes the time, and `lastmodifieddate`.
fn touch(tenant: &Tenant, arguments: &Arguments) {
    let at = arguments
        .touched_at
        .map_or_else(|| tenant.now(), |at| instant(at).timestamp_millis());
    let value = at.to_string();
    for position in spread(tenant.positions(), arguments.touched, 0) {
        tenant.set_property(position, TOUCHED, Some(&[&value]));
        tenant.set_modified(position, at);
    }
}

/// Replaces so many profiles, evenly spread, by broken elements of the same size: one without an id,
/// one whose properties are no list, one that is not JSON.
fn damage(tenant: &Tenant, count: u64) {
    let filler = "damaged ".repeat(375);
    for (number, position) in spread(tenant.positions(), count, 1).enumerate() {
        let id = tenant.id(position);
        let element = match number % 3 {
            0 => format!(r#"{{"name":"nobody","properties":[{{"id":"note","values":["{filler}"]}}]}}"#),
            1 => format!(r#"{{"id":"{id}","properties":"{filler}"}}"#),
            _ => format!(r#"{{"id":"{id}","properties":[{filler}]}}"#),
        };
        tenant.skip(position);
        tenant.insert_raw(position, element);
    }
}

/// So many positions, evenly spread, the first at `offset`.
fn spread(positions: u64, count: u64, offset: u64) -> impl Iterator<Item = u64> {
    let count = count.min(positions);
    (0..count).map(move |number| (number * positions / count + offset) % positions)
}

fn instant(at: Timestamp) -> DateTime<Utc> {
    SystemTime::from(at).into()
}

/// The grammar bounds the number far below `usize::MAX`.
fn count(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use clap::{Args as _, Command};

    use super::*;

    #[test]
    fn absurd_amounts_are_no_part_of_the_grammar() {
        for absurd in [
            ["--audit-events", "18446744073709551615"],
            ["--latency", "18446744073709551615"],
            ["--profiles", "100000001"],
            ["--distinct", "0"],
            ["--as-of", "-262143-01-01T00:00:00Z"],
        ] {
            let arguments = std::iter::once("simulated-tenant").chain(absurd);
            let grammar = Arguments::augment_args(Command::new("simulated-tenant"));
            let refused = grammar.try_get_matches_from(arguments).err();
            assert_eq!(refused.map(|error| error.exit_code()), Some(2), "{absurd:?}");
        }
    }
}
