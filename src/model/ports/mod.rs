//! The traits between the layers. The engine (`sync`) is written against these alone; `blueconic` and `postgres`
//! implement them, `resources` gives the meaning, and tests put fakes in their place. The data that they exchange stands
//! beside this folder.

mod loading;
mod meaning;
mod reading;
mod scheduling;
mod time;
mod tokens;

pub use loading::{Loader, Store};
pub use meaning::{Census, Decoder, Prelude, Resource};
pub use reading::{Page, Source};
pub use scheduling::{JobStore, Observer, Runner};
pub use time::Clock;
pub use tokens::TokenStore;
