//! The traits between the layers. The engine (`sync`) uses these traits alone. `blueconic` and `postgres` implement those of
//! I/O, `resources` those that describe a resource, and tests use fakes. The data that the traits exchange is beside this
//! folder.

mod any_resource;
mod columns;
mod counting;
mod daily_facts;
mod examining;
mod feed;
mod histories;
mod listing;
mod loading;
mod notifying;
mod personal_data;
mod reading;
mod resource;
mod run_history;
mod running;
mod scheduling;
mod store;
mod sweeping;
mod time;
mod tokens;
mod usage;
mod walkable;

pub use any_resource::AnyResource;
pub use columns::ColumnStore;
pub use counting::CountStore;
pub use daily_facts::FactStore;
pub use examining::{Examiner, Examining};
pub use feed::{Feed, FeedDecoder};
pub use histories::HistoryStore;
pub use listing::Listing;
pub use loading::{LoadStore, Loader};
pub use notifying::NotificationStore;
pub use personal_data::PersonalDataStore;
pub use reading::{Page, Source};
pub use resource::{Decoder, Identified, Resource};
pub use run_history::RunHistory;
pub use running::RunStore;
pub use scheduling::{JobStore, Observer, Runner};
pub use store::Store;
pub use sweeping::SweepStore;
pub use time::Clock;
pub use tokens::TokenStore;
pub use usage::UsageStore;
pub use walkable::{SegmentCounter, SegmentResolver, Walkable};
