//! Reads `blueconic.data_dictionary`.

use sqlx::PgPool;

use crate::model::dictionary::{Column, Dictionary, Relation};
use crate::postgres::error::{Doing, Error};
use crate::postgres::store::PostgresStore;

const DOING: &str = "reading the data dictionary";

impl PostgresStore {
    /// What each table and view for analysts holds.
    pub async fn dictionary(&self) -> Result<Dictionary, Error> {
        self.moment(DOING, read(self.control())).await
    }
}

async fn read(pool: &PgPool) -> Result<Dictionary, Error> {
    let rows = sqlx::query!(
        r#"select relation as "relation!", kind as "kind!", column_name as "column_name!", type as "type!",
             is_nullable, is_key as "is_key!", coalesce(description, '') as "description!",
             coalesce(relation_description, '') as "relation_description!", joins_relation, joins_column,
             source_path, source_field, property_id, data_sensitivity
           from blueconic.data_dictionary
           order by relation, position"#
    )
    .fetch_all(pool)
    .await
    .doing(DOING)?;
    let resources = sqlx::query_scalar!(r#"select resource as "resource!" from blueconic.freshness"#)
        .fetch_all(pool)
        .await
        .doing(DOING)?;
    let mut relations: Vec<Relation> = Vec::new();
    for row in rows {
        let column = Column {
            name: row.column_name,
            type_name: row.r#type,
            is_nullable: row.is_nullable,
            is_key: row.is_key,
            description: row.description,
            joins: row.joins_relation.zip(row.joins_column),
            source: row.source_path.zip(row.source_field),
            property: row.property_id,
            data_sensitivity: row.data_sensitivity,
        };
        match relations.last_mut() {
            Some(last) if last.name == row.relation => last.columns.push(column),
            _ => relations.push(Relation {
                name: row.relation,
                kind: row.kind,
                description: row.relation_description,
                columns: vec![column],
            }),
        }
    }
    Ok(Dictionary { relations, resources })
}
