//! What Citus refuses or answers by fetching whole tables, as rules over a parsed statement. Each was met on a cluster: coordinator and
//! two workers, Citus 13.2.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use sqlparser::ast::{
    AssignmentTarget, Delete, Expr, FromTable, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
    JoinOperator, ObjectName, Query, Select, SelectItem, Statement, TableFactor, TableWithJoins, Update,
    UpdateTableFromKind, Visit, Visitor, visit_expressions, visit_relations,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::parser::{Parser, ParserError};

/// Distributed tables, and the columns by which they are; without a column, every node has a copy.
pub(crate) type Tables = BTreeMap<String, Option<String>>;

/// Functions that give something else each time.
const VOLATILE: [&str; 4] = ["sync.clock", "clock_timestamp", "random", "gen_random_uuid"];

/// Where the rows of a relation are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// On the nodes.
    Nodes,
    /// On every node.
    EveryNode,
    /// In a table of the coordinator.
    Coordinator,
    /// In the statement: a common table expression, a function.
    Statement,
}

/// The rules that a text breaks. An error: it could not be parsed.
pub(crate) fn broken(text: &str, tables: &Tables) -> Result<Vec<&'static str>, ParserError> {
    let statements = Parser::new(&PostgreSqlDialect {})
        .with_recursion_limit(200)
        .try_with_sql(text)?
        .parse_statements()?;
    let mut looking = Looking {
        tables,
        broken: Vec::new(),
    };
    if statements.len() > 1 && looking.is_on_nodes(&statements) {
        looking.broken.push("several statements in one text");
    }
    // No visit is broken off.
    let _: ControlFlow<()> = statements.visit(&mut looking);
    Ok(looking.broken)
}

struct Looking<'tables> {
    tables: &'tables Tables,
    broken: Vec<&'static str>,
}

/// A name with its schema, without quotes.
fn full(name: &ObjectName) -> String {
    let parts = name.0.iter().filter_map(|part| part.as_ident());
    parts.map(|part| part.value.clone()).collect::<Vec<_>>().join(".")
}

/// The relation of a factor, if it has one.
fn relation(factor: &TableFactor) -> Option<&ObjectName> {
    match factor {
        TableFactor::Table { name, args: None, .. } => Some(name),
        _ => None,
    }
}

fn is_function(factor: &TableFactor) -> bool {
    matches!(
        factor,
        TableFactor::UNNEST { .. }
            | TableFactor::Function { .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Table { args: Some(_), .. }
    )
}

/// The name by which a query knows a table.
fn name_in_query(factor: &TableFactor) -> Option<&str> {
    match factor {
        TableFactor::Table {
            alias: Some(alias), ..
        } => Some(&alias.name.value),
        _ => None,
    }
}

/// Whether a function takes a whole row of one of these tables.
fn takes_one_of(function: &Function, names: &[&str]) -> bool {
    let FunctionArguments::List(list) = &function.args else {
        return false;
    };
    list.args.iter().any(|argument| {
        let FunctionArg::Unnamed(FunctionArgExpr::Expr(Expr::Identifier(name))) = argument else {
            return false;
        };
        names.contains(&name.value.as_str())
    })
}

fn factors(from: &[TableWithJoins]) -> impl Iterator<Item = &TableFactor> {
    from.iter().flat_map(|one| {
        let joined = one.joins.iter().map(|join| &join.relation);
        std::iter::once(&one.relation).chain(joined)
    })
}

impl Looking<'_> {
    fn place(&self, name: &ObjectName) -> Place {
        let name = full(name);
        if let Some(column) = self.tables.get(&name) {
            match column {
                Some(_) => Place::Nodes,
                None => Place::EveryNode,
            }
        } else if name.contains('.') {
            Place::Coordinator
        } else {
            Place::Statement
        }
    }

    fn places(&self, factor: &TableFactor) -> Place {
        relation(factor).map_or(Place::Statement, |name| self.place(name))
    }

    /// Whether something below names a distributed table.
    fn is_on_nodes(&self, part: &impl Visit) -> bool {
        let met = visit_relations(part, |name| match self.place(name) {
            Place::Nodes => ControlFlow::Break(()),
            Place::EveryNode | Place::Coordinator | Place::Statement => ControlFlow::Continue(()),
        });
        met.is_break()
    }

    /// Whether something below has a subquery over a distributed table.
    fn has_subquery_on_nodes(&self, part: &impl Visit) -> bool {
        let met = visit_expressions(part, |expression| {
            let is_on_nodes = match expression {
                Expr::Exists { subquery, .. } | Expr::Subquery(subquery) => self.is_on_nodes(subquery),
                Expr::In { target, .. } => self.is_on_nodes(target),
                _ => false,
            };
            if is_on_nodes {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        met.is_break()
    }

    /// `also`: the place of the table that is changed. A query alone may join tables of both places.
    fn joined(&mut self, from: &[TableWithJoins], also: Option<Place>) {
        let places: Vec<Place> = factors(from)
            .map(|factor| self.places(factor))
            .chain(also)
            .collect();
        if also.is_some() && places.contains(&Place::Coordinator) {
            self.broken
                .push("a distributed table is changed by a join with one of the coordinator");
        }
        for one in from {
            let mut left = self.places(&one.relation);
            for join in &one.joins {
                let right = self.places(&join.relation);
                let outer = match join.join_operator {
                    JoinOperator::Left(_) | JoinOperator::LeftOuter(_) => (left, right),
                    JoinOperator::Right(_) | JoinOperator::RightOuter(_) => (right, left),
                    _ => (right, right),
                };
                if outer.0 != Place::Nodes && outer.1 == Place::Nodes {
                    self.broken.push("an outer join fetches a distributed table");
                }
                if right == Place::Nodes {
                    left = right;
                }
            }
        }
    }

    fn update(&mut self, update: &Update) {
        let Some(name) = relation(&update.table.relation) else {
            return;
        };
        let Some(column) = self.tables.get(&full(name)) else {
            return;
        };
        let asks = visit_expressions(update, |expression| match expression {
            Expr::Function(function) if VOLATILE.contains(&full(&function.name).as_str()) => {
                ControlFlow::Break(())
            }
            _ => ControlFlow::Continue(()),
        });
        if asks.is_break() {
            self.broken.push("an update asks the nodes' own clocks");
        }
        for assignment in &update.assignments {
            let targets = match &assignment.target {
                AssignmentTarget::ColumnName(name) => vec![full(name)],
                AssignmentTarget::Tuple(names) => names.iter().map(full).collect(),
            };
            if targets.iter().any(|target| Some(target) == column.as_ref()) {
                self.broken.push("an update of the distribution column");
            }
            let simple = visit_expressions(&assignment.value, |expression| match expression {
                Expr::Case { operand: Some(_), .. } => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            });
            if simple.is_break() {
                self.broken.push("an update with `case x when`");
            }
        }
        if let Some(UpdateTableFromKind::AfterSet(from) | UpdateTableFromKind::BeforeSet(from)) = &update.from
        {
            self.joined(from, Some(Place::Nodes));
        }
    }

    fn delete(&mut self, delete: &Delete) {
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let is_on_nodes = factors(from).any(|factor| self.places(factor) == Place::Nodes);
        if let Some(using) = delete.using.as_ref().filter(|_| is_on_nodes) {
            self.joined(using, Some(Place::Nodes));
        }
    }
}

impl Visitor for Looking<'_> {
    type Break = ();

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<()> {
        match statement {
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            _ => {}
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if let Some(with) = query.with.as_ref().filter(|with| with.recursive)
            && with.cte_tables.iter().any(|one| self.is_on_nodes(&one.query))
        {
            self.broken.push("a recursion over a distributed table");
        }
        if !query.locks.is_empty() && self.is_on_nodes(&query.body) {
            self.broken
                .push("a lock on rows of a distributed table without an update");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<()> {
        self.joined(&select.from, None);
        if select.projection.is_empty() && self.is_on_nodes(&select.from) {
            self.broken
                .push("a query without a column over a distributed table");
        }
        let asks = |item: &SelectItem| match item {
            SelectItem::UnnamedExpr(expression) | SelectItem::ExprWithAlias { expr: expression, .. } => {
                let met = visit_expressions(expression, |part| match part {
                    Expr::Exists { subquery, .. } if self.is_on_nodes(subquery) => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                });
                met.is_break()
            }
            _ => false,
        };
        if select.projection.iter().any(asks) {
            self.broken
                .push("whether a distributed table has rows is asked by `exists`");
        }
        let on_nodes = factors(&select.from).filter(|factor| self.places(factor) == Place::Nodes);
        let names: Vec<&str> = on_nodes.filter_map(name_in_query).collect();
        let takes_row = visit_expressions(&select.projection, |expression| match expression {
            Expr::Function(function) if takes_one_of(function, &names) => ControlFlow::Break(()),
            _ => ControlFlow::Continue(()),
        });
        if takes_row.is_break() {
            self.broken
                .push("a function takes a row of a distributed table: its shards have other types");
        }
        let is_of_function = factors(&select.from).any(is_function);
        if is_of_function && self.has_subquery_on_nodes(&select.selection) {
            self.broken
                .push("a function's rows are compared with a distributed table by a subquery");
        }
        ControlFlow::Continue(())
    }
}

#[test]
fn each_refused_form_is_known() {
    let tables: Tables = [
        ("blueconic.profiles", Some("id")),
        ("blueconic.profile_aliases", Some("profile_id")),
        ("sync.histories", None),
    ]
    .map(|(name, column)| (name.to_owned(), column.map(str::to_owned)))
    .into();
    let of = |text: &str| broken(text, &tables).unwrap();
    for (text, rule) in [
        (
            "select not exists (select 1 from blueconic.profiles)",
            "whether a distributed table has rows is asked by `exists`",
        ),
        (
            "select count(*) from (select from blueconic.profiles limit 3) as few",
            "a query without a column over a distributed table",
        ),
        (
            "select a.id from unnest($1::text[]) as a (id) left join blueconic.profiles as p on p.id = a.id",
            "an outer join fetches a distributed table",
        ),
        (
            "select a.id from unnest($1::text[]) as a (id) where not exists (select 1 from blueconic.profiles as p where p.id = a.id)",
            "a function's rows are compared with a distributed table by a subquery",
        ),
        (
            "delete from blueconic.profiles as p using sync.walk_unseen as u where u.id = p.id",
            "a distributed table is changed by a join with one of the coordinator",
        ),
        (
            "select id from blueconic.profiles where id = any ($1) order by id for update",
            "a lock on rows of a distributed table without an update",
        ),
        (
            "update blueconic.profile_aliases set profile_id = $1 where profile_id = $2",
            "an update of the distribution column",
        ),
        (
            "update blueconic.profiles set name = case id when $1 then null else name end",
            "an update with `case x when`",
        ),
        (
            "with recursive chain (id) as (
               select survivor_id from blueconic.profile_aliases where profile_id = $1
               union select a.survivor_id from chain join blueconic.profile_aliases as a on a.profile_id = chain.id
             ) select id from chain",
            "a recursion over a distributed table",
        ),
        (
            "update sync.histories set recorded_since = sync.clock() where recorded_since is null",
            "an update asks the nodes' own clocks",
        ),
        (
            "select p.id, sync.profile_columns_json(p) || '{}' from blueconic.profiles as p",
            "a function takes a row of a distributed table: its shards have other types",
        ),
        (
            "delete from blueconic.profiles where id = $1; select 1",
            "several statements in one text",
        ),
    ] {
        assert!(of(text).contains(&rule), "{text}: {:?}", of(text));
    }
    for text in [
        "select count(*) = 0 from (select 1 from blueconic.profiles limit 1) as few",
        "select p.id from blueconic.profiles as p left join blueconic.profile_aliases as a on a.profile_id = p.id",
        "with u as materialized (select id from sync.walk_unseen) delete from blueconic.profiles as p using u where u.id = p.id",
        "update blueconic.profiles set synced_at = synced_at where id = any ($1) returning id",
        "select u.id from sync.walk_unseen as u where u.id = $1 for update",
        "select h.history from sync.histories as h join blueconic.profiles as p on p.id = h.history",
        "select p.id from blueconic.profiles as p join sync.walk_unseen as u on u.id = p.id",
    ] {
        assert!(of(text).is_empty(), "{text}: {:?}", of(text));
    }
}
