//! What becomes of personal data, by the port [`PersonalDataStore`].

use std::sync::atomic::Ordering;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::personal_data::{BroughtPolicy, Policy};
use crate::model::ports::PersonalDataStore;
use crate::model::property_columns::PropertyColumns;
use crate::model::rows::Rows;
use crate::model::scrub::ScrubRange;
use crate::postgres::error::Doing as _;
use crate::postgres::personal_data::{self, scrub};
use crate::postgres::{rights, statistics};

use super::PostgresStore;

const RENEWING: &str = "recording that statistics are renewed";

impl PersonalDataStore for PostgresStore {
    async fn bring_policy(&self, policy: &Policy) -> Outcome<BroughtPolicy> {
        let was_set = self.own.has_set_policy.load(Ordering::Relaxed);
        let brought = self
            .watch("bringing personal data in line", async |session| {
                personal_data::bring(session, policy, was_set).await
            })
            .await?;
        // What another process left to scrub may be under other rules.
        if brought.scrub.is_none() {
            self.own.has_set_policy.store(true, Ordering::Relaxed);
        }
        Ok(brought)
    }

    async fn range_to_scrub(&self, version: i64) -> Outcome<Option<ScrubRange>> {
        self.watch("reading profiles to scrub", async |session| {
            scrub::next(session, version).await
        })
        .await
    }

    async fn write_scrubbed(
        &self,
        lease: &Lease,
        columns: Option<&PropertyColumns>,
        range: &ScrubRange,
        rows: &Rows,
    ) -> Outcome<()> {
        self.watch("scrubbing personal data", async |session| {
            scrub::write(session, lease, columns, range, rows).await
        })
        .await
    }

    async fn renew_rights(&self) -> Outcome<()> {
        Ok(rights::renew(self).await?)
    }

    async fn renew_statistics(&self) -> Outcome<bool> {
        if !statistics::refresh(self, &["blueconic.profiles", "sync.rejects"]).await {
            return Ok(false);
        }
        let recording = async {
            let mut connection = self.control().acquire().await.doing(RENEWING)?;
            personal_data::analyzed(&mut connection).await
        };
        self.moment(RENEWING, recording).await?;
        Ok(true)
    }
}
