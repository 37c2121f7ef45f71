//! Everything that somebody other than the program can read: what was printed, pages, tables, the database server's log.

use super::guarded::Guarded;
use super::searcher::Searcher;

/// Texts and where they come from.
#[derive(Default)]
pub(super) struct Documents(Vec<(String, Vec<u8>)>);

impl Documents {
    pub(super) fn add(&mut self, from: impl Into<String>, text: impl Into<Vec<u8>>) {
        self.0.push((from.into(), text.into()));
    }

    /// Every row of every table, views and the planner's samples too; the sealed tokens with their bytes in hex.
    pub(super) async fn add_tables(&mut self, guarded: &Guarded) {
        let database = &guarded.database;
        let tables = database
            .texts(
                "select c.oid::regclass::text from pg_class as c
                 join pg_namespace as n on n.oid = c.relnamespace
                 where n.nspname in ('blueconic', 'sync') and c.relkind in ('r', 'v', 'm', 'p') order by 1",
            )
            .await;
        assert!(tables.len() > 12, "{tables:?}");
        for table in tables {
            let rows = database.texts(&format!("select t::text from {table} as t")).await;
            self.add(format!("table {table}"), rows.join("\n"));
        }
        let samples = database
            .texts("select s::text from pg_stats as s where schemaname in ('blueconic', 'sync')")
            .await;
        self.add("pg_stats", samples.join("\n"));
    }

    /// What passes quickly: the state of the token, and which statements run or have run last.
    pub(super) async fn add_moment(&mut self, guarded: &Guarded) {
        let database = &guarded.database;
        let is_made: bool = database
            .one("select to_regclass('sync.tokens') is not null")
            .await;
        if is_made {
            let rows = database.texts("select t::text from sync.tokens as t").await;
            self.add("table sync.tokens", rows.join("\n"));
        }
        let activity = database.texts("select a::text from pg_stat_activity as a").await;
        self.add("pg_stat_activity", activity.join("\n"));
    }

    /// Where secrets stand, one line each.
    pub(super) fn search(&self, searcher: &Searcher) -> Vec<String> {
        let hits = self.0.iter().flat_map(|(from, text)| {
            let hits = searcher.search(text).into_iter();
            hits.map(move |hit| format!("{from}: {hit}"))
        });
        hits.collect()
    }

    /// The kinds of documents that hold a text.
    pub(super) fn with(&self, text: &str) -> Vec<&str> {
        let holds = |document: &[u8]| {
            document
                .windows(text.len())
                .any(|window| window == text.as_bytes())
        };
        let holding = self.0.iter().filter(|(_, document)| holds(document));
        let mut kinds: Vec<&str> = holding.map(|(from, _)| from.as_str()).collect();
        kinds.sort_unstable();
        kinds.dedup();
        kinds
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|(_, text)| text.len()).sum()
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}
