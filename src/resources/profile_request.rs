//! What is requested of profiles: the properties, the timelines, and the time in which they changed.

use super::segment_profiles::encoded;
use crate::model::Time;
use crate::model::personal_data::{Action, Treated};

/// The properties that hold the dates. They are always requested.
pub(super) const ALWAYS: [&str; 2] = ["lastmodifieddate", "creationdate"];
/// The bytes of a query parameter that names a property, beside the name.
const PARAMETER: usize = "&profileProperty=".len();
/// The most bytes of such parameters that do not follow from the settings. Servers take 8 KiB of an address and its headers, among which
/// is the token.
const MOST_NAMED: usize = 4 * 1024;

/// The properties that are requested; empty: all. `named` are those of the settings; empty: all of the tenant's. The tenant can leave out
/// dropped ones only where all others are named, which has to fit into an address.
pub(super) fn requested(named: &[String], treated: &Treated) -> Vec<String> {
    let treatment = &treated.treatment;
    let is_dropped = |id: &&String| treatment.action(id) == Action::Drop;
    let (of_settings, listed) = (named.iter(), treated.listed.iter());
    let all = if named.is_empty() {
        if treatment.is_none() || !(treatment.kept.is_some() || listed.clone().any(|id| is_dropped(&id))) {
            return Vec::new();
        }
        listed.filter(|id| !is_dropped(id)).cloned().collect()
    } else {
        of_settings
            .filter(|id| !is_dropped(id))
            .cloned()
            .collect::<Vec<_>>()
    };
    let length: usize = all.iter().map(|id| PARAMETER + encoded(id).len()).sum();
    if named.is_empty() && length > MOST_NAMED {
        return Vec::new();
    }
    // Without a name, the tenant would send all.
    if all.is_empty() {
        return ALWAYS.map(str::to_owned).to_vec();
    }
    all
}

/// The query parameters that select properties; without any, the tenant returns all.
pub(super) fn selected(properties: &[String]) -> impl Iterator<Item = (&'static str, String)> {
    let always = ALWAYS
        .into_iter()
        .filter(|id| !properties.is_empty() && properties.iter().all(|own| own != id));
    let listed = properties.iter().map(String::as_str);
    listed.chain(always).map(|id| ("profileProperty", id.to_owned()))
}

/// The query parameters that ask for the newest `count` events of each timeline.
pub(super) fn timeline(
    expansion: &str,
    count: Option<u32>,
) -> impl Iterator<Item = (&'static str, String)> + use<> {
    let expansion = expansion.to_owned();
    let parameters = count.map(|count| [("expand", expansion), ("eventCount", count.to_string())]);
    parameters.into_iter().flatten()
}

/// The refinement of an increment, in the form of the vendor's `RefinementBean`.
pub(super) fn modified_within(from: Time, to: Time) -> String {
    let millis = |time: Time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    serde_json::json!({
        "property": ALWAYS[0],
        "operator": "IN_RANGE",
        "fromDate": millis(from),
        "toDate": millis(to),
    })
    .to_string()
}
