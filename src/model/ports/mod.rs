//! The traits between the layers. The engine (`sync`) is written against these alone; `blueconic` and `postgres`
//! implement them, `resources` gives the meaning, and tests put fakes in their place. The data that they exchange stands
//! beside this folder.

mod counting;
mod loading;
mod meaning;
mod reading;
mod running;
mod scheduling;
mod store;
mod sweeping;
mod time;
mod tokens;

pub use counting::CountStore;
pub use loading::{LoadStore, Loader};
pub use meaning::{Census, Decoder, Prelude, Resource};
pub use reading::{Page, Source};
pub use running::RunStore;
pub use scheduling::{JobStore, Observer, Runner};
pub use store::Store;
pub use sweeping::SweepStore;
pub use time::Clock;
pub use tokens::TokenStore;
