//! The port to what becomes of personal data in the database.

use std::future::Future;

use crate::model::fault::Outcome;
use crate::model::lease::Lease;
use crate::model::personal_data::{BroughtPolicy, Policy};
use crate::model::property_columns::PropertyColumns;
use crate::model::rows::Rows;
use crate::model::scrub::ScrubRange;

/// Keeps what is stored in line with the rules about personal data.
pub trait PersonalDataStore: Send + Sync + 'static {
    /// Brings what becomes of each property in line with the rules and the stored catalogue. Loads by another version fail from then on
    /// with [`crate::model::fault::Kind::ColumnsChanged`], and all loads while there is something to scrub. Rejects lose what they show.
    /// Fails if another process has set other rules since this one set its own.
    fn bring_policy(&self, policy: &Policy) -> impl Future<Output = Outcome<BroughtPolicy>> + Send;
    /// The next stored profiles that are to be scrubbed; none: there are none left.
    fn range_to_scrub(&self, version: i64) -> impl Future<Output = Outcome<Option<ScrubRange>>> + Send;
    /// Writes scrubbed profiles (rows of id, properties and content hash) and the typed columns beside them. Asserts the lease. Fails with
    /// [`crate::model::fault::Kind::ColumnsChanged`] if the columns are others by now.
    fn write_scrubbed(
        &self,
        lease: &Lease,
        columns: Option<&PropertyColumns>,
        range: &ScrubRange,
        rows: &Rows,
    ) -> impl Future<Output = Outcome<()>> + Send;
    /// Gives the roles for readers the rights that follow from the catalogue and the treatment, if these roles are there.
    fn renew_rights(&self) -> impl Future<Output = Outcome<()>> + Send;
    /// Renews the planner's statistics, which hold samples of rows, if they may be from before a scrub. False: that failed, and is
    /// still due.
    fn renew_statistics(&self) -> impl Future<Output = Outcome<bool>> + Send;
}
