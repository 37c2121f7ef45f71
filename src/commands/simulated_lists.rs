//! The plain lists of the registry as the simulated tenant serves them: it knows nothing of this program, so what it serves
//! beside its own lists is given to it.

use simulated_tenant::lists::{List, Member, MemberKind};

use crate::model::description::{Description, Registry};
use crate::model::table::{Column, ColumnKind};

/// A route for each plain list.
pub fn of(registry: Registry) -> Vec<List> {
    registry
        .lists()
        .filter_map(|(description, _)| list(description))
        .collect()
}

fn list(description: &'static Description) -> Option<List> {
    let members = description.table.columns.iter().filter_map(member);
    Some(List {
        path: description.path,
        array: description.arrays.first()?,
        scope: description.oauth_scope,
        members: members.collect(),
    })
}

fn member(column: &'static Column) -> Option<Member> {
    let kind = match column.kind {
        ColumnKind::Text => MemberKind::Text,
        ColumnKind::TextArray => MemberKind::Texts,
        ColumnKind::Bigint | ColumnKind::Int => MemberKind::Number,
        ColumnKind::Bool => MemberKind::Flag,
        ColumnKind::Timestamptz => MemberKind::Date,
        // No plain list has such a column.
        ColumnKind::Jsonb | ColumnKind::Bytea => return None,
    };
    Some(Member {
        path: column.source,
        kind,
    })
}
