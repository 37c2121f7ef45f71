//! Decides about the candidates that two complete walks in a row missed by a random sample of look-ups, where they are too many for a
//! look-up each. The size of the sample is that of [`crate::model::sampling`]. Each sample stands for itself: a sweep that was
//! interrupted draws another one.

use crate::model::fault::Outcome;
use crate::model::ports::{Identified, Source, Store};
use crate::model::verdict::Verdict;
use crate::sync::run::Context;

use super::judging::{CHUNK, Sweep, SweepOutcome, carry_out, count, judged};

/// Rows that are removed at once.
const REMOVED_AT_ONCE: u32 = 1_000;

/// Whether a sample decides about `missed_again` candidates: a look-up of each would take more than there are.
pub(super) fn is_wanted(missed_again: u64, lookups: u64, sample: u64) -> bool {
    missed_again > lookups && sample <= lookups
}

/// Looks up a random sample. If all of it is gone at the tenant, the rest of the candidates that two walks missed is removed.
/// Otherwise each is looked up, as all others are.
pub(super) async fn run<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: &Sweep<'_>,
    swept: &mut SweepOutcome,
) -> Outcome<()> {
    let (store, size) = (context.store, context.bounds.sample);
    let table = context.resource.table();
    let ids = store.sample(table, sweep.walk, size).await?;
    if (ids.len() as u64) < size {
        // Others loaded or protected the rest: there are few enough for a look-up each.
        return Ok(());
    }
    for chunk in ids.chunks(CHUNK as usize) {
        context.stop.check()?;
        // Rows that are stored by now are older than the answers to the look-ups.
        let asked_at = store.now().await?;
        let verdicts = judged(context, sweep, chunk.to_vec(), swept).await?;
        if swept.is_stopped() {
            return Ok(());
        }
        swept.unclear += count(&verdicts, |verdict| *verdict == Verdict::Kept);
        carry_out(context, sweep, (&verdicts, asked_at), swept).await?;
        if verdicts.iter().any(|(_, verdict)| *verdict != Verdict::Deleted) {
            context.progress.notice(
                "not all of a random sample of the rows that two walks in a row missed are gone at the tenant: each of them is asked for",
            );
            return Ok(());
        }
    }
    let rest = remove_rest(context, sweep, swept).await?;
    context.progress.notice(&format!(
        "two walks in a row missed {} rows, more than may be asked for at once: a random sample of {size} of them is gone at the tenant, \
         so all were removed",
        rest + size
    ));
    Ok(())
}

/// Removes the rest of the candidates that two walks missed, except for rows that were loaded or protected meanwhile.
async fn remove_rest<S: Source, T: Store, R: Identified + ?Sized>(
    context: &Context<'_, S, T, R>,
    sweep: &Sweep<'_>,
    swept: &mut SweepOutcome,
) -> Outcome<u64> {
    let table = context.resource.table();
    let before = swept.removed;
    let mut after = String::new();
    loop {
        context.stop.check()?;
        let _waiting = context.progress.waiting();
        let ids = (context.store)
            .missed_again(table, sweep.walk, &after, REMOVED_AT_ONCE)
            .await?;
        let Some(last) = ids.last() else {
            return Ok(swept.removed - before);
        };
        after.clone_from(last);
        let now = context.store.now().await?;
        let verdicts: Vec<_> = ids.into_iter().map(|id| (id, Verdict::Deleted)).collect();
        carry_out(context, sweep, (&verdicts, now), swept).await?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_decides_only_about_more_than_can_be_looked_up() {
        assert!(is_wanted(10_001, 10_000, 6_908));
        assert!(!is_wanted(10_000, 10_000, 6_908), "each can be looked up");
        assert!(
            !is_wanted(10_001, 5_000, 6_908),
            "there is no room for the sample"
        );
    }
}
