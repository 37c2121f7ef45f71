//! Listings as gateways and indexes really give them: empty pages, totals that are none, pages that are too large for
//! something in between, cursors that die, lists that lack for a moment what is there, and listings without end.

mod lists;
mod pages;

use serde_json::Value;

use crate::support::database::Database;
use crate::support::program::Program;
use crate::support::scripted::{Answer, Asked, Scripted, profile};

/// The database and the program for a tenant.
async fn at(tenant: &Scripted) -> (Database, Program) {
    let database = Database::empty().await;
    let program = Program::new(&tenant.url, &database.url)
        .set("resources.profiles.page_size", "100")
        .set("retry.give_up_after", "1s");
    (database, program)
}

async fn last(database: &Database) -> (String, String, String) {
    database
        .rows(
            "select mode, status, coalesce(error, '') || ' / ' || coalesce(hint, '')
             from sync.runs order by started_at desc limit 1",
        )
        .await
        .remove(0)
}

fn is(last: &(String, String, String), mode: &str, status: &str) {
    assert_eq!((last.0.as_str(), last.1.as_str()), (mode, status), "{last:?}");
}

/// A page of `count` profiles of `of`, from where the cursor says.
fn profiles(asked: &Asked, of: usize) -> (Vec<Value>, usize) {
    let start = asked.text("cursor").parse().unwrap_or(0);
    let end = (start + asked.number("count")).min(of).max(start);
    ((start..end).map(profile).collect(), end)
}

fn one(asked: &Asked) -> Option<Answer> {
    let id = asked.path.strip_prefix("/profiles/p")?;
    Some((200, profile(id.parse().ok()?)))
}
