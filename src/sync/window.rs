//! The hours between which a full walk over profiles reads pages.

use crate::model::fault::{Fault, Kind, Outcome};
use crate::model::ports::Store;
use crate::model::position::Scope;

use super::run_spec::Bounds;

/// A fault unless a walk of this scope may read a page now, by the database's clock.
pub(super) async fn check<T: Store>(bounds: &Bounds, scope: Scope, store: &T) -> Outcome<()> {
    let Some(window) = bounds.full_window.filter(|_| scope == Scope::Full) else {
        return Ok(());
    };
    let now = store.now().await?;
    if window.is_open(now) {
        return Ok(());
    }
    let opens_at = window.opens_after(now).format("%Y-%m-%d %H:%M UTC");
    Err(Fault::new(
        Kind::Interrupted,
        format!("full walks read between {window} (`resources.profiles.full_window`), which opens at {opens_at}"),
    )
    .hint("nothing is lost: the walk keeps its position, and the next run within these hours continues from there"))
}
