//! `sync.notifications` and `sync.heartbeat`: what is wrong, which messages about it were sent, and which are due. A message is claimed by
//! one process under a row lock, sent, and then recorded. A process that dies in between may have sent it: after the end of its claim
//! another one sends it again. So a crash may repeat a message once, and loses none.

use std::time::Duration;

use crate::model::concern::{Concern, Subject, Verdict};
use crate::model::fault::Outcome;
use crate::model::notification::{Event, Notification};
use crate::model::ports::NotificationStore;
use crate::postgres::boundary;
use crate::postgres::error::{Doing, Error};
use crate::postgres::leases::interval;
use crate::postgres::store::PostgresStore;

const JUDGING: &str = "recording what is wrong";
const CLAIMING: &str = "claiming the messages that are due";
const NOTING: &str = "recording a message";
const BEATING: &str = "claiming a sign of life";

impl NotificationStore for PostgresStore {
    async fn judge(&self, verdicts: &[Verdict], known: &[String]) -> Outcome<()> {
        Ok(self.moment(JUDGING, record(self, verdicts, known)).await?)
    }

    async fn claim_due(&self, hold: Duration) -> Outcome<Vec<Notification>> {
        Ok(self.moment(CLAIMING, claim(self, hold)).await?)
    }

    async fn note_sent(&self, notification: &Notification, next: Option<Duration>) -> Outcome<()> {
        let noting = async {
            match notification.event {
                Event::Ended => note_end(self, notification).await,
                Event::Began | Event::Lasts => note_sent(self, notification, next).await,
            }
        };
        Ok(self.moment(NOTING, noting).await?)
    }

    async fn note_unsent(&self, notification: &Notification, again: Duration) -> Outcome<()> {
        Ok(self
            .moment(NOTING, note_unsent(self, notification, again))
            .await?)
    }

    async fn claim_heartbeat(&self, every: Duration) -> Outcome<bool> {
        Ok(self.moment(BEATING, claim_heartbeat(self, every)).await?)
    }
}

async fn record(store: &PostgresStore, verdicts: &[Verdict], known: &[String]) -> Result<(), Error> {
    let text = |of: fn(&Subject) -> &str, verdicts: &[&Verdict]| -> Vec<String> {
        verdicts
            .iter()
            .map(|verdict| of(&verdict.subject).to_owned())
            .collect()
    };
    let columns = |verdicts: &[&Verdict]| {
        (
            text(|subject| subject.concern.as_str(), verdicts),
            text(|subject| &subject.resource, verdicts),
            text(|subject| &subject.scope, verdicts),
        )
    };
    let (so, not_so): (Vec<&Verdict>, Vec<&Verdict>) =
        verdicts.iter().partition(|verdict| verdict.amount.is_some());
    let amounts: Vec<i64> = so.iter().filter_map(|verdict| verdict.amount).collect();
    let (concerns, resources, scopes) = columns(&so);
    let mut transaction = store.control().begin().await.doing(JUDGING)?;
    // In one order, so that two replicas do not wait for each other. What came back before its end was told is a reminder, and more of what
    // cannot end is a message of its own.
    sqlx::query!(
        "insert into sync.notifications as n (concern, resource, scope, amount, began_at, next_at)
         select v.concern, v.resource, v.scope, v.amount, now.at, now.at
         from unnest($1::text[], $2::text[], $3::text[], $4::bigint[]) as v (concern, resource, scope, amount)
         cross join (select sync.clock() as at) as now
         order by v.concern, v.resource, v.scope
         on conflict (concern, resource, scope) do update set
           amount = excluded.amount,
           is_over = false,
           next_at = case
             when n.is_over or n.concern = 'gap_for_good' and excluded.amount > n.told_amount then excluded.next_at
             else n.next_at
           end
         where n.is_over or n.amount <> excluded.amount",
        &concerns,
        &resources,
        &scopes,
        &amounts
    )
    .execute(&mut *transaction)
    .await
    .doing(JUDGING)?;
    // What the settings no longer have is of no concern either.
    let (concerns, resources, scopes) = columns(&not_so);
    let over = sqlx::query!(
        "select n.concern, n.resource, n.scope, n.sent, coalesce(n.claimed_until > sync.clock(), false) as \"is_claimed!\"
         from sync.notifications as n
         where not n.is_over
           and (
             exists (
               select from unnest($1::text[], $2::text[], $3::text[]) as v (concern, resource, scope)
               where v.concern = n.concern and v.resource = n.resource and v.scope = n.scope
             )
             or n.resource <> '' and n.resource <> all ($4::text[])
           )
         order by n.concern, n.resource, n.scope
         for update of n",
        &concerns,
        &resources,
        &scopes,
        known
    )
    .fetch_all(&mut *transaction)
    .await
    .doing(JUDGING)?;
    for row in over {
        // What nobody was told of ends silently. While a process sends the first message, the next round decides.
        if row.sent == 0 && row.is_claimed {
            continue;
        }
        let is_silent = row.sent == 0 || Concern::of(&row.concern).is_none_or(|concern| !concern.can_end());
        if is_silent {
            sqlx::query!(
                "delete from sync.notifications where concern = $1 and resource = $2 and scope = $3",
                row.concern,
                row.resource,
                row.scope
            )
            .execute(&mut *transaction)
            .await
            .doing(JUDGING)?;
        } else {
            sqlx::query!(
                "update sync.notifications set is_over = true, next_at = sync.clock()
                 where concern = $1 and resource = $2 and scope = $3",
                row.concern,
                row.resource,
                row.scope
            )
            .execute(&mut *transaction)
            .await
            .doing(JUDGING)?;
        }
    }
    boundary::cross("notify/judge", JUDGING, transaction.commit()).await
}

async fn claim(store: &PostgresStore, hold: Duration) -> Result<Vec<Notification>, Error> {
    let statement = sqlx::query!(
        r#"update sync.notifications as n set fence = n.fence + 1, claimed_until = sync.clock() + $1::interval
           from (
             select d.concern, d.resource, d.scope from sync.notifications as d
             where d.next_at <= sync.clock() and (d.claimed_until is null or d.claimed_until <= sync.clock())
             order by d.concern, d.resource, d.scope
             for update skip locked
           ) as due
           where n.concern = due.concern and n.resource = due.resource and n.scope = due.scope
           returning n.concern, n.resource, n.scope, n.amount, n.told_amount, n.began_at, n.is_over, n.sent, n.failed,
             n.fence, sync.clock() as "now!""#,
        interval(hold)
    )
    .fetch_all(store.control());
    let rows = boundary::cross("notify/claim", CLAIMING, statement).await?;
    let mut due: Vec<Notification> = rows
        .into_iter()
        .filter_map(|row| {
            let concern = Concern::of(&row.concern)?;
            let is_more = !concern.can_end() && row.told_amount.is_some_and(|told| row.amount > told);
            Some(Notification {
                subject: Subject {
                    concern,
                    resource: row.resource,
                    scope: row.scope,
                },
                event: match (row.is_over, row.sent) {
                    (true, _) => Event::Ended,
                    (false, 0) => Event::Began,
                    (false, _) if is_more => Event::Began,
                    (false, _) => Event::Lasts,
                },
                amount: row.amount,
                began_at: row.began_at,
                now: row.now,
                sent: row.sent,
                failed: row.failed,
                fence: row.fence,
            })
        })
        .collect();
    due.sort_by(|one, other| {
        let key = |it: &Notification| {
            let subject = &it.subject;
            (subject.resource.clone(), subject.scope.clone(), subject.concern)
        };
        key(one).cmp(&key(other))
    });
    Ok(due)
}

async fn note_sent(
    store: &PostgresStore,
    notification: &Notification,
    next: Option<Duration>,
) -> Result<(), Error> {
    let subject = &notification.subject;
    let statement = sqlx::query!(
        "update sync.notifications set
           sent = sent + 1, last_sent_at = sync.clock(), told_amount = $5, failed = 0, claimed_until = null,
           next_at = case
             when is_over or concern = 'gap_for_good' and amount > $5 then sync.clock()
             else sync.clock() + $6::interval
           end
         where concern = $1 and resource = $2 and scope = $3 and fence = $4",
        subject.concern.as_str(),
        subject.resource,
        subject.scope,
        notification.fence,
        notification.amount,
        next.map(interval)
    )
    .execute(store.control());
    boundary::cross("notify/sent", NOTING, statement).await?;
    Ok(())
}

/// All is well, and was told. What came back meanwhile begins anew.
async fn note_end(store: &PostgresStore, notification: &Notification) -> Result<(), Error> {
    let subject = &notification.subject;
    let mut transaction = store.control().begin().await.doing(NOTING)?;
    sqlx::query!(
        "delete from sync.notifications
         where concern = $1 and resource = $2 and scope = $3 and fence = $4 and is_over",
        subject.concern.as_str(),
        subject.resource,
        subject.scope,
        notification.fence
    )
    .execute(&mut *transaction)
    .await
    .doing(NOTING)?;
    sqlx::query!(
        "update sync.notifications set
           began_at = sync.clock(), next_at = sync.clock(), sent = 0, failed = 0, told_amount = null, last_sent_at = null,
           claimed_until = null
         where concern = $1 and resource = $2 and scope = $3 and fence = $4",
        subject.concern.as_str(),
        subject.resource,
        subject.scope,
        notification.fence
    )
    .execute(&mut *transaction)
    .await
    .doing(NOTING)?;
    boundary::cross("notify/ended", NOTING, transaction.commit()).await
}

async fn note_unsent(
    store: &PostgresStore,
    notification: &Notification,
    again: Duration,
) -> Result<(), Error> {
    let subject = &notification.subject;
    let statement = sqlx::query!(
        "update sync.notifications set
           failed = failed + 1, claimed_until = null, next_at = sync.clock() + $5::interval
         where concern = $1 and resource = $2 and scope = $3 and fence = $4",
        subject.concern.as_str(),
        subject.resource,
        subject.scope,
        notification.fence,
        interval(again)
    )
    .execute(store.control());
    boundary::cross("notify/unsent", NOTING, statement).await?;
    Ok(())
}

async fn claim_heartbeat(store: &PostgresStore, every: Duration) -> Result<bool, Error> {
    let statement = sqlx::query!(
        "insert into sync.heartbeat as h (claimed_at, next_at)
         select now.at, now.at + $1::interval from (select sync.clock() as at) as now
         on conflict (only_row) do update set claimed_at = excluded.claimed_at, next_at = excluded.next_at
         where h.next_at <= excluded.claimed_at",
        interval(every)
    )
    .execute(store.control());
    let claimed = boundary::cross("notify/heartbeat", BEATING, statement).await?;
    Ok(claimed.rows_affected() == 1)
}
