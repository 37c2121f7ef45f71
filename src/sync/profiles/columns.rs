//! The typed columns of properties in a run over profiles: brought in line with the catalogue before it reads, and filled in profiles that
//! were stored before once it has ended.

use std::sync::Arc;

use crate::model::fault::{Kind, Outcome};
use crate::model::ports::{Source, Store, Walkable};
use crate::model::property_columns::PropertyColumns;
use crate::sync::run::Context;

/// The resource as the run reads it.
pub(super) struct WithColumns {
    /// The resource, whose rows have the typed columns beside them.
    pub(super) resource: Arc<dyn Walkable>,
    columns: Option<Arc<PropertyColumns>>,
}

impl WithColumns {
    /// The columns.
    pub(super) fn columns(&self) -> Option<&PropertyColumns> {
        self.columns.as_deref()
    }
}

/// Brings the columns in line with the stored catalogue. `resource`: as it treats personal data.
pub(super) async fn bring<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    resource: &dyn Walkable,
) -> Outcome<WithColumns> {
    let _waiting = context.progress.waiting();
    let brought = context.store.bring_columns(&resource.wanted_columns()).await?;
    if let Some(postponed) = &brought.postponed {
        context.progress.notice(postponed);
    }
    Ok(WithColumns {
        resource: resource.with_columns(brought.columns.clone()),
        columns: brought.columns,
    })
}

/// Fills the columns of profiles that were stored before the columns were there. The run has ended well by now: what is left is filled by
/// the next one.
pub(super) async fn fill<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    with: &WithColumns,
) -> Outcome<()> {
    let Some(columns) = &with.columns else {
        return Ok(());
    };
    match fill_all(context, with, columns).await {
        Err(fault) if matches!(fault.kind, Kind::Interrupted | Kind::Fenced | Kind::CommitsLost) => {
            Err(fault)
        }
        Err(fault) => {
            context.progress.notice(&format!(
                "typed columns of profiles that were stored before are filled by a later run: {fault}"
            ));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

async fn fill_all<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    with: &WithColumns,
    columns: &PropertyColumns,
) -> Outcome<()> {
    let (mut filled, mut is_told) = (0, false);
    loop {
        let _waiting = context.progress.waiting();
        let next = context.store.range_to_fill(columns);
        let Some(range) = context.stop.or(next).await? else {
            break;
        };
        if !std::mem::replace(&mut is_told, true) && range.until.is_some() {
            let sentence = "typed columns of profiles that were stored before are being filled";
            context.progress.notice(sentence);
        }
        let rows = with.resource.rows_of_stored(&range.profiles)?;
        let write = context.store.fill_columns(context.lease, columns, &range, &rows);
        context.stop.or(write).await?;
        filled += range.profiles.len();
    }
    if filled > 0 {
        context.progress.notice(&format!(
            "typed columns of {filled} profiles that were stored before are filled"
        ));
    }
    Ok(())
}
