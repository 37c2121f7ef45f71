//! The properties of this tenant's profiles: how their values are generated, and how the catalogue defines them.

use crate::dates::DAY;
use crate::identity::{mix, pick, word};
use crate::settings::Settings;
use crate::truth::{Currency, PropertyDefinition};
use crate::vocabulary as words;

/// How the values of one property are generated.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Kind {
    Created,
    Modified,
    Email,
    FirstName,
    LastName,
    FullName,
    Legislation,
    /// A whole number below this.
    Number(u64),
    /// Hundredths below this, written with two decimals.
    Decimal(u64),
    /// A date up to so many days before the last change.
    Date(u64),
    /// A date of birth.
    Birthday,
    Phone,
    /// One of these.
    Choice(&'static [&'static str]),
    /// Zero to so many of these.
    Several(&'static [&'static str], u64),
    /// Zero to two ids of channels.
    Channels,
    /// JSON as text, with all its quotes.
    EntryPages,
    /// Sentences, sometimes some thousand characters.
    Note,
}

/// One property: its definition and how its values are generated.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) kind: Kind,
    /// How many of 256 profiles have it.
    pub(crate) share: u64,
    /// `{"id":"…","values":[` as in a minified answer.
    pub(crate) head: Vec<u8>,
    pub(crate) definition: PropertyDefinition,
}

type Row = (&'static str, &'static str, &'static str, u64, Kind);

/// Id, name, filter type, share of 256, kind.
const NAMED: [Row; 40] = [
    ("creationdate", "Creation date", "DATETIME", 256, Kind::Created),
    (
        "lastmodifieddate",
        "Last modified date",
        "DATETIME",
        256,
        Kind::Modified,
    ),
    ("email", "E-mail address", "EMAIL", 180, Kind::Email),
    ("firstname", "First name", "SELECT", 190, Kind::FirstName),
    ("lastname", "Last name", "SELECT", 190, Kind::LastName),
    ("fullname", "Full name", "SELECT", 170, Kind::FullName),
    (
        "newsletter_topics",
        "Newsletter topics",
        "SELECT",
        230,
        Kind::Several(&words::TOPICS, 6),
    ),
    ("visits", "Visits", "RANGE", 256, Kind::Number(400)),
    (
        "order_value",
        "Order value",
        "CURRENCY",
        150,
        Kind::Decimal(90_000),
    ),
    (
        "discount_rate",
        "Discount rate",
        "DECIMAL",
        120,
        Kind::Decimal(4_000),
    ),
    ("city", "City", "SELECT", 220, Kind::Choice(&words::CITIES)),
    (
        "country",
        "Country",
        "SELECT",
        240,
        Kind::Choice(&words::COUNTRIES),
    ),
    (
        "language",
        "Language",
        "SELECT",
        250,
        Kind::Choice(&words::LANGUAGES),
    ),
    (
        "company",
        "Company",
        "SELECT",
        90,
        Kind::Choice(&words::COMPANIES),
    ),
    ("gender", "Gender", "SELECT", 160, Kind::Choice(&words::GENDERS)),
    ("birthdate", "Date of birth", "DATETIME", 100, Kind::Birthday),
    ("phone", "Phone", "SELECT", 110, Kind::Phone),
    (
        "clickcount_5db4a390-4e11-43ae-be2d-a1b6e248d129",
        "Clicks",
        "RANGE",
        256,
        Kind::Number(5_000),
    ),
    (
        "visitclicks_5db4a390-4e11-43ae-be2d-a1b6e248d129",
        "Clicks in the last visit",
        "RANGE",
        256,
        Kind::Number(60),
    ),
    (
        "totalvisittime",
        "Total visit time",
        "RANGE",
        256,
        Kind::Number(900_000),
    ),
    (
        "hostaveragetime",
        "Average time by host",
        "SELECT",
        250,
        Kind::EntryPages,
    ),
    ("frequency", "Frequency", "RANGE", 256, Kind::Number(101)),
    ("recency", "Recency", "RANGE", 256, Kind::Number(101)),
    ("momentum", "Momentum", "RANGE", 256, Kind::Number(101)),
    ("intensity", "Intensity", "RANGE", 256, Kind::Number(101)),
    (
        "lastvisitdate_5db4a390-4e11-43ae-be2d-a1b6e248d129",
        "Last visit",
        "DATETIME",
        256,
        Kind::Date(3),
    ),
    ("firstvisit", "First visit", "DATETIME", 256, Kind::Date(700)),
    (
        "currentbrowsername",
        "Browser",
        "SELECT",
        250,
        Kind::Choice(&words::BROWSERS),
    ),
    (
        "currentbrowserversion",
        "Browser version",
        "SELECT",
        250,
        Kind::Choice(&words::VERSIONS),
    ),
    (
        "devicetypes",
        "Devices",
        "SELECT",
        256,
        Kind::Several(&words::DEVICES, 3),
    ),
    (
        "origin_type",
        "Origin",
        "SELECT",
        240,
        Kind::Choice(&words::ORIGINS),
    ),
    (
        "origin_detail",
        "Origin in detail",
        "SELECT",
        240,
        Kind::Choice(&words::PAGES),
    ),
    (
        "entrypage",
        "Entry page",
        "SELECT",
        256,
        Kind::Choice(&words::PAGES),
    ),
    (
        "hostentrypage",
        "Entry pages by host",
        "SELECT",
        240,
        Kind::EntryPages,
    ),
    (
        "visitedsites",
        "Visited sites",
        "SELECT",
        256,
        Kind::Several(&words::SITES, 5),
    ),
    (
        "visitedchannel",
        "Visited channels",
        "SELECT",
        256,
        Kind::Channels,
    ),
    (
        "viewed_pages",
        "Viewed pages",
        "SELECT",
        250,
        Kind::Several(&words::PAGES, 6),
    ),
    (
        "domaingroup",
        "Domain group",
        "SELECT",
        256,
        Kind::Choice(&words::DOMAIN_GROUPS),
    ),
    (
        "privacy_legislation",
        "Privacy legislation",
        "SELECT",
        256,
        Kind::Legislation,
    ),
    ("service_notes", "Service notes", "SELECT", 200, Kind::Note),
];

/// Properties with ids that are not of ASCII alone, which a tenant with odd values has, too.
const UNICODE: [Row; 2] = [
    ("größe 👟", "Shoe size", "RANGE", 200, Kind::Number(50)),
    (
        "好きな色",
        "Favourite colour",
        "SELECT",
        200,
        Kind::Choice(&words::CITIES),
    ),
];

/// The first so many properties; beyond the named ones they are numbered.
pub(crate) fn slots(settings: &Settings, now: i64) -> Vec<Slot> {
    let (seed, profiles) = (settings.seed, settings.profiles);
    let named = NAMED.iter().map(|(id, name, filter, share, kind)| {
        ((*id).to_owned(), (*name).to_owned(), *filter, *share, *kind)
    });
    let numbered = (NAMED.len()..).map(|number| {
        let (filter, kind) = *pick(&NUMBERED, number as u64);
        (
            format!("attribute_{number:03}"),
            format!("Attribute {number}"),
            filter,
            160,
            kind,
        )
    });
    let has_odd = settings.odd_values_per_thousand > 0;
    let unicode = UNICODE.iter().filter(|_| has_odd);
    let unicode = unicode.map(|(id, name, filter, share, kind)| {
        ((*id).to_owned(), (*name).to_owned(), *filter, *share, *kind)
    });
    let rows = named.chain(numbered).take(settings.properties).chain(unicode);
    rows.map(|(id, name, filter, share, kind)| {
        let mut definition = definition(id, name, filter, seed, now);
        definition.profile_count = definition.profile_count.map(|_| profiles * share / 256);
        let head = format!("{{\"id\":\"{}\",\"values\":[", definition.id).into_bytes();
        Slot {
            kind,
            share,
            head,
            definition,
        }
    })
    .collect()
}

const NUMBERED: [(&str, Kind); 5] = [
    ("SELECT", Kind::Choice(&words::CITIES)),
    ("RANGE", Kind::Number(100_000)),
    ("DATETIME", Kind::Date(365)),
    ("DECIMAL", Kind::Decimal(1_000_000)),
    ("SELECT", Kind::Several(&words::TOPICS, 4)),
];

/// The properties of the group types `company` and `household`.
pub(crate) fn group_properties(seed: u64, now: i64) -> Vec<PropertyDefinition> {
    let rows = [
        ("company", "company_name"),
        ("company", "company_location"),
        ("household", "household_size"),
    ];
    rows.iter()
        .map(|(group, id)| PropertyDefinition {
            group_type_id: Some((*group).to_owned()),
            ..definition((*id).to_owned(), id.replace('_', " "), "SELECT", seed, now)
        })
        .collect()
}

const EURO: Currency = Currency {
    iso_code: "EUR",
    name: "Euro",
    precision: 2,
    symbol: "€",
};
const YEN: Currency = Currency {
    iso_code: "JPY",
    name: "Japanese Yen",
    precision: 0,
    symbol: "¥",
};
const PERSONAL: [&str; 6] = ["email", "firstname", "lastname", "fullname", "phone", "birthdate"];
const STRATEGIES: [&str; 7] = [
    "LATEST",
    "KEEP_CURRENT",
    "HIGHEST",
    "LOWEST",
    "SUM",
    "OLDEST",
    "BOTH",
];

fn definition(id: String, name: String, filter: &'static str, seed: u64, now: i64) -> PropertyDefinition {
    let hash = id
        .bytes()
        .fold(mix(seed), |hash, byte| mix(hash ^ u64::from(byte)));
    let personal = PERSONAL.contains(&id.as_str());
    let creation_date = now - 900 * DAY - i64::try_from(hash % 20_000_000_000).unwrap_or_default();
    PropertyDefinition {
        description: if hash.is_multiple_of(5) {
            String::new()
        } else {
            format!("What is known as \"{name}\".")
        },
        // The schema's default is `None`, which its enum lacks: such a property has no such member.
        filter_type: (!hash.is_multiple_of(23) || filter != "SELECT").then_some(filter),
        precision: if filter == "DECIMAL" { 2 } else { 0 },
        currency: (filter == "CURRENCY").then_some(if hash.is_multiple_of(4) { YEN } else { EURO }),
        data_sensitivity: if personal { "PII" } else { "NON_PII" },
        permission_level: if personal { "PERSONAL" } else { "ANONYMOUS" },
        merge_strategy: if filter == "SELECT" {
            "BOTH"
        } else {
            word(&STRATEGIES, hash)
        },
        indexed: id == "email",
        tags: words::TAGS
            .iter()
            .take((hash >> 32) as usize % 3)
            .map(|tag| (*tag).to_owned())
            .collect(),
        creation_date,
        last_modified_date: creation_date + i64::try_from(hash % 900).unwrap_or_default() * DAY,
        profile_count: (!hash.is_multiple_of(11)).then_some(0),
        group_type_id: None,
        id,
        name,
    }
}
