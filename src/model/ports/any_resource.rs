//! Any resource, by how it is read.

use std::sync::Arc;

use super::feed::Feed;
use super::listing::Listing;
use super::resource::Resource;
use super::walkable::Walkable;
use crate::model::description::Reading;

/// A resource of any kind, behind its port.
pub type AnyResource = Reading<Arc<dyn Listing>, Arc<dyn Walkable>, Arc<dyn Feed>>;

impl AnyResource {
    /// What every resource offers.
    pub fn resource(&self) -> &dyn Resource {
        match self {
            Self::List(list) => list.as_ref(),
            Self::Walk(walk) => walk.as_ref(),
            Self::Feed(feed) => feed.as_ref(),
        }
    }
}
