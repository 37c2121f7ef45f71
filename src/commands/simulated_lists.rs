//! Describes the plain lists of the registry for the simulated tenant, which knows nothing of this program and serves these
//! lists beside its own.

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
