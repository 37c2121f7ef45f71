//! The resources in tests, from the registry: names, scopes and tables of the resources that are read by default, and the
//! lists that a simulated tenant serves. A new list changes no test.

use blueconic_sync::commands::simulated_lists;
use blueconic_sync::model::description::{Description, Named};
use blueconic_sync::resources::registry::RESOURCES;
use simulated_tenant::lists::List;

/// The resources that are read by default, in the order of a backfill.
pub(crate) fn by_default() -> impl Iterator<Item = &'static Description> {
    RESOURCES.iter().filter(|description| description.is_by_default())
}

/// The names of the resources that are read by default.
pub(crate) fn names() -> Vec<&'static str> {
    by_default().map(Description::name).collect()
}

/// The names of the plain lists that are read by default.
pub(crate) fn list_names() -> Vec<&'static str> {
    let lists = by_default().filter(|description| description.as_list().is_some());
    lists.map(Description::name).collect()
}

/// The OAuth scopes that they need, and the one of look-ups by id.
pub(crate) fn scopes() -> Vec<String> {
    let mut scopes: Vec<&str> = by_default()
        .map(|description| description.oauth_scope)
        .chain(["read:profiles"])
        .collect();
    scopes.sort_unstable();
    scopes.dedup();
    scopes.into_iter().map(str::to_owned).collect()
}

/// All tables for analysts, sorted by name.
pub(crate) fn tables() -> Vec<&'static str> {
    let beside_profiles = ["profile_aliases", "profile_tombstones"];
    let children = RESOURCES.iter().flat_map(|one| one.table.children);
    let children = children.map(|child| child.table.name);
    let mut tables: Vec<&str> = RESOURCES.names().chain(beside_profiles).chain(children).collect();
    tables.sort_unstable();
    // Events of histories are children of the history, and of the profile.
    tables.dedup();
    tables
}

/// As many URLs as a test of every list gives.
pub(crate) const FEW_URLS: usize = 3;

/// URLs of pages.
pub(crate) fn urls(count: usize) -> Vec<String> {
    (0..count)
        .map(|number| format!("https://www.example.com/shop?page={number}&of=a%20b"))
        .collect()
}

/// Variables that give these URLs to each list whose listings follow from URLs.
pub(crate) fn of_urls(urls: &[String]) -> Vec<(String, String)> {
    let lists = RESOURCES.lists().filter(|(_, list)| list.is_of_urls());
    let variable = |name: &str| format!("BLUECONIC_SYNC__RESOURCES__{}__URLS", name.to_uppercase());
    lists
        .map(|(list, _)| (variable(list.name()), urls.join(",")))
        .collect()
}

/// The plain lists as a simulated tenant serves them.
pub(crate) fn lists() -> Vec<List> {
    simulated_lists::of(RESOURCES)
}

/// Whether the list has a listing for each day, so that its rows follow from the day of the test.
pub(crate) fn is_by_day(list: &Description) -> bool {
    let each = list.as_list().and_then(|list| list.each);
    each.is_some_and(|each| matches!(each.named, Named::ByDay(_)))
}
