//! Personal data in a run over profiles: before it reads, what becomes of each property is brought in line with the rules and the
//! catalogue, and what became stricter is done to the stored profiles.

use crate::model::fault::{Kind, Outcome};
use crate::model::personal_data::BroughtPolicy;
use crate::model::ports::{Source, Store, Walkable};
use crate::sync::run::Context;

use super::columns::{self, WithColumns};

/// Brings personal data and the typed columns in line. All stored profiles are scrubbed then.
pub(super) async fn bring<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
) -> Outcome<WithColumns> {
    loop {
        let policy = context.resource.policy();
        let brought = {
            let _waiting = context.progress.waiting();
            context.stop.or(context.store.bring_policy(policy)).await?
        };
        let resource = context.resource.with_treatment(brought.treated.clone());
        let with_columns = columns::bring(context, resource.as_ref()).await?;
        if brought.scrub.is_none() {
            renew_rights(context).await?;
            renew_statistics(context, &brought).await?;
            if let Some(notice) = &brought.notice {
                context.progress.notice(notice);
            }
            return Ok(with_columns);
        }
        match scrub(context, &with_columns, brought.treated.version).await {
            // Another process has changed the typed columns meanwhile.
            Err(fault) if fault.kind == Kind::ColumnsChanged => {}
            scrubbed => scrubbed?,
        }
    }
}

/// Scrubs the profiles that are left to scrub.
async fn scrub<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    with: &WithColumns,
    version: i64,
) -> Outcome<()> {
    let mut scrubbed = 0;
    context
        .progress
        .notice("personal data is treated more strictly than before; stored profiles are scrubbed before anything is read");
    loop {
        let _waiting = context.progress.waiting();
        let next = context.store.range_to_scrub(version);
        let Some(range) = context.stop.or(next).await? else {
            break;
        };
        let rows = with.resource.rows_of_scrubbed(&range.scrub, &range.profiles)?;
        let columns = with.columns();
        let write = context
            .store
            .write_scrubbed(context.lease, columns, &range, &rows);
        context.stop.or(write).await?;
        scrubbed += range.profiles.len();
    }
    let sentence = format!("{scrubbed} stored profiles are scrubbed of personal data");
    context.progress.notice(&sentence);
    Ok(())
}

/// Gives the roles for readers the rights that follow from the catalogue, before anything is loaded that they may not see.
async fn renew_rights<S: Source, T: Store>(context: &Context<'_, S, T, dyn Walkable>) -> Outcome<()> {
    let _waiting = context.progress.waiting();
    match context.stop.or(context.store.renew_rights()).await {
        Err(fault) if fault.kind == Kind::Final => {
            context.progress.advise(&format!(
                "the roles for readers could not be given their rights ({fault}): see `blueconic-sync rights --check`"
            ));
            Ok(())
        }
        renewed => renewed,
    }
}

/// Renews the planner's statistics if they may hold samples from before a scrub.
async fn renew_statistics<S: Source, T: Store>(
    context: &Context<'_, S, T, dyn Walkable>,
    brought: &BroughtPolicy,
) -> Outcome<()> {
    if !brought.statistics_are_due {
        return Ok(());
    }
    let _waiting = context.progress.waiting();
    let is_done = context.stop.or(context.store.renew_statistics()).await?;
    if !is_done {
        context.progress.advise(
            "the planner's statistics may still hold samples of personal data that was scrubbed, since they could not be renewed; \
             the next run tries again",
        );
    }
    Ok(())
}
