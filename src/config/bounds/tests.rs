//! Both sides of every bound, and that every key has bounds.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test says what it needs by panicking"
)]

use std::ffi::OsString;

use super::*;
use crate::config::defaults::DEFAULTS;
use crate::config::keys::Keys;
use crate::config::known::variable_of;
use crate::config::load::load;
use crate::config::load::tests::LISTS;
use crate::config::reader::{Given, TABLES};
use crate::config::table::set_text;
use crate::config::typed::typed;
use crate::config::variables::Variables;

/// The settings with one amount, as variables.
fn with(key: &str, amount: &str) -> Result<(), SettingsError> {
    let (name, value) = match key.split_once("[].") {
        Some((list, inner)) => (
            list,
            format!("[{{ schedule = \"0 1 * * *\", {inner} = \"{amount}\" }}]"),
        ),
        None => (key, amount.to_owned()),
    };
    // Rules about two keys are not tested here.
    let mut variables = Variables::from([
        (
            "BLUECONIC_SYNC__DATABASE__MAX_CONNECTIONS".to_owned(),
            OsString::from("1000"),
        ),
        (
            "BLUECONIC_SYNC__DATABASE__LOAD_CONNECTIONS".to_owned(),
            OsString::from("1"),
        ),
    ]);
    variables.insert(variable_of(name), OsString::from(value));
    load(None, &variables, LISTS).map(|_| ())
}

fn beside(amount: Amount, by: i64) -> Option<String> {
    let number = amount.number().checked_add_signed(by)?;
    Some(match amount {
        Time(_) => format!("{number}ms"),
        Bytes(_) => format!("{number}B"),
        Count(_) => number.to_string(),
    })
}

/// Every bound with each of its keys.
fn bounded() -> impl Iterator<Item = (&'static Bounds, String)> {
    let keys = |bounds: &'static Bounds| for_each_list(bounds.key, LISTS).into_iter();
    BOUNDS
        .iter()
        .flat_map(move |bounds| keys(bounds).map(move |key| (bounds, key.into_owned())))
}

#[test]
fn both_sides_of_every_bound() {
    for (bounds, key) in bounded() {
        for allowed in [bounds.least, bounds.most] {
            with(&key, &beside(allowed, 0).unwrap()).unwrap_or_else(|error| panic!("{key}: {error}"));
        }
        let beyond = [beside(bounds.least, -1), beside(bounds.most, 1)];
        for amount in beyond.into_iter().flatten() {
            let error = with(&key, &amount).unwrap_err();
            let message = error.to_string();
            assert!(
                message.contains(&key)
                    && message.contains(&amount)
                    && message.contains(&bounds.most.to_string()),
                "{message}"
            );
        }
    }
}

#[test]
fn what_nobody_can_mean_is_refused_and_nothing_panics() {
    for (_, key) in bounded() {
        for absurd in [
            "-1",
            "-1s",
            "18446744073709551615",
            "99999999999999999999999999",
            "584542046090y",
            "999999999999999y",
            "1e300",
            "NaN",
            "inf",
            "2PiB",
            "99999999999EiB",
            "",
        ] {
            let message = with(&key, absurd).unwrap_err().to_string();
            let name = key.split("[]").next().unwrap();
            assert!(message.contains(name), "{absurd}: {message}");
        }
    }
}

/// Checks whether the type of a setting accepts a text, without its bounds.
fn takes(key: &str, text: &str) -> Result<(), SettingsError> {
    let mut given = Given {
        table: DEFAULTS.parse().unwrap(),
        ..Given::default()
    };
    set_text(&mut given, key, "BLUECONIC_SYNC__TEST", text);
    typed(&given, LISTS).map(|_| ())
}

/// A new key without bounds fails here.
#[test]
fn every_duration_size_and_count_has_bounds() {
    let unit = |key: &str| {
        let mut bounded = bounded();
        let found = bounded.find(|(_, bounded)| bounded.split("[]").next() == Some(key));
        found.map(|(bounds, _)| bounds.least)
    };
    let keys = Keys::of(LISTS);
    let mut amounts = 0;
    for key in keys.iter() {
        let Err(refused) = takes(key, "no amount") else {
            continue;
        };
        let takes = |text| takes(key, text).is_ok();
        let is_list_of_tables = refused.to_string().contains(TABLES);
        let fits = match unit(key) {
            // The bounds are those of a key in each table.
            Some(_) if is_list_of_tables => true,
            Some(Time(_)) => takes("1h"),
            Some(Bytes(_)) => takes("1MiB"),
            Some(Count(_)) => takes("7"),
            None => !is_list_of_tables && !["1h", "1MiB", "7"].into_iter().any(takes),
        };
        assert!(fits, "`{key}` needs its bounds in src/config/bounds.rs");
        amounts += usize::from(unit(key).is_some());
    }
    let bounded: Vec<String> = bounded().map(|(_, key)| key).collect();
    assert_eq!(
        amounts,
        bounded.len(),
        "a bound is for no setting that is an amount"
    );
    for bounded in &bounded {
        let name = bounded.split("[]").next();
        assert!(
            keys.iter().any(|key| Some(key) == name),
            "there is no `{bounded}`"
        );
    }
}
