//! Describes the plain lists of the registry for the simulated tenant, which knows nothing of this program and serves these
//! lists beside its own.

use simulated_tenant::lists::{self, Each, List, Member, MemberKind};

use crate::model::description::{self, Description, Named, Registry};
use crate::model::table::{Column, ColumnKind, REST};

/// The member with what a run counted.
const COUNTS: &str = "goalStatistics";

/// A route for each plain list.
pub fn of(registry: Registry) -> Vec<List> {
    registry
        .lists()
        .filter_map(|(description, of)| list(registry, description, of))
        .collect()
}

fn list(registry: Registry, description: &'static Description, of: &description::List) -> Option<List> {
    let columns = description.table.columns;
    // What a column holds as a whole follows from the columns of its members.
    let has_members = |column: &&Column| {
        let outer = format!("{}.", column.source);
        columns.iter().any(|other| other.source.starts_with(&outer))
    };
    let members = columns
        .iter()
        .filter(|column| !column.source.is_empty() && !has_members(column))
        .filter_map(member);
    let id = description.table.key.last()?;
    let id = description
        .table
        .columns
        .iter()
        .find(|column| column.name == *id)?;
    Some(List {
        path: description.path,
        array: description.arrays.first()?,
        scope: description.oauth_scope,
        paged: of.paged,
        id: id.source,
        members: members.collect(),
        each: match of.each {
            None => None,
            Some(each) => Some(Each {
                of: match each.table() {
                    Some(parents) => Some(registry.named(parents.name)?.path),
                    None => None,
                },
                named: match each.named {
                    Named::InPath => lists::Named::InPath,
                    Named::ByParameter(name) => lists::Named::ByParameter(name),
                    Named::ByDay(by) => lists::Named::ByDay(by.ids, by.days[0]),
                },
            }),
        },
    })
}

fn member(column: &'static Column) -> Option<Member> {
    let kind = match column.kind {
        ColumnKind::Jsonb if column.source == COUNTS => MemberKind::Counts,
        ColumnKind::Text => MemberKind::Text,
        ColumnKind::TextArray => MemberKind::Texts,
        ColumnKind::Bigint | ColumnKind::Int => MemberKind::Number,
        ColumnKind::Bool => MemberKind::Flag,
        ColumnKind::Timestamptz => MemberKind::Date,
        ColumnKind::Jsonb => MemberKind::Object,
        // No plain list has such a column in its elements.
        ColumnKind::Date | ColumnKind::Bytea => return None,
    };
    Some(Member {
        path: match column.source {
            // A member that has no column of its own.
            REST => "remark",
            source => source,
        },
        kind,
    })
}
